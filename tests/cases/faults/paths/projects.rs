//! Project paths that are odd, hostile, or lead elsewhere than they did. The rest of these is in
//! `project_paths.rs`.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;

use steroids_proto::v1;
use steroids_tests::faults::held;
use steroids_tests::wire::framed;
use steroids_tests::{Ctl, Daemon, Home, Puppet, Wire, rpc};
use tonic::Code;

#[tokio::test]
async fn a_path_that_cannot_be_a_line_of_text_is_refused() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let register = async |path: String| {
        let request = v1::RegisterRequest { path, init: true };
        let answer = daemon.rpc().await.projects().register(request).await;
        answer.expect_err("it was registered")
    };
    let text = |path: &std::path::Path| path.to_str().unwrap().to_owned();
    home.folder("line");
    for name in ["line\n", "two\nlines", "bell\u{7}", "\u{85}next"] {
        let folder = home.folder(name);
        let status = register(text(&folder)).await;
        assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
        assert!(!status.message().contains('\n'), "{status:?}");
        assert!(!folder.join(".steroids").exists());
    }
    // Nor is a folder taken for the one whose name is the same without the line's end.
    assert!(!home.path("home/line/.steroids").exists());

    let long = format!("{}/{}", text(home.root()), "d/".repeat(2048));
    let longer = format!("/{}", "d".repeat(4095));
    for path in [&long[..4095], &long[..4096], &long, &longer] {
        let status = register(path.to_owned()).await;
        assert!(
            matches!(status.code(), Code::InvalidArgument | Code::NotFound),
            "{status:?}"
        );
    }
    let seen = "newlines and control characters, 4095 bytes and more: refused in one line";
    held(62, seen);
}

#[tokio::test]
async fn a_path_that_is_not_utf_8_is_refused() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let folder = home.path("home").join(OsStr::from_bytes(b"caf\xe9"));
    fs::create_dir(&folder).unwrap();
    let output = Ctl::new(&home, &folder).run(["init"]).await;
    assert_eq!(output.code, 2, "{output:?}");
    assert!(output.stderr.contains("UTF-8"), "{output:?}");

    let path = folder.as_os_str().as_bytes();
    let length = u8::try_from(path.len()).unwrap();
    let request = [&[1 << 3 | 2, length], path, &[2 << 3, 1]].concat();
    let mut wire = Wire::connect(&home.socket()).await;
    let answered = wire
        .call("Projects/Register", "identity", framed(0, &request))
        .await;
    assert_eq!(answered.code, Code::Internal, "{answered:?}");
    assert!(!folder.join(".steroids").exists());
    drop(daemon);
    held(62, "not UTF-8: refused by steroidsctl and by the daemon");
}

/// What was opened stays what is used; what took its place is not, until it is asked for.
#[tokio::test]
async fn an_invocation_stays_with_the_folder_it_was_started_in() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    let mut agent = Puppet::new(&home, "agent");
    let started = rpc.start_fake(&ctl.project(), "T1", &agent.args()).await;
    agent.prints("before");
    let selector = rpc::invocation(&ctl.project(), started.id);
    rpc.follow(selector, "", true).await.until("before").await;

    let moved = home.path("home/moved");
    fs::rename(ctl.folder(), &moved).unwrap();
    home.folder("app/.steroids/invocations");
    let output = ctl.run(["list"]).await;
    assert_ne!(output.code, 0, "{output:?}");
    agent.prints("after");
    agent.exits(0);
    let log = moved.join(format!(".steroids/invocations/{}.log", started.id));
    steroids_tests::eventually(
        "the end of the log in the folder that was moved",
        async || {
            let text = fs::read_to_string(&log).ok()?;
            (text.contains(r#""after""#) && text.contains(r#""type":"complete""#)).then_some(())
        },
    )
    .await;
    let new = home.path("home/app/.steroids");
    let names = |path| {
        fs::read_dir(path)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
    };
    assert_eq!(names(new.join("invocations")).count(), 0);
    assert_eq!(names(new).collect::<Vec<_>>(), ["invocations"]);

    // Back where it was, all of it is there.
    fs::remove_dir_all(home.path("home/app")).unwrap();
    fs::rename(&moved, ctl.folder()).unwrap();
    let ended = rpc.ended(&ctl.project(), started.id).await;
    assert_eq!(ended.state(), v1::State::Completed, "{ended:?}");
    let seen =
        "another folder in its place: told, untouched; the run ends in the folder it began in";
    held(62, seen);
}
