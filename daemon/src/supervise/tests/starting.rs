//! While an invocation is being started.

use tokio::task::JoinSet;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_reconcile_leaves_a_start_under_way_alone() {
    let bench = Bench::new(0, 8).await;
    let (supervisor, request) = (bench.supervisor.clone(), bench.request("r1"));
    let starting = tokio::spawn(async move { supervisor.start(request).await });
    let dir = bench.launched(1).await;
    for scope in [Scope::Wakeup, Scope::Registered] {
        let found = bench.supervisor.reconcile(scope).await;
        assert_eq!(found, Reconciled::default());
    }
    assert_eq!(ExitRecord::load(&dir).unwrap(), None);
    bench.stage.turns.add_permits(1);
    let (started, _) = starting.await.unwrap().unwrap();
    assert_eq!(started.phase.as_str(), "running");
    bench.stage.end(&dir);
    assert_eq!(outcome(&bench.ended(1).await), "success");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_during_the_start_waits_for_the_shim() {
    let bench = Bench::new(0, 8).await;
    let (supervisor, request) = (bench.supervisor.clone(), bench.request("r1"));
    let starting = tokio::spawn(async move { supervisor.start(request).await });
    let dir = bench.launched(1).await;
    let supervisor = bench.supervisor.clone();
    let project = bench.project.root.clone();
    let id = InvocationId::new(1).unwrap();
    let mut stopping = tokio::spawn(async move { supervisor.stop(&project, id, None, None).await });
    let early = tokio::time::timeout(Duration::from_millis(200), &mut stopping).await;
    assert!(early.is_err(), "{early:?}");
    bench.stage.turns.add_permits(1);
    starting.await.unwrap().unwrap();
    bench.stage.end(&dir);
    let (stopped, _) = stopping.await.unwrap().unwrap();
    assert!(stopped.phase.is_ended());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_request_at_once_is_one_invocation_however_few_may_run() {
    let bench = Bench::new(8, 1).await;
    let mut starting = JoinSet::new();
    for _ in 0..50 {
        let (supervisor, request) = (bench.supervisor.clone(), bench.request("same"));
        starting.spawn(async move { supervisor.start(request).await });
    }
    let mut fresh = 0;
    for answer in starting.join_all().await {
        let (invocation, existing) = answer.unwrap();
        assert_eq!(invocation.id.get(), 1);
        fresh += usize::from(!existing);
    }
    assert_eq!((fresh, bench.stage.arrived().len()), (1, 1));
    let request = StartRequest {
        no_queue: true,
        ..bench.request("other")
    };
    let error = bench.supervisor.start(request).await;
    assert!(matches!(error, Err(StartError::TooManyRunning { max: 1 })));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_goes_on_when_its_caller_goes_away() {
    let bench = Bench::new(0, 8).await;
    let (supervisor, request) = (bench.supervisor.clone(), bench.request("r1"));
    let starting = tokio::spawn(async move { supervisor.start(request).await });
    let dir = bench.launched(1).await;
    starting.abort();
    assert!(starting.await.unwrap_err().is_cancelled());
    bench.stage.turns.add_permits(1);
    eventually(async || lock::is_held(&dir.lock()).unwrap().then_some(())).await;
    bench.stage.end(&dir);
    bench.ended(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_shim_says_of_its_failure_is_told_without_secrets() {
    let bench = Bench::new(8, 8).await;
    let words = "cannot run /bin/true --key=open-sesame-42 --aws=AKIAIOSFODNN7EXAMPLE";
    *held(&bench.stage.refuses) = Some(words.to_owned());
    let mut request = bench.request("r1");
    let secret = ("VAULT_TOKEN".to_owned(), "open-sesame-42".to_owned());
    request.env = BTreeMap::from([secret]);
    let error = bench.supervisor.start(request).await.unwrap_err();
    assert!(matches!(error, StartError::Launch { .. }), "{error}");
    let told = supervisor::chain(&error);
    let hidden = "--key=[redacted VAULT_TOKEN] --aws=[redacted]";
    assert!(told.ends_with(hidden), "{told}");
    let row = bench.ended(1).await;
    assert_eq!(outcome(&row), "never_started");
    assert!(row.error.unwrap().ends_with(hidden));
    assert!(!bench.log(1).contains("open-sesame"));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_start_while_draining_but_a_repeated_one_is_answered() {
    let bench = Bench::new(8, 8).await;
    bench.start("r1").await;
    bench.supervisor.drain(true);
    assert_eq!(bench.start("r1").await.id.get(), 1);
    let error = bench.supervisor.start(bench.request("r2")).await;
    assert!(matches!(error, Err(StartError::Draining)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_that_has_a_log_is_not_given_again_whatever_was_noted_first() {
    let mut bench = Bench::new(8, 8).await;
    let dir = bench.dir(&bench.start("r1").await);
    bench.stage.end(&dir);
    bench.ended(1).await;
    // An older tool's, of a database that is gone: nothing but its log tells of it.
    let foreign = bench.project.logs().path(InvocationId::new(40).unwrap());
    fs::write(&foreign, "{\"ts\":1,\"type\":\"start\"}\n").unwrap();
    let steroids = bench.project.root.join(".steroids");
    for name in ["steroids.db", "steroids.db-wal", "steroids.db-shm"] {
        let _ = fs::remove_file(steroids.join(name));
    }
    bench.restart().await;
    bench
        .projects
        .register(&bench.project.root, true)
        .await
        .unwrap();
    bench.supervisor.reconcile(Scope::Registered).await;
    let given = bench.start("r2").await;
    assert_eq!(given.id.get(), 41);
    // And what was given since counts, too, when nothing is left of it.
    bench.stage.end(&bench.dir(&given));
    bench.ended(41).await;
    fs::remove_file(bench.project.logs().path(given.id)).unwrap();
    for name in ["steroids.db", "steroids.db-wal", "steroids.db-shm"] {
        let _ = fs::remove_file(steroids.join(name));
    }
    bench
        .projects
        .register(&bench.project.root, true)
        .await
        .unwrap();
    assert_eq!(bench.start("r3").await.id.get(), 42);
    let text = fs::read_to_string(foreign).unwrap();
    assert_eq!(text.lines().count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_folder_that_cannot_be_made_ends_the_row_and_frees_the_place() {
    let bench = Bench::new(8, 1).await;
    fs::write(bench.supervisor.state_dir().join("inv"), "in the way").unwrap();
    let error = bench.supervisor.start(bench.request("r1")).await;
    assert!(matches!(error, Err(StartError::StateDir { .. })));
    let ended = bench.ended(1).await;
    assert_eq!(outcome(&ended), "never_started");
    assert_eq!(bench.log(1).lines().count(), 2);
    assert_eq!(bench.supervisor.running(), 0);
    fs::remove_file(bench.supervisor.state_dir().join("inv")).unwrap();
    bench.start("r2").await;
}

/// A release that we do not know has started it: its files cannot be read, its lock and its row can.
#[tokio::test(flavor = "multi_thread")]
async fn a_task_whose_shim_is_of_another_release_is_not_started_again_while_that_lives() {
    let bench = Bench::new(8, 8).await;
    let started = bench.start("r1").await;
    let dir = bench.dir(&started);
    let foreign = br#"{"proto":99,"of_another_release":true}"#;
    fs::write(dir.spec(), foreign).unwrap();
    let again = || StartRequest {
        task: started.task.as_str().to_owned(),
        ..bench.request("r2")
    };
    let refused = bench.supervisor.start(again()).await;
    assert!(
        matches!(&refused, Err(StartError::TaskBusy { id, .. }) if *id == started.id),
        "{refused:?}"
    );
    // Its record cannot be read either, but is one.
    fs::write(dir.exit(), foreign).unwrap();
    let (other, _) = bench.supervisor.start(again()).await.unwrap();
    assert_ne!(other.id, started.id);
}

/// Folders of what ended stay for days, and there may be ten thousand of them.
#[tokio::test(flavor = "multi_thread")]
async fn once_all_were_looked_at_a_start_asks_those_alone_that_have_a_place() {
    let bench = Bench::new(8, 8).await;
    let first = bench.start("r1").await;
    let dir = bench.dir(&first);
    let unknown = InvDir::new(bench.supervisor.state_dir(), "unknown");
    fs::create_dir(unknown.path()).unwrap();
    fs::copy(dir.spec(), unknown.spec()).unwrap();
    let _lives = lock::acquire(&unknown.lock()).unwrap();
    bench.stage.end(&dir);
    bench.ended(1).await;
    let again = |name: &str| StartRequest {
        task: first.task.as_str().to_owned(),
        ..bench.request(name)
    };
    let line = &bench.supervisor.inner.line;
    line.close(reconcile::STARTING, true);
    let refused = bench.supervisor.start(again("r2")).await;
    assert!(
        matches!(refused, Err(StartError::TaskBusy { .. })),
        "{refused:?}"
    );
    line.close(reconcile::STARTING, false);
    bench.supervisor.start(again("r3")).await.unwrap();
}

#[tokio::test]
async fn a_start_whose_database_never_comes_back_is_given_up_after_a_while() {
    let bench = Bench::new(0, 8).await;
    let steroids = bench.project.root.join(".steroids");
    fs::rename(&steroids, steroids.with_file_name("away")).unwrap();
    tokio::time::pause();
    for is_stopped in [false, true] {
        let inner = Arc::clone(&bench.supervisor.inner);
        let entry = inner.enter("refused at its commit").unwrap();
        let handle = inner.job("refused at its commit").unwrap();
        let turn = Arc::new(tokio::sync::Mutex::new(())).lock_owned().await;
        let (root, begun) = (bench.project.root.clone(), tokio::time::Instant::now());
        let withdrawing = tokio::spawn(withdraw::withdraw(inner, root, entry, turn));
        if is_stopped {
            handle
                .requests
                .send(job::Request::Stop {
                    grace: None,
                    why: None,
                    shutdown: false,
                })
                .await
                .unwrap();
        }
        let ended = tokio::time::timeout(withdraw::WITHDRAW_WITHIN * 2, withdrawing).await;
        ended.unwrap().unwrap();
        let took = begun.elapsed();
        assert_eq!(took >= withdraw::WITHDRAW_WITHIN, !is_stopped, "{took:?}");
        assert_eq!(bench.supervisor.running(), 0);
    }
}
