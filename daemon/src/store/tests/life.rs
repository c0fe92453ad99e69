//! An invocation's rows from its begin to its end, and what other programs do to them meanwhile.

use super::*;
use crate::domain::{Phase, RowStatus};

#[tokio::test]
async fn a_begun_invocation_is_running_at_once_in_both_tables() {
    let room = Room::new();
    let store = room.store();
    let Begun::New(begun) = store.begin(new("a"), None).await.unwrap() else {
        panic!("a first request is a new one");
    };
    assert_eq!(begun.phase, Phase::Running);
    assert_eq!(begun.started_ms, Some(1_700_000_000_123));
    assert_eq!(begun.exit_code, None);
    let managed = begun.managed.unwrap();
    assert_eq!(
        (managed.uuid.as_str(), managed.mode.as_str()),
        ("uuid a", "fresh")
    );

    let row: (String, String, String) = room
        .foreign()
        .query_row(
            "SELECT t.status, i.status, i.created_at FROM tasks t JOIN task_invocations i
             ON i.task_id = t.id",
            [],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .unwrap();
    assert_eq!(row.0, "in_progress");
    assert_eq!(row.1, "running");
    assert_eq!(row.2, "2023-11-14 22:13:20");
    let events = store.events(0, 10).await.unwrap();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].kind, "started");
}

#[tokio::test]
async fn an_existing_task_keeps_its_status_and_title() {
    let room = Room::new();
    let store = room.store();
    room.foreign()
        .execute(
            "INSERT INTO tasks (id, title, status) VALUES ('T-1', 'Title', 'review')",
            [],
        )
        .unwrap();
    started(&store, new("a")).await;
    let (tasks, next) = store.tasks(None, 10).await.unwrap();
    assert_eq!(next, None);
    assert_eq!(
        (tasks[0].title.as_str(), tasks[0].status.as_str()),
        ("Title", "review")
    );
    assert_eq!((tasks[0].invocations, tasks[0].running), (1, 1));
}

#[tokio::test]
async fn the_last_session_is_of_the_same_task_and_provider_and_of_one_that_ended() {
    let room = Room::new();
    let store = room.store();
    let last = async |task: &str, provider: &str| {
        let last = store.last_session(task.to_owned(), provider.to_owned());
        last.await.unwrap()
    };
    let begin = async |name: &str, task: &str, provider: &str| {
        let request = NewInvocation {
            task: task.to_owned(),
            provider: provider.to_owned(),
            ..new(name)
        };
        started(&store, request).await
    };
    let end = async |id: InvocationId, session: Option<&str>| {
        let ending = Ending {
            session_id: session.map(str::to_owned),
            ..ending(Outcome::Failed)
        };
        store.finish(id, ending).await.unwrap();
    };
    let first = begin("a", "T", "claude").await;
    assert_eq!(last("T", "claude").await, None);
    end(first, Some("one")).await;
    assert_eq!(last("T", "claude").await.as_deref(), Some("one"));
    let second = begin("b", "T", "claude").await;
    end(second, Some("two")).await;
    end(begin("c", "T", "claude").await, None).await;
    end(begin("d", "T", "codex").await, Some("three")).await;
    end(begin("e", "U", "claude").await, Some("four")).await;
    begin("f", "T", "claude").await;
    assert_eq!(last("T", "claude").await.as_deref(), Some("two"));
    assert_eq!(last("T", "gemini").await, None);
}

#[tokio::test]
async fn a_finished_invocation_has_its_end_in_both_tables() {
    let room = Room::new();
    let store = room.store();
    let id = started(&store, new("a")).await;
    store.launched(id, Some(4711)).await.unwrap();
    let finished = store
        .finish(id, ending(Outcome::TimeoutWall))
        .await
        .unwrap();
    assert_eq!((finished.overridden, finished.repeated), (None, false));
    let detail = store.detail(id).await.unwrap().unwrap();
    let (invocation, prompt, response) = (detail.invocation, detail.prompt, detail.response);
    assert_eq!(detail.evidence, Some(ending(Outcome::TimeoutWall).evidence));
    let managed = invocation.managed.as_ref().unwrap();
    assert_eq!(managed.resets_at_ms, Some(1_700_000_060_000));
    assert_eq!((managed.http_status, managed.cause), (Some(429), None));
    assert_eq!(
        invocation.phase,
        Phase::Ended {
            status: RowStatus::Timeout,
            outcome: Some(Outcome::TimeoutWall)
        }
    );
    assert_eq!(invocation.usage, ending(Outcome::Success).usage);
    assert_eq!(invocation.session_id.as_deref(), Some("S"));
    assert_eq!(invocation.exit_code, Some(1));
    assert_eq!(invocation.managed.unwrap().pid, Some(4711));
    assert_eq!(
        (prompt.as_str(), response.as_deref()),
        ("do it", Some("done"))
    );
    let row: (i64, i64, i64, i64) = room
        .foreign()
        .query_row(
            "SELECT success, timed_out, duration_ms, completed_at_ms FROM task_invocations",
            [],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)),
        )
        .unwrap();
    assert_eq!(row, (0, 1, 1500, 1_700_000_001_623));
    assert_eq!(store.running_count().await.unwrap(), 0);
}

