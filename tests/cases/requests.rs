//! A request id starts once, whatever the network or an impatient client does.

use steroids_proto::v1;
use steroids_tests::gateway::Tap;
use steroids_tests::{Daemon, Home, processes, rpc};
use tonic::Code;

fn request(project: &str, id: &str, args: &[&str]) -> v1::StartRequest {
    v1::StartRequest {
        request_id: id.to_owned(),
        ..rpc::command(project, "T1", rpc::argv(args))
    }
}

/// The daemon's connections break for longer than anybody takes to type.
#[tokio::test]
async fn what_the_configuration_names_goes_along_however_late_the_daemon_says_so() {
    let home = Home::with_config("[providers.command]\nenv = [\"MYKEY\"]");
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await.with_env("MYKEY", "mine");
    let told = [
        "start",
        "--task",
        "T1",
        "--follow",
        "--",
        "sh",
        "-c",
        "echo key=$MYKEY",
    ];
    let tap = Tap::breaking(&home.socket(), 24);
    let socket = ["--socket", tap.path()];
    let said = ctl.run(socket.iter().chain(&told)).await.ok();
    assert!(said.contains("key=mine"), "{said}");
}

#[tokio::test]
async fn a_request_sent_many_times_at_once_starts_one_process() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let project = daemon.project("app").await.project();
    let rpc = daemon.rpc().await;
    let starts = (0..8).map(|_| {
        let request = request(&project, "r-1", &["stall"]);
        let mut client = rpc.invocations();
        tokio::spawn(async move { client.start(request).await.unwrap().into_inner() })
    });
    let mut answers = Vec::new();
    for start in starts.collect::<Vec<_>>() {
        answers.push(start.await.unwrap());
    }
    let new = answers.iter().filter(|answer| !answer.existing).count();
    assert_eq!(new, 1);
    let first = answers[0].invocation.clone().unwrap();
    for answer in &answers {
        assert_eq!(answer.invocation.as_ref().unwrap().id, first.id);
    }
    // Once it speaks it carries the marker; a second one would have been forked as early.
    let mut followed = rpc
        .follow(rpc::invocation(&project, first.id), "", true)
        .await;
    followed.until("ready").await;
    assert_eq!(processes::marked(&first.uuid).len(), 1);
}

#[tokio::test]
async fn a_request_repeated_after_the_end_gives_what_became_of_it() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let project = daemon.project("app").await.project();
    let rpc = daemon.rpc().await;
    let first = rpc
        .start(request(&project, "r-1", &["exit", "3"]))
        .await
        .unwrap();
    rpc.ended(&project, first.id).await;
    let again = rpc
        .invocations()
        .start(request(&project, "r-1", &["exit", "3"]))
        .await;
    let again = again.unwrap().into_inner();
    assert!(again.existing);
    assert_eq!(again.invocation.unwrap().exit_code, Some(3));
}

#[tokio::test]
async fn a_request_id_with_other_parameters_is_refused() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    rpc.start(request(&ctl.project(), "r-1", &["exit", "0"]))
        .await
        .unwrap();
    let other = rpc
        .start(request(&ctl.project(), "r-1", &["exit", "1"]))
        .await;
    assert_eq!(other.unwrap_err().code(), Code::AlreadyExists);
    let args = ["start", "--task", "T1", "--request-id", "r-1", "--", "true"];
    ctl.run(args).await.exits(4).says("r-1");
    // How it is asked is no parameter of what is asked.
    let named = ["start", "--task", "T2", "--request-id", "r-2"];
    let command = ["--", "true"];
    let id = ctl.run([&named[..], &command].concat()).await.ok();
    for how in [&["--no-queue"][..], &["--follow"]] {
        let again = ctl.run([&named[..], how, &command].concat()).await.exits(0);
        assert!(how == ["--follow"] || again.stdout == id, "{again:?}");
        again.says(&format!(
            "invocation {} was started by this request id",
            id.trim()
        ));
    }
}

#[tokio::test]
async fn a_start_over_the_bound_is_told_to_try_again() {
    let home = Home::with_config("[daemon]\nmax_running = 1");
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let id = ctl.start_fake("T1", &["stall"]).await;
    let args = ["start", "--task", "T2", "--no-queue", "--", "true"];
    ctl.run(args).await.exits(75).says("max_running");
    ctl.run(["stop", &id.to_string()]).await.ok();
    ctl.run(args).await.ok();
}
