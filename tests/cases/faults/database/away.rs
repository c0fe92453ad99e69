//! A project in which nothing runs goes away, or gets another database: what is asked of all projects is
//! answered all the same.

use std::fs;

use steroids_proto::v1;
use steroids_tests::{Ctl, Daemon, Home, Rpc, within};
use tonic::Streaming;

async fn run(rpc: &Rpc, ctl: &Ctl) {
    let run = rpc.start_fake(&ctl.project(), "T1", &["numbers"]).await;
    rpc.ended(&ctl.project(), run.id).await;
}

/// Two projects, in each of which something has run.
async fn both(daemon: &Daemon) -> ([Ctl; 2], Rpc) {
    let both = [daemon.project("app").await, daemon.project("other").await];
    let rpc = daemon.rpc().await;
    for ctl in &both {
        run(&rpc, ctl).await;
    }
    (both, rpc)
}

async fn watch(rpc: &Rpc) -> Streaming<v1::WatchResponse> {
    let request = v1::WatchRequest {
        after: Some(0),
        ..v1::WatchRequest::default()
    };
    let watch = within("Watch", rpc.projects().watch(request)).await;
    watch.expect("Watch is served").into_inner()
}

/// Waits for the project's `count`th end.
async fn hears(watch: &mut Streaming<v1::WatchResponse>, project: &str, count: usize) {
    let wanted = |it: &&v1::LifecycleEvent| it.project == project && it.kind == "finished";
    let mut heard = 0;
    while heard < count {
        let message = within("an event", watch.message()).await;
        let message = message.unwrap().expect("Watch goes on");
        heard += message.events.iter().filter(wanted).count();
    }
}

#[tokio::test]
async fn a_project_that_is_moved_away_takes_nothing_from_the_others() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ([app, other], rpc) = both(&daemon).await;
    let away = app.folder().with_extension("away");
    fs::rename(app.folder(), &away).unwrap();
    // Nobody has asked for it since.
    let mut watched = watch(&rpc).await;
    hears(&mut watched, &other.project(), 1).await;
    assert_eq!(
        rpc.listed().await,
        (vec![other.project()], vec![app.project()])
    );
    run(&rpc, &other).await;
    hears(&mut watched, &other.project(), 1).await;
    fs::rename(&away, app.folder()).unwrap();
    let (listed, unread) = rpc.listed().await;
    assert_eq!((listed.len(), unread), (3, vec![]), "{listed:?}");
    run(&rpc, &app).await;
    hears(&mut watched, &app.project(), 1).await;
}

#[tokio::test]
async fn a_project_that_gets_a_copy_of_its_database_is_listed_from_that() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ([app, _], rpc) = both(&daemon).await;
    let database = app.folder().join(".steroids/steroids.db");
    let copy = app.folder().join("copy.db");
    {
        let open = rusqlite::Connection::open(&database).unwrap();
        let into = [copy.to_str().unwrap()];
        open.execute("VACUUM INTO ?1", into).unwrap();
    }
    fs::rename(&copy, &database).unwrap();
    let (listed, unread) = rpc.listed().await;
    assert_eq!((listed.len(), unread), (2, vec![]), "{listed:?}");
    let mut watched = watch(&rpc).await;
    hears(&mut watched, &app.project(), 1).await;
}
