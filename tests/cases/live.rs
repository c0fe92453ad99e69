//! What runs now, and how it is doing: for whoever watches many at once.

use std::time::Duration;

use steroids_proto::v1;
use steroids_proto::v1::follow_request::Selector;
use steroids_tests::{Daemon, Home, Puppet, Rpc, eventually, log, old_database, rpc, within};
use tonic::{Code, Status, Streaming};

const MESSAGE: &str = r#"{"type":"assistant","message":{"id":"m1","role":"assistant","content":[{"type":"tool_use","id":"c1","name":"Bash","input":{"command":"make\ntest"}}],"usage":{"input_tokens":10,"output_tokens":3}}}"#;
const SECOND: &str = r#"{"type":"assistant","message":{"id":"m2","role":"assistant","content":[{"type":"text","text":"so far"}],"usage":{"input_tokens":5,"output_tokens":1}}}"#;

async fn watch(
    rpc: &Rpc,
    project: &str,
    pulse: Duration,
) -> Result<Streaming<v1::WatchResponse>, Status> {
    let request = v1::WatchRequest {
        project: project.to_owned(),
        after: None,
        pulse: Some(pulse.try_into().unwrap()),
        since_ms: None,
    };
    let watch = within("Watch", rpc.projects().watch(request)).await?;
    Ok(watch.into_inner())
}

/// The next message that tells how things are running.
async fn running(watch: &mut Streaming<v1::WatchResponse>) -> Vec<v1::Invocation> {
    loop {
        let message = within("a pulse", watch.message()).await.unwrap().unwrap();
        if message.events.is_empty() {
            return message.running;
        }
    }
}

/// Pulses until one tells of the invocation what is wanted.
async fn until(
    watch: &mut Streaming<v1::WatchResponse>,
    id: i64,
    wanted: impl Fn(&v1::Invocation) -> bool,
) -> v1::Invocation {
    within("a pulse that tells it", async {
        loop {
            let found = running(watch).await.into_iter();
            if let Some(found) = found.filter(|it| it.id == id).find(&wanted) {
                return found;
            }
        }
    })
    .await
}

fn live(invocation: &v1::Invocation) -> v1::Live {
    invocation.live.clone().unwrap_or_default()
}

/// Without what its processes use, which changes from one look to the next.
fn steady(live: Option<v1::Live>) -> Option<v1::Live> {
    live.map(|live| v1::Live {
        cpu_ms: None,
        cpu_percent: None,
        memory_bytes: None,
        processes: None,
        ..live
    })
}

#[tokio::test]
async fn one_that_asks_something_and_waits_tells_what_it_asks() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let (project, rpc) = (ctl.project(), daemon.rpc().await);
    let mut agent = Puppet::new(&home, "agent");
    let id = rpc.start_fake(&project, "T1", &agent.args()).await.id;
    let every = Duration::from_millis(200);
    let mut pulse = watch(&rpc, &project, every).await.unwrap();
    agent.begins("Push to main? [y/N] ");
    let is_asked = |it: &v1::Invocation| live(it).waits_for == "unfinished_line";
    let told = until(&mut pulse, id, is_asked).await;
    assert_eq!(live(&told).waits_on, "Push to main? [y/N]");
    assert!(live(&told).waits_for_person);
    // It is said once nothing more comes.
    let shown = eventually("what it asks", async || {
        let shown = ctl.run(["show", &id.to_string()]).await.ok();
        shown.contains("Push to main? [y/N]").then_some(shown)
    })
    .await;
    assert!(
        shown.contains("the rest of a line, or an answer: "),
        "{shown}"
    );
    agent.prints("n");
    until(&mut pulse, id, |it| live(it).waits_for.is_empty()).await;
    agent.exits(0);
    rpc.ended(&project, id).await;
}

