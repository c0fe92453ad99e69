//! The model that answered, beside the one that was asked for.

use super::*;
use crate::domain::{SpendKey, SpendQuery, Zone};

const SONNET: &str = "claude-sonnet-4-5-20250929";

/// Asked for one model and answered by another, or by nobody knows which.
async fn run(store: &Store, asked: &str, answering: Option<&str>) -> InvocationId {
    let request = NewInvocation {
        model: asked.to_owned(),
        ..new(&format!("{asked} {answering:?}"))
    };
    let id = started(store, request).await;
    let ending = Ending {
        session_id: None,
        answering_model: answering.map(str::to_owned),
        ..ending(Outcome::Success)
    };
    store.finish(id, ending).await.unwrap();
    id
}

/// The groups' models, and how many runs are in each.
async fn models(store: &Store, model: Option<&str>) -> Vec<(String, u64)> {
    let query = SpendQuery {
        model: model.map(str::to_owned),
        by: vec![SpendKey::Model],
        ..SpendQuery::default()
    };
    let zone = Zone::named("UTC").unwrap();
    let groups = store.used(query, zone).await.unwrap().ended.groups;
    let mut found: Vec<_> = groups
        .into_iter()
        .map(|(group, spent)| (group.model.unwrap(), spent.invocations))
        .collect();
    found.sort();
    found
}

#[tokio::test]
async fn a_run_counts_for_the_model_that_answered_and_is_found_by_the_one_asked_for_too() {
    let room = Room::new();
    let store = room.store();
    let by_default = run(&store, "", Some(SONNET)).await;
    run(&store, "sonnet", Some(SONNET)).await;
    run(&store, "sonnet", None).await;
    run(&store, "", None).await;
    let row = store.invocation(by_default).await.unwrap().unwrap();
    assert_eq!((row.model.as_str(), row.counted_model()), ("", SONNET));

    let group = |model: &str, runs| (model.to_owned(), runs);
    assert_eq!(
        models(&store, None).await,
        [group("", 1), group(SONNET, 2), group("sonnet", 1)]
    );
    assert_eq!(models(&store, Some(SONNET)).await, [group(SONNET, 2)]);
    assert_eq!(
        models(&store, Some("sonnet")).await,
        [group(SONNET, 1), group("sonnet", 1)]
    );
    // Of the one that was asked for none, it is known by now.
    assert_eq!(models(&store, Some("")).await, [group("", 1)]);
    assert_eq!(models(&store, Some("opus")).await, []);

    // The older tool's column says what it always said.
    let asked: String = room
        .foreign()
        .query_row(
            "SELECT model FROM task_invocations WHERE id = ?1",
            [by_default.get()],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(asked, "");
}

#[tokio::test]
async fn a_row_from_before_gets_its_model_when_it_is_judged_anew() {
    let room = Room::new();
    let store = room.store();
    let id = run(&store, "sonnet", None).await;
    let revision = Revision {
        ending: Ending {
            session_id: None,
            answering_model: Some(SONNET.to_owned()),
            ..ending(Outcome::Success)
        },
        parser_version: 9,
        log: None,
        dry_run: false,
    };
    let changes = store.revise(id, revision).await.unwrap();
    let changes: Vec<_> = changes
        .iter()
        .map(|it| (it.column.as_str(), it.after.as_deref()))
        .collect();
    assert_eq!(changes, [("answering_model", Some(SONNET))]);
    let row = store.invocation(id).await.unwrap().unwrap();
    assert_eq!(row.counted_model(), SONNET);
}
