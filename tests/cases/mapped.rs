//! A CLI of which only the configuration knows: its JSON lines are read by a mapping, which stays
//! with the invocation.

use steroids_tests::{Daemon, Home, Puppet, log, reprojected};

const MAPPED: &str = r#"
[providers.newcli]
kind = "jsonl"
command = "FAKE"
args = ["run", "--model", "{model}", "--session", "{session}"]
env = ["FAKE_PROVIDER"]
post_result = "1s"
hold = false

[[providers.newcli.events]]
session = "/sid"

[[providers.newcli.events]]
when = { "/kind" = "say" }
text = "/text"

[[providers.newcli.events]]
when = { "/kind" = "call" }
call = "/id"
tool = "/tool"
command = "/args/command"
input = "/args"

[[providers.newcli.events]]
when = { "/kind" = "done" }
call = "/id"
result = "/out"
exit_code = "/code"

[[providers.newcli.events]]
when = { "/kind" = "end" }
final = true
answer = "/text"
error = "/error"
input_tokens = "/used/in"
output_tokens = "/used/out"
cost = "/used/usd"
total = true

[providers.newcli.errors]
rate_limited = ["Come back later"]
"#;

fn home() -> std::sync::Arc<Home> {
    let program = steroids_tests::binaries::fake_provider();
    Home::with_config(&MAPPED.replace("FAKE\"\nargs", &format!("{}\"\nargs", program.display())))
}

#[tokio::test]
async fn a_cli_that_only_the_configuration_knows_has_a_log_like_any_other() {
    let home = home();
    let mut daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let mut agent = Puppet::new(&home, "agent");
    let rpc = daemon.rpc().await;
    let words = agent.args();
    let started = rpc.start_as(&ctl.project(), "T1", "newcli", &words).await;
    let id = started.id;
    agent.prints(r#"{"kind":"say","sid":"s-1","text":"Let me see."}"#);
    agent.prints(r#"{"kind":"call","id":"a","tool":"shell","args":"{\"command\":\"ls\"}"}"#);
    let mut terminal = ctl.spawn(["--json", "stream", &id.to_string()]);
    terminal.until("\"cmd\":\"ls\"").await;

    // From here on the configuration knows nothing of these lines.
    home.configure("");
    daemon.kill9_and_restart().await;
    agent.prints(r#"{"kind":"done","id":"a","out":"src","code":0}"#);
    agent.prints(r#"{"kind":"odd","n":1}"#);
    agent.prints(r#"{"kind":"end","text":"All done.","used":{"in":9,"out":4,"usd":0.25}}"#);
    // It hangs: its shim ends it, by the mapping's word that this was the end.
    let ended = daemon.rpc().await.ended(&ctl.project(), id).await;
    assert_eq!(
        (&*ended.outcome, &*ended.response),
        ("success", "All done.")
    );
    assert_eq!(ended.session_id, "s-1");
    let usage = ended.usage.unwrap();
    assert_eq!((usage.input_tokens, usage.total_cost_usd), (9, Some(0.25)));

    let lines = log::lines(&ctl.log_path(id));
    log::assert_whole(&lines);
    let types = log::types(&lines);
    let first = [
        "start",
        "session",
        "output",
        "tool",
        "tool_result",
        "output",
        "usage",
    ];
    assert_eq!(types[..first.len()], first);
    assert_eq!(lines[4]["callId"], "a");
    assert_eq!(lines[4]["msg"], "src");
    assert_eq!(lines[5]["msg"], r#"{"kind":"odd","n":1}"#);
    assert_eq!(lines.last().unwrap()["exitForced"], true);
    let made_again = reprojected(&home.invocation_dir(&ended.uuid));
    let on_disk = std::fs::read(ctl.log_path(id)).unwrap();
    assert_eq!(
        String::from_utf8_lossy(&made_again),
        String::from_utf8_lossy(&on_disk)
    );
}

#[tokio::test]
async fn its_own_words_tell_why_it_failed() {
    let home = home();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    let said = r#"{"kind":"end","error":"Come back later, at noon."}"#;
    let words = ["exit", "0", "--line", said];
    let limited = rpc.start_as(&ctl.project(), "T1", "newcli", &words).await;
    let limited = rpc.ended(&ctl.project(), limited.id).await;
    assert_eq!(limited.outcome, "rate_limited");
    assert_eq!(limited.error, "Come back later, at noon.");
    let words = ["exit", "0", "--line", r#"{"kind":"say","text":"Hi"}"#];
    let cut = rpc.start_as(&ctl.project(), "T1", "newcli", &words).await;
    let cut = rpc.ended(&ctl.project(), cut.id).await;
    assert_eq!(cut.outcome, "interrupted", "its final event is missing");
}
