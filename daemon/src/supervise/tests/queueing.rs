//! What waits: any order of starts, ends, stops and restarts, and single cases of what can be in the
//! way.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::domain::queue::Reason;
use crate::supervise::job::Request;
use crate::supervise::line::candidate;
use crate::supervise::queue::take_turn;
use crate::supervise::supervisor::Place;
use crate::supervise::troubles::Why;

const MOST: usize = 2;

/// So many requests, each of a task of its own; the second half of them waits for one of the first.
const REQUESTS: usize = 6;

#[derive(Debug, Clone)]
enum Step {
    Start(usize, i32),
    /// The provider and its shim end.
    End(usize),
    /// The shim is killed.
    Vanish(usize),
    Stop(usize),
    Restart,
    Wakeup,
    Hold(bool),
}

fn step() -> impl Strategy<Value = Step> {
    let which = || 0..REQUESTS;
    prop_oneof![
        6 => (which(), -1..2_i32).prop_map(|(n, priority)| Step::Start(n, priority)),
        4 => which().prop_map(Step::End),
        1 => which().prop_map(Step::Vanish),
        2 => which().prop_map(Step::Stop),
        2 => Just(Step::Restart),
        1 => Just(Step::Wakeup),
        1 => any::<bool>().prop_map(Step::Hold),
    ]
}

struct Course {
    bench: Bench,
    started: Vec<Option<(InvocationId, StartRequest)>>,
}

impl Course {
    async fn take(&mut self, step: &Step) {
        match step {
            Step::Start(n, priority) => self.start(*n, *priority).await,
            Step::End(n) => self.while_alive(*n, Stage::end).await,
            Step::Vanish(n) => self.while_alive(*n, Stage::vanish).await,
            Step::Stop(n) => {
                let Some((id, _)) = self.started[*n] else {
                    return;
                };
                let was_waiting = self.row(*n).await.phase == Phase::Queued;
                let root = self.bench.project.root.clone();
                // Of one that runs nobody hears it.
                let asking = self
                    .bench
                    .supervisor
                    .stop(&root, id, None, Some(Duration::ZERO));
                let asked = tokio::time::timeout(Duration::from_millis(50), asking).await;
                if let (true, Ok(Ok((stopped, _)))) = (was_waiting, asked) {
                    assert!(stopped.phase.is_ended());
                }
            }
            Step::Restart => {
                self.bench.restart().await;
                self.bench.supervisor.reconcile(Scope::Startup).await;
            }
            Step::Wakeup => {
                self.bench.supervisor.reconcile(Scope::Wakeup).await;
            }
            Step::Hold(true) => {
                let supervisor = &self.bench.supervisor;
                supervisor.hold("command", i64::MAX).await.unwrap();
            }
            Step::Hold(false) => {
                self.bench.supervisor.lift("command", false).await.unwrap();
            }
        }
    }

    async fn start(&mut self, n: usize, priority: i32) {
        if let Some((id, request)) = &self.started[n] {
            let again = self.bench.supervisor.start(request.clone()).await;
            let (again, existing) = again.unwrap();
            assert_eq!((again.id, existing), (*id, true));
            return;
        }
        let mut request = self.bench.request(&format!("r{n}"));
        request.priority = priority;
        let before = n
            .checked_sub(REQUESTS / 2)
            .and_then(|n| self.started[n].as_ref());
        request.after = before.map(|(id, _)| *id).into_iter().collect();
        match self.bench.supervisor.start(request.clone()).await {
            Ok((row, _)) => self.started[n] = Some((row.id, request)),
            Err(error) => assert!(matches!(error, StartError::AfterFailed { .. }), "{error}"),
        }
    }

    async fn row(&self, n: usize) -> Invocation {
        let (id, _) = self.started[n].as_ref().unwrap();
        self.bench.row(id.get()).await
    }

    async fn while_alive(&self, n: usize, act: impl FnOnce(&Stage, &InvDir)) {
        if self.started[n].is_none() {
            return;
        }
        let dir = self.bench.dir(&self.row(n).await);
        let lives = held(&self.bench.stage.shims).contains_key(dir.path());
        if lives {
            act(&self.bench.stage, &dir);
        }
    }