#[tokio::test]
async fn finishing_twice_changes_nothing_the_second_time() {
    let room = Room::new();
    let store = room.store();
    let id = started(&store, new("a")).await;
    store.finish(id, ending(Outcome::Success)).await.unwrap();
    let again = store.finish(id, ending(Outcome::Failed)).await.unwrap();
    assert!(again.repeated);
    assert_eq!(again.invocation.phase.as_str(), "completed");
    assert_eq!(store.last_event().await.unwrap(), 2);
}

/// The table is the older tool's, which may change it while we run.
#[tokio::test]
async fn an_invocation_ends_whatever_became_of_the_table_of_locks() {
    let room = Room::new();
    let store = room.store();
    let id = started(&store, new("a")).await;
    let guard = "CREATE TRIGGER guard BEFORE DELETE ON task_locks
                 BEGIN SELECT raise(ABORT, 'by its own hand'); END";
    room.foreign().execute(guard, []).unwrap();
    let ending = ending(Outcome::Success);
    let finished = store.finish(id, ending).await.unwrap();
    assert_eq!(finished.invocation.phase.as_str(), "completed");
    let row = store.invocation(id).await.unwrap().unwrap();
    assert!(row.phase.is_ended(), "{row:?}");
}

#[tokio::test]
async fn a_row_closed_by_another_program_gets_the_truth_and_an_event() {
    let room = Room::new();
    let store = room.store();
    let id = started(&store, new("a")).await;
    room.foreign()
        .execute(
            "UPDATE task_invocations SET status = 'failed', completed_at_ms = 5",
            [],
        )
        .unwrap();
    let during = store.invocation(id).await.unwrap().unwrap();
    assert_eq!(
        during.phase,
        Phase::Running,
        "our word counts while it runs"
    );
    assert_eq!(store.unfinished().await.unwrap().len(), 1);

    let finished = store.finish(id, ending(Outcome::Success)).await.unwrap();
    assert_eq!(finished.overridden.as_deref(), Some("failed"));
    assert_eq!(finished.invocation.phase.as_str(), "completed");
    assert_eq!(finished.invocation.completed_ms, Some(1_700_000_001_623));
    let kinds: Vec<String> = store
        .events(1, 10)
        .await
        .unwrap()
        .into_iter()
        .map(|event| event.kind)
        .collect();
    assert_eq!(kinds, ["row_overridden", "finished"]);
}

#[tokio::test]
async fn a_repeated_request_finds_the_first_and_another_one_is_refused() {
    let room = Room::new();
    let store = room.store();
    let id = started(&store, new("a")).await;
    store.finish(id, ending(Outcome::Failed)).await.unwrap();
    let mut again = new("a");
    again.uuid = "another".to_owned();
    match store.begin(again.clone(), None).await.unwrap() {
        Begun::Existing(existing) => {
            assert_eq!(existing.id, id);
            assert_eq!(existing.managed.unwrap().uuid, "uuid a");
        }
        Begun::New(_) => panic!("paid twice"),
    }
    again.request_hash = "other parameters".to_owned();
    let refused = store.begin(again.clone(), None).await.unwrap_err();
    assert!(matches!(refused, StoreError::RequestIdReused { id: first, .. } if first == id));

    room.foreign()
        .execute("DELETE FROM task_invocations", [])
        .unwrap();
    let gone = store.begin(new("a"), None).await.unwrap_err();
    assert!(matches!(gone, StoreError::RowDeleted { id: first } if first == id));
}

#[tokio::test]
async fn the_id_of_a_new_one_is_told_before_anybody_can_see_it() {
    let room = Room::new();
    let store = room.store();
    let path = room.db();
    let (tell, told) = std::sync::mpsc::channel();
    let telling = tell.clone();
    let begun = store.begin_telling(new("a"), None, move |id| {
        let reader = rusqlite::Connection::open(&path).unwrap();
        let seen = "SELECT count(*) FROM task_invocations";
        let seen: i64 = reader.query_row(seen, [], |row| row.get(0)).unwrap();
        telling.send((id, seen)).unwrap();
    });
    let Begun::New(row) = begun.await.unwrap() else {
        panic!("it is new");
    };
    assert_eq!(told.try_recv().unwrap(), (row.id, 0));
    let again = store.begin_telling(new("a"), None, move |id| tell.send((id, 0)).unwrap());
    assert!(matches!(again.await.unwrap(), Begun::Existing(_)));
    assert!(told.try_recv().is_err(), "there will be none");
}

