//! The errors a person meets: each says what is wrong and what to do, with its exit code.

use crate::fake::Fake;
use crate::harness::{command, finish, run, run_with};
use std::collections::HashMap;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

#[test]
fn no_daemon_says_how_to_start_one() {
    let mut fake = Fake::absent();
    insta::assert_snapshot!("no_daemon", run(&fake, &["list"]).all());
    insta::assert_snapshot!("no_daemon_json", run(&fake, &["list", "--json"]).all());
    fake.serve();
    fake.kill();
    let stale = run(&fake, &["list"]);
    assert_eq!(stale.code, 69);
    assert!(
        stale
            .stderr
            .contains("no daemon is listening at [FOLDER]/d.sock"),
        "{stale:?}"
    );
}

#[test]
fn what_changes_something_and_has_no_answer_says_what_is_not_known() {
    let fake = Fake::start();
    for (words, call) in [
        (&["init"][..], "register"),
        (&["wakeup"], "wakeup"),
        (&["reload"], "reload"),
        (&["migrate"], "migrate"),
        (&["cleanup", "logs"], "cleanup"),
        (&["reproject", "1"], "reproject"),
    ] {
        let late = Status::deadline_exceeded("it took too long");
        fake.world(|world| world.refuse = Some((call, late)));
        let ran = run(&fake, words);
        assert_eq!(ran.code, 124, "{ran:?}");
        let said = "whether it was done is not known; the same command may be given again";
        assert!(ran.stderr.contains(said), "{ran:?}");
    }
}

#[test]
fn a_stop_that_takes_longer_says_what_comes_next_and_where_to_look() {
    let fake = Fake::start();
    let mut details = ErrorDetails::new();
    details
        .set_error_info("STILL_ENDING", "steroids.v1", HashMap::new())
        .add_help_link("`steroidsctl stop 1 --grace 0` kills it at once", "");
    let text = "invocation 1 has not ended yet; it has 4 min more to end by itself";
    let slow = Status::with_error_details(Code::DeadlineExceeded, text, details);
    fake.world(|world| world.refuse = Some(("stop", slow)));
    let ran = run(&fake, &["stop", "1"]);
    assert_eq!(ran.code, 124, "{ran:?}");
    for said in [text, "--grace 0` kills it at once; see with: steroidsctl"] {
        assert!(ran.stderr.contains(said), "{ran:?}");
    }
    let killed = Status::deadline_exceeded("invocation 1 has not ended yet; it is killed");
    fake.world(|world| world.refuse = Some(("stop", killed)));
    let ran = run(&fake, &["stop", "1"]);
    assert!(ran.stderr.contains("see with: steroidsctl"), "{ran:?}");
}

#[test]
fn outside_of_a_project_it_says_init() {
    let fake = Fake::start();
    let mut outside = command(&fake, &["list"]);
    outside.current_dir(fake.folder());
    insta::assert_snapshot!(finish(&fake, outside).all());
}

#[test]
fn the_homes_own_folder_is_no_project() {
    let fake = Fake::start();
    std::fs::create_dir(fake.folder().join(".steroids")).unwrap();
    let mut home = command(&fake, &["list"]);
    home.current_dir(fake.folder());
    assert_eq!(finish(&fake, home).code, 3);
}

#[test]
fn the_homes_own_folder_becomes_a_project_only_where_it_is_named() {
    let fake = Fake::start();
    let mut home = command(&fake, &["init"]);
    home.current_dir(fake.folder());
    let ran = finish(&fake, home);
    assert_eq!(ran.code, 4);
    assert!(ran.stderr.contains("--project ~ init"), "{ran:?}");
    let named = fake.folder().to_str().unwrap();
    assert_eq!(run(&fake, &["init", "--project", named]).code, 0);
}

#[test]
fn the_root_folder_becomes_a_project_only_where_it_is_named() {
    let fake = Fake::start();
    let mut root = command(&fake, &["init"]);
    root.current_dir("/");
    let ran = finish(&fake, root);
    assert_eq!(ran.code, 4);
    assert!(ran.stderr.contains("--project / init"), "{ran:?}");
    assert_eq!(run(&fake, &["init", "--project", "/"]).code, 0);
}

#[test]
fn a_configuration_that_the_environment_names_has_to_be_there() {
    let fake = Fake::absent();
    for arguments in [&["config", "show", "--file"][..], &["config", "show"]] {
        let mut show = command(&fake, arguments);
        show.env("STEROIDS_CONFIG", fake.folder().join("gone.toml"));
        let ran = finish(&fake, show);
        assert_eq!((ran.code, ran.stdout.as_str()), (78, ""), "{ran:?}");
        assert!(ran.stderr.contains("gone.toml"), "{ran:?}");
    }
}

#[test]
fn a_file_named_in_a_word_of_its_own_is_told_how_to_be_named() {
    let fake = Fake::start();
    let ran = run(&fake, &["config", "show", "--file", "./new.toml"]);
    assert_eq!(ran.code, 3);
    assert!(ran.stderr.contains("--file=./new.toml"), "{ran:?}");
}

