//! What a request said itself, as a specification keeps it: whoever asks for the same once more is given it
//! by what is configured by then.

use std::time::Duration;

use steroids_shim::spec::{Requested, Spec};

use crate::domain::retry::StartRetry;
use crate::domain::{Budget, Limits, StartBudget, StartRequest, StartResources};

/// What a request said, but for what a specification has as it was asked for.
pub(super) fn of(request: &StartRequest) -> Requested {
    let (limits, budget, resources) = (&request.limits, &request.budget, &request.resources);
    let retry = request.retry.as_ref();
    Requested {
        model: request.model.clone(),
        resume: request.resume.clone(),
        argv: request.argv.clone(),
        env: request.env.keys().cloned().collect(),
        silence_ms: limits.silence.map(millis),
        tool_silence_ms: limits.tool_silence.map(millis),
        wall_ms: limits.wall.map(millis),
        post_result_ms: limits.post_result.map(millis),
        grace_ms: limits.grace.map(|grace| millis(Some(grace))),
        micro_usd: budget.budget.micro_usd,
        tokens: budget.budget.tokens,
        stops: budget.stops,
        memory_max: resources.memory_max.map(Option::unwrap_or_default),
        cpu_quota: resources.cpu_quota.map(Option::unwrap_or_default),
        tasks_max: resources.tasks_max.map(Option::unwrap_or_default),
        retry: retry.map(|retry| {
            let on = retry.on.iter().map(ToString::to_string);
            (on.collect(), retry.max.unwrap_or_default())
        }),
        is_retry_max_open: retry.is_some_and(|retry| retry.max.is_none()),
    }
}

/// Whether the request itself said that a budget ends it: then that of its task or day does, too.
pub(super) fn stops(spec: &Spec) -> bool {
    let said = spec.requested.as_ref();
    said.is_some_and(|said| said.stops == Some(true))
}

/// What is asked for where `later` asks for the same as `spec`, whose request said `said`: what it says itself
/// goes first. Its prompt, session and place are left to the caller.
pub(super) fn once_more(spec: &Spec, said: &Requested, later: StartRequest) -> StartRequest {
    let (limits, budget, resources) = (later.limits, later.budget, later.resources);
    let set = spec.env.iter().filter(|(name, _)| said.env.contains(name));
    let mut env: std::collections::BTreeMap<_, _> = set.cloned().collect();
    env.extend(later.env);
    StartRequest {
        task: spec.task.clone(),
        role: spec.role.clone(),
        provider: spec.provider.clone(),
        model: later.model.or_else(|| said.model.clone()),
        env,
        limits: Limits {
            silence: limits.silence.or(said.silence_ms.map(limit)),
            tool_silence: limits.tool_silence.or(said.tool_silence_ms.map(limit)),
            wall: limits.wall.or(said.wall_ms.map(limit)),
            post_result: limits.post_result.or(said.post_result_ms.map(limit)),
            grace: limits.grace.or(said.grace_ms.map(Duration::from_millis)),
        },
        budget: StartBudget {
            budget: Budget {
                micro_usd: budget.budget.micro_usd.or(said.micro_usd),
                tokens: budget.budget.tokens.or(said.tokens),
            },
            stops: budget.stops.or(said.stops),
        },
        resources: resources.or(StartResources {
            memory_max: said.memory_max.map(bound),
            cpu_quota: said.cpu_quota.map(bound),
            tasks_max: said.tasks_max.map(bound),
        }),
        argv: said.argv.clone(),
        interactive: spec.interactive,
        leave_background: spec.leave_background,
        priority: spec.turn.priority,
        retry: later.retry.or_else(|| policy(said)),
        again: None,
        ..later
    }
}

fn millis(limit: Option<Duration>) -> u64 {
    let limit = limit.unwrap_or_default();
    u64::try_from(limit.as_millis()).unwrap_or(u64::MAX)
}

fn limit(ms: u64) -> Option<Duration> {
    bound(ms).map(Duration::from_millis)
}

/// Zero is none.
fn bound<T: Default + PartialEq>(number: T) -> Option<T> {
    Some(number).filter(|number| *number != T::default())
}

/// An outcome that a newer daemon knew says nothing here.
fn policy(said: &Requested) -> Option<StartRetry> {
    let (on, max) = said.retry.as_ref()?;
    Some(StartRetry {
        on: on.iter().filter_map(|word| word.parse().ok()).collect(),
        max: (!said.is_retry_max_open).then_some(*max),
    })
}

