//! Lists over a long history: the right rows in the right order, found by indexes.

use super::*;
use crate::domain::{Phase, Query, RowStatus};
use crate::store::{list, query, tasks};

/// Three of ours that ended as the outcomes say, one running, one queued; two of the older tool's,
/// one running. Ids 1 to 7, started at 1000 times their id.
async fn history(room: &Room) -> Store {
    let store = room.store();
    for (n, outcome) in [Outcome::Success, Outcome::Lost, Outcome::TimeoutSilence]
        .into_iter()
        .enumerate()
    {
        let mut request = new(&format!("{n}"));
        request.task = format!("T-{}", n % 2);
        request.created_ms = (n as i64 + 1) * 1000;
        let id = started(&store, request).await;
        store.finish(id, ending(outcome)).await.unwrap();
    }
    let mut running = new("running");
    running.created_ms = 4000;
    running.provider = "codex".to_owned();
    started(&store, running).await;
    let mut queued = new("queued");
    queued.queued = true;
    started(&store, queued).await;
    room.foreign()
        .execute_batch(
            "INSERT INTO task_invocations (task_id, role, provider, model, prompt, status, started_at_ms) VALUES
                 ('T-1', 'coder', 'gemini', 'm', 'p', 'failed', 6000),
                 ('T-1', 'coder', 'gemini', 'm', 'p', 'running', 7000)",
        )
        .unwrap();
    store
}

async fn ids(store: &Store, query: Query) -> Vec<i64> {
    let page = store
        .invocations(Query {
            limit: 100,
            ..query
        })
        .await
        .unwrap();
    assert_eq!(page.next, None);
    page.invocations.iter().map(|one| one.id.get()).collect()
}

#[tokio::test]
async fn each_filter_finds_its_rows_newest_first() {
    let room = Room::new();
    let store = history(&room).await;
    let states = |states: &[&'static str]| Query {
        states: states.to_vec(),
        ..Query::default()
    };
    assert_eq!(ids(&store, Query::default()).await, [7, 6, 5, 4, 3, 2, 1]);
    assert_eq!(ids(&store, states(&["running"])).await, [7, 4]);
    assert_eq!(ids(&store, states(&["queued"])).await, [5]);
    assert_eq!(ids(&store, states(&["queued", "running"])).await, [7, 5, 4]);
    assert_eq!(ids(&store, states(&["completed"])).await, [1]);
    assert_eq!(ids(&store, states(&["failed"])).await, [6, 2]);
    assert_eq!(ids(&store, states(&["timeout", "nonsense"])).await, [3]);
    let outcomes = |outcomes: &[Outcome], in_states| Query {
        outcomes: outcomes.to_vec(),
        ..states(in_states)
    };
    let (lost, failed) = (Outcome::Lost, Outcome::Failed);
    assert_eq!(ids(&store, outcomes(&[lost], &[])).await, [2]);
    assert_eq!(
        ids(&store, outcomes(&[lost, Outcome::Success], &[])).await,
        [2, 1]
    );
    assert_eq!(ids(&store, outcomes(&[failed], &[])).await, [0; 0]);
    assert_eq!(
        ids(&store, outcomes(&[lost], &["failed", "queued"])).await,
        [2]
    );
    assert_eq!(
        ids(&store, outcomes(&[lost], &["timeout", "running"])).await,
        [0; 0]
    );
    let of_task = |query: Query| Query {
        task: Some("T-1".to_owned()),
        ..query
    };
    assert_eq!(
        ids(&store, of_task(Query::default())).await,
        [7, 6, 5, 4, 2]
    );
    assert_eq!(ids(&store, of_task(states(&["failed"]))).await, [6, 2]);
    assert_eq!(ids(&store, of_task(states(&["timeout"]))).await, [0; 0]);
    let provider = Query {
        provider: Some("codex".to_owned()),
        ..Query::default()
    };
    assert_eq!(ids(&store, provider).await, [4]);
    let between = Query {
        since_ms: Some(3000),
        until_ms: Some(6000),
        ..Query::default()
    };
    assert_eq!(ids(&store, between.clone()).await, [4, 3, 2, 1]);
    let all = Query {
        states: vec!["running"],
        provider: Some("codex".to_owned()),
        ..of_task(between)
    };
    assert_eq!(ids(&store, all).await, [4]);
    let below = Query {
        below: InvocationId::new(4),
        states: vec!["failed", "completed"],
        ..Query::default()
    };
    assert_eq!(ids(&store, below).await, [2, 1]);
}

