//! The Debian package in a booted systemd, from its installation to its removal; `make install`, and how it is built.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tokio::process::Command;

use steroids_tests::lab::{PROGRAMS, User};
use steroids_tests::{Lab, Puppet, binaries, eventually, patience};

/// What is installed, rather than what was built.
const CTL: &str = "/usr/bin/steroidsctl";

#[tokio::test]
async fn a_package_serves_its_users_from_the_first_start_over_an_upgrade_to_its_removal() {
    let Some(lab) = Lab::boot().await else {
        return;
    };
    let user = lab.user("dev").await;
    // Of a container's image, whose services nobody is to start.
    lab.run(&["rm", "-f", "/usr/sbin/policy-rc.d"]).await.ok();
    let first = package(&lab.shared()).await;
    let second = a_later_one(&lab.shared(), &first).await;
    dpkg(&lab, &["--install", &first]).await;
    let enabled = user.systemctl(&["is-enabled", "steroidsd.socket"]).await;
    assert_eq!(enabled.stdout.trim(), "disabled", "{enabled:?}");

    user.systemctl(&["enable", "--now", "steroidsd.socket"])
        .await
        .ok();
    assert_eq!(
        user.property("steroidsd.service", "ActiveState").await,
        "inactive"
    );
    user.run(&["mkdir", "app"]).await.ok();
    user.run_in("app", &[CTL, "init"]).await.ok();
    let mut agents = ["a", "b", "c"].map(|task| (task, lab.puppet(task)));
    for (task, agent) in &mut agents {
        start(&user, agent, task).await;
        agent.prints("before");
    }
    assert_eq!(
        user.property("steroidsd.service", "ActiveState").await,
        "active"
    );
    let before = user.property("steroidsd.service", "MainPID").await;

    dpkg(&lab, &["--install", &second]).await;
    let after = user.property("steroidsd.service", "MainPID").await;
    assert_ne!(after, "0", "the new daemon runs");
    assert_ne!(after, before, "and is another one than before");
    for (index, (_, agent)) in agents.iter_mut().enumerate() {
        agent.prints("after");
        agent.exits(0);
        let log = user
            .run_in("app", &[CTL, "stream", &(index + 1).to_string()])
            .await
            .ok();
        let (before, after) = (log.find("before"), log.find("after"));
        assert!(before.is_some() && before < after, "{log}");
        let shown = shown(&user, index + 1).await;
        assert_eq!(shown["outcome"], "success", "{shown}");
    }

    // One that still runs as the package goes: it ends by itself, and its record is kept.
    let mut last = lab.puppet("d");
    start(&user, &last, "d").await;
    dpkg(&lab, &["--remove", "steroids"]).await;
    for unit in ["steroidsd.socket", "steroidsd.service"] {
        assert_ne!(user.property(unit, "ActiveState").await, "active");
    }
    last.exits(3);
    let records = user.path(".local/state/steroids/inv");
    let ended = || {
        let folders = std::fs::read_dir(&records).unwrap().flatten();
        folders
            .filter(|folder| folder.path().join("exit.json").exists())
            .count()
    };
    eventually("the last one's record", async || {
        (ended() == 4).then_some(())
    })
    .await;
    assert!(
        lab.path("/etc/xdg/steroids/config.toml").exists(),
        "a conffile stays"
    );
}

async fn start(user: &User<'_>, agent: &Puppet, task: &str) {
    let program = format!("{PROGRAMS}/fake-provider");
    let words = [CTL, "start", "--task", task, "--", &program];
    let words = [&words[..], &agent.args()].concat();
    user.run_in("app", &words).await.ok();
}

async fn shown(user: &User<'_>, id: usize) -> Value {
    let words = [CTL, "--json", "show", &id.to_string()];
    user.run_in("app", &words).await.json()
}

