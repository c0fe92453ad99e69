//! What pages have for `steroidsctl` and another program together, on the logs of recorded runs.

use std::io::{ErrorKind, Write as _};
use std::process::{Command, Stdio};

use steroids_tests::docs::pages;
use steroids_tests::{recording, skip};

const CHANGED: &str = "/home/dev/app/notes/done.txt\n/home/dev/app/src/lib.rs\n";

/// What a recipe makes of a log; `None` where there is no jq.
fn found(recipe: &str, log: &str) -> Option<String> {
    if let Err(error) = Command::new("jq").arg("--version").output() {
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
        return None;
    }
    let mut shell = Command::new("sh")
        .args(["-c", recipe])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = shell.stdin.take().unwrap();
    // What sorts reads all of it before it prints anything.
    stdin.write_all(log.as_bytes()).unwrap();
    drop(stdin);
    let ended = shell.wait_with_output().unwrap();
    assert!(ended.status.success());
    Some(String::from_utf8(ended.stdout).unwrap())
}

#[test]
fn which_files_a_run_changed_is_found_in_the_log_of_each_cli() -> anyhow::Result<()> {
    let pages = pages();
    let page = pages.iter().find(|page| page.name == "docs/providers.md");
    let blocks = page.expect("there is such a page").blocks();
    let block = blocks.iter().find(|block| block.is_marked("recipe"));
    let text = &block.expect("it has a recipe").text;
    let recipe = text.replacen("steroidsctl stream 12 --json --no-follow", "cat", 1);
    for cli in ["claude", "codex", "gemini", "opencode"] {
        let log = recording::named(&format!("{cli}/tools"))?.replay().log;
        let Some(found) = found(&recipe, &log) else {
            skip::say("there is no jq");
            return Ok(());
        };
        assert_eq!(found, CHANGED, "{cli}");
    }
    Ok(())
}
