//! Each stall is told once.

use super::*;
use crate::domain::{Asking, Stall, Stalls};

fn stall(raw: i64, msg: &str) -> Option<Stall> {
    Some(Stall {
        raw,
        limit: "silence",
        ends_ms: 1,
        msg: msg.to_owned(),
    })
}

fn silent(raw: i64, msg: &str) -> Stalls {
    Stalls {
        silence: stall(raw, msg),
        ..Stalls::default()
    }
}

async fn told(store: &Store) -> Vec<(String, String)> {
    let events = store.events(0, 100).await.unwrap();
    let told = events.into_iter().map(|event| {
        assert_eq!(event.task.as_deref(), Some("T-1"));
        (event.kind, event.message)
    });
    told.filter(|(kind, _)| kind != "started").collect()
}

fn pair(kind: &str, message: &str) -> (String, String) {
    (kind.to_owned(), message.to_owned())
}

#[tokio::test]
async fn a_stall_and_its_end_are_told_once_each_whoever_comes_to_see_them() {
    let room = Room::new();
    let store = room.store();
    let id = started(&store, new("a")).await;
    assert!(!store.tell_stalls(id, Stalls::default()).await.unwrap());
    assert!(store.tell_stalls(id, silent(7, "first")).await.unwrap());
    store.close().await;

    // Another daemon, which reads the same spool.
    let store = Store::open(&room.db()).unwrap();
    assert!(!store.tell_stalls(id, silent(7, "first")).await.unwrap());
    assert!(store.tell_stalls(id, Stalls::default()).await.unwrap());
    assert!(!store.tell_stalls(id, Stalls::default()).await.unwrap());
    // One more came and went while nobody looked, and there is another one now.
    let mut next = silent(30, "third");
    next.went_on = Some("it worked".to_owned());
    assert!(store.tell_stalls(id, silent(20, "second")).await.unwrap());
    assert!(store.tell_stalls(id, next).await.unwrap());
    let expected = [
        pair("stalled", "first"),
        pair("resumed", "it printed again"),
        pair("stalled", "second"),
        pair("resumed", "it worked"),
        pair("stalled", "third"),
    ];
    assert_eq!(told(&store).await, expected);
}

#[tokio::test]
async fn the_time_that_runs_out_is_told_beside_a_silence_and_never_resumed() {
    let room = Room::new();
    let store = room.store();
    let id = started(&store, new("a")).await;
    let wall = Stalls {
        wall: stall(3, "wall"),
        ..Stalls::default()
    };
    let both = Stalls {
        silence: stall(9, "silence"),
        ..wall.clone()
    };
    assert!(store.tell_stalls(id, wall.clone()).await.unwrap());
    assert!(store.tell_stalls(id, both).await.unwrap());
    assert!(store.tell_stalls(id, wall).await.unwrap());
    let expected = [
        pair("stalled", "wall"),
        pair("stalled", "silence"),
        pair("resumed", "it printed again"),
    ];
    assert_eq!(told(&store).await, expected);
}

#[tokio::test]
async fn of_one_that_has_ended_or_is_not_ours_nothing_is_told() {
    let room = Room::new();
    let store = room.store();
    let id = started(&store, new("a")).await;
    store.finish(id, ending(Outcome::Success)).await.unwrap();
    assert!(!store.tell_stalls(id, silent(7, "late")).await.unwrap());
    let other = InvocationId::new(99).unwrap();
    assert!(!store.tell_stalls(other, silent(7, "none")).await.unwrap());
    assert_eq!(told(&store).await, [pair("finished", "success")]);
}

#[tokio::test]
async fn a_database_of_the_release_before_gets_the_columns_and_keeps_its_rows() {
    let room = Room::new();
    let store = room.store();
    let id = started(&store, new("a")).await;
    store.close().await;
    let foreign = room.foreign();
    foreign
        .execute_batch(
            "ALTER TABLE steroidsd_invocations DROP COLUMN waiting_told;
             ALTER TABLE steroidsd_invocations DROP COLUMN answering_model;
             ALTER TABLE steroidsd_invocations DROP COLUMN cpu_us;
             ALTER TABLE steroidsd_invocations DROP COLUMN peak_bytes;
             ALTER TABLE steroidsd_invocations DROP COLUMN resources;
             ALTER TABLE steroidsd_invocations DROP COLUMN wall_told;
             ALTER TABLE steroidsd_invocations DROP COLUMN silence_told;
             UPDATE steroidsd_schema SET version = 4;",
        )
        .unwrap();
    drop(foreign);
    let store = Store::open(&room.db()).unwrap();
    assert!(store.tell_stalls(id, silent(7, "m")).await.unwrap());
}

fn waits(raw: i64, tells_waiting: bool) -> Stalls {
    let asking = Asking {
        raw,
        msg: format!("asks: {raw}?"),
        is_certain: true,
    };
    Stalls {
        waiting: Some(asking),
        tells_waiting,
        ..Stalls::default()
    }
}

#[tokio::test]
async fn a_wait_for_a_person_and_its_end_are_told_once_each_whoever_comes_to_see_them() {
    let room = Room::new();
    let store = room.store();
    let id = started(&store, new("a")).await;
    // Too early, or too late.
    assert!(!store.tell_stalls(id, waits(7, false)).await.unwrap());
    assert!(store.tell_stalls(id, waits(7, true)).await.unwrap());
    store.close().await;

    // Another daemon, to which it is too early for as long.
    let store = Store::open(&room.db()).unwrap();
    assert!(!store.tell_stalls(id, waits(7, false)).await.unwrap());
    assert!(!store.tell_stalls(id, waits(7, true)).await.unwrap());
    // It went on while nobody looked, and is about to end.
    assert!(store.tell_stalls(id, waits(9, false)).await.unwrap());
    assert!(store.tell_stalls(id, waits(11, true)).await.unwrap());
    let expected = [
        pair("waiting", "asks: 7?"),
        pair("resumed", "it printed again"),
        pair("waiting", "asks: 11?"),
    ];
    assert_eq!(told(&store).await, expected);
}

#[tokio::test]
async fn what_ends_a_silence_and_a_wait_is_told_once() {
    let room = Room::new();
    let store = room.store();
    let id = started(&store, new("a")).await;
    let both = Stalls {
        silence: stall(9, "no output for 12m"),
        ..waits(7, true)
    };
    assert!(store.tell_stalls(id, waits(7, true)).await.unwrap());
    assert!(store.tell_stalls(id, both).await.unwrap());
    assert!(store.tell_stalls(id, Stalls::default()).await.unwrap());
    let expected = [
        pair("waiting", "asks: 7?"),
        pair("stalled", "no output for 12m"),
        pair("resumed", "it printed again"),
    ];
    assert_eq!(told(&store).await, expected);
}
