//! Any order of what we and other programs do to rows, against a model of two words each.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::domain::{InvocationId, Phase};

const NAMES: [&str; 2] = ["a", "b"];
const WORDS: [&str; 3] = ["running", "failed", "completed"];

#[derive(Debug, Clone)]
enum Step {
    Begin {
        queued: bool,
        other: bool,
    },
    Launched,
    Finish(Outcome),
    Restore(Option<Outcome>),
    Rebuilt,
    /// Another program writes the row's status.
    Word(usize),
    /// Another program deletes the row.
    Delete,
}

fn step() -> impl Strategy<Value = Step> {
    let outcome = || prop::sample::select(&Outcome::ALL[..]);
    prop_oneof![
        3 => any::<(bool, bool)>()
            .prop_map(|(queued, other)| Step::Begin { queued, other: queued && other }),
        2 => Just(Step::Launched),
        2 => outcome().prop_map(Step::Finish),
        2 => prop::option::of(outcome()).prop_map(Step::Restore),
        1 => Just(Step::Rebuilt),
        2 => (0..WORDS.len()).prop_map(Step::Word),
        2 => Just(Step::Delete),
    ]
}

/// One request's rows.
#[derive(Debug, Clone, Copy, Default)]
struct Model {
    id: Option<InvocationId>,
    /// What our own row says.
    phase: Option<Phase>,
    /// The row that we share is there.
    is_there: bool,
    /// What another program wrote last, after us.
    word: Option<&'static str>,
}

impl Model {
    fn end(&mut self, outcome: Outcome) {
        if !self.phase.is_some_and(Phase::is_ended) {
            self.word = None;
            self.phase = Some(Phase::Ended {
                status: outcome.row_status(),
                outcome: Some(outcome),
            });
        }
    }
}

struct Bench {
    room: Room,
    store: Store,
    models: [Model; 2],
}

impl Bench {
    async fn take(&mut self, n: usize, step: &Step) {
        let before = self.models[n];
        let model = &mut self.models[n];
        let Some(id) = model.id else {
            if let Step::Begin { queued, .. } = step {
                let request = NewInvocation {
                    queued: *queued,
                    ..new(NAMES[n])
                };
                let Begun::New(begun) = self.store.begin(request, None).await.unwrap() else {
                    panic!("a first request is a new one");
                };
                model.id = Some(begun.id);
                model.is_there = true;
                model.phase = Some(if *queued {
                    Phase::Queued
                } else {
                    Phase::Running
                });
            }
            return;
        };
        match step {
            Step::Begin { other, .. } => {
                let mut request = new(NAMES[n]);
                if *other {
                    request.request_hash = "another".to_owned();
                }
                let again = self.store.begin(request, None).await;
                match (before.is_there, other) {
                    (false, _) => assert!(matches!(again, Err(StoreError::RowDeleted { .. }))),
                    (true, true) => {
                        assert!(matches!(again, Err(StoreError::RequestIdReused { .. })));
                    }
                    (true, false) => assert!(matches!(again, Ok(Begun::Existing(_)))),
                }
            }
            Step::Launched => {
                let done = self.store.launched(id, Some(7)).await;
                assert_eq!(done.is_ok(), before.is_there);
                if before.is_there && before.phase == Some(Phase::Queued) {
                    (model.phase, model.word) = (Some(Phase::Running), None);
                }
            }
            Step::Finish(outcome) => {
                let done = self.store.finish(id, ending(*outcome)).await;
                assert_eq!(done.is_ok(), before.is_there);
                if let Ok(done) = done {
                    assert_eq!(done.repeated, before.phase.unwrap().is_ended());
                    model.end(*outcome);
                }
            }
            Step::Restore(end) => {
                let end = end.map(ending);
                let done = self.store.restore(id, new(NAMES[n]), end.clone()).await;
                assert_eq!(done.unwrap().id, id);
                if !before.is_there {
                    (model.is_there, model.word) = (true, None);
                }
                if let Some(end) = end {
                    model.end(end.outcome);
                }
            }
            Step::Rebuilt => {
                for rebuild in [Rebuild::Written, Rebuild::Published] {
                    self.store.count_generation(id, rebuild).await.unwrap();
                }
            }
            Step::Word(word) => {
                let word = WORDS[*word];
                self.foreign(&format!(
                    "UPDATE task_invocations SET status = '{word}' WHERE id = {id}"
                ));
                if before.is_there {
                    self.models[n].word = Some(word);
                }
            }
            Step::Delete => {
                self.foreign(&format!("DELETE FROM task_invocations WHERE id = {id}"));
                self.models[n].is_there = false;
            }
        }
    }

    fn foreign(&self, sql: &str) {
        self.room.foreign().execute(sql, []).unwrap();
    }

    /// Every row says what the model says, to us and to others.
    async fn check(&self) {
        for model in self.models {
            let Some(id) = model.id else { continue };
            let row = self.store.invocation(id).await.unwrap();
            assert_eq!(row.is_some(), model.is_there);
            let Some(row) = row else { continue };
            assert_eq!(Some(row.phase), model.phase);
            if let (None, Phase::Ended { status, .. }) = (model.word, row.phase) {
                let shown: String = self
                    .room
                    .foreign()
                    .query_row(
                        "SELECT status FROM task_invocations WHERE id = ?1",
                        [id.get()],
                        |row| row.get(0),
                    )
                    .unwrap();
                assert_eq!(shown, status.as_str(), "to other programs");
            }
        }
    }
}

async fn run(steps: Vec<(usize, Step)>) {
    let room = Room::new();
    let store = room.store();
    let models = [Model::default(); 2];
    let mut bench = Bench {
        room,
        store,
        models,
    };
    for (n, step) in &steps {
        bench.take(*n, step).await;
        bench.check().await;
    }
    // Somebody looks after each in the end.
    for n in 0..NAMES.len() {
        bench.take(n, &Step::Restore(Some(Outcome::Lost))).await;
    }
    bench.check().await;
    assert!(bench.store.unfinished().await.unwrap().is_empty());
    assert_eq!(bench.store.running_count().await.unwrap(), 0);
    let events = bench.store.events(0, 1_000).await.unwrap();
    for model in bench.models {
        let ends =
            |event: &&LifecycleEvent| event.kind == "finished" && event.invocation == model.id;
        let count = events.iter().filter(ends).count();
        assert_eq!(count, usize::from(model.id.is_some()), "{events:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn whatever_is_done_to_rows_in_whatever_order_an_end_is_final_and_told_once(
        steps in vec((0..2_usize, step()), 1..24),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.unwrap().block_on(run(steps));
    }
}
