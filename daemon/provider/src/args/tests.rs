use super::*;

fn wanted<'a>() -> Wanted<'a> {
    Wanted {
        model: "m-1",
        session: None,
        prompt: "do it",
        interactive: false,
        argv: &[],
    }
}

fn line(settings: &Settings, wanted: &Wanted<'_>) -> String {
    let line = command_line(settings, wanted).unwrap();
    format!("{} {}", line.program, line.args.join(" "))
}

fn with_args(args: &[&str]) -> Settings {
    Settings {
        args: Some(args.iter().map(|&arg| arg.to_owned()).collect()),
        ..Settings::builtin(Kind::Claude)
    }
}

#[test]
fn each_cli_is_asked_for_its_event_stream_and_gets_the_prompt_on_stdin() {
    let expected = [
        (
            Kind::Claude,
            "claude -p --model m-1 --output-format stream-json --verbose \
             --dangerously-skip-permissions",
        ),
        (
            Kind::Codex,
            "codex exec --model m-1 --json --dangerously-bypass-approvals-and-sandbox \
             --skip-git-repo-check -",
        ),
        (
            Kind::Gemini,
            "gemini --output-format stream-json -m m-1 --yolo",
        ),
        (Kind::Opencode, "opencode run --format json --model m-1"),
    ];
    for (kind, expected) in expected {
        let settings = Settings::builtin(kind);
        assert_eq!(line(&settings, &wanted()), expected);
        let line = command_line(&settings, &wanted()).unwrap();
        assert_eq!(line.format, Format::Json);
        assert!(line.prompt_on_stdin);
    }
}

#[test]
fn a_session_is_resumed_in_each_cli_its_own_way() {
    let wanted = Wanted {
        session: Some("s-9"),
        model: "",
        ..wanted()
    };
    let expected = [
        (
            Kind::Claude,
            "claude -p --resume s-9 --output-format stream-json --verbose \
             --dangerously-skip-permissions",
        ),
        (
            Kind::Codex,
            "codex exec --json --dangerously-bypass-approvals-and-sandbox \
             --skip-git-repo-check resume s-9 -",
        ),
        (
            Kind::Gemini,
            "gemini --output-format stream-json --yolo --resume s-9",
        ),
        (Kind::Opencode, "opencode run --format json --session s-9"),
    ];
    for (kind, expected) in expected {
        assert_eq!(line(&Settings::builtin(kind), &wanted), expected);
    }
}

#[test]
fn extra_arguments_stand_before_the_part_that_takes_no_flags() {
    let settings = Settings {
        extra_args: vec!["-c".into(), "tools.update_plan.enabled=true".into()],
        ..Settings::builtin(Kind::Codex)
    };
    let line = line(&settings, &wanted());
    assert!(line.ends_with("--skip-git-repo-check -c tools.update_plan.enabled=true -"));
}

#[test]
fn the_configured_model_holds_where_the_request_names_none() {
    let settings = Settings {
        model: Some("usual".into()),
        ..Settings::builtin(Kind::Gemini)
    };
    let asked = line(&settings, &wanted());
    assert!(asked.contains("-m m-1"), "{asked}");
    let unasked = line(
        &settings,
        &Wanted {
            model: "",
            ..wanted()
        },
    );
    assert!(unasked.contains("-m usual"), "{unasked}");
}

#[test]
fn claude_is_told_that_more_messages_come() {
    let wanted = Wanted {
        interactive: true,
        ..wanted()
    };
    let asked = line(&Settings::builtin(Kind::Claude), &wanted);
    assert!(asked.ends_with(" --input-format stream-json"), "{asked}");
    // Whoever replaces the arguments replaces them all.
    assert_eq!(line(&with_args(&["-p"]), &wanted), "claude -p");
    let codex = line(&Settings::builtin(Kind::Codex), &wanted);
    assert!(!codex.contains("input-format"), "{codex}");
}

#[test]
fn an_argument_whose_placeholder_is_empty_goes_with_its_flag() {
    let settings = with_args(&[
        "run",
        "--model={model}",
        "--resume",
        "{session}",
        "word",
        "{session}",
        "x{nothing}",
    ]);
    let wanted = Wanted {
        model: "",
        ..wanted()
    };
    assert_eq!(line(&settings, &wanted), "claude run word x{nothing}");
}

