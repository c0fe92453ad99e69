use tonic_types::StatusExt as _;

use super::*;
use crate::domain::{Managed, Outcome, Queueing, Used};

fn request() -> v1::StartRequest {
    v1::StartRequest {
        project: "/home/ada/p".into(),
        task_id: "T1".into(),
        ..v1::StartRequest::default()
    }
}

/// The field a start is refused for.
fn at_fault(change: impl FnOnce(&mut v1::StartRequest)) -> String {
    let mut asked = request();
    change(&mut asked);
    let status = start(asked).expect_err("is refused");
    assert_eq!(status.code(), tonic::Code::InvalidArgument);
    let details = status.get_error_details();
    details.bad_request().unwrap().field_violations[0]
        .field
        .clone()
}

fn seconds(seconds: i64) -> Option<prost_types::Duration> {
    Some(prost_types::Duration { seconds, nanos: 0 })
}

#[test]
fn what_is_left_out_has_its_default() {
    let started = start(request()).unwrap();
    assert_eq!(
        (started.role.as_str(), started.provider.as_str()),
        ("coder", "claude")
    );
    assert_eq!(
        (started.model, started.resume, started.request_id),
        (None, None, None)
    );
    assert_eq!((started.cwd, started.limits), (None, Limits::default()));
    let command = v1::StartRequest {
        argv: vec!["make".into()],
        ..request()
    };
    assert_eq!(start(command).unwrap().provider, "command");
}

#[test]
fn a_relative_cwd_is_meant_from_the_project() {
    let cwd = |cwd: &str| {
        start(v1::StartRequest {
            cwd: cwd.into(),
            ..request()
        })
        .unwrap()
        .cwd
    };
    assert_eq!(cwd("sub/folder"), Some("/home/ada/p/sub/folder".into()));
    assert_eq!(cwd("/elsewhere"), Some("/elsewhere".into()));
}

#[test]
fn an_absent_limit_is_the_default_and_zero_is_none() {
    let limits = v1::Limits {
        silence: seconds(0),
        wall: seconds(90),
        grace: seconds(0),
        ..v1::Limits::default()
    };
    let limits = start(v1::StartRequest {
        limits: Some(limits),
        ..request()
    })
    .unwrap()
    .limits;
    assert_eq!(limits.silence, Some(None));
    assert_eq!(limits.tool_silence, None);
    assert_eq!(limits.wall, Some(Some(Duration::from_secs(90))));
    assert_eq!(limits.grace, Some(Duration::ZERO));
}

#[test]
fn a_field_that_makes_no_sense_is_named() {
    let limits = |limits: v1::Limits| at_fault(|asked| asked.limits = Some(limits));
    assert_eq!(at_fault(|asked| asked.project.clear()), "project");
    assert_eq!(at_fault(|asked| asked.task_id.clear()), "task_id");
    assert_eq!(at_fault(|asked| asked.task_id = "  ".into()), "task_id");
    assert_eq!(at_fault(|asked| asked.task_id = "a\nb".into()), "task_id");
    assert_eq!(at_fault(|asked| asked.role = "two words".into()), "role");
    assert_eq!(at_fault(|asked| asked.model = "--yolo".into()), "model");
    assert_eq!(at_fault(|asked| asked.resume = "-".into()), "resume");
    assert_eq!(
        at_fault(|asked| asked.request_id = "x".repeat(257)),
        "request_id"
    );
    assert_eq!(at_fault(|asked| asked.argv = vec!["a\0b".into()]), "argv");
    assert_eq!(
        at_fault(|asked| drop(asked.env.insert("A=B".into(), "".into()))),
        "env"
    );
    let wall = v1::Limits {
        wall: seconds(-1),
        ..v1::Limits::default()
    };
    assert_eq!(limits(wall), "limits.wall");
    let silence = v1::Limits {
        silence: seconds(i64::MAX),
        ..v1::Limits::default()
    };
    assert_eq!(limits(silence), "limits.silence");
    let grace = v1::Limits {
        grace: seconds(3601),
        ..v1::Limits::default()
    };
    assert_eq!(limits(grace), "limits.grace");
}

#[test]
fn what_cannot_be_set_of_the_callers_environment_is_left_out() {
    let env = [
        ("PATH", "/bin"),
        ("", "x"),
        ("A=B", "x"),
        ("BASH_FUNC_f%%", "() { :; }"),
    ];
    let caller_env = env
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    let started = start(v1::StartRequest {
        caller_env,
        ..request()
    })
    .unwrap();
    let names: Vec<_> = started.caller_env.keys().map(String::as_str).collect();
    assert_eq!(names, ["BASH_FUNC_f%%", "PATH"]);
}

#[test]
fn a_page_has_a_hundred_unless_asked_and_a_thousand_at_most() {
    assert_eq!(page_size(0).unwrap(), 100);
    assert_eq!(page_size(7).unwrap(), 7);
    assert_eq!(page_size(5000).unwrap(), 1000);
    assert!(page_size(-1).is_err());
}

#[test]
fn an_unknown_state_is_refused() {
    let asked = |state: i32| {
        query(&v1::ListRequest {
            states: vec![state],
            ..Default::default()
        })
    };
    assert_eq!(asked(2).unwrap().states, ["running"]);
    assert!(asked(0).is_err() && asked(99).is_err());
}

#[test]
fn what_is_unresolved_has_ended_badly() {
    let asked = |states: &[v1::State]| {
        query(&v1::ListRequest {
            states: states.iter().map(|state| (*state).into()).collect(),
            unresolved: true,
            ..Default::default()
        })
    };
    let all = asked(&[]).unwrap();
    assert!(all.is_last);
    assert_eq!(all.states, ["failed", "timeout"]);
    assert_eq!(asked(&[v1::State::Timeout]).unwrap().states, ["timeout"]);
    assert!(asked(&[v1::State::Failed, v1::State::Completed]).is_err());
}

#[test]
fn a_pid_is_shown_only_while_it_means_something() {
    let managed = Managed {
        uuid: "u".into(),
        request_id: "r".into(),
        request_hash: "h".into(),
        mode: "fresh".into(),
        cwd: "/home/ada/p".into(),
        pid: Some(4711),
        log_generation: 0,
        leftovers: None,
        queueing: Queueing::default(),
        resets_at_ms: None,
        http_status: None,
        cause: None,
        resources: None,
        used: Used::default(),
    };
    let row = |phase| Invocation {
        id: InvocationId::new(3).unwrap(),
        task: "T1".into(),
        role: "coder".into(),
        provider: "claude".into(),
        model: String::new(),
        answering_model: None,
        phase,
        error: None,
        started_ms: Some(1),
        completed_ms: None,
        duration_ms: None,
        exit_code: None,
        session_id: None,
        usage: None,
        managed: Some(managed.clone()),
    };
    let running = invocation(Path::new("/home/ada/p"), row(Phase::Running));
    assert_eq!(
        (running.pid, running.state),
        (Some(4711), v1::State::Running.into())
    );
    assert!(running.managed && running.outcome.is_empty());
    let outcome = Some(Outcome::TimeoutWall);
    let ended = Phase::Ended {
        status: RowStatus::Timeout,
        outcome,
    };
    let ended = invocation(Path::new("/home/ada/p"), row(ended));
    assert_eq!((ended.pid, ended.outcome.as_str()), (None, "timeout_wall"));
}
