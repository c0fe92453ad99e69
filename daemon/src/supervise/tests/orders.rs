//! Any order of starts, deaths, losses and restarts: each invocation ends once, and stays as it
//! ended.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const REQUESTS: [&str; 2] = ["r0", "r1"];

#[derive(Debug, Clone)]
enum Step {
    Start,
    /// The provider and its shim end.
    End,
    /// The shim is killed.
    Vanish,
    /// The shim is killed while it writes its record.
    Torn,
    /// Somebody takes the state folder away.
    TakeAway,
    /// Somebody removes the log, or writes into it.
    Log(Option<&'static str>),
    Stop,
    Restart,
    Reconcile(Scope),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Start),
        2 => Just(Step::End),
        1 => Just(Step::Vanish),
        1 => Just(Step::Torn),
        1 => Just(Step::TakeAway),
        1 => Just(Step::Log(None)),
        1 => Just(Step::Log(Some("{\"ts\":1,\"type\":\"complete\",\"raw\":0}\n"))),
        1 => Just(Step::Log(Some("half a li"))),
        1 => Just(Step::Stop),
        2 => Just(Step::Restart),
        1 => Just(Step::Reconcile(Scope::Startup)),
        2 => Just(Step::Reconcile(Scope::Wakeup)),
    ]
}

struct Course {
    bench: Bench,
    /// What was started, by request.
    started: [Option<Invocation>; 2],
    /// How each was seen to have ended.
    ended: [Option<Phase>; 2],
    /// Whose log nobody touched.
    untouched: [bool; 2],
}

impl Course {
    async fn take(&mut self, n: usize, step: &Step) {
        match (step, &self.started[n]) {
            (Step::Start, _) => {
                let request = self.bench.request(REQUESTS[n]);
                let (invocation, known) = self.bench.supervisor.start(request).await.unwrap();
                assert_eq!(known, self.started[n].is_some());
                self.started[n] = Some(invocation);
            }
            (Step::Restart, _) => {
                self.bench.restart().await;
                self.bench.supervisor.reconcile(Scope::Startup).await;
            }
            (Step::Reconcile(scope), _) => {
                self.bench.supervisor.reconcile(*scope).await;
            }
            (_, None) => {}
            (Step::End, Some(invocation)) => self.while_alive(invocation, Stage::end),
            (Step::Vanish, Some(invocation)) => self.while_alive(invocation, Stage::vanish),
            (Step::Torn, Some(invocation)) => self.while_alive(invocation, |stage, dir| {
                fs::write(dir.exit(), "{\"proto\":1,\"end\":").unwrap();
                stage.vanish(dir);
            }),
            (Step::TakeAway, Some(invocation)) => {
                self.while_alive(invocation, |stage, dir| {
                    self.bench.take_away(dir);
                    stage.vanish(dir);
                });
            }
            (Step::Log(text), Some(invocation)) => {
                self.untouched[n] = false;
                let path = self.bench.project.logs().path(invocation.id);
                match text {
                    Some(text) => {
                        let mut log = fs::read(&path).unwrap_or_default();
                        log.extend_from_slice(text.as_bytes());
                        fs::write(&path, log).unwrap();
                    }
                    None => {
                        let _ = fs::remove_file(path);
                    }
                }
            }
            (Step::Stop, Some(invocation)) => {
                let (supervisor, id) = (self.bench.supervisor.clone(), invocation.id);
                let root = self.bench.project.root.clone();
                // Nobody hears it; it is answered when the invocation has ended, or not at all.
                let asking = supervisor.stop(&root, id, None, Some(Duration::ZERO));
                let asked = tokio::time::timeout(Duration::from_millis(1), asking).await;
                if let Ok(Ok((stopped, _))) = asked {
                    assert!(stopped.phase.is_ended());
                }
            }
        }
    }

    /// Does something to a shim that lives and has its folder.
    fn while_alive(&self, invocation: &Invocation, act: impl FnOnce(&Stage, &InvDir)) {
        let dir = self.bench.dir(invocation);
        let lives = held(&self.bench.stage.shims).contains_key(dir.path());
        if lives && dir.path().exists() {
            act(&self.bench.stage, &dir);
        }
    }

    /// Who has ended has ended so.
    async fn check(&mut self) {
        for (started, ended) in self.started.iter().zip(&mut self.ended) {
            let Some(started) = started else { continue };
            let phase = self.bench.row(started.id.get()).await.phase;
            if let Some(ended) = ended {
                assert_eq!(phase, *ended);
            }
            if phase.is_ended() {
                *ended = Some(phase);
            }
        }
    }
}

async fn run(steps: Vec<(usize, Step)>) {
    let mut course = Course {
        bench: Bench::new(100, 8).await,
        started: [None, None],
        ended: [None, None],
        untouched: [true; 2],
    };
    for (n, step) in &steps {
        course.take(*n, step).await;
        course.check().await;
    }
    for n in 0..REQUESTS.len() {
        course.take(n, &Step::Vanish).await;
    }
    course.take(0, &Step::Restart).await;
    for (started, untouched) in course.started.iter().zip(course.untouched) {
        let Some(id) = started.as_ref().map(|started| started.id.get()) else {
            continue;
        };
        course.bench.ended(id).await;
        if untouched {
            let log = course.bench.log(id);
            let ends = |line: &&str| {
                line.contains("\"type\":\"complete\"") || line.contains("\"type\":\"error\"")
            };
            assert_eq!(log.lines().filter(ends).count(), 1, "{log}");
            assert!(log.lines().last().is_some_and(|line| ends(&line)), "{log}");
        }
    }
    course.check().await;
    // With the next start, which finds nothing to do, it is still so.
    course.take(0, &Step::Restart).await;
    course.check().await;
    let project = course
        .bench
        .projects
        .get(&course.bench.project.root)
        .await
        .unwrap();
    assert_eq!(project.store.running_count().await.unwrap(), 0);
    course.bench.restart().await;
    assert_eq!(course.bench.supervisor.running(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn no_order_of_starts_deaths_and_restarts_leaves_a_row_running_or_changes_an_end(
        steps in vec((0..2_usize, step()), 1..16),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        runtime.unwrap().block_on(run(steps));
    }
}