#[tokio::test]
async fn a_running_invocation_tells_what_it_does_and_used_also_after_a_restart() {
    let home = Home::new();
    let mut daemon = Daemon::start(&home).await;
    let project = daemon.project("app").await.project();
    let rpc = daemon.rpc().await;
    let mut agent = Puppet::new(&home, "agent");
    let agent_args = agent.args();
    let id = rpc.start_as(&project, "T1", "claude", &agent_args).await.id;
    let mut followed = rpc.follow(rpc::invocation(&project, id), "", true).await;
    agent.prints(MESSAGE);
    agent.prints(SECOND);
    followed.until("so far").await;
    let mut pulse = watch(&rpc, &project, Duration::from_millis(200))
        .await
        .unwrap();
    let told = until(&mut pulse, id, |it| live(it).last_text == "so far").await;
    let expected = v1::Live {
        last_activity_at_ms: live(&told).last_activity_at_ms,
        last_type: "output".to_owned(),
        last_text: "so far".to_owned(),
        tools: 1,
        open_tools: 1,
        lines: live(&told).lines,
        waits_for: "tool".to_owned(),
        waits_on: "Bash".to_owned(),
        waits_since_ms: live(&told).waits_since_ms,
        ..Default::default()
    };
    assert_eq!(steady(told.live), Some(expected.clone()));
    let used = told.usage.unwrap();
    assert_eq!((used.input_tokens, used.output_tokens), (15, 4));
    let got = rpc.get(&project, id).await;
    assert_eq!(steady(got.live), Some(expected.clone()));
    let list = v1::ListRequest {
        project: project.clone(),
        ..Default::default()
    };
    let listed = rpc.invocations().list(list).await.unwrap().into_inner();
    let listed = listed.invocations[0].live.clone();
    assert_eq!(steady(listed), Some(expected.clone()));

    daemon.kill9_and_restart().await;
    let rpc = daemon.rpc().await;
    let mut pulse = watch(&rpc, &project, Duration::from_millis(200))
        .await
        .unwrap();
    let again = until(&mut pulse, id, |it| {
        steady(it.live.clone()).as_ref() == Some(&expected)
    })
    .await;
    assert_eq!(again.usage, told.usage);

    agent.exits(0);
    let ended = rpc.ended(&project, id).await;
    assert_eq!(ended.live, None);
    assert_eq!(ended.usage, told.usage);
}

#[tokio::test]
async fn a_pulse_tells_all_that_runs_first_and_then_what_changed() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let (ctl, db, foreign) = daemon.project_of_older_tool().await;
    let project = ctl.project();
    let rpc = daemon.rpc().await;
    let mut one = Puppet::new(&home, "one");
    let mut two = Puppet::new(&home, "two");
    let first = rpc.start_fake(&project, "T1", &one.args()).await.id;
    let second = rpc.start_fake(&project, "T2", &two.args()).await.id;
    for project in [&*project, ""] {
        let mut pulse = watch(&rpc, project, Duration::from_secs(1)).await.unwrap();
        let mut ids: Vec<_> = running(&mut pulse).await.iter().map(|it| it.id).collect();
        ids.sort_unstable();
        assert_eq!(ids, [foreign, first, second]);
    }

    let mut pulse = watch(&rpc, &project, Duration::from_millis(200))
        .await
        .unwrap();
    running(&mut pulse).await;
    one.prints("only here");
    let told = until(&mut pulse, first, |it| live(it).last_text == "only here").await;
    assert_eq!((told.id, told.project), (first, project.clone()));
    // Of the older tool's rows no event speaks.
    let begun = old_database::insert_running(&db, "old", 1_700_000_000_001);
    until(&mut pulse, begun, |it| !it.managed).await;
    let end = "UPDATE task_invocations SET status = 'completed' WHERE id = ?1";
    db.execute(end, [foreign]).unwrap();
    until(&mut pulse, foreign, |it| it.state() == v1::State::Completed).await;
    two.exits(0);
    let ended = rpc.ended(&project, second).await;
    assert_eq!(ended.live, None);
}

#[tokio::test]
async fn a_pulse_with_nothing_to_tell_says_so_once() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let project = daemon.project("app").await.project();
    let rpc = daemon.rpc().await;
    let mut pulse = watch(&rpc, &project, Duration::from_millis(200))
        .await
        .unwrap();
    assert_eq!(running(&mut pulse).await, []);
    for wrong in [Duration::from_millis(199), Duration::from_secs(3601)] {
        let status = watch(&rpc, &project, wrong).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
        let details = String::from_utf8_lossy(status.details()).into_owned();
        assert!(details.contains("pulse"), "{details:?}");
    }
}

