//! What a start is refused for, and what becomes of the rest of it.

use super::prepare::{Surroundings, prepare};
use super::*;
use crate::domain::Outcome;
use crate::domain::retry::StartRetry;

fn asked() -> StartRequest {
    StartRequest {
        project: PathBuf::from("/p"),
        task: "T1".to_owned(),
        role: String::new(),
        provider: "claude".to_owned(),
        model: None,
        prompt: "do it".to_owned(),
        cwd: None,
        env: BTreeMap::new(),
        caller_env: BTreeMap::from([("PATH".to_owned(), "rel:/bin:/opt/bin".to_owned())]),
        resume: None,
        request_id: None,
        limits: Limits::default(),
        argv: Vec::new(),
        interactive: false,
        leave_background: false,
        priority: 0,
        after: Vec::new(),
        retry: None,
        no_queue: false,
        again: None,
        budget: StartBudget::default(),
        resources: StartResources::default(),
    }
}

fn spec(request: &StartRequest) -> Result<steroids_shim::spec::Spec, StartError> {
    let stage = Stage {
        refuses: Mutex::default(),
        is_away: false.into(),
        is_short: false.into(),
        is_missing: false.into(),
        is_stopping: Some(false).into(),
        is_boundless: false.into(),
        ended_units: Mutex::default(),
        turns: Semaphore::new(0),
        arrived: Mutex::default(),
        shims: Mutex::default(),
    };
    let mut settings = settings(Path::new("/s"), Arc::new(stage), 8);
    let claude = ProviderSettings {
        settings: args::Settings::builtin(Kind::Claude),
        limits: Limits::default(),
        queue: ProviderQueue::default(),
        life: None,
        resources: StartResources::default(),
    };
    settings.providers.insert("claude".to_owned(), claude);
    let around = Surroundings {
        project: Path::new("/p"),
        uuid: "5d0e3c1a-0000-4000-8000-000000000001".to_owned(),
        boot_id: "b".to_owned(),
        now_ms: 5,
        session: request.resume.as_deref(),
        zone: &|tz| tz.map(str::to_owned),
        is_file: &|path| path == Path::new("/opt/bin/claude"),
        own_env: &|| [("PATH".to_owned(), "/opt/bin".to_owned())].into(),
    };
    prepare(&settings, request, around).map(|prepared| prepared.spec)
}

fn changed(change: impl FnOnce(&mut StartRequest)) -> StartRequest {
    let mut request = asked();
    change(&mut request);
    request
}

#[test]
fn what_makes_no_sense_is_refused_by_its_field() {
    let long = "x".repeat(257);
    let refused: [(&str, StartRequest); 12] = [
        ("task_id", changed(|it| it.task.clear())),
        ("task_id", changed(|it| it.task = "a\nb".to_owned())),
        ("task_id", changed(|it| it.task.clone_from(&long))),
        ("role", changed(|it| it.role = "-x".to_owned())),
        ("model", changed(|it| it.model = Some("--yolo".to_owned()))),
        ("resume", changed(|it| it.resume = Some("-c".to_owned()))),
        (
            "request_id",
            changed(|it| it.request_id = Some(String::new())),
        ),
        ("request_id", changed(|it| it.request_id = Some(long))),
        ("prompt", changed(|it| it.prompt.clear())),
        ("argv", changed(|it| it.argv = vec!["a\0b".to_owned()])),
        ("env", set("A=B", "x")),
        ("env", set("A", "x\0")),
    ];
    for (wanted, request) in refused {
        match spec(&request) {
            Err(StartError::Invalid { field, .. }) => assert_eq!(field, wanted),
            other => panic!("{wanted}: {other:?}"),
        }
    }
}

fn set(name: &str, value: &str) -> StartRequest {
    changed(|it| {
        it.env.insert(name.to_owned(), value.to_owned());
    })
}

#[test]
fn a_prompt_too_long_and_an_unknown_provider_say_what_would_do() {
    let long = changed(|it| it.prompt = "x".repeat(MAX_PROMPT_BYTES + 1));
    let error = spec(&long).unwrap_err();
    assert!(matches!(error, StartError::PromptTooLarge { max, .. } if max == MAX_PROMPT_BYTES));
    let unknown = changed(|it| it.provider = "cloude".to_owned());
    let error = spec(&unknown).unwrap_err().to_string();
    assert_eq!(error, "unknown provider `cloude`; known: claude, command");
}

#[test]
fn a_name_is_looked_up_in_absolute_folders_of_the_path_and_the_prompt_stays_off_the_arguments() {
    let spec = spec(&asked()).unwrap();
    assert_eq!(spec.argv[0], "/opt/bin/claude");
    assert_eq!(spec.prompt, "do it");
    assert!(!spec.argv.iter().any(|argument| argument.contains("do it")));
    assert_eq!(
        (spec.role.as_str(), spec.cwd.as_path()),
        ("coder", Path::new("/p"))
    );
    assert_eq!(spec.socket, Path::new("/s/run/s/5d0e3c1a0000"));
}

#[test]
fn how_often_it_is_tried_again_is_as_configured_where_only_after_what_is_said() {
    // Three is what is configured where nobody says it.
    for (max, wanted) in [(None, 3), (Some(0), 0), (Some(7), 7)] {
        let on = vec![Outcome::Failed];
        let asked = changed(|it| it.retry = Some(StartRetry { on, max }));
        let turn = spec(&asked).unwrap().turn;
        assert_eq!(
            (turn.retry_on, turn.retry_max),
            (vec!["failed".to_owned()], wanted)
        );
    }
}

#[test]
fn only_the_callers_environment_leaves_a_request_the_same() {
    let hash = |request: &StartRequest| spec(request).unwrap().request_hash;
    let same = changed(|it| {
        it.caller_env
            .insert("LANG".to_owned(), "de_DE.UTF-8".to_owned());
    });
    assert_eq!(hash(&same), hash(&asked()));
    let others = [
        changed(|it| it.task = "T2".to_owned()),
        changed(|it| it.role = "reviewer".to_owned()),
        changed(|it| it.model = Some("opus".to_owned())),
        changed(|it| it.prompt = "do that".to_owned()),
        changed(|it| it.cwd = Some(PathBuf::from("sub"))),
        changed(|it| it.resume = Some("s".to_owned())),
        changed(|it| it.interactive = true),
        changed(|it| it.leave_background = true),
        changed(|it| it.limits.wall = Some(None)),
        set("A", "b"),
    ];
    for other in others {
        assert_ne!(hash(&other), hash(&asked()), "{other:?}");
    }
}