/// As [`history`], and before each row its end: of ours 1, 2 and 3 at 2000, 9000 and 5000; of the older
/// tool's 6 at 8000. 8 and 9 are that tool's, from 1000 to 2000 and to 9000; 10 is ours, given up at 5500 while
/// it waited.
async fn ends(room: &Room) -> Store {
    let store = history(room).await;
    let mut given_up = new("given up");
    given_up.queued = true;
    room.foreign()
        .execute_batch(
            "UPDATE steroidsd_invocations SET ended_ms = 2000 WHERE invocation_id = 1;
             UPDATE steroidsd_invocations SET ended_ms = 9000 WHERE invocation_id = 2;
             UPDATE steroidsd_invocations SET ended_ms = 5000 WHERE invocation_id = 3;
             UPDATE task_invocations SET completed_at_ms = 8000 WHERE id = 6;
             INSERT INTO task_invocations
                 (task_id, role, provider, model, prompt, status, started_at_ms, completed_at_ms)
             VALUES ('T-0', 'coder', 'gemini', 'm', 'p', 'completed', 1000, 2000),
                    ('T-0', 'coder', 'gemini', 'm', 'p', 'timeout', 1000, 9000)",
        )
        .unwrap();
    let id = started(&store, given_up).await;
    let cancelled = Ending {
        completed_ms: 5500,
        ..ending(Outcome::Cancelled)
    };
    store.finish(id, cancelled).await.unwrap();
    room.foreign()
        .execute_batch(
            "UPDATE task_invocations
             SET created_at = datetime(min(started_at_ms, 7000) / 1000, 'unixepoch')
             WHERE started_at_ms IS NOT NULL",
        )
        .unwrap();
    store
}

#[tokio::test]
async fn a_time_finds_all_that_was_there_in_it_and_not_only_what_began() {
    let room = Room::new();
    let store = ends(&room).await;
    room.foreign()
        .execute_batch("UPDATE steroidsd_invocations SET retry_of = 2 WHERE invocation_id = 3")
        .unwrap();
    let unresolved = Query {
        states: vec!["failed", "timeout"],
        is_last: true,
        ..Query::default()
    };
    let stopped = Query {
        outcomes: vec![Outcome::Cancelled],
        ..unresolved.clone()
    };
    assert_eq!(ids(&store, unresolved).await, [9, 6, 3]);
    assert_eq!(ids(&store, stopped).await, [10]);
    let since = |since_ms| Query {
        since_ms: Some(since_ms),
        ..Query::default()
    };
    // 5 waits, and 4 and 7 run, since whenever.
    assert_eq!(ids(&store, since(9001)).await, [7, 5, 4]);
    assert_eq!(ids(&store, since(9000)).await, [9, 7, 5, 4, 2]);
    assert_eq!(ids(&store, since(5001)).await, [10, 9, 7, 6, 5, 4, 2]);
    assert_eq!(
        ids(&store, since(2000)).await,
        [10, 9, 8, 7, 6, 5, 4, 3, 2, 1]
    );
    let until = |until_ms, query| Query {
        until_ms: Some(until_ms),
        ..query
    };
    assert_eq!(ids(&store, until(2000, since(5001))).await, [9]);
    assert_eq!(ids(&store, until(2001, since(5001))).await, [9, 2]);
    assert_eq!(
        ids(&store, until(3000, Query::default())).await,
        [9, 8, 2, 1]
    );
    let running = Query {
        states: vec!["running"],
        ..since(9001)
    };
    assert_eq!(ids(&store, running).await, [7, 4]);
    let lost = Query {
        outcomes: vec![Outcome::Lost, Outcome::Success],
        ..since(5001)
    };
    assert_eq!(ids(&store, lost).await, [2]);
}

