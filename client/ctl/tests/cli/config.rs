//! A configuration that cannot be used, while a daemon that had read it runs.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::FlockOperation;

use crate::fake::Fake;
use crate::harness::{command, finish, run};
use steroids_proto::v1;
use tonic::Status;

/// Where the user's own file is.
fn file(fake: &Fake, text: &str) -> PathBuf {
    let file = fake.folder().join(".config/steroids/config.toml");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, text).unwrap();
    file
}

/// The usual socket is the daemon's, which holds its lock until that is dropped.
fn at_the_usual_place(fake: &Fake) -> File {
    let folder = fake.folder().join(".local/state/steroids/run");
    std::fs::create_dir_all(&folder).unwrap();
    std::os::unix::fs::symlink(fake.socket(), folder.join("steroidsd.sock")).unwrap();
    let lock = File::create(folder.join("steroidsd.sock.lock")).unwrap();
    rustix::fs::fcntl_lock(&lock, FlockOperation::NonBlockingLockExclusive).unwrap();
    lock
}

/// The program where nothing but the file could tell where the daemon is.
fn unnamed(fake: &Fake, arguments: &[&str]) -> Command {
    let mut command = command(fake, arguments);
    command.env_remove("STEROIDS_SOCKET");
    command
}

fn replace_by_a_folder(file: &Path) {
    std::fs::remove_file(file).unwrap();
    std::fs::create_dir(file).unwrap();
}

const SLIP: &str = "[daemon]\nmax_running = 3\n[limits\n";

#[test]
fn a_slip_in_it_hides_no_daemon() {
    let fake = Fake::start();
    run(&fake, &["init"]);
    let lock = at_the_usual_place(&fake);
    let file = file(&fake, SLIP);
    let ran = finish(&fake, unnamed(&fake, &["list"]));
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(
        ran.stderr
            .starts_with("[FOLDER]/.config/steroids/config.toml: line 3: "),
        "{ran:?}"
    );
    let usual = "the usual socket counts: [FOLDER]/.local/state/steroids/run/steroidsd.sock\n";
    assert!(ran.stderr.contains(usual), "{ran:?}");
    let json = finish(&fake, unnamed(&fake, &["list", "--json"]));
    assert!(
        json.stderr.starts_with(r#"{"note":{"message":"#),
        "{json:?}"
    );
    assert_eq!(json.stderr.lines().count(), 1, "{json:?}");

    replace_by_a_folder(&file);
    let ran = finish(&fake, unnamed(&fake, &["list"]));
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stderr.contains("Is a directory"), "{ran:?}");

    // As where systemd holds it: whoever connected would start a daemon, which could not read the file.
    drop(lock);
    let ran = finish(&fake, unnamed(&fake, &["list"]));
    assert_eq!((ran.code, ran.stdout.as_str()), (78, ""), "{ran:?}");
    let ran = finish(&fake, unnamed(&fake, &["doctor"]));
    assert_eq!(ran.code, 78, "{ran:?}");
    let said =
        "fail  daemon      no daemon serves [FOLDER]/.local/state/steroids/run/steroidsd.sock";
    assert!(ran.stdout.contains(said), "{ran:?}");
}

#[test]
fn who_names_the_socket_hears_nothing_of_the_file() {
    let mut fake = Fake::start();
    run(&fake, &["init"]);
    file(&fake, SLIP);
    let socket = fake.socket().to_str().unwrap().to_owned();
    let by_flag = ["--socket", &socket, "list"];
    let ran = finish(&fake, unnamed(&fake, &by_flag));
    let nothing = (0, "no such invocations\n");
    assert_eq!((ran.code, ran.stderr.as_str()), nothing);
    let ran = run(&fake, &["list"]);
    assert_eq!((ran.code, ran.stderr.as_str()), nothing);
    fake.kill();
    let ran = finish(&fake, unnamed(&fake, &by_flag));
    assert_eq!(ran.code, 69, "{ran:?}");
    assert!(!ran.stderr.contains("line 3"), "{ran:?}");
}

#[test]
fn without_a_daemon_the_slip_is_what_is_wrong() {
    let fake = Fake::absent();
    file(&fake, SLIP);
    for arguments in [&["list"][..], &["stop", "1"], &["reload"]] {
        let ran = finish(&fake, unnamed(&fake, arguments));
        assert_eq!((ran.code, ran.stdout.as_str()), (78, ""), "{ran:?}");
        assert!(ran.stderr.starts_with("error: [FOLDER]/"), "{ran:?}");
        assert!(ran.stderr.contains("config.toml: line 3: "), "{ran:?}");
    }
}

#[test]
fn the_daemon_itself_is_asked_to_read_it_and_refuses() {
    let fake = Fake::start();
    let _lock = at_the_usual_place(&fake);
    file(&fake, SLIP);
    fake.world(|world| {
        let no = Status::failed_precondition("the configuration is not taken over");
        world.refuse = Some(("reload", no));
    });
    let ran = finish(&fake, unnamed(&fake, &["reload"]));
    assert_eq!(ran.code, 4, "{ran:?}");
    assert!(ran.stderr.contains("not taken over"), "{ran:?}");
}

#[test]
fn the_doctor_speaks_of_the_file_and_of_the_daemon() {
    let fake = Fake::start();
    let _lock = at_the_usual_place(&fake);
    file(&fake, SLIP);
    fake.world(|world| {
        world.status = v1::StatusResponse {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: 99,
            state: "serving".to_owned(),
            ..Default::default()
        };
    });
    let ran = finish(&fake, unnamed(&fake, &["doctor"]));
    assert_eq!((ran.code, ran.stderr.as_str()), (78, ""), "{ran:?}");
    for line in [
        "fail  config      [FOLDER]/.config/steroids/config.toml: line 3: ",
        "ok    daemon",
        "socket      [FOLDER]/.local/state/steroids/run/steroidsd.sock",
    ] {
        assert!(ran.stdout.contains(line), "{line}: {}", ran.stdout);
    }
}

#[test]
fn a_gateway_is_looked_for_in_the_usual_state_folder() {
    let fake = Fake::absent();
    file(&fake, SLIP);
    let ran = finish(&fake, unnamed(&fake, &["web"]));
    assert_eq!(ran.code, 78, "{ran:?}");
    assert!(ran.stderr.contains("line 3"), "{ran:?}");
    let todo = "no gateway runs for the usual one, [FOLDER]/.local/state/steroids";
    assert!(ran.stderr.contains(todo), "{ran:?}");
    let named = ["web", "--state-dir", "/nowhere"];
    let ran = finish(&fake, unnamed(&fake, &named));
    assert_eq!(ran.code, 69, "{ran:?}");
    assert!(!ran.stderr.contains("line 3"), "{ran:?}");
}