async fn dpkg(lab: &Lab, words: &[&str]) {
    let path = ["env", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"];
    // Its disk is memory, and nobody looks for a manual page by a word.
    let dpkg = ["dpkg", "--force-unsafe-io", "--no-triggers"];
    lab.run(&[&path[..], &dpkg, words].concat()).await.ok();
}

/// A package of the programs under test, as named inside.
async fn package(folder: &Path) -> String {
    let mut script = script("deb.sh");
    script
        .arg(programs())
        .arg(folder)
        .env("DEB_COMPRESSION", "none")
        .env("CARGO_NET_OFFLINE", "true");
    let made = ran(script).await;
    let file = Path::new(made.trim()).file_name().unwrap();
    format!("/lab/{}", file.to_str().unwrap())
}

/// The same under a higher version.
async fn a_later_one(folder: &Path, first: &str) -> String {
    let first = folder.join(Path::new(first).file_name().unwrap());
    let tree = folder.join("later");
    let mut extract = Command::new("dpkg-deb");
    extract.arg("--raw-extract").arg(first).arg(&tree);
    ran(extract).await;
    names_its_terms(&tree.join("usr/share/doc/steroids"));
    let control = tree.join("DEBIAN/control");
    let text = std::fs::read_to_string(&control).unwrap();
    let version = text
        .lines()
        .find(|line| line.starts_with("Version: "))
        .unwrap();
    std::fs::write(&control, text.replace(version, &format!("{version}+later"))).unwrap();
    let mut build = Command::new("dpkg-deb");
    build
        .args(["-Znone", "--build"])
        .arg(tree)
        .arg(folder.join("later.deb"));
    ran(build).await;
    "/lab/later.deb".to_owned()
}

/// Its own, and those of all that is linked into it.
fn names_its_terms(docs: &Path) {
    let copyright = std::fs::read_to_string(docs.join("copyright")).unwrap();
    let names = |words: &str| copyright.lines().any(|line| line.starts_with(words));
    assert!(
        names("Files: *") && names("Files: crates/tokio-1."),
        "{copyright}"
    );
    let texts = std::fs::metadata(docs.join("THIRD-PARTY.gz")).unwrap();
    assert!(texts.len() > 10_000, "{texts:?}");
}

#[tokio::test]
async fn what_is_installed_is_taken_away_again_and_nothing_else() {
    let root = tempfile::tempdir().unwrap();
    let kept = root.path().join("usr/local/share/man/man1/other.1.gz");
    std::fs::create_dir_all(kept.parent().unwrap()).unwrap();
    std::fs::write(&kept, "").unwrap();
    let stage = async |words: &[&std::ffi::OsStr]| {
        let mut stage = script("stage.sh");
        stage
            .args(words)
            .env("DESTDIR", root.path())
            .env("PREFIX", "/usr/local");
        ran(stage).await;
    };
    stage(&["install".as_ref(), programs().as_ref()]).await;
    let installed = files(root.path());
    for file in [
        "bin/steroids-shim",
        "lib/systemd/user/steroidsd.socket",
        "lib/systemd/system/steroidsd@.service",
        "share/man/man1/steroidsctl-start.1.gz",
        "share/man/man5/steroids-config.5.gz",
        "share/bash-completion/completions/steroidsctl",
        "share/zsh/site-functions/_steroidsctl",
        "share/fish/vendor_completions.d/steroidsctl.fish",
        "share/doc/steroids/docs/install.md",
    ] {
        let file = root.path().join("usr/local").join(file);
        assert!(
            installed.contains(&file),
            "{file:?} is not in {installed:#?}"
        );
    }
    let service = root
        .path()
        .join("usr/local/lib/systemd/user/steroidsd.service");
    let service = std::fs::read_to_string(service).unwrap();
    assert!(service.contains("/usr/local/bin/steroidsd"), "{service}");
    stage(&["uninstall".as_ref()]).await;
    assert_eq!(files(root.path()), [kept]);
}

/// Where the programs under test were built.
#[tokio::test]
async fn programs_are_laid_out_by_what_runs_where_the_compiler_takes_the_counts() {
    const USED: &str = "-Cprofile-use=";
    let counts = binaries::workspace().join("tests/bench/release.profdata");
    let build = ran(build_rule(&counts)).await;
    assert!(build.contains(USED), "{build}");
    assert!(!build.contains("not laid out"), "{build}");

    let folder = tempfile::tempdir().unwrap();
    let half = folder.path().join("half.profdata");
    let bytes = fs::read(&counts).unwrap();
    fs::write(&half, &bytes[..bytes.len() / 2]).unwrap();
    for unfit in [half, folder.path().join("none.profdata")] {
        let build = ran(build_rule(&unfit)).await;
        assert!(!build.contains(USED), "{build}");
        assert!(build.contains("not laid out by what runs"), "{build}");
    }
}

/// What `make build` would run, with these counts.
fn build_rule(counts: &Path) -> Command {
    let mut command = Command::new("make");
    let mut given = OsString::from("PROFILE=");
    given.push(counts);
    command.args(["--dry-run", "build"]).arg(given);
    command.current_dir(binaries::workspace());
    // Of a make above this test.
    command.env_remove("MAKEFLAGS").env_remove("MFLAGS");
    command
}

fn programs() -> PathBuf {
    binaries::steroidsd().parent().unwrap().to_owned()
}

fn script(name: &str) -> Command {
    let mut script = Command::new(binaries::workspace().join("tests/package").join(name));
    script.env_remove("PREFIX").env_remove("DESTDIR");
    script
}

async fn ran(mut command: Command) -> String {
    command.kill_on_drop(true);
    let call = format!("{:?}", command.as_std());
    // To make a package is seconds of work on a machine that does nothing else.
    let output = tokio::time::timeout(patience() * 4, command.output());
    let output = output.await.unwrap_or_else(|_| panic!("no end of {call}"));
    let output = output.unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Every file below, in order.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        if entry.file_type().unwrap().is_dir() {
            found.extend(files(&entry.path()));
        } else {
            found.push(entry.path());
        }
    }
    found.sort();
    found
}
