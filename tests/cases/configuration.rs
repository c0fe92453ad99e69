//! The configuration as its users meet it: judged before a start, and shown with where it comes from.

use std::fs;
use std::process::Command;

use serde_json::json;
use steroids_tests::{Daemon, Home, binaries};

fn check(home: &Home) -> (Option<i32>, String) {
    let output = Command::new(binaries::steroidsd())
        .arg("--check-config")
        .arg("--config")
        .arg(home.path("config/steroids/config.toml"))
        .env("HOME", home.path("home"))
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    (output.status.code(), said)
}

#[tokio::test]
async fn a_check_names_all_that_is_wrong_and_warns_of_what_is_likely() {
    let home = Home::with_config("[daemon]\nmax_runing = 2\n[gateway]\nlisten = \"0.0.0.0:1\"");
    let (code, said) = check(&home);
    assert_eq!(code, Some(78), "{said}");
    assert!(
        said.contains(":2: `daemon.max_runing`: unknown key"),
        "{said}"
    );
    assert!(said.contains(":4: `gateway.listen`: "), "{said}");
    let home = Home::with_config("[projects]\nmax_running = 99");
    let (code, said) = check(&home);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("warning: "), "{said}");
    assert!(
        said.contains("`projects.max_running`: is more than"),
        "{said}"
    );
    assert!(said.ends_with("config.toml: good\n"), "{said}");
}

#[tokio::test]
async fn the_running_configuration_is_shown_with_its_sources_and_what_the_file_says_by_now() {
    let text = "[daemon]\nmax_running = 2\n\n[[hooks]]\nname = \"a\"\non = [\"any\"]\n\
                url = \"http://localhost:1/hush\"\nsecret = \"hushhushhushhush\"\n";
    let home = Home::with_config(text);
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let file = home.path("config/steroids/config.toml");
    let shown = ctl.run(["config", "show", "--json"]).await.ok();
    assert!(!shown.contains("hush"), "{shown}");
    let all: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(all["file"], json!(file));
    let find = |all: &serde_json::Value, key: &str| {
        let entries = all["config"].as_array().unwrap().clone();
        entries
            .into_iter()
            .find(|entry| entry["key"] == key)
            .unwrap()
    };
    let running = find(&all, "daemon.max_running");
    assert_eq!(
        (&running["value"], &running["origin"]),
        (&json!(2), &json!("file"))
    );
    assert_eq!(
        (&running["line"], &running["changed"]),
        (&json!(2), &json!(false))
    );
    assert_eq!(find(&all, "retention.log_days")["origin"], "default");

    fs::write(&file, text.replace("max_running = 2", "max_running = 3")).unwrap();
    let all = ctl.run(["config", "show", "daemon", "--json"]).await.json();
    let running = find(&all, "daemon.max_running");
    assert_eq!((&running["value"], &running["now"]), (&json!(2), &json!(3)));
    let said = ctl.run(["config", "show", "daemon.max_running"]).await.ok();
    assert!(said.contains("3 (after a re"), "{said}");
    // A file that cannot be used is told, and the daemon goes by what it read.
    fs::write(&file, "[daemon]\nmax_running = \"x\"\n").unwrap();
    let output = ctl
        .run(["config", "show", "daemon.max_running", "--json"])
        .await;
    let all = output.json();
    assert!(
        all["problems"][0]
            .as_str()
            .unwrap()
            .contains("daemon.max_running"),
        "{all}"
    );
    assert_eq!(find(&all, "daemon.max_running")["value"], json!(2));

    // A file speaks for itself.
    let other = home.path("other.toml");
    fs::write(&other, "[queue]\nmax = 7\n").unwrap();
    let named = format!("--file={}", other.display());
    let alone = ctl
        .run(["config", "show", &named, "queue", "--json"])
        .await
        .json();
    assert_eq!(alone["readAtMs"], json!(null));
    assert_eq!(find(&alone, "queue.max")["value"], json!(7));
    ctl.run(["config", "show", "no.such"]).await.exits(3);
    drop(daemon);
}

#[tokio::test]
async fn without_a_daemon_a_configuration_with_which_none_starts_is_what_is_wrong() {
    let home = Home::new();
    let mut daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let bad = [
        (
            "[daemon2]\nx = 1\n",
            "config.toml:1: `daemon2`: unknown key",
        ),
        (
            "[daemon]\nmax_runing = 3\n",
            ":2: `daemon.max_runing`: unknown key",
        ),
        (
            "[daemon]\nmax_running = \"x\"\n",
            ":2: `daemon.max_running`: ",
        ),
    ];
    for (text, _) in bad {
        // One that runs has read another one, and nothing that is asked of it depends on the file.
        home.configure(text);
        assert_eq!(
            ctl.run(["list"]).await.exits(0).stderr,
            "no such invocations\n"
        );
    }
    daemon.term().await;
    for (text, said) in bad {
        home.configure(text);
        let list = ctl.run(["list"]).await.exits(78);
        list.says(said)
            .says("no daemon runs, and with that none would start");
        let named = home.socket();
        let named = ["--socket", named.to_str().unwrap(), "list"];
        ctl.run(named).await.exits(69).says("start it with");
    }
    home.configure("");
    ctl.run(["list"])
        .await
        .exits(69)
        .says("start it with: setsid -f steroidsd");
}
