//! A thread that a disk keeps: who asks many databases does not wait for it.

use std::sync::mpsc;

use futures_util::FutureExt as _;

use super::*;

#[tokio::test]
async fn one_that_hangs_is_waited_for_once_and_says_when_it_answers() {
    let room = Room::new();
    Store::migrate(&room.db(), &room.backups()).unwrap();
    let store = Store::open(&room.db()).unwrap();
    let mut changes = store.changes();
    let (hangs, hung) = tokio::sync::oneshot::channel();
    let (answer, disk) = mpsc::channel::<()>();
    let asked = store.clone();
    let asking = tokio::spawn(async move {
        let ask = move |_: &Connection| {
            let _ = hangs.send(());
            let _ = disk.recv();
            Ok(())
        };
        asked.read(ask).await
    });
    hung.await.unwrap();
    let late = |asked| matches!(asked, Err(StoreError::NoAnswer { .. }));
    assert!(late(store.promptly(store.last_event()).await));
    // It is known now.
    let again = store.promptly(store.last_event()).now_or_never();
    assert!(again.is_some_and(late));
    changes.mark_unchanged();
    drop(answer);
    asking.await.unwrap().unwrap();
    changes.changed().await.unwrap();
    assert_eq!(store.promptly(store.last_event()).await.unwrap(), 0);
    // Nobody has given up since.
    assert!(changes.changed().now_or_never().is_none());
    store.close().await;
}

#[tokio::test]
async fn a_change_behind_another_programs_lock_is_waited_for_no_longer() {
    let room = Room::new();
    Store::migrate(&room.db(), &room.backups()).unwrap();
    let store = Store::open(&room.db()).unwrap();
    let other = Connection::open(room.db()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let event = |kind: &str| NewEvent {
        kind: kind.to_owned(),
        invocation: None,
        task: None,
        message: String::new(),
    };
    let late = store.promptly_changed(store.record(event("late"))).await;
    assert!(matches!(late, Err(StoreError::NoAnswer { .. })), "{late:?}");
    // It reads all the same.
    assert_eq!(store.promptly(store.last_event()).await.unwrap(), 0);
    other.execute_batch("COMMIT").unwrap();
    let number = store.record(event("next")).await.unwrap();
    let events = store.events(0, 10).await.unwrap();
    assert_eq!(events.last().map(|it| it.number), Some(number));
    store.close().await;
}