#[tokio::test]
async fn an_id_is_never_given_again() {
    let room = Room::new();
    let store = room.store();
    let floor = InvocationId::new(41);
    let Begun::New(first) = store.begin(new("a"), floor).await.unwrap() else {
        panic!("new");
    };
    assert_eq!(first.id.get(), 42);
    room.foreign()
        .execute("DELETE FROM task_invocations", [])
        .unwrap();
    assert_eq!(started(&store, new("b")).await.get(), 43);
    room.foreign()
        .execute("INSERT INTO task_invocations (task_id, role, provider, model, prompt) VALUES ('T-1', '', '', '', '')", [])
        .unwrap();
    assert_eq!(started(&store, new("c")).await.get(), 45);
    // The older tool's, made and deleted: its log may still be there.
    room.foreign()
        .execute_batch(
            "INSERT INTO task_invocations (id, task_id, role, provider, model, prompt)
                 VALUES (60, 'T-1', '', '', '', '');
             DELETE FROM task_invocations WHERE id = 60;",
        )
        .unwrap();
    assert_eq!(started(&store, new("d")).await.get(), 61);
}

#[tokio::test]
async fn a_queued_one_has_no_status_until_it_runs() {
    let room = Room::new();
    let store = room.store();
    let mut queued = new("a");
    queued.queued = true;
    let id = started(&store, queued).await;
    let status = |column: &str| -> Option<String> {
        room.foreign()
            .query_row(
                &format!("SELECT {column} FROM task_invocations"),
                [],
                |row| row.get(0),
            )
            .unwrap()
    };
    assert_eq!(
        store.invocation(id).await.unwrap().unwrap().phase,
        Phase::Queued
    );
    assert_eq!(status("status"), None);
    store.launched(id, None).await.unwrap();
    let running = store.invocation(id).await.unwrap().unwrap();
    assert_eq!(running.phase, Phase::Running);
    assert!(running.started_ms.is_some());
    assert_eq!(status("status").as_deref(), Some("running"));
    let finished = store.finish(id, ending(Outcome::Success)).await.unwrap();
    assert_eq!(finished.overridden, None);
}

#[tokio::test]
async fn rows_of_a_lost_database_are_put_back_under_their_ids() {
    let room = Room::new();
    let store = room.store();
    let id = InvocationId::new(7).unwrap();
    let back = store.restore(id, new("a"), None).await.unwrap();
    assert_eq!((back.id, back.phase), (id, Phase::Running));
    let ended = store
        .restore(id, new("a"), Some(ending(Outcome::Lost)))
        .await
        .unwrap();
    assert_eq!(ended.phase.as_str(), "failed");
    assert_eq!(store.restore(id, new("a"), None).await.unwrap(), ended);
    let taken = store.restore(id, new("b"), None).await.unwrap_err();
    assert!(matches!(taken, StoreError::IdTaken { .. }));
    for (rebuild, generation) in [
        (Rebuild::Written, 1),
        (Rebuild::Published, 2),
        // The row before this one was lost in between.
        (Rebuild::Published, 4),
        (Rebuild::Written, 5),
        (Rebuild::Written, 7),
        (Rebuild::Published, 8),
    ] {
        let counted = store.count_generation(id, rebuild).await;
        assert_eq!(counted.unwrap(), generation);
    }

    // Only the shared row went.
    room.foreign()
        .execute("DELETE FROM task_invocations", [])
        .unwrap();
    let back = store.restore(id, new("a"), None).await.unwrap();
    assert_eq!((back.id, back.phase), (id, ended.phase));
    let shown: String = room
        .foreign()
        .query_row("SELECT status FROM task_invocations", [], |row| row.get(0))
        .unwrap();
    assert_eq!(shown, "failed", "to other programs it would run for ever");
}

#[tokio::test]
async fn rows_of_the_older_tool_are_shown_and_never_changed() {
    let room = Room::new();
    let store = room.store();
    room.foreign()
        .execute_batch(
            "INSERT INTO tasks (id, title) VALUES ('T', 'Theirs');
             INSERT INTO task_invocations (task_id, role, provider, model, prompt, started_at_ms, status)
             VALUES ('T', 'coder', 'codex', 'm', 'p', 5, 'running');",
        )
        .unwrap();
    let before = dump(&room.foreign(), "steroidsd");
    let foreign = store.foreign_running().await.unwrap();
    assert_eq!(foreign.len(), 1);
    assert_eq!(foreign[0].managed, None);
    let id = foreign[0].id;
    assert!(matches!(
        store.finish(id, ending(Outcome::Lost)).await,
        Err(StoreError::NoSuchInvocation { .. })
    ));
    assert!(store.launched(id, Some(1)).await.is_err());
    assert!(store.count_generation(id, Rebuild::Written).await.is_err());
    assert_eq!(store.running_count().await.unwrap(), 1);
    assert!(store.unfinished().await.unwrap().is_empty());
    assert_eq!(dump(&room.foreign(), "steroidsd"), before);
}