#[cfg(test)]
mod tests {
    use steroids_provider::outcome::Outcome;

    use super::*;
    use crate::domain::InvocationId;

    fn asked() -> StartRequest {
        StartRequest {
            model: Some("opus".to_owned()),
            resume: Some("s-1".to_owned()),
            argv: vec!["make".to_owned(), "test".to_owned()],
            env: [("CI".to_owned(), "1".to_owned())].into(),
            limits: Limits {
                silence: Some(None),
                wall: Some(Some(Duration::from_secs(60))),
                grace: Some(Duration::ZERO),
                ..Limits::default()
            },
            budget: StartBudget {
                budget: Budget {
                    micro_usd: Some(5),
                    tokens: None,
                },
                stops: Some(false),
            },
            resources: StartResources {
                memory_max: Some(None),
                cpu_quota: Some(Some(150)),
                tasks_max: None,
            },
            retry: Some(StartRetry {
                on: vec![Outcome::Overloaded],
                max: Some(2),
            }),
            ..StartRequest::default()
        }
    }

    fn spec() -> Spec {
        let text = r#"{"proto":1,"uuid":"u","invocation":1,"project":"/p","task":"t","role":"coder",
            "provider":"command","kind":"command","format":"text","model":"opus","resume":null,
            "request_id":"r","request_hash":"","argv":["/bin/make","test"],
            "env":[["CI","1"],["PATH","/bin"]],"cwd":"/p","prompt":"","interactive":false,
            "leave_background":true,"limits":{"silence_ms":null,"tool_silence_ms":null,"wall_ms":null,
            "post_result_ms":null,"grace_ms":1},"created_ms":1,"boot_id":"","socket":"/s",
            "turn":{"priority":7}}"#;
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn the_same_is_asked_for_once_more() {
        let (asked, spec) = (asked(), spec());
        let said = of(&asked);
        let kept = serde_json::to_string(&said).unwrap();
        assert_eq!(serde_json::from_str::<Requested>(&kept).unwrap(), said);
        let again = once_more(&spec, &said, StartRequest::default());
        assert_eq!(
            of(&again),
            Requested {
                resume: None,
                ..said
            }
        );
        assert_eq!(again.env, asked.env, "and nothing else of its environment");
        assert_eq!(again.limits, asked.limits);
        assert_eq!(again.resources, asked.resources);
        assert_eq!((again.task.as_str(), again.priority), ("t", 7));
        assert!(again.leave_background);
    }

    #[test]
    fn how_often_it_is_tried_again_stays_open_where_nobody_said_it() {
        for max in [None, Some(0), Some(2)] {
            let on = vec![Outcome::Failed];
            let asked = StartRequest {
                retry: Some(StartRetry { on, max }),
                ..StartRequest::default()
            };
            let again = once_more(&spec(), &of(&asked), StartRequest::default());
            assert_eq!(again.retry, asked.retry);
        }
    }

    #[test]
    fn what_is_said_later_goes_first() {
        let spec = spec();
        let later = StartRequest {
            model: Some("sonnet".to_owned()),
            env: [("CI".to_owned(), "2".to_owned())].into(),
            limits: Limits {
                wall: Some(None),
                ..Limits::default()
            },
            again: Some(crate::domain::Again {
                of: InvocationId::new(1).unwrap(),
                is_anew: false,
            }),
            ..StartRequest::default()
        };
        let again = once_more(&spec, &of(&asked()), later);
        assert_eq!(again.model.as_deref(), Some("sonnet"));
        assert_eq!(again.env["CI"], "2");
        assert_eq!(
            (again.limits.wall, again.limits.silence),
            (Some(None), Some(None))
        );
        assert_eq!(again.again, None, "it is a request as any other");
    }

    #[test]
    fn what_said_nothing_is_as_configured_then() {
        let nothing = StartRequest::default();
        assert_eq!(of(&nothing), Requested::default());
        assert_eq!(serde_json::to_string(&of(&nothing)).unwrap(), "{}");
        let again = once_more(&spec(), &Requested::default(), nothing);
        assert_eq!(
            (again.model, again.retry, again.limits),
            (None, None, Limits::default())
        );
    }
}
