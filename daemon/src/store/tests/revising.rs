//! A row that has ended, judged once more.

use super::*;
use crate::domain::Phase;

fn revision(outcome: Outcome) -> Revision {
    Revision {
        ending: ending(outcome),
        parser_version: 9,
        log: None,
        dry_run: false,
    }
}

async fn ended(room: &Room) -> (Store, InvocationId) {
    let store = room.store();
    let id = started(&store, new("a")).await;
    store.finish(id, ending(Outcome::Failed)).await.unwrap();
    (store, id)
}

fn columns(changes: &[Change]) -> Vec<&str> {
    changes.iter().map(|it| it.column.as_str()).collect()
}

async fn messages(store: &Store, kind: &str) -> Vec<String> {
    let events = store.events(0, 100).await.unwrap().into_iter();
    let events = events.filter(|event| event.kind == kind);
    events.map(|event| event.message).collect()
}

#[tokio::test]
async fn what_differs_is_written_and_told_and_the_rest_stays() {
    let room = Room::new();
    let (store, id) = ended(&room).await;
    let changes = store.revise(id, revision(Outcome::RateLimited)).await;
    let changes = changes.unwrap();
    assert_eq!(columns(&changes), ["outcome"]);
    let words = changes[0]
        .before
        .as_deref()
        .zip(changes[0].after.as_deref());
    assert_eq!(words, Some(("failed", "rate_limited")));
    let row = store.invocation(id).await.unwrap().unwrap();
    let Phase::Ended { outcome, .. } = row.phase else {
        panic!("{row:?}");
    };
    assert_eq!(
        (outcome, row.exit_code),
        (Some(Outcome::RateLimited), Some(1))
    );
    assert_eq!(
        messages(&store, "log_rebuilt").await,
        ["the row was judged anew; outcome failed is now rate_limited"]
    );
    let parser = room.foreign().query_row(
        "SELECT parser_version FROM steroidsd_invocations",
        [],
        |row| row.get::<_, u32>(0),
    );
    assert_eq!(parser.unwrap(), 9);

    let mut new = revision(Outcome::Success);
    new.ending.response = Some("another".to_owned());
    new.log = Some("written anew".to_owned());
    let changes = store.revise(id, new).await.unwrap();
    let mut differ = columns(&changes);
    differ.sort_unstable();
    let expected = [
        "error",
        "exit_code",
        "http_status",
        "outcome",
        "resets_at_ms",
        "response",
        "status",
        "success",
    ];
    assert_eq!(differ, expected);
}

#[tokio::test]
async fn where_nothing_differs_nothing_is_written_and_a_dry_run_writes_nothing() {
    let room = Room::new();
    let (store, id) = ended(&room).await;
    let before = dump(&room.foreign(), "");
    let same = store.revise(id, revision(Outcome::Failed)).await.unwrap();
    assert_eq!(same, []);
    let dry = Revision {
        dry_run: true,
        log: Some("anew".to_owned()),
        ..revision(Outcome::Success)
    };
    let changes = store.revise(id, dry).await.unwrap();
    assert!(columns(&changes).contains(&"outcome"), "{changes:?}");
    assert_eq!(dump(&room.foreign(), ""), before);
}

#[tokio::test]
async fn what_another_program_made_of_an_ended_row_is_put_right_and_told_once() {
    let room = Room::new();
    let (store, id) = ended(&room).await;
    for _ in 0..2 {
        let foreign = room.foreign();
        let sql = "UPDATE task_invocations SET status = 'timeout', error = 'looks dead'";
        foreign.execute(sql, []).unwrap();
        let changes = store.revise(id, revision(Outcome::Failed)).await.unwrap();
        assert_eq!(columns(&changes), ["error", "status"]);
        let status = foreign.query_row("SELECT status FROM task_invocations", [], |row| {
            row.get::<_, String>(0)
        });
        assert_eq!(status.unwrap(), "failed");
    }
    assert_eq!(
        messages(&store, "row_overridden").await,
        ["another program had set the row to timeout"]
    );
}

#[tokio::test]
async fn rows_that_run_or_are_another_tools_are_not_judged() {
    let room = Room::new();
    let (store, id) = ended(&room).await;
    let running = started(&store, new("b")).await;
    let foreign = room.foreign();
    let sql = "DELETE FROM steroidsd_invocations WHERE invocation_id = ?1";
    foreign.execute(sql, [id.get()]).unwrap();
    let before = dump(&foreign, "");
    for id in [id, running] {
        let changes = store.revise(id, revision(Outcome::Success)).await.unwrap();
        assert_eq!(changes, []);
    }
    assert_eq!(dump(&foreign, ""), before);
    let none = InvocationId::new(99).unwrap();
    let missing = store.revise(none, revision(Outcome::Success)).await;
    assert!(matches!(missing, Err(StoreError::NoSuchInvocation { .. })));
}