/// Opens a stream that says where it begins before its first event.
async fn begin(rpc: &Rpc, request: v1::FollowRequest) -> (String, Streaming<v1::FollowResponse>) {
    let stream = within("Follow", rpc.invocations().follow(request)).await;
    let mut stream = stream.unwrap().into_inner();
    let first = within("a cursor", stream.message()).await.unwrap().unwrap();
    assert_eq!(first.events, []);
    (first.cursor, stream)
}

#[tokio::test]
async fn a_stream_that_skips_what_ended_begins_with_what_runs_and_loses_nothing_after() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let project = daemon.project("app").await.project();
    let rpc = daemon.rpc().await;
    let past = rpc.start_fake(&project, "T1", &["exit", "0"]).await.id;
    rpc.ended(&project, past).await;
    let mut agent = Puppet::new(&home, "agent");
    let now = rpc.start_fake(&project, "T1", &agent.args()).await.id;
    agent.prints("before anybody looked");
    let selectors = [
        rpc::task(&project, "T1"),
        Selector::Project(v1::ProjectSelector {
            project: project.clone(),
        }),
        Selector::All(v1::AllSelector {}),
    ];
    let mut beginnings = Vec::new();
    for selector in &selectors {
        let request = v1::FollowRequest {
            selector: Some(selector.clone()),
            follow: true,
            skip_ended: true,
            ..Default::default()
        };
        let (beginning, mut stream) = begin(&rpc, request).await;
        beginnings.push(beginning);
        let next = within("events", stream.message()).await.unwrap().unwrap();
        assert_eq!(next.events[0].r#type, "start");
        assert_eq!((next.events[0].invocation_id, &*next.cursor), (now, ""));
    }
    // Nobody had seen an event when the connection broke.
    agent.exits(0);
    rpc.ended(&project, now).await;
    let later = rpc.start_fake(&project, "T1", &["exit", "0"]).await.id;
    rpc.ended(&project, later).await;
    for (selector, beginning) in selectors.into_iter().zip(beginnings) {
        let followed = rpc.follow(selector, &beginning, false).await;
        let events = followed.rest().await.unwrap();
        let mut ids: Vec<_> = events.iter().map(|event| event.invocation_id).collect();
        ids.dedup();
        assert_eq!(ids, [now, later]);
        let types = rpc::values(&events);
        assert_eq!(
            log::types(&types),
            ["start", "output", "complete", "start", "complete"]
        );
    }
}

#[tokio::test]
async fn a_stream_from_the_last_lines_on_loses_nothing_where_it_breaks_before_the_first() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let project = ctl.project();
    let rpc = daemon.rpc().await;
    let mut agent = Puppet::new(&home, "agent");
    let id = rpc.start_fake(&project, "T1", &agent.args()).await.id;
    (0..5).for_each(|n| agent.prints(&format!("before {n}")));
    let name = id.to_string();
    ctl.spawn(["stream", &name]).until("before 4").await;
    let last = ["--json", "stream", &name, "--no-follow", "--tail", "2"];
    let there = log::parse(&ctl.run(last).await.ok());
    assert_eq!(log::messages(&there, "output"), ["before 3", "before 4"]);

    let selectors = [
        rpc::invocation(&project, id),
        rpc::task(&project, "T1"),
        Selector::All(v1::AllSelector {}),
    ];
    let mut beginnings = Vec::new();
    for selector in &selectors {
        let request = v1::FollowRequest {
            selector: Some(selector.clone()),
            follow: true,
            tail: Some(0),
            ..Default::default()
        };
        beginnings.push(begin(&rpc, request).await.0);
    }
    agent.prints("later");
    agent.exits(0);
    rpc.ended(&project, id).await;
    for (selector, beginning) in selectors.into_iter().zip(beginnings) {
        let followed = rpc.follow(selector, &beginning, false).await;
        let lines = rpc::values(&followed.rest().await.unwrap());
        assert_eq!(log::types(&lines), ["output", "complete"]);
        assert_eq!(log::messages(&lines, "output"), ["later"]);
    }
    let request = v1::FollowRequest {
        selector: Some(rpc::invocation(&project, id)),
        tail: Some(1_000_000),
        ..Default::default()
    };
    let refused = rpc.invocations().follow(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument, "{refused:?}");
}