    /// No more than may have run at once, and no folder was given to two shims.
    fn check(&self) {
        let alive = held(&self.bench.stage.shims).len();
        assert!(alive <= MOST, "{alive} shims");
        let mut arrived: Vec<_> = self.bench.stage.arrived();
        let all = arrived.len();
        arrived.sort_by(|a, b| a.path().cmp(b.path()));
        arrived.dedup();
        assert_eq!(arrived.len(), all, "a folder was launched twice");
    }
}

async fn run(steps: Vec<Step>) {
    let mut course = Course {
        bench: Bench::new(1000, MOST).await,
        started: vec![None; REQUESTS],
    };
    for step in &steps {
        course.take(step).await;
        course.check();
    }
    // Everybody's turn comes.
    course.take(&Step::Hold(false)).await;
    let is_done = async || {
        let mut open = 0;
        for n in 0..REQUESTS {
            if course.started[n].is_some() {
                course.while_alive(n, Stage::end).await;
                open += usize::from(!course.row(n).await.phase.is_ended());
            }
        }
        course.check();
        (open == 0).then_some(())
    };
    eventually(is_done).await;
    let events = course
        .bench
        .project()
        .await
        .store
        .events(0, 10_000)
        .await
        .unwrap();
    for n in 0..REQUESTS {
        let Some((id, request)) = &course.started[n] else {
            continue;
        };
        let row = course.row(n).await;
        let finished = events
            .iter()
            .filter(|it| it.kind == "finished" && it.invocation == Some(*id));
        assert_eq!(finished.count(), 1, "{events:?}");
        let was_launched = course
            .bench
            .stage
            .arrived()
            .contains(&course.bench.dir(&row));
        if let Some(before) = request.after.first()
            && was_launched
        {
            assert_eq!(outcome(&course.bench.row(before.get()).await), "success");
        }
        if !was_launched {
            assert!(
                ["cancelled", "never_started"].contains(&outcome(&row)),
                "{row:?}"
            );
        }
        let log = course.bench.log(id.get());
        let ends = |line: &&str| {
            line.contains("\"type\":\"complete\"") || line.contains("\"type\":\"error\"")
        };
        assert_eq!(log.lines().filter(ends).count(), 1, "{log}");
    }
    assert_eq!(course.bench.supervisor.queued(), 0);
    course.bench.restart().await;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn no_order_of_starts_ends_and_restarts_passes_a_bound_or_starts_twice(
        steps in vec(step(), 1..24),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        runtime.unwrap().block_on(run(steps));
    }
}

fn reason(bench: &Bench, row: &Invocation) -> Option<Reason> {
    let uuid = &row.managed.as_ref().unwrap().uuid;
    bench.supervisor.waits(uuid).map(|waits| waits.reason)
}

