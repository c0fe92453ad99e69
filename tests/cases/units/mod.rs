//! Everything as a service, in a booted systemd: the units as they are, the programs as they were built.

mod analysis;
mod drop_ins;
mod reload;
mod restarts;
mod sandbox;
mod server;

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use steroids_tests::lab::{PROGRAMS, User};
use steroids_tests::{Lab, Puppet, eventually};

const SERVICE: &str = "steroidsd.service";

/// What agents do all day; it stops at what cannot be done. Node where it is installed.
const WORK: &str = r#"
set -e
echo "the project" > written
git init -q repository
git -C repository -c user.name=a -c user.email=a@b commit -q --allow-empty -m first
echo "git: $(git -C repository log --format=%s)"
perl -MIO::Socket::INET -e 'IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1") or die "$!"'
echo "a listener"
unshare --user --map-root-user true
echo "a user namespace"
if command -v node >/dev/null; then
  node -e 'require("net").createServer().listen(0, "127.0.0.1", () => process.exit(0))'
fi
grep -E '^(Seccomp|NoNewPrivs):' /proc/self/status | tr -d '\t'
env | grep -E '^(NOTIFY_SOCKET|WATCHDOG_|LISTEN_|INVOCATION_ID|JOURNAL_STREAM|STEROIDS_LAUNCHER)' || echo "no variable of the service's"
"#;

/// A user with a project, whose daemon is started by the first client.
async fn user_with_socket(lab: &Lab) -> User<'_> {
    lab.install_units();
    let user = lab.user("dev").await;
    let enable = ["enable", "--quiet", "--now", "steroidsd.socket"];
    user.systemctl(&enable).await.ok();
    user.run(&["mkdir", "work"]).await.ok();
    user
}

/// Starts a puppet as a plain command of `task`.
async fn start(user: &User<'_>, task: &str, puppet: &Puppet) -> i64 {
    start_with(user, task, &[], puppet).await
}

/// The same, with further flags.
async fn start_with(user: &User<'_>, task: &str, flags: &[&str], puppet: &Puppet) -> i64 {
    let program = format!("{PROGRAMS}/fake-provider");
    let call = ["--json", "start", "--task", task];
    let call = [&call[..], flags, &["--", &program], &puppet.args()].concat();
    let started = user.ctl("work", &call).await.json();
    started["id"].as_i64().unwrap()
}

/// Has an agent do all of it in the project `work`; its kernel's words on it are among what it prints.
async fn agents_can_work(user: &User<'_>, kernel: &[&str]) {
    let follow = ["start", "--task", "work", "--follow", "--"];
    let run = [&follow[..], &["bash", "-c", WORK]].concat();
    let shown = user.ctl("work", &run).await.ok();
    let done = [
        "git: first",
        "a listener",
        "a user namespace",
        "no variable of the service's",
    ];
    for words in done.iter().chain(kernel) {
        assert!(shown.contains(words), "`{words}` is not in {shown}");
    }
}

/// What an invocation has printed, line by line, as its log tells.
fn printed(user: &User<'_>, id: i64) -> Vec<String> {
    let log = user.read(&format!("work/.steroids/invocations/{id}.log"));
    let lines = log.lines().map(|line| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        (line["type"] == "output").then(|| line["msg"].as_str().unwrap().to_owned())
    });
    lines.flatten().collect()
}

/// Waits until a unit's property is another one than `before`, and gives it.
async fn changed(user: &User<'_>, name: &str, before: &str) -> String {
    eventually(&format!("another {name} than {before}"), async || {
        let now = user.property(SERVICE, name).await;
        (now != before && now != "0").then_some(now)
    })
    .await
}

/// Waits until the service's property says so.
async fn is(user: &User<'_>, name: &str, wanted: &str) {
    eventually(&format!("{name}={wanted}"), async || {
        (user.property(SERVICE, name).await == wanted).then_some(())
    })
    .await;
}

fn mode(path: &Path) -> u32 {
    std::fs::symlink_metadata(path)
        .unwrap()
        .permissions()
        .mode()
        & 0o777
}

/// Waits until an invocation has ended, and shows it.
async fn ended(user: &User<'_>, id: i64) -> serde_json::Value {
    let show = ["--json", "show", &id.to_string()];
    eventually("an invocation to end", async || {
        let shown = user.ctl("work", &show).await.json();
        (shown["status"] != "running").then_some(shown)
    })
    .await
}
