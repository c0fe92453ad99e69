//! What the daemon itself says: that it answers, its version, its troubles, its hooks, what is
//! held, and how it finds this project.

use std::path::Path;

use steroids_client::holder::is_served;
use steroids_client::paths::Found;
use steroids_client::{Client, v1};

use super::{Check, host, service};
use crate::command::status::UNKNOWN_TODO;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::format;
use crate::session::{self, Session};

/// Adds the checks that need a daemon, one that fails where there is none; it and its status, where it
/// answered.
pub(super) async fn checks(
    session: &Session,
    found: &Found,
    checks: &mut Vec<Check>,
) -> Option<(Client, v1::StatusResponse)> {
    let paths = &found.paths;
    let answer = async {
        if let Some(error) = found.doubt_of_socket()
            && !is_served(&paths.socket)
        {
            // Where systemd holds the socket, connecting would start one that cannot start.
            return Err(Failure::new(
                Exit::Unreachable,
                "unreachable",
                format!(
                    "no daemon serves {}, and one that starts reads the configuration: {error}",
                    paths.socket.display()
                ),
            ));
        }
        let client = session::reach(paths).await?;
        let status = client.status(v1::StatusRequest {}).await?;
        Ok::<_, Failure>((client, status))
    };
    let (client, status) = match answer.await {
        Ok(answer) => answer,
        Err(failure) => {
            checks.push(failed("daemon", &failure.with_cure(paths)));
            return None;
        }
    };
    checks.push(version(&status));
    checks.extend(service::replaced(status.pid));
    checks.extend(service::namespace(status.pid));
    checks.extend(
        status
            .degraded
            .iter()
            .map(|trouble| degraded(&format::by_clock(trouble))),
    );
    for warning in &status.warnings {
        let hint = "steroidsctl status says more";
        checks.push(Check::warn("warning", warning, hint));
    }
    if status.state == "draining" {
        checks.push(Check::warn(
            "draining",
            "the daemon refuses new starts",
            "it is about to stop",
        ));
    }
    checks.extend(formats(&status));
    checks.extend(status.holds.iter().map(held));
    if status.hooks > 0 {
        checks.extend(hooks(&client).await);
    }
    let (project, found) = project(session, &client, status.pid).await;
    checks.push(found);
    if let Some(path) = project {
        checks.extend(older(&client, path).await);
    }
    Some((client, status))
}

/// Most troubles end with what to do about them.
fn degraded(trouble: &str) -> Check {
    match trouble.rsplit_once("; ") {
        Some((what, todo)) if !todo.starts_with("since ") => Check::warn("degraded", what, todo),
        _ => Check::warn("degraded", trouble, "see the daemon's own log"),
    }
}

fn held(hold: &v1::Hold) -> Check {
    let line = crate::command::holds::line(hold);
    let hint = format!(
        "it is over by itself; sooner with: steroidsctl holds lift {}",
        hold.provider
    );
    Check::warn("held", line, hint)
}

/// Those that do not work, each with what its last attempt met.
async fn hooks(client: &Client) -> Vec<Check> {
    let hooks = match client.hooks(v1::ListHooksRequest {}).await {
        Ok(answer) => answer.hooks,
        Err(status) => return vec![failed("hooks", &Failure::from(status))],
    };
    let broken: Vec<Check> = hooks.iter().filter_map(hook).collect();
    if broken.is_empty() {
        let plural = if hooks.len() == 1 { "" } else { "s" };
        let text = format!("{} hook{plural}, none of them failing", hooks.len());
        return vec![Check::ok("hooks", text)];
    }
    broken
}

fn hook(hook: &v1::Hook) -> Option<Check> {
    let what = match hook.state.as_str() {
        "failing" => format!("has failed {} times", hook.failures),
        "given_up" => format!("has given up {} events", hook.given_up),
        "off" => "is off, as its endpoint is gone".to_owned(),
        _ => return None,
    };
    let text = format!("{} {what}: {}", hook.name, hook.last_error);
    // The daemon is kept from the network: nothing is wrong with the other side.
    let cure = match hook.last_error.contains("docs/systemd.md") {
        true => "have the unit let it".to_owned(),
        false => format!("mend {}", hook.target),
    };
    let hint = format!("{cure}, then: steroidsctl hooks test {}", hook.name);
    Some(Check::warn(
        "hooks",
        text.trim_end_matches([':', ' ']),
        hint,
    ))
}

/// Invocations that a runner of the older tool drives in the same project: the daemon starts
/// nothing beside them.
async fn older(client: &Client, project: String) -> Option<Check> {
    let request = v1::ListRequest {
        project,
        states: vec![v1::State::Running.into()],
        page_size: 1000,
        ..Default::default()
    };
    // What is wrong with the project was said above.
    let running = client.list(request).await.ok()?.invocations;
    let theirs: Vec<String> = running
        .iter()
        .filter(|it| !it.managed)
        .map(|it| it.id.to_string())
        .collect();
    (!theirs.is_empty()).then(|| {
        Check::warn(
            "runners",
            format!(
                "by its rows the older tool runs {} here: starts are refused while one of its runners is at work",
                theirs.join(", ")
            ),
            "let its runners end, or stop them with that tool",
        )
    })
}