#[test]
fn placeholders_are_filled_in_once() {
    let settings = with_args(&["--say", "{prompt}", "{{model}}"]);
    let wanted = Wanted {
        prompt: "{model} and {session}",
        ..wanted()
    };
    let line = command_line(&settings, &wanted).unwrap();
    assert_eq!(line.args, ["--say", "{model} and {session}", "{m-1}"]);
    assert!(!line.prompt_on_stdin);
    assert_eq!(line.format, Format::Text);
}

#[test]
fn the_json_mode_is_recognised_however_it_is_asked_for() {
    let cases: [(Kind, &[&str], Format); 10] = [
        (Kind::Claude, &["--output-format=stream-json"], Format::Json),
        (
            Kind::Claude,
            &["--output-format", "stream-json", "--output-format", "text"],
            Format::Text,
        ),
        (Kind::Claude, &["-p", "stream-json"], Format::Text),
        (Kind::Gemini, &["-o", "stream-json"], Format::Json),
        (Kind::Gemini, &["-o", "json"], Format::Text),
        (Kind::Codex, &["exec", "--experimental-json"], Format::Json),
        (Kind::Codex, &["exec", "--", "--json"], Format::Text),
        (Kind::Opencode, &["run", "--format=json"], Format::Json),
        (
            Kind::Opencode,
            &["run", "--format", "default"],
            Format::Text,
        ),
        (Kind::Command, &["--json"], Format::Text),
    ];
    for (kind, args, expected) in cases {
        let settings = Settings {
            command: "x".into(),
            args: Some(args.iter().map(|&arg| arg.to_owned()).collect()),
            ..Settings::builtin(kind)
        };
        let line = command_line(&settings, &wanted()).unwrap();
        assert_eq!(line.format, expected, "{kind} {args:?}");
    }
}

#[test]
fn a_command_comes_from_the_request_or_from_the_configuration() {
    let argv = ["make".to_owned(), "-j2".to_owned()];
    let asked = Wanted {
        argv: &argv,
        prompt: "",
        ..wanted()
    };
    let builtin = Settings::builtin(Kind::Command);
    assert_eq!(line(&builtin, &asked), "make -j2");
    assert!(!command_line(&builtin, &asked).unwrap().prompt_on_stdin);
    let own = Settings {
        command: "/opt/tool".into(),
        args: Some(vec!["--fast".into()]),
        ..builtin.clone()
    };
    assert_eq!(line(&own, &asked), "/opt/tool --fast make -j2");
    assert_eq!(command_line(&builtin, &wanted()), Err(ArgsError::NoProgram));
    assert_eq!(
        command_line(
            &Settings::builtin(Kind::Codex),
            &Wanted {
                argv: &argv,
                ..wanted()
            }
        ),
        Err(ArgsError::UnexpectedCommand { kind: Kind::Codex })
    );
}

#[test]
fn what_could_not_be_executed_is_refused() {
    let settings = with_args(&["{prompt}"]);
    let long = "x".repeat(ARGUMENT_LIMIT);
    let cases = [
        (
            Wanted {
                prompt: &long,
                ..wanted()
            },
            ArgsError::TooLong {
                index: 1,
                length: ARGUMENT_LIMIT,
            },
        ),
        (
            Wanted {
                prompt: "a\0b",
                ..wanted()
            },
            ArgsError::Nul { index: 1 },
        ),
        (
            Wanted {
                prompt: "",
                ..wanted()
            },
            ArgsError::NoPrompt,
        ),
        (
            Wanted {
                session: Some("--yolo"),
                ..wanted()
            },
            ArgsError::LooksLikeFlag {
                field: "session",
                value: "--yolo".into(),
            },
        ),
    ];
    for (wanted, error) in cases {
        assert_eq!(command_line(&settings, &wanted), Err(error));
    }
    let most = "x".repeat(ARGUMENT_LIMIT - 1);
    assert!(
        command_line(
            &settings,
            &Wanted {
                prompt: &most,
                ..wanted()
            }
        )
        .is_ok()
    );
    // On stdin there is no such limit.
    let stdin = Settings::builtin(Kind::Claude);
    assert!(
        command_line(
            &stdin,
            &Wanted {
                prompt: &long,
                ..wanted()
            }
        )
        .is_ok()
    );
}
