//! A database that is deleted under a run, and who asks for that run meanwhile: it is told to come again,
//! and never that there is no such thing.

use std::fs;
use std::path::PathBuf;

use steroids_proto::v1;
use steroids_proto::v1::follow_request::Selector;
use steroids_tests::faults::held;
use steroids_tests::gateway::{Received, Sse};
use steroids_tests::{Ctl, Daemon, FailPoints, Gateway, Home, Puppet, Rpc, eventually, rpc};
use tonic::{Code, Status};

struct Scene {
    rpc: Rpc,
    ctl: Ctl,
    agent: Puppet,
    running: v1::Invocation,
}

impl Scene {
    async fn new(daemon: &Daemon) -> Scene {
        let ctl = daemon.project("app").await;
        let rpc = daemon.rpc().await;
        let agent = Puppet::new(daemon.home(), "agent");
        let running = rpc.start_fake(&ctl.project(), "T1", &agent.args()).await;
        let mut scene = Scene {
            rpc,
            ctl,
            agent,
            running,
        };
        scene.agent.prints("before");
        for selector in scene.selectors() {
            let mut followed = scene.rpc.follow(selector, "", true).await;
            followed.until("before").await;
        }
        scene
    }

    fn selectors(&self) -> [Selector; 3] {
        let project = self.ctl.project();
        [
            rpc::invocation(&project, self.running.id),
            rpc::task(&project, "T1"),
            Selector::Project(v1::ProjectSelector { project }),
        ]
    }

    fn steroids(&self) -> PathBuf {
        self.ctl.folder().join(".steroids")
    }

    async fn is_deleted(&self) {
        eventually("all of it to be gone", async || {
            fs::remove_dir_all(self.steroids()).ok()
        })
        .await;
    }

    /// What is told to who asks for its row or some of its log, who sends it a message, and who follows
    /// it in any way.
    async fn answers(&self) -> Vec<Result<(), Status>> {
        let (project, id) = (self.ctl.project(), self.running.id);
        let row = v1::GetRequest {
            project: project.clone(),
            id,
            terms: false,
        };
        let got = self.rpc.invocations().get(row).await;
        let outline = v1::OutlineRequest {
            project: project.clone(),
            id,
            ..Default::default()
        };
        let outlined = self.rpc.outline(outline).await;
        let lines = v1::ReadRequest {
            project: project.clone(),
            id,
            ..Default::default()
        };
        let read = self.rpc.read(lines).await;
        let message = v1::SendInputRequest {
            project,
            id,
            text: "hello".to_owned(),
            ..Default::default()
        };
        let sent = self.rpc.invocations().send_input(message).await;
        // It takes none, which is told by its row.
        let sent = match sent {
            Err(status) if status.code() == Code::FailedPrecondition => Ok(()),
            sent => sent.map(drop),
        };
        let mut answers = vec![got.map(drop), outlined.map(drop), read.map(drop), sent];
        for selector in self.selectors() {
            let followed = self.rpc.try_follow(selector, "", true).await;
            answers.push(followed.map(drop));
        }
        answers
    }
}

/// True if all were served; panics if one was told what no client comes back after.
fn all_served(answers: Vec<Result<(), Status>>) -> bool {
    let mut served = true;
    for answer in answers {
        if let Err(status) = answer {
            assert_eq!(status.code(), Code::Unavailable, "{status:?}");
            served = false;
        }
    }
    served
}

#[tokio::test]
async fn who_asks_while_it_is_gone_is_never_told_that_there_is_no_such_thing() {
    let daemon = Daemon::start(&Home::new()).await;
    let mut scene = Scene::new(&daemon).await;
    for round in 1..=3 {
        scene.is_deleted().await;
        eventually("all to be served again", async || {
            all_served(scene.answers().await).then_some(())
        })
        .await;
        let line = format!("round {round}");
        scene.agent.prints(&line);
        for selector in scene.selectors() {
            let mut followed = scene.rpc.follow(selector, "", true).await;
            let seen = followed.until(&line).await;
            let text = String::from_utf8(rpc::bytes(&seen)).unwrap();
            assert!(text.contains("before"), "{text}");
        }
    }
    scene.agent.exits(0);
    scene
        .rpc
        .ended(&scene.ctl.project(), scene.running.id)
        .await;
    held(
        163,
        "whoever asks for what runs meanwhile is told to come again, deleted three times",
    );
}