#[tokio::test]
async fn walking_and_picking_find_the_same() {
    let room = Room::new();
    let store = ends(&room).await;
    let connection = room.foreign();
    let read = |(sql, mut values): (String, Vec<rusqlite::types::Value>)| {
        values.push(100.into());
        let found = query::select(&connection, &sql, values).unwrap();
        found.iter().map(|one| one.id.get()).collect::<Vec<_>>()
    };
    let all = ["queued", "running", "completed", "failed", "timeout"];
    for bits in 0..32 {
        let states: Vec<&'static str> = (0..5)
            .filter(|bit| bits >> bit & 1 == 1)
            .map(|bit| all[bit])
            .collect();
        for (task, since_ms, until_ms) in [
            (None, None, None),
            (Some("T-1".to_owned()), None, None),
            (None, Some(3000), None),
            (None, None, Some(3000)),
            (None, Some(5001), Some(2001)),
            (Some("T-1".to_owned()), Some(2000), Some(7000)),
        ] {
            for outcomes in [vec![], vec![Outcome::Lost, Outcome::TimeoutSilence]] {
                let query = Query {
                    states: states.clone(),
                    outcomes,
                    task: task.clone(),
                    since_ms,
                    until_ms,
                    ..Query::default()
                };
                assert_eq!(
                    read(list::walk(&query, 0)),
                    read(list::picked(&query)),
                    "{query:?}"
                );
            }
        }
    }
    drop(store);
}

#[tokio::test]
async fn pages_join_without_gap_or_overlap() {
    let room = Room::new();
    let store = history(&room).await;
    for states in [
        vec![],
        vec!["running", "failed", "completed", "timeout", "queued"],
    ] {
        let mut seen = Vec::new();
        let mut below = None;
        loop {
            let query = Query {
                states: states.clone(),
                below,
                limit: 2,
                ..Query::default()
            };
            let page = store.invocations(query).await.unwrap();
            assert!(page.invocations.len() <= 2);
            seen.extend(page.invocations.iter().map(|one| one.id.get()));
            below = page.next;
            if below.is_none() {
                break;
            }
        }
        assert_eq!(seen, [7, 6, 5, 4, 3, 2, 1]);
    }
    let (first, next) = store.tasks(None, 1).await.unwrap();
    assert_eq!(
        (first[0].id.as_str(), first[0].invocations, first[0].running),
        ("T-0", 2, 0)
    );
    assert_eq!(first[0].last_started_ms, Some(3000));
    let silent = Phase::Ended {
        status: RowStatus::Timeout,
        outcome: Some(Outcome::TimeoutSilence),
    };
    assert_eq!(first[0].last, Some(silent));
    let (second, next) = store.tasks(next, 1).await.unwrap();
    assert_eq!(
        (
            second[0].id.as_str(),
            second[0].invocations,
            second[0].running
        ),
        ("T-1", 5, 2)
    );
    assert_eq!(second[0].last, Some(Phase::Running), "of another tool");
    assert_eq!(next, None);
    assert!(store.task_exists("T-1").await.unwrap());
    assert!(!store.task_exists("T-2").await.unwrap());
    let after = store.of_task_after("T-1", 4, 2).await.unwrap();
    assert_eq!(
        after.iter().map(|one| one.id.get()).collect::<Vec<_>>(),
        [5, 6]
    );
    assert_eq!(store.after(5, 10).await.unwrap().len(), 2);
    assert_eq!(store.running_count().await.unwrap(), 2);
}

#[tokio::test]
async fn text_stored_as_something_else_does_not_make_a_row_unreadable() {
    let room = Room::new();
    let store = history(&room).await;
    room.foreign()
        .execute_batch("UPDATE task_invocations SET model = x'6d', error = 5, exit_code = 99999999999 WHERE id = 6")
        .unwrap();
    let odd = store
        .invocation(InvocationId::new(6).unwrap())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (odd.model.as_str(), odd.error.as_deref(), odd.exit_code),
        ("m", Some("5"), None)
    );
}

