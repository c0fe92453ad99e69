//! Taking over, or not; and what never starts.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use steroids_shim::exit::{End, ExitRecord};
use steroids_shim::lock;

use crate::harness::{Case, until, write_script};

fn never_started(case: &mut Case) -> String {
    case.start();
    match case.exit().end {
        End::NeverStarted { error, .. } => error,
        other => panic!("it never started: {other:?}"),
    }
}

/// Runs a shim that must refuse, and gives its reason.
fn refusal(case: &Case) -> String {
    let output = case.command().output().unwrap();
    assert!(!output.status.success());
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn a_missing_program_is_named_with_the_error() {
    let mut case = Case::program(&["/no/such/claude", "-p"]);
    assert_eq!(
        never_started(&mut case),
        "/no/such/claude: No such file or directory (os error 2)"
    );
}

#[test]
fn a_file_that_is_not_executable_is_named_with_the_error() {
    let case = Case::script("");
    let path = case.file("tool");
    fs::write(&path, "#!/bin/sh\n").unwrap();
    let mut case = Case::program(&[path.to_str().unwrap()]);
    assert_eq!(
        never_started(&mut case),
        format!("{}: Permission denied (os error 13)", path.display())
    );
    assert!(!case.spec.socket.exists());
}

#[test]
fn a_missing_interpreter_is_told_from_a_missing_program() {
    let case = Case::script("");
    let path = case.file("tool");
    write_script(&path, "#!/no/such/node\n");
    let mut case = Case::program(&[path.to_str().unwrap()]);
    assert!(never_started(&mut case).contains("its interpreter is missing"));
}

#[test]
fn a_working_directory_that_is_gone_is_named() {
    let mut case = Case::script("exit 0");
    case.spec.cwd = case.file("gone");
    let error = never_started(&mut case);
    assert_eq!(
        error,
        format!(
            "working directory {}: No such file or directory (os error 2)",
            case.file("gone").display()
        )
    );
}

#[test]
fn arguments_that_are_too_long_are_an_error_and_no_argv_is_one_too() {
    let mut case = Case::program(&["/bin/true", &"x".repeat(200_000)]);
    assert_eq!(
        never_started(&mut case),
        "/bin/true: Argument list too long (os error 7)"
    );
    let mut case = Case::program(&[]);
    assert_eq!(never_started(&mut case), "no program was given");
}

#[test]
fn a_socket_path_that_is_too_long_is_an_error_with_its_name() {
    let mut case = Case::script("exit 0");
    case.spec.socket = case.file(&"s".repeat(120));
    assert!(never_started(&mut case).contains("cannot bind the control socket"));
}

#[test]
fn a_late_shim_finds_the_exit_record_and_starts_nothing() {
    let case = Case::script(": > $OUT/started");
    let record = ExitRecord {
        proto: 1,
        end: End::Lost {
            error: "shim lost".to_owned(),
        },
        ended_ms: 1,
        spool_length: 0,
        rusage: None,
    };
    record.store(&case.dir).unwrap();
    assert!(refusal(&case).contains("the invocation has ended"));
    assert!(!case.file("started").exists());
    assert_eq!(ExitRecord::load(&case.dir).unwrap(), Some(record));
}

#[test]
fn a_second_shim_is_refused_while_and_after_the_first_one_lives() {
    let mut case = Case::script("echo x >> $OUT/started; : > $OUT/up; exec sleep 60");
    case.start_until("up");
    assert!(refusal(&case).contains("is held by another process"));
    case.shim().kill().unwrap();
    case.shim().wait().unwrap();
    assert!(refusal(&case).contains("another shim had started"));
    assert_eq!(fs::read_to_string(case.file("started")).unwrap(), "x\n");
}

#[test]
fn a_specification_that_cannot_be_read_is_refused() {
    let case = Case::script("exit 0");
    let mut command = case.command();
    fs::write(case.dir.spec(), "{\"proto\":1").unwrap();
    let output = command.output().unwrap();
    assert!(!output.status.success());
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("spec.json is not valid"), "{error}");
    assert_eq!(ExitRecord::load(&case.dir).unwrap(), None);
}

