//! Costs that no run has, in databases of releases that stored them.

use rusqlite::params;

use super::*;
use crate::domain::{SpendQuery, Zone};

#[tokio::test]
async fn a_cost_that_no_run_has_counts_as_none_and_a_row_without_one() {
    for absurd in [1e303, f64::INFINITY, 1_000_000.1, -1.0] {
        let room = Room::new();
        let store = room.store();
        let mut ids = Vec::new();
        for (name, usd) in [("1", 0.25), ("2", 0.5)] {
            let id = started(&store, new(name)).await;
            let used = UsageTotals {
                input_tokens: 10,
                total_cost_usd: Some(usd),
                estimated: true,
                ..UsageTotals::default()
            };
            let ended = Ending {
                usage: Some(used),
                ..ending(Outcome::Success)
            };
            store.finish(id, ended).await.unwrap();
            ids.push(id);
        }
        Connection::open(room.db())
            .unwrap()
            .execute(
                "UPDATE steroidsd_invocations SET cost_usd = ?1 WHERE invocation_id = ?2",
                params![absurd, ids[1].get()],
            )
            .unwrap();

        let row = store.invocation(ids[1]).await.unwrap().unwrap();
        let usage = row.usage.unwrap();
        assert_eq!(
            (usage.total_cost_usd, usage.estimated, usage.input_tokens),
            (None, false, 10),
            "{absurd}"
        );
        let zone = Zone::named("UTC").unwrap();
        let sums = store.used(SpendQuery::default(), zone).await.unwrap();
        let (_, sum) = sums.ended.groups[0];
        assert_eq!((sum.cost_usd, sum.estimated_usd), (0.25, 0.25), "{absurd}");
        assert_eq!((sum.without_cost, sum.estimated), (1, 1), "{absurd}");
        let runs = store.used_since(0).await.unwrap();
        let mut costs: Vec<f64> = runs.iter().map(|run| run.cost_usd).collect();
        costs.sort_by(f64::total_cmp);
        assert_eq!(costs, [0.0, 0.25], "{absurd}");
    }
}

/// The older tool's column is its own to write.
#[tokio::test]
async fn an_older_tools_is_read_by_the_same_bound() {
    let room = Room::new();
    let store = room.store();
    let connection = Connection::open(room.db()).unwrap();
    connection
        .pragma_update(None, "foreign_keys", false)
        .unwrap();
    let columns = "ALTER TABLE task_invocations ADD COLUMN token_usage_json TEXT";
    // There already in the newest shape.
    let _ = connection.execute(columns, []);
    for cost in ["0.25", "1e303", "9e999"] {
        connection
            .execute(
                "INSERT INTO task_invocations
                     (task_id, role, provider, model, prompt, status, started_at_ms,
                      completed_at_ms, token_usage_json)
                 VALUES ('T1', 'coder', 'claude', 'm', 'p', 'completed', 1, 2, ?1)",
                [format!(r#"{{"inputTokens":5,"totalCostUsd":{cost}}}"#)],
            )
            .unwrap();
    }
    let zone = Zone::named("UTC").unwrap();
    let sums = store.used(SpendQuery::default(), zone).await.unwrap();
    let (_, sum) = sums.ended.groups[0];
    assert_eq!(
        (sum.invocations, sum.cost_usd, sum.without_cost),
        (3, 0.25, 2)
    );
}
