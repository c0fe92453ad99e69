//! What the daemon's unit refuses, and the drop-ins by which it grants it: those of docs/systemd.md, as
//! they stand there.

use steroids_tests::lab::User;
use steroids_tests::{Lab, Output, binaries, eventually};

use super::SERVICE;

const CONFIG: &str = ".config/steroids/config.toml";

/// Answers what is posted to it, and writes down what that was. It is handed its socket, which is there
/// before anybody asks.
const COLLECTOR: &str = r#"
open my $socket, "+<&=3" or die;
while (accept(my $client, $socket)) {
  my ($request, $length) = (scalar <$client>, 0);
  while (<$client>) { $length = $1 if /^content-length: (\d+)/i; last if /^\r?$/ }
  read $client, $_, $length;
  open my $file, ">>", "$ENV{HOME}/requests"; print $file $request; close $file;
  print $client "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"; close $client;
}
"#;

/// A program with a sandbox of its own, as a browser is.
const REPORT: &str = "#!/bin/sh\nunshare --user --map-root-user true && echo told >>$HOME/told\n";

/// Has all of it refused by the unit as it is, and granted by the drop-ins. The daemon that is left
/// keeps its state elsewhere.
pub(super) async fn are_what_it_takes(lab: &Lab, user: &User<'_>) {
    for folder in ["/srv/work", "/srv/state"] {
        let make = ["install", "-d", "-o", user.name(), folder];
        lab.run(&make).await.ok();
    }
    let page = binaries::workspace().join("docs/systemd.md");
    let page = std::fs::read_to_string(page).unwrap();
    let hooks = hooks(&page, &user.home());
    user.write("bin/report", REPORT);
    user.run(&["chmod", "+x", "bin/report"]).await.ok();
    user.write("collector", COLLECTOR);
    let listen = "--socket-property=ListenStream=127.0.0.1:4318";
    let unit = [
        "systemd-run",
        "--user",
        "--quiet",
        "--unit=collector",
        listen,
    ];
    user.run(&[&unit[..], &["perl", "collector"]].concat())
        .await
        .ok();

    user.write(CONFIG, &hooks);
    user.systemctl(&["restart", SERVICE]).await.ok();
    let refused = init(user).await.exits(4).says("Read-only file system");
    drop(refused.says("ReadWritePaths="));
    let doctor = ["env", "-C", "/srv/work", "steroidsctl", "doctor"];
    let doctor = user.run(&doctor).await;
    let said = "/srv/work: steroidsd can only read there";
    assert!(doctor.stdout.contains(said), "{doctor:?}");
    for (hook, words) in [
        ("alarm", "Address family not supported"),
        ("locked-up", "Operation not permitted"),
    ] {
        let refused = user.ctl("", &["hooks", "test", hook]).await.exits(4);
        assert!(refused.stdout.contains(words), "{refused:?}");
    }
    let warned = "hook alarm, otlp cannot post: this daemon may open no socket to a network";
    let doctor = user.ctl("", &["doctor"]).await;
    assert!(doctor.stdout.contains(warned), "{doctor:?}");
    // What is started in a unit of its own takes no drop-in.
    user.ctl("", &["hooks", "test", "report"]).await.ok();
    assert_eq!(user.read("told"), "told\n");
    assert_eq!(user.read("requests"), "");
    let elsewhere = format!("[daemon]\nstate_dir = \"/srv/state\"\n{hooks}");
    user.write(CONFIG, &elsewhere);
    assert_ne!(user.systemctl(&["restart", SERVICE]).await.code, 0);
    assert_eq!(user.property(SERVICE, "ExecMainStatus").await, "4");

    for (file, text) in drop_ins(&page) {
        user.write(&file, &text);
    }
    user.systemctl(&["daemon-reload"]).await.ok();
    user.systemctl(&["restart", SERVICE]).await.ok();
    init(user).await.ok();
    user.ctl("", &["hooks", "test", "alarm"]).await.ok();
    let outside = [
        "env",
        "-C",
        "/srv/work",
        "steroidsctl",
        "start",
        "--task",
        "T1",
        "--",
        "true",
    ];
    user.run(&outside).await.ok();
    eventually("both to be posted", async || {
        let requests = user.read("requests");
        let has = |path: &str| requests.contains(&format!("POST {path} HTTP/1.1\r\n"));
        (has("/hook") && has("/v1/traces")).then_some(())
    })
    .await;
    assert!(lab.path("/srv/state/projects.json").exists());
    user.systemctl(&["start", "steroids-gateway"]).await.ok();
    eventually("the gateway to answer", async || {
        let answer = user.ctl("", &["web"]).await;
        (answer.code == 0).then_some(())
    })
    .await;
    assert!(lab.path("/srv/state/gateway/token").exists());
}

/// The page's hook that is started in a unit of its own, the same program without, and one that posts.
fn hooks(page: &str, home: &str) -> String {
    let excerpt = blocks(page, "```toml excerpt\n").next();
    let excerpt = excerpt.expect("it shows a hook").replace("/home/me", home);
    let [alarm, locked_up] = ["alarm", "locked-up"]
        .map(|name| format!("[[hooks]]\nname = \"{name}\"\non = [\"finished\"]\n"));
    format!(
        "[otlp]\nendpoint = \"http://127.0.0.1:4318\"\n{excerpt}\
         {alarm}url = \"http://127.0.0.1:4318/hook\"\n\
         {locked_up}command = [\"{home}/bin/report\"]\n"
    )
}

/// The page's drop-ins: below the home, the file that the first line names, and its text.
fn drop_ins(page: &str) -> Vec<(String, String)> {
    let named = |block: &str| {
        let file = block
            .lines()
            .next()
            .and_then(|line| line.strip_prefix("# ~/"));
        (file.expect("its file").to_owned(), block.to_owned())
    };
    let found: Vec<_> = blocks(page, "```ini\n").map(named).collect();
    assert_eq!(found.len(), 4, "{found:?}");
    found
}

fn blocks<'a>(page: &'a str, fence: &'a str) -> impl Iterator<Item = &'a str> {
    let after = page.split(fence).skip(1);
    after.map(|text| text.split("```").next().unwrap_or_default())
}

async fn init(user: &User<'_>) -> Output {
    user.run(&["env", "-C", "/srv/work", "steroidsctl", "init"])
        .await
}