fn plan(connection: &Connection, sql: &str, values: Vec<rusqlite::types::Value>) -> String {
    let steps: Vec<String> = connection
        .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))
        .unwrap()
        .query_map(rusqlite::params_from_iter(values), |row| row.get(3))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    steps.join("\n")
}

/// A scan of a whole table or index of invocations, or sorting of them.
fn is_slow(plan: &str) -> bool {
    plan.lines().map(str::trim).any(|step| {
        let scans = ["i", "s", "o", "e", "q", "w", "n"].iter().any(|alias| {
            step.starts_with(&format!("SCAN {alias} ")) || step == format!("SCAN {alias}")
        });
        // Walking ids downwards is stopped by the limit.
        scans && step != "SCAN i" || step.contains("TEMP B-TREE FOR ORDER BY")
    })
}

#[tokio::test]
async fn lists_are_answered_by_indexes() {
    let room = Room::new();
    let store = room.store();
    let connection = room.foreign();
    // Both without statistics and with those of the older tool's ANALYZE.
    for analyzed in [false, true] {
        if analyzed {
            for n in 0..200 {
                started(&store, new(&format!("{n}"))).await;
            }
            connection.execute_batch("ANALYZE").unwrap();
        }
        let task = Some("T-1".to_owned());
        let below = InvocationId::new(100);
        let queries = [
            Query {
                limit: 10,
                ..Query::default()
            },
            Query {
                task: task.clone(),
                below,
                limit: 10,
                ..Query::default()
            },
            Query {
                states: vec!["running", "queued"],
                limit: 10,
                ..Query::default()
            },
            Query {
                states: vec!["failed"],
                task: task.clone(),
                below,
                limit: 10,
                ..Query::default()
            },
            Query {
                states: vec!["failed", "timeout"],
                is_last: true,
                limit: 10,
                ..Query::default()
            },
            Query {
                since_ms: Some(1),
                limit: 10,
                ..Query::default()
            },
            Query {
                since_ms: Some(1),
                task: task.clone(),
                limit: 10,
                ..Query::default()
            },
            Query {
                since_ms: Some(1),
                until_ms: Some(9),
                limit: 10,
                ..Query::default()
            },
            Query {
                states: vec!["running", "failed"],
                since_ms: Some(1),
                until_ms: Some(9),
                limit: 10,
                ..Query::default()
            },
        ];
        for query in queries {
            for (sql, mut values) in [list::walk(&query, 5), list::picked(&query)] {
                values.push(10.into());
                let plan = plan(&connection, &sql, values);
                assert!(!is_slow(&plan), "{query:?}\n{sql}\n{plan}");
            }
        }
        for ids in [query::OWN_OPEN_IDS, query::FOREIGN_OPEN_IDS] {
            let open = plan(&connection, ids, vec![]);
            assert!(!is_slow(&open), "{open}");
        }
        let counted = plan(
            &connection,
            tasks::PAGE,
            vec![String::new().into(), 10.into()],
        );
        assert!(!is_slow(&counted), "{counted}");
    }
}

#[tokio::test]
async fn a_task_was_last_started_when_something_of_it_was() {
    let room = Room::new();
    let store = room.store();
    let of_task = async || {
        let (tasks, _) = store.tasks(None, 9).await.unwrap();
        (tasks[0].invocations, tasks[0].last_started_ms)
    };
    let mut waited = new("waited");
    waited.queued = true;
    waited.queueing.queued_ms = Some(waited.created_ms);
    let waited = started(&store, waited).await;
    let stopped = ending(Outcome::Cancelled);
    store.finish(waited, stopped).await.unwrap();
    let absent = started(&store, new("absent")).await;
    let never = ending(Outcome::NeverStarted);
    store.finish(absent, never).await.unwrap();
    assert_eq!(of_task().await, (2, None));
    let row = store.invocation(waited).await.unwrap().unwrap();
    assert!(!row.was_started());

    let mut ran = new("ran");
    ran.created_ms -= 60_000;
    let at = ran.created_ms;
    let ran = started(&store, ran).await;
    let stopped = ending(Outcome::Cancelled);
    store.finish(ran, stopped).await.unwrap();
    assert_eq!(of_task().await, (3, Some(at)));
}