#[tokio::test]
async fn a_new_database_that_has_no_rows_yet_tells_nobody_that_there_are_none() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let mut scene = Scene::new(&daemon).await;
    let points = FailPoints::of(&home);
    points.set(&["store.restore errno 5"]);
    scene.is_deleted().await;
    points.hit("store.restore").await;
    let answers = scene.answers().await;
    let codes: Vec<_> = answers
        .iter()
        .map(|answer| answer.as_ref().map_err(Status::code).err())
        .collect();
    let refused = Some(Code::Unavailable);
    // Of a project no more is asked than that it is there.
    let (last, others) = codes.split_last().expect("it was asked");
    assert!(others.iter().all(|code| *code == refused), "{answers:?}");
    assert_eq!(*last, None, "{answers:?}");
    points.clear();
    eventually("all to be served again", async || {
        all_served(scene.answers().await).then_some(())
    })
    .await;
    scene.agent.exits(0);
    scene
        .rpc
        .ended(&scene.ctl.project(), scene.running.id)
        .await;
    held(163, "while its rows are not back, what runs is not denied");
}

/// The log as a stream that goes on from a cursor gives it, to its end: it comes back whenever it is told
/// to, as every client does.
async fn goes_on(rpc: &Rpc, selector: &Selector, mut cursor: String) -> Vec<u8> {
    let mut events = Vec::new();
    loop {
        let mut followed = eventually("the stream to be served", async || {
            let followed = rpc.try_follow(selector.clone(), &cursor, true).await;
            let told = followed
                .as_ref()
                .map_or_else(Status::code, |_| Code::Unavailable);
            assert_eq!(told, Code::Unavailable, "{:?}", followed.err());
            followed.ok()
        })
        .await;
        loop {
            match followed.next().await {
                Ok(Some(event)) => {
                    cursor.clone_from(&event.cursor);
                    let is_last = event.r#type == "complete";
                    events.push(event);
                    if is_last {
                        return rpc::bytes(&events);
                    }
                }
                Ok(None) => panic!("no last line in {events:?}"),
                Err(status) => {
                    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
                    break;
                }
            }
        }
    }
}

#[tokio::test]
async fn streams_that_go_on_from_a_cursor_get_a_gap_the_whole_log_and_the_end() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let gateway = Gateway::start(&home).await;
    let mut scene = Scene::new(&daemon).await;
    let project = scene.ctl.project();
    let mut cursors = Vec::new();
    for selector in scene.selectors() {
        let mut followed = scene.rpc.follow(selector, "", true).await;
        let seen = followed.until("before").await;
        cursors.push(seen.last().unwrap().cursor.clone());
    }
    let request = gateway.get(&format!("/api/projects/stream?project={project}"));
    let mut browser = Received::default();
    let mut stream = Sse::open(&request).await.unwrap();
    while !browser
        .data
        .last()
        .is_some_and(|line| line.contains("before"))
    {
        browser.take(stream.next().await);
    }
    drop(stream);

    let points = FailPoints::of(&home);
    points.set(&["store.restore errno 5"]);
    scene.is_deleted().await;
    points.hit("store.restore").await;
    // Of a project there is a stream already, and no row in it.
    let [.., all] = scene.selectors();
    let mut early = scene.rpc.follow(all, &cursors[2], true).await;
    let mut stream = Sse::open(&browser.resumes(&request)).await.unwrap();
    points.clear();
    eventually("all to be served again", async || {
        all_served(scene.answers().await).then_some(())
    })
    .await;
    scene.agent.prints("after");
    scene.agent.exits(0);
    scene.rpc.ended(&project, scene.running.id).await;

    let mut given = vec![rpc::bytes(&early.until("\"complete\"").await)];
    for (selector, cursor) in scene.selectors().iter().zip(cursors) {
        given.push(goes_on(&scene.rpc, selector, cursor).await);
    }
    browser.data.clear();
    while !browser.is_complete() {
        match stream.next().await {
            steroids_tests::gateway::Item::End | steroids_tests::gateway::Item::Cut => {
                stream = Sse::open(&browser.resumes(&request)).await.unwrap();
            }
            item => browser.take(item),
        }
    }
    browser.data.retain(|data| !data.contains("\"lifecycle\""));
    given.push(browser.log(scene.running.id));
    let log = fs::read(&scene.rpc.get(&project, scene.running.id).await.log_path).unwrap();
    for given in given {
        let end = given.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        let (gap, rest) = given.split_at(end);
        let gap = String::from_utf8_lossy(gap);
        assert!(gap.contains("\"gap\""), "{gap}");
        assert_eq!(String::from_utf8_lossy(rest), String::from_utf8_lossy(&log));
    }
    held(
        163,
        "streams that go on from a cursor get a gap, the whole log and the end",
    );
}
