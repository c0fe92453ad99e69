//! `doctor`: one line per check, and what to do about what is missing.

use std::os::unix::fs::PermissionsExt;

use crate::fake::Fake;
use crate::harness::{command, finish, run};
use steroids_proto::v1;

#[test]
fn without_a_daemon_it_fails_with_how_to_start_one() {
    let ran = run(&Fake::absent(), &["doctor"]);
    assert_eq!(ran.code, 69);
    assert!(
        ran.stdout
            .contains("fail  socket      there is none at [FOLDER]/d.sock"),
        "{ran:?}"
    );
    assert!(ran.stdout.contains("setsid -f steroidsd"), "{ran:?}");
    assert!(
        ran.stdout
            .contains("warn  provider    claude: no program `claude` on PATH"),
        "{ran:?}"
    );
}

/// Where none runs the file says what one would need.
#[test]
fn without_a_daemon_the_disk_is_held_against_the_file() {
    let fake = Fake::absent();
    let file = fake.folder().join("config.toml");
    std::fs::write(&file, "[daemon]\nmin_free = \"9000000 TiB\"\n").unwrap();
    let mut doctor = command(&fake, &["doctor"]);
    doctor.env("STEROIDS_CONFIG", &file);
    let ran = finish(&fake, doctor);
    let said = ", and a start needs 9000000 TiB (daemon.min_free)";
    assert!(ran.stdout.contains(said), "{ran:?}");
}

#[test]
fn with_everything_in_place_nothing_fails() {
    let fake = Fake::start();
    let close = |path: &std::path::Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    close(fake.socket(), 0o600);
    close(fake.folder(), 0o700);
    run(&fake, &["init"]);
    fake.world(|world| {
        world.status = v1::StatusResponse {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: 99,
            state: "serving".to_owned(),
            state_dir: fake.folder().to_str().unwrap().to_owned(),
            providers: vec![v1::Provider {
                name: "shell".to_owned(),
                kind: "command".to_owned(),
                command: "sh".to_owned(),
                program: "/bin/sh".to_owned(),
                env: Vec::new(),
            }],
            ..Default::default()
        };
    });
    let ran = run(&fake, &["doctor"]);
    assert_eq!(ran.code, 0, "{}", ran.stdout);
    for line in [
        "ok    socket",
        "ok    runtime",
        "ok    daemon",
        "ok    provider",
        "ok    project",
        "ok    state",
    ] {
        assert!(ran.stdout.contains(line), "{line}: {}", ran.stdout);
    }
    let json = run(&fake, &["doctor", "--json"]).stdout;
    assert!(
        json.starts_with(r#"{"checks":[{"name":"socket","status":"ok","message":"#),
        "{json}"
    );

    close(fake.socket(), 0o666);
    let open = run(&fake, &["doctor"]);
    assert_eq!(open.code, 4);
    assert!(
        open.stdout.contains("chmod 600 [FOLDER]/d.sock"),
        "{}",
        open.stdout
    );
}