#[tokio::test]
async fn event_numbers_grow_and_are_kept_when_old_ones_go() {
    let room = Room::new();
    let store = room.store();
    for n in 1..=5 {
        let event = NewEvent {
            kind: "adopted".to_owned(),
            message: format!("{n}"),
            ..NewEvent::default()
        };
        assert_eq!(store.record(event).await.unwrap(), n);
    }
    let began = store.events(0, 1).await.unwrap()[0].ts_ms;
    assert_eq!(store.event_before(began).await.unwrap(), 0);
    assert_eq!(store.event_before(i64::MAX).await.unwrap(), 5);
    assert_eq!(store.prune_events(2).await.unwrap(), 3);
    assert_eq!(store.event_before(began).await.unwrap(), 3);
    let left = store.events(0, 10).await.unwrap();
    assert_eq!(
        left.iter().map(|event| event.number).collect::<Vec<_>>(),
        [4, 5]
    );
    assert_eq!(store.prune_events(0).await.unwrap(), 2);
    assert_eq!(store.last_event().await.unwrap(), 5);
    assert_eq!(store.record(NewEvent::default()).await.unwrap(), 6);
}

#[tokio::test]
async fn what_stands_is_what_has_not_ended_of_a_task_or_of_all() {
    let room = Room::new();
    let store = room.store();
    assert_eq!(store.standing(None).await.unwrap(), (0, Vec::new()));
    let ended = started(&store, new("a")).await;
    store.finish(ended, ending(Outcome::Success)).await.unwrap();
    let ours = started(&store, new("b")).await;
    room.foreign()
        .execute_batch(
            "INSERT INTO tasks (id, title, status) VALUES ('T-2', 'Title', 'review');
             INSERT INTO task_invocations (task_id, role, provider, model, prompt, status)
             VALUES ('T-2', 'coder', 'claude', 'm', 'p', 'running'),
                    ('T-2', 'coder', 'claude', 'm', 'p', 'completed')",
        )
        .unwrap();
    let (highest, all) = store.standing(None).await.unwrap();
    let foreign = InvocationId::new(highest - 1).unwrap();
    assert_eq!(all, [ours, foreign]);
    assert_eq!(
        store.standing(Some("T-2")).await.unwrap(),
        (highest, vec![foreign])
    );
}

#[tokio::test]
async fn of_a_range_the_first_that_has_begun_is_found_or_one_that_waits() {
    let room = Room::new();
    let store = room.store();
    let mut ids = Vec::new();
    for name in ["a", "b", "c", "d"] {
        let mut new = new(name);
        new.queued = name != "c";
        ids.push(started(&store, new).await);
    }
    let begun = async |first: usize, last: usize| {
        let (first, last) = (ids[first], ids[last]);
        let task = store.invocation(first).await.unwrap().unwrap().task;
        let row = store.begun(None, first, last).await.unwrap();
        let of_task = store.begun(Some(&task), first, last).await.unwrap();
        assert!(of_task.is_some_and(|it| it.task == task));
        row.map(|it| (it.id, it.phase))
    };
    assert_eq!(begun(0, 3).await, Some((ids[2], Phase::Running)));
    assert_eq!(begun(0, 1).await, Some((ids[0], Phase::Queued)));
    let ending = ending(Outcome::Cancelled);
    store.finish(ids[1], ending).await.unwrap();
    assert!(begun(0, 3).await.is_some_and(|(id, _)| id == ids[1]));
    let beyond = InvocationId::new(ids[3].get() + 1).unwrap();
    assert_eq!(store.begun(None, beyond, beyond).await.unwrap(), None);
    assert_eq!(
        store.begun(Some("none"), ids[0], ids[3]).await.unwrap(),
        None
    );
}

#[tokio::test]
async fn of_two_that_had_one_request_the_later_has_it_in_whatever_order_they_are_put_back() {
    let [earlier, later] = [1, 2].map(|id| InvocationId::new(id).unwrap());
    for order in [[earlier, later], [later, earlier]] {
        let room = Room::new();
        let store = room.store();
        for id in order {
            let row = NewInvocation {
                request_id: "one request".to_owned(),
                ..new(&id.to_string())
            };
            store.restore(id, row, None).await.unwrap();
        }
        let found = store.by_request("one request").await.unwrap().unwrap();
        assert_eq!(found.id, later, "{order:?}");
    }
}