#[test]
fn a_stale_socket_is_replaced() {
    let mut case = Case::script(": > $OUT/up; exec sleep 60");
    fs::create_dir_all(case.spec.socket.parent().unwrap()).unwrap();
    drop(std::os::unix::net::UnixListener::bind(&case.spec.socket).unwrap());
    case.start_until("up");
    case.connect();
    let mode = fs::metadata(&case.spec.socket)
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_detached_shim_answers_when_it_has_taken_over_and_lives_on() {
    lives_on(|_| {});
}

#[test]
fn so_does_one_that_a_shell_made_the_leader_of_a_group() {
    lives_on(|command| {
        command.process_group(0);
    });
}

fn lives_on(prepare: impl FnOnce(&mut Command)) {
    let case = Case::script("read line < $OUT/fifo; echo \"got $line\"");
    let mut fifo = case.fifo();
    let mut command = case.command();
    prepare(&mut command);
    let output = command.arg("--daemonize").output().unwrap();
    assert!(output.status.success());
    assert!(lock::is_held(&case.dir.lock()).unwrap());
    let state = case.state();
    let stat = fs::read_to_string(format!("/proc/{}/stat", state.shim_pid)).unwrap();
    let session: i32 = stat
        .rsplit(") ")
        .next()
        .unwrap()
        .split(' ')
        .nth(3)
        .unwrap()
        .parse()
        .unwrap();
    assert_ne!(session, state.shim_pid);
    assert_ne!(session, nix::unistd::getsid(None).unwrap().as_raw());
    fifo.write_all(b"that\n").unwrap();
    until("the lock to be free", || {
        (!lock::is_held(&case.dir.lock()).unwrap()).then_some(())
    });
    assert!(ExitRecord::load(&case.dir).unwrap().is_some());
    assert_eq!(case.stdout(), "got that\n");
}

#[test]
fn one_that_stands_by_looks_at_nothing_until_it_is_told_and_ends_where_it_never_is() {
    let case = Case::script(": > $OUT/started");
    let names = || fs::read_dir(case.dir.path()).unwrap().count();
    let stand_by = || {
        let mut command = case.command();
        fs::remove_file(case.dir.spec()).unwrap();
        command.args(["--daemonize", "--standby"]);
        let mut shim = command.stdin(Stdio::piped()).spawn().unwrap();
        let call = shim.stdin.take().unwrap();
        (shim, call)
    };
    let (shim, call) = stand_by();
    drop(call);
    let output = shim.wait_with_output().unwrap();
    assert!(!output.status.success());
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("it was not told to begin"), "{error}");
    assert_eq!(names(), 0);

    let (shim, mut call) = stand_by();
    // Its specification is there when it is told to begin, and no sooner.
    case.spec.store(&case.dir).unwrap();
    call.write_all(b"\n").unwrap();
    assert!(shim.wait_with_output().unwrap().status.success());
    until("the record", || ExitRecord::load(&case.dir).unwrap());
    assert!(case.file("started").exists());
}

#[test]
fn a_detached_shim_says_why_it_was_refused_or_that_nothing_started() {
    let case = Case::program(&["/no/such"]);
    let mut command = case.command();
    command.arg("--daemonize").stderr(Stdio::piped());
    assert!(command.output().unwrap().status.success());
    assert!(ExitRecord::load(&case.dir).unwrap().is_some());
    // It has answered, and may still be on its way out.
    until("the lock to be free", || {
        (!lock::is_held(&case.dir.lock()).unwrap()).then_some(())
    });
    let again = command.output().unwrap();
    assert!(!again.status.success());
    let error = String::from_utf8(again.stderr).unwrap();
    assert!(error.contains("the invocation has ended"), "{error}");
}
