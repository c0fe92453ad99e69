//! `bench @train`: what the programs spend their time with, for `make profile`, which counts what runs
//! meanwhile. Fewer lines than the rows measure, and more kinds: each CLI's recorded runs, starts,
//! replays, timelines, the terminal client. All programs are told to end, as only then they write
//! down what they counted.

use std::time::Duration;

use steroids_tests::{invocation, recording, rpc};

use crate::live::Live;
use crate::scene::Scene;

/// Times their pace; a line at a time still.
const SPEED: &str = "50";

/// Of each CLI, and of plain commands. A replay that is over in no time has few lines of it.
const RUNS: usize = 3;

/// One viewer of one log, some of some, many of one.
const LIVE: [Live; 3] = [
    Live {
        lines: 400,
        ..Live::ONE
    },
    Live {
        logs: 40,
        viewers_each: 1,
        lines: 25,
        every: Duration::from_millis(200),
        join_every: Duration::ZERO,
    },
    Live {
        logs: 1,
        viewers_each: 200,
        lines: 200,
        every: Duration::from_millis(10),
        join_every: Duration::ZERO,
    },
];

pub(crate) async fn train() {
    for live in LIVE {
        live.appended().await;
        live.printed().await;
    }
    runs().await;
}

/// Starts, ends, and what is asked of them afterwards.
async fn runs() {
    let scene = Scene::new().await;
    let (rpc, project) = (scene.rpc().await, scene.project());
    let recordings = recording::all().expect("the recordings are there");
    let mut ids = Vec::new();
    for _ in 0..RUNS {
        for recording in &recordings {
            let provider = recording.name.split('/').next().unwrap_or_default();
            let folder = recording::root().join(&recording.name);
            let folder = folder.to_str().expect("a checkout's path is text");
            let args = ["replay", folder, "--speed", SPEED];
            let started = rpc.start_as(&project, "T", provider, &args).await;
            // A task runs one at a time.
            ids.push(rpc.ended(&project, started.id).await.id);
        }
        let words = ["numbers", "--count", "20000", "--bytes", "150"];
        let started = rpc.start_fake(&project, "T", &words).await;
        ids.push(rpc.ended(&project, started.id).await.id);
    }
    for id in &ids {
        let request = scene.gateway.get(&format!(
            "/api/tasks/T/stream?project={project}&invocation={id}"
        ));
        request.send().await.ok();
        let all = invocation(&project, *id);
        let followed = rpc.follow(all, "", true).await.rest().await;
        rpc::bytes(&followed.expect("what has ended can be read"));
        let id = id.to_string();
        for words in [
            &["show", &id][..],
            &["stream", &id],
            &["--json", "stream", &id],
        ] {
            scene.ctl.run(words).await;
        }
    }
    for words in [
        &["list"][..],
        &["tasks"],
        &["status"],
        &["timeline", "--task", "T"],
    ] {
        scene.ctl.run(words).await.ok();
    }
    let timeline = format!("/api/tasks/T/timeline?project={project}");
    scene.gateway.get(&timeline).send().await.ok();
    scene.end().await;
}