/// A CLI that prints what no parser knows has changed its format.
fn formats(status: &v1::StatusResponse) -> Vec<Check> {
    if status.unknown.is_empty() && status.unknown_events > 0 {
        // A daemon that does not say whose they are.
        let said = format!(
            "{} provider events were not understood",
            status.unknown_events
        );
        return vec![Check::warn("parsers", said, UNKNOWN_TODO)];
    }
    let suspect = status.unknown.iter().map(|events| {
        let said = format!("format change suspected: {}", format::unknown(events));
        Check::warn("parsers", said, UNKNOWN_TODO)
    });
    suspect.collect()
}

fn failed(name: &'static str, failure: &Failure) -> Check {
    Check::fail(name, failure.message(), failure.hint().unwrap_or_default())
}

fn version(status: &v1::StatusResponse) -> Check {
    let ours = env!("CARGO_PKG_VERSION");
    let text = format!(
        "steroidsd {}, process {}, {}",
        status.version, status.pid, status.state
    );
    if status.version == ours {
        Check::ok("daemon", text)
    } else {
        Check::warn(
            "daemon",
            format!("{text}; this is steroidsctl {ours}"),
            service::RESTART,
        )
    }
}

/// How the daemon finds the project one stands in; and its path, where it serves it.
async fn project(session: &Session, client: &Client, pid: i64) -> (Option<String>, Check) {
    let path = match session.project() {
        Ok(path) => path,
        // Asked for anywhere: that here is no project is no fault.
        Err(failure) => {
            let hint = failure.hint().unwrap_or_default();
            let told = || Check::warn("project", failure.message(), hint);
            let to_be = session.project_to_be().ok();
            let read_only = to_be.and_then(|path| host::read_only(pid, Path::new(&path)));
            return (None, read_only.unwrap_or_else(told));
        }
    };
    if let Some(check) = host::read_only(pid, Path::new(&path)) {
        return (None, check);
    }
    let check = found(client, &path).await;
    let is_served = check.status == super::Verdict::Ok;
    (is_served.then_some(path), check)
}

async fn found(client: &Client, path: &str) -> Check {
    let request = v1::GetProjectRequest {
        path: path.to_owned(),
    };
    let answer = client.project(request).await.map_err(Failure::from);
    let project = match answer.map(|answer| answer.project) {
        Ok(Some(project)) => project,
        Ok(None) => {
            return Check::warn(
                "project",
                format!("{path} is not registered"),
                "run `steroidsctl init` there",
            );
        }
        Err(failure) if failure.exit() == Exit::NotFound => {
            return Check::warn(
                "project",
                failure.message(),
                failure.hint().unwrap_or("run `steroidsctl init` there"),
            );
        }
        Err(failure) => return failed("project", &failure),
    };
    let text = format!("{path}: {}", project.state);
    match project.state.as_str() {
        "ready" => Check::ok("project", text),
        "needs_migration" => Check::fail("project", text, "run `steroidsctl migrate`"),
        "read_only" => Check::warn("project", text, project.reason),
        _ => Check::fail("project", text, project.reason),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::doctor::Verdict;

    #[test]
    fn a_format_that_has_changed_is_a_warning_that_names_who_changed_it() {
        let mut status = v1::StatusResponse::default();
        assert!(formats(&status).is_empty());
        status.unknown_events = 3;
        assert_eq!(formats(&status)[0].status, Verdict::Warn);
        status.unknown = vec![v1::UnknownEvents {
            provider: "claude".to_owned(),
            version: "2.1.300".to_owned(),
            count: 3,
            ..Default::default()
        }];
        let checks = formats(&status);
        assert!(checks[0].message.contains("claude 2.1.300: 3"));
        let hint = checks[0].hint.as_deref().unwrap_or_default();
        assert!(hint.contains("reproject --all"));
    }

    #[test]
    fn a_hook_that_does_not_work_is_told_with_its_last_error() {
        let mut it = v1::Hook {
            name: "chat".to_owned(),
            state: "ready".to_owned(),
            target: "https://chat.example".to_owned(),
            ..Default::default()
        };
        assert!(hook(&it).is_none());
        it.state = "failing".to_owned();
        it.failures = 3;
        it.last_error = "connection refused".to_owned();
        let check = hook(&it).unwrap();
        assert_eq!(check.message, "chat has failed 3 times: connection refused");
        let hint = "mend https://chat.example, then: steroidsctl hooks test chat";
        assert_eq!(check.hint.as_deref(), Some(hint));
        it.last_error = "no; a drop-in grants it, network.conf in docs/systemd.md".to_owned();
        let hint = hook(&it).unwrap().hint.unwrap();
        assert!(hint.starts_with("have the unit let it, then: "), "{hint}");
    }

    #[test]
    fn a_trouble_has_its_own_cure() {
        for (trouble, what, todo) in [
            (
                "/p: 3 MiB are free; free some space",
                "/p: 3 MiB are free",
                "free some space",
            ),
            (
                "it broke; since 10:00",
                "it broke; since 10:00",
                "see the daemon's own log",
            ),
        ] {
            let check = degraded(trouble);
            assert_eq!((&*check.message, check.hint.as_deref()), (what, Some(todo)));
        }
    }

    #[test]
    fn another_version_is_a_warning() {
        let status = v1::StatusResponse {
            version: "0.0.1".to_owned(),
            ..Default::default()
        };
        assert_eq!(version(&status).status, Verdict::Warn);
    }
}