#[tokio::test(flavor = "multi_thread")]
async fn while_it_drains_nothing_that_waits_is_started() {
    let bench = Bench::new(8, 1).await;
    let first = bench.start("r1").await;
    let second = bench.start("r2").await;
    bench.supervisor.drain(true);
    bench.stage.end(&bench.dir(&first));
    bench.ended(1).await;
    let drains = Reason::Blocked("the daemon is draining".to_owned());
    eventually(async || (reason(&bench, &second) == Some(drains.clone())).then_some(())).await;
    assert_eq!(bench.stage.arrived().len(), 1);
    bench.supervisor.drain(false);
    let dir = bench.launched(2).await;
    assert_eq!(dir, bench.dir(&second));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_follows_an_ended_one_waits_for_what_runs_of_its_task() {
    let bench = Bench::new(8, 8).await;
    let first = bench.start("r1").await;
    let task = || StartRequest {
        task: first.task.clone(),
        ..bench.request("r2")
    };
    bench.stage.end(&bench.dir(&first));
    bench.ended(1).await;
    let (second, _) = bench.supervisor.start(task()).await.unwrap();
    bench.launched(2).await;
    let after = StartRequest {
        after: vec![first.id],
        request_id: Some("r3".to_owned()),
        ..task()
    };
    let (third, _) = bench.supervisor.start(after).await.unwrap();
    assert_eq!(third.phase, Phase::Queued);
    assert_eq!(reason(&bench, &third), Some(Reason::TaskBusy));
    bench.stage.end(&bench.dir(&second));
    assert_eq!(bench.launched(3).await, bench.dir(&third));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_a_busy_task_waits_only_if_it_was_told_to() {
    let bench = Bench::new(8, 8).await;
    let first = bench.start("r1").await;
    let of_same_task = |name: &str| StartRequest {
        task: first.task.clone(),
        ..bench.request(name)
    };
    let refused = bench.supervisor.start(of_same_task("r2")).await;
    assert!(
        matches!(refused, Err(StartError::TaskBusy { .. })),
        "{refused:?}"
    );
    let after = StartRequest {
        after: vec![first.id],
        ..of_same_task("r3")
    };
    let (waits, _) = bench.supervisor.start(after).await.unwrap();
    assert_eq!(reason(&bench, &waits), Some(Reason::After(first.id)));
    let refused = bench.supervisor.start(of_same_task("r4")).await;
    assert!(
        matches!(refused, Err(StartError::TaskBusy { .. })),
        "{refused:?}"
    );
    bench.stage.end(&bench.dir(&first));
    bench.launched(2).await;
}

/// Its specification was written, and its shim did not come: it may have been started.
#[tokio::test(flavor = "multi_thread")]
async fn one_with_a_specification_never_waits_again() {
    let mut bench = Bench::new(8, 1).await;
    let first = bench.start("r1").await;
    let second = bench.start("r2").await;
    let dir = bench.dir(&second);
    bench.restart().await;
    // As a daemon that was killed on the way leaves it.
    let spec = steroids_shim::spec::Spec::load_queued(&dir).unwrap();
    spec.store(&dir).unwrap();
    bench.supervisor.reconcile(Scope::Startup).await;
    assert_eq!(outcome(&bench.ended(2).await), "never_started");
    assert!(!dir.queued().exists());
    bench.stage.end(&bench.dir(&first));
    bench.ended(1).await;
    assert_eq!(bench.stage.arrived().len(), 1);
}

/// The row said running, and no shim was ever given its folder.
#[tokio::test(flavor = "multi_thread")]
async fn one_whose_turn_was_cut_off_waits_again_at_its_old_place() {
    let mut bench = Bench::new(8, 1).await;
    let first = bench.start("r1").await;
    let second = bench.start("r2").await;
    bench.start("r3").await;
    bench.restart().await;
    let uuid = second.managed.as_ref().unwrap().uuid.clone();
    let project = bench.project().await;
    project.store.take_turn(second.id, &uuid).await.unwrap();
    bench.supervisor.reconcile(Scope::Startup).await;
    assert_eq!(bench.row(2).await.phase, Phase::Queued);
    bench.stage.end(&bench.dir(&first));
    assert_eq!(bench.launched(2).await, bench.dir(&second));
}

/// Its turn has come, and somebody stops it, while its project is away.
#[tokio::test(flavor = "multi_thread")]
async fn a_stop_is_kept_until_the_project_is_back() {
    let bench = Bench::new(8, 1).await;
    let first = bench.start("r1").await;
    let second = bench.start("r2").await;
    let dir = bench.dir(&second);
    let inner = &bench.supervisor.inner;
    let uuid = second.managed.as_ref().unwrap().uuid.as_str();
    let entry = inner.line.take_out(uuid, || inner.enter(uuid)).unwrap();
    let stop = Request::Stop {
        grace: None,
        why: None,
        shutdown: false,
    };
    inner.job(uuid).unwrap().requests.try_send(stop).unwrap();
    let away = bench.project.root.with_file_name("away");
    fs::rename(&bench.project.root, &away).unwrap();
    let spec = steroids_shim::spec::Spec::load_queued(&dir).unwrap();
    let waiter = candidate(&spec, Some(&second));
    take_turn(Arc::clone(inner), waiter, entry, Place::of(inner, uuid)).await;
    assert!(!dir.queued().exists());
    assert_eq!(bench.supervisor.queued(), 0);

    fs::rename(&away, &bench.project.root).unwrap();
    bench.supervisor.reconcile(Scope::Wakeup).await;
    assert_eq!(outcome(&bench.ended(2).await), "cancelled");
    bench.stage.end(&bench.dir(&first));
    bench.ended(1).await;
    assert_eq!(bench.stage.arrived().len(), 1);
}

/// One after the other would end: a service manager that is restarted, no more processes, no shim while another is
/// installed.
#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_not_spent_while_nothing_can_be_started() {
    let is_away = |bench: &Bench, _: &InvDir, is: bool| {
        bench.stage.is_away.store(is, Ordering::Relaxed);
    };
    let is_short = |bench: &Bench, _: &InvDir, is: bool| {
        bench.stage.is_short.store(is, Ordering::Relaxed);
    };
    let is_missing = |bench: &Bench, _: &InvDir, is: bool| {
        bench.stage.is_missing.store(is, Ordering::Relaxed);
    };
    type Change = fn(&Bench, &InvDir, bool);
    let cases: [(Change, &str); 3] = [
        (is_away, "away"),
        (is_short, "could not run /bin/steroids-shim"),
        (is_missing, "could not run /bin/steroids-shim: No such file"),
    ];
    for (change, words) in cases {
        let bench = Bench::new(8, 1).await;
        let first = bench.start("r1").await;
        let rest = [bench.start("r2").await, bench.start("r3").await];
        let next = bench.dir(&rest[0]);
        change(&bench, &next, true);
        bench.stage.end(&bench.dir(&first));
        bench.ended(1).await;
        for row in &rest {
            eventually(async || match reason(&bench, row) {
                Some(Reason::Blocked(why)) => why.contains(words).then_some(()),
                _ => None,
            })
            .await;
            assert_eq!(bench.row(row.id.get()).await.phase, Phase::Queued);
        }
        let degraded = bench.supervisor.degraded();
        assert!(degraded[0].contains(words), "{degraded:?}");
        change(&bench, &next, false);
        bench.supervisor.look_at_queue();
        assert_eq!(bench.launched(2).await, next);
        assert_eq!(bench.supervisor.degraded(), Vec::<String>::new());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_whose_own_folder_is_not_as_it_should_be_keeps_nobody_else_from_being_started() {
    let bench = Bench::new(8, 1).await;
    let first = bench.start("r1").await;
    let (odd, next) = (bench.start("r2").await, bench.start("r3").await);
    let draft = bench.dir(&odd).spec().with_extension("json.tmp");
    fs::create_dir(&draft).unwrap();
    bench.stage.end(&bench.dir(&first));
    assert_eq!(bench.launched(2).await, bench.dir(&next));
    assert_eq!(bench.row(odd.id.get()).await.phase, Phase::Queued);
    fs::remove_dir(&draft).unwrap();
    bench.stage.end(&bench.dir(&next));
    bench.supervisor.look_at_queue();
    assert_eq!(bench.launched(3).await, bench.dir(&odd));
}

/// What it used, and whether it has met a limit, is not known before.
#[tokio::test(flavor = "multi_thread")]
async fn where_an_end_cannot_be_written_down_nothing_that_waits_is_started() {
    let bench = Bench::new(8, 1).await;
    let first = bench.start("r1").await;
    let second = bench.start("r2").await;
    let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
    let troubles = &bench.supervisor.inner.troubles;
    troubles.note(
        "another",
        &bench.project.root,
        first.id,
        Why::Unrecorded(&full),
    );
    bench.stage.end(&bench.dir(&first));
    bench.ended(1).await;
    eventually(async || match reason(&bench, &second) {
        Some(Reason::Blocked(why)) => why.contains("cannot be written down").then_some(()),
        _ => None,
    })
    .await;
    assert_eq!(bench.row(2).await.phase, Phase::Queued);
    troubles.well("another");
    bench.supervisor.look_at_queue();
    assert_eq!(bench.launched(2).await, bench.dir(&second));
}

#[tokio::test(flavor = "multi_thread")]
async fn bounds_that_a_new_launcher_cannot_hold_are_not_lost_but_waited_for() {
    let mut bench = Bench::new(8, 1).await;
    let first = bench.dir(&bench.start("r1").await);
    let request = StartRequest {
        resources: StartResources {
            memory_max: Some(Some(1 << 30)),
            ..StartResources::default()
        },
        ..bench.request("r2")
    };
    let second = bench.supervisor.start(request).await.unwrap().0;
    bench.restart().await;
    bench.stage.is_boundless.store(true, Ordering::Relaxed);
    bench.supervisor.reconcile(Scope::Startup).await;
    bench.stage.end(&first);
    let uuid = &second.managed.as_ref().unwrap().uuid;
    // Until its turn has come it waits for the look at what runs.
    eventually(async || match bench.supervisor.waits(uuid)?.reason {
        Reason::Blocked(why) => why
            .contains("launcher stage cannot bound memory")
            .then_some(()),
        _ => None,
    })
    .await;
    bench.stage.is_boundless.store(false, Ordering::Relaxed);
    bench.supervisor.reconcile(Scope::Wakeup).await;
    assert_eq!(bench.launched(2).await, bench.dir(&second));
}