#[test]
fn a_socket_path_too_long_for_the_kernel_is_told_before_it_is_tried() {
    let fake = Fake::start();
    let long = format!("/tmp/{}", "x".repeat(110));
    let ran = run(&fake, &["--socket", &long, "list"]);
    assert_eq!(ran.code, 78);
    assert!(
        ran.stderr
            .contains("115 bytes long, the kernel takes at most 107"),
        "{ran:?}"
    );
}

#[test]
fn a_broken_configuration_names_file_key_and_reason() {
    let fake = Fake::start();
    let file = fake.folder().join("config.toml");
    std::fs::write(&file, "[daemon]\nsocket = 7\n").unwrap();
    let mut broken = command(&fake, &["list"]);
    broken
        .env_remove("STEROIDS_SOCKET")
        .env("STEROIDS_CONFIG", &file);
    let ran = finish(&fake, broken);
    assert_eq!(ran.code, 78);
    assert!(
        ran.stderr
            .contains("[FOLDER]/config.toml: daemon.socket: must be a text"),
        "{ran:?}"
    );
}

#[test]
fn refusals_tell_what_where_and_what_to_do() {
    let fake = Fake::start();
    let mut details = ErrorDetails::new();
    details
        .set_error_info("UNKNOWN_PROVIDER", "steroids.v1", HashMap::new())
        .add_bad_request_violation("provider", "")
        .add_help_link("there are claude, codex, gemini, opencode, command", "");
    let status = Status::with_error_details(Code::InvalidArgument, "no provider `clade`", details);
    let refuse = |status: &Status| {
        let copy = Status::with_details(
            status.code(),
            status.message(),
            status.details().to_vec().into(),
        );
        fake.world(|world| world.refuse = Some(("start", copy)));
    };
    let start = [
        "start",
        "--task",
        "T1",
        "--provider",
        "clade",
        "--prompt",
        "x",
    ];
    refuse(&status);
    insta::assert_snapshot!("refused", run(&fake, &start).all());
    refuse(&status);
    let mut json = start.to_vec();
    json.push("--json");
    insta::assert_snapshot!("refused_json", run(&fake, &json).all());

    for (code, exit) in [
        (Code::NotFound, 3),
        (Code::FailedPrecondition, 4),
        (Code::AlreadyExists, 4),
        (Code::DataLoss, 4),
        (Code::ResourceExhausted, 75),
        (Code::Unavailable, 75),
        (Code::DeadlineExceeded, 124),
    ] {
        refuse(&Status::new(code, "no"));
        assert_eq!(run(&fake, &start).code, exit, "{code:?}");
    }
}

#[test]
fn an_invocation_that_does_not_exist_is_not_found() {
    let fake = Fake::start();
    for arguments in [&["show", "9"][..], &["stream", "9"], &["stop", "9"]] {
        let ran = run(&fake, arguments);
        assert_eq!(ran.code, 3, "{ran:?}");
        assert!(ran.stderr.contains("there is no invocation 9"));
    }
    assert_eq!(run(&fake, &["stream"]).code, 3);
}

#[test]
fn prompts_are_checked_before_anything_is_sent() {
    let fake = Fake::start();
    let start = |more: &[&'static str]| [&["start", "--task", "T1"][..], more].concat();
    let none = run(&fake, &start(&[]));
    assert_eq!(none.code, 2);
    assert!(none.stderr.contains("--prompt-file"), "{none:?}");
    let long = run_with(&fake, &start(&["-"]), vec![b'x'; 5 << 20]);
    assert_eq!(long.code, 2);
    assert!(long.stderr.contains("longer than 3 MiB"), "{long:?}");
    assert!(long.stderr.contains("file of the project"), "{long:?}");
    let binary = run_with(&fake, &start(&["-"]), vec![0xff]);
    assert_eq!(binary.code, 2);
    let both = run(&fake, &start(&["--prompt", "a", "--prompt-file", "b"]));
    assert_eq!(both.code, 2);
    assert_eq!(fake.world(|world| world.starts.len()), 0);
}

#[test]
fn a_command_line_that_makes_no_sense_is_usage_for_scripts_too() {
    let fake = Fake::absent();
    let ran = run(&fake, &["--json", "show", "twelve"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""));
    assert!(
        ran.stderr
            .starts_with(r#"{"error":{"code":"usage","message":"invalid value 'twelve'"#),
        "{ran:?}"
    );
    let ran = run(&fake, &["show", "twelve"]);
    assert_eq!(ran.code, 2);
    assert!(
        ran.stderr.starts_with("error: invalid value 'twelve'"),
        "{ran:?}"
    );
}

#[test]
fn help_that_cannot_be_written_is_no_success() {
    let fake = Fake::absent();
    for arguments in [
        &["--help"][..],
        &["start", "--help"],
        &["help", "list"],
        &["--version"],
    ] {
        let mut help = command(&fake, arguments);
        help.stdout(std::fs::File::create("/dev/full").unwrap());
        let ran = finish(&fake, help);
        assert_eq!(ran.code, 75, "{arguments:?}: {ran:?}");
        let said = "error: could not write the output: ";
        assert!(ran.stderr.starts_with(said), "{ran:?}");

        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut help = command(&fake, arguments);
        help.stdout(writer);
        let ran = finish(&fake, help);
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{arguments:?}");
    }
}
