//! What was used: each run its own part, and sums over all of them.

use super::*;
use crate::domain::{Price, SpendGroup, SpendKey, SpendQuery, Spent, Zone};
use crate::store::Notice;
use crate::store::spend;

const HOUR: i64 = 3_600_000;
/// 2026-11-26 00:00 in UTC.
const MIDNIGHT: i64 = 1_795_651_200_000;

fn tokens(input: u64, cached: u64, output: u64) -> UsageTotals {
    UsageTotals {
        input_tokens: input,
        output_tokens: output,
        cached_input_tokens: Some(cached),
        ..UsageTotals::default()
    }
}

fn used(usage: Option<UsageTotals>) -> Ending {
    Ending {
        usage,
        ..ending(Outcome::Success)
    }
}

fn sum(usage: UsageTotals) -> UsageTotals {
    UsageTotals {
        cumulative: true,
        ..usage
    }
}

async fn run(store: &Store, name: &str, ending: Ending) -> InvocationId {
    let id = started(store, new(name)).await;
    store.finish(id, ending).await.unwrap();
    id
}

async fn run_resumed(store: &Store, name: &str, ending: Ending) -> InvocationId {
    let id = started(store, resumed(name)).await;
    store.finish(id, ending).await.unwrap();
    id
}

fn resumed(name: &str) -> NewInvocation {
    NewInvocation {
        resume: Some("some".to_owned()),
        ..new(name)
    }
}

async fn usage(store: &Store, id: InvocationId) -> UsageTotals {
    store.invocation(id).await.unwrap().unwrap().usage.unwrap()
}

fn utc() -> Zone {
    Zone::named("UTC").unwrap()
}

async fn groups(store: &Store, query: SpendQuery) -> Vec<(SpendGroup, Spent)> {
    let mut groups = store.used(query, utc()).await.unwrap().ended.groups;
    groups.sort_by(|(a, _), (b, _)| a.cmp(b));
    groups
}

async fn all(store: &Store) -> Spent {
    let groups = groups(store, SpendQuery::default()).await;
    groups.first().map(|(_, spent)| *spent).unwrap_or_default()
}

#[tokio::test]
async fn of_a_sum_over_the_session_each_run_has_its_part_whichever_ends_first() {
    // What three runs of a thread are told to have used: 100, then 250 and 600 in all.
    let told = [
        tokens(60, 30, 10),
        sum(tokens(150, 75, 25)),
        sum(tokens(360, 180, 60)),
    ];
    for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2], [2, 0, 1]] {
        let room = Room::new();
        let store = room.store();
        let mut ids = Vec::new();
        for n in 0..3 {
            ids.push(started(&store, new(&format!("{n}"))).await);
        }
        for n in order {
            store.finish(ids[n], used(Some(told[n]))).await.unwrap();
            // Once more changes nothing.
            store.finish(ids[n], used(Some(told[n]))).await.unwrap();
        }
        assert_eq!(usage(&store, ids[0]).await, tokens(60, 30, 10), "{order:?}");
        assert_eq!(usage(&store, ids[1]).await, tokens(90, 45, 15), "{order:?}");
        assert_eq!(
            usage(&store, ids[2]).await,
            tokens(210, 105, 35),
            "{order:?}"
        );
        assert_eq!(all(&store).await.all_tokens(), 600);
    }
}

#[tokio::test]
async fn a_run_before_that_is_not_known_stays_in_it_and_is_marked() {
    let room = Room::new();
    let store = room.store();
    let first = run_resumed(&store, "1", used(Some(sum(tokens(100, 0, 10))))).await;
    let second = run_resumed(&store, "2", used(Some(sum(tokens(150, 0, 12))))).await;
    // One that ended before it told anything: its part is in the next one's.
    run_resumed(&store, "3", used(None)).await;
    let other = Ending {
        session_id: Some("another".to_owned()),
        ..used(Some(sum(tokens(7, 0, 1))))
    };
    let other = run(&store, "4", other).await;
    assert_eq!(usage(&store, first).await, sum(tokens(100, 0, 10)));
    assert_eq!(usage(&store, second).await, tokens(50, 0, 2));
    assert_eq!(usage(&store, other).await, sum(tokens(7, 0, 1)));
    let all = all(&store).await;
    assert_eq!((all.all_tokens(), all.cumulative), (170, 2));
    assert_eq!((all.invocations, all.without_usage), (4, 1));
}

#[tokio::test]
async fn a_budget_counts_of_a_session_what_ours_used() {
    let room = Room::new();
    let store = room.store();
    let of = |session: &str, usage| Ending {
        session_id: Some(session.to_owned()),
        ..used(usage)
    };
    for (request, ending) in [
        // Begun elsewhere, where it used 100.
        (resumed("1"), of("theirs", Some(sum(tokens(101, 0, 0))))),
        (resumed("2"), of("theirs", Some(sum(tokens(103, 0, 0))))),
        // Begun by one that told nothing before it failed.
        (new("3"), of("ours", None)),
        (resumed("4"), of("ours", Some(sum(tokens(1000, 0, 0))))),
    ] {
        let id = started(&store, request).await;
        store.finish(id, ending).await.unwrap();
    }
    let query = SpendQuery {
        task: Some("T-1".to_owned()),
        own_only: true,
        ..SpendQuery::default()
    };
    assert_eq!(groups(&store, query).await[0].1.all_tokens(), 1002);
    let since = store.used_since(0).await.unwrap();
    let names: Vec<_> = since.iter().map(|run| run.name.as_str()).collect();
    assert_eq!(names, ["uuid 2", "uuid 4"]);
    assert_eq!(since.iter().map(|run| run.tokens).sum::<u64>(), 1002);
    // Who asks is shown all, and that there is more in the first.
    let all = all(&store).await;
    assert_eq!((all.all_tokens(), all.cumulative), (1103, 1));
}

#[tokio::test]
async fn a_run_of_which_the_sum_before_is_no_part_keeps_all_of_it() {
    let room = Room::new();
    let store = room.store();
    run(&store, "1", used(Some(tokens(100, 50, 10)))).await;
    let odd = run(&store, "2", used(Some(sum(tokens(300, 20, 30))))).await;
    assert_eq!(usage(&store, odd).await, sum(tokens(300, 20, 30)));
}

#[tokio::test]
async fn a_cli_that_counts_each_run_for_itself_is_left_alone() {
    let room = Room::new();
    let store = room.store();
    let one = run(&store, "1", used(Some(tokens(5, 0, 1)))).await;
    let two = run(&store, "2", used(Some(tokens(8, 0, 2)))).await;
    assert_eq!(usage(&store, one).await, tokens(5, 0, 1));
    assert_eq!(usage(&store, two).await, tokens(8, 0, 2));
}

#[tokio::test]
async fn an_estimate_is_of_the_part_and_at_the_price_of_its_own_end() {
    let room = Room::new();
    let store = room.store();
    let priced = |usage, input| Ending {
        price: Some(Price {
            input,
            output: 10.0,
            cached_input: Some(0.0),
            cache_creation: None,
        }),
        ..used(Some(usage))
    };
    let million = 1_000_000;
    // The second ends first, and counts all: $4 until the first is known, and $2 then.
    let first = started(&store, new("1")).await;
    let second_id = run(&store, "2", priced(sum(tokens(2 * million, 5, 0)), 2.0)).await;
    assert_eq!(usage(&store, second_id).await.total_cost_usd, Some(4.0));
    store
        .finish(first, priced(tokens(million, 5, 0), 3.0))
        .await
        .unwrap();
    let (first, second) = (usage(&store, first).await, usage(&store, second_id).await);
    assert_eq!((first.total_cost_usd, first.estimated), (Some(3.0), true));
    assert_eq!((second.total_cost_usd, second.estimated), (Some(2.0), true));
    // Written anew, as when its log is made again, it keeps its price.
    let again = |usage| Ending {
        price: None,
        ..priced(usage, 0.0)
    };
    let db = room.foreign();
    let told = again(sum(tokens(2 * million, 5, 0)));
    crate::store::usage::write(&db, second_id, &told).unwrap();
    assert_eq!(usage(&store, second_id).await, second);
    // A stated cost is none of ours, and what used nothing costs nothing.
    let stated = UsageTotals {
        total_cost_usd: Some(0.5),
        ..tokens(million, 0, 0)
    };
    let other = |usage| Ending {
        session_id: None,
        ..priced(usage, 3.0)
    };
    let stated_id = run(&store, "3", other(stated)).await;
    assert_eq!(usage(&store, stated_id).await, stated);
    // What was used after it was stated is at the price, also where that is written again.
    let later = UsageTotals {
        uncosted: tokens(million / 10, 0, 0).tokens(),
        ..stated
    };
    let later_id = run(&store, "5", other(later)).await;
    for _ in 0..2 {
        let found = usage(&store, later_id).await;
        assert_eq!((found.total_cost_usd, found.estimated), (Some(0.8), true));
        let ending = again(later);
        crate::store::usage::write(&db, later_id, &ending).unwrap();
    }
    let nothing = run(&store, "4", other(tokens(0, 0, 0))).await;
    assert_eq!(usage(&store, nothing).await.total_cost_usd, None);
    let all = all(&store).await;
    assert_eq!((all.cost_usd, all.estimated_usd), (6.3, 5.8));
    assert_eq!((all.estimated, all.without_cost), (3, 0));
}

/// Of two tasks, providers, models and days, ended at a time that is given; and one that runs.
async fn history(room: &Room) -> Store {
    let store = room.store();
    for (n, (task, provider, model, ended)) in [
        ("T-1", "claude", "opus", MIDNIGHT - HOUR),
        ("T-1", "codex", "gpt-5", MIDNIGHT + HOUR),
        ("T-2", "claude", "opus", MIDNIGHT + 2 * HOUR),
        ("T-2", "claude", "", MIDNIGHT + 30 * HOUR),
    ]
    .into_iter()
    .enumerate()
    {
        let request = NewInvocation {
            task: task.to_owned(),
            provider: provider.to_owned(),
            model: model.to_owned(),
            ..new(&n.to_string())
        };
        let id = started(&store, request).await;
        let ending = Ending {
            completed_ms: ended,
            session_id: None,
            ..used(Some(tokens(10_u64.pow(n as u32), 0, 0)))
        };
        store.finish(id, ending).await.unwrap();
    }
    started(&store, new("running")).await;
    store
}

#[tokio::test]
async fn sums_are_put_together_by_any_keys_and_narrowed_by_any_filter() {
    let room = Room::new();
    let store = history(&room).await;
    let by = |by: &[SpendKey]| SpendQuery {
        by: by.to_vec(),
        ..SpendQuery::default()
    };
    let found = groups(&store, by(&[SpendKey::Task])).await;
    let found: Vec<_> = found
        .iter()
        .map(|(group, spent)| (group.task.as_deref().unwrap(), spent.input_tokens))
        .collect();
    assert_eq!(found, [("T-1", 11), ("T-2", 1100)]);
    let found = groups(&store, by(&[SpendKey::Model, SpendKey::Provider])).await;
    let found: Vec<_> = found
        .iter()
        .map(|(group, spent)| (group.model.as_deref().unwrap(), spent.input_tokens))
        .collect();
    assert_eq!(found, [("", 1000), ("opus", 101), ("gpt-5", 10)]);
    let found = groups(&store, by(&[SpendKey::Day])).await;
    let first = utc().day(MIDNIGHT);
    let found: Vec<_> = found
        .iter()
        .map(|(group, spent)| (group.day.unwrap() - first, spent.input_tokens))
        .collect();
    assert_eq!(found, [(-1, 1), (0, 110), (1, 1000)]);
    let found = groups(&store, by(&[SpendKey::Invocation])).await;
    assert_eq!(found.len(), 4);

    let tokens = async |query: SpendQuery| {
        let groups = groups(&store, query).await;
        groups
            .iter()
            .map(|(_, spent)| spent.input_tokens)
            .sum::<u64>()
    };
    let today = SpendQuery {
        since_ms: Some(MIDNIGHT),
        until_ms: Some(MIDNIGHT + 24 * HOUR),
        ..SpendQuery::default()
    };
    assert_eq!(tokens(today.clone()).await, 110);
    let task = SpendQuery {
        task: Some("T-1".to_owned()),
        ..today.clone()
    };
    assert_eq!(tokens(task).await, 10);
    let provider = SpendQuery {
        provider: Some("claude".to_owned()),
        ..today.clone()
    };
    assert_eq!(tokens(provider).await, 100);
    let model = SpendQuery {
        model: Some(String::new()),
        ..SpendQuery::default()
    };
    assert_eq!(tokens(model).await, 1000);
    let open = store.used(today, utc()).await.unwrap().open;
    assert_eq!(open.len(), 1);
}

#[tokio::test]
async fn a_day_is_that_of_the_zone_asked_for() {
    let room = Room::new();
    let store = history(&room).await;
    // An hour before midnight is the next day there, and at half past is a zone's own midnight.
    for (zone, days) in [
        ("Asia/Kolkata", vec![(0, 111), (1, 1000)]),
        ("America/New_York", vec![(-1, 111), (1, 1000)]),
    ] {
        let zone = Zone::named(zone).unwrap();
        let query = SpendQuery {
            by: vec![SpendKey::Day],
            ..SpendQuery::default()
        };
        let groups = store.used(query, zone).await.unwrap().ended.groups;
        let mut found: Vec<_> = groups
            .iter()
            .map(|(group, spent)| (group.day.unwrap() - utc().day(MIDNIGHT), spent.input_tokens))
            .collect();
        found.sort_unstable();
        assert_eq!(found, days);
    }
}

#[tokio::test]
async fn what_was_paid_for_counts_also_when_its_row_was_deleted() {
    let room = Room::new();
    let store = history(&room).await;
    let deleted = room
        .foreign()
        .execute("DELETE FROM task_invocations WHERE id = 2", []);
    assert_eq!(deleted, Ok(1));
    let all = all(&store).await;
    assert_eq!((all.invocations, all.input_tokens), (4, 1111));
}

#[tokio::test]
async fn rows_of_the_older_tool_count_with_what_they_say() {
    let room = Room::new();
    let store = history(&room).await;
    let old = |columns: &str, values: &str| {
        let sql = format!(
            "INSERT INTO task_invocations
                 (task_id, role, provider, model, prompt, status, created_at{columns})
             VALUES ('T-1', 'coder', 'claude', 'old', 'p', 'completed', '2026-11-26 05:00:00'{values})"
        );
        room.foreign().execute(&sql, []).unwrap();
    };
    old("", "");
    let query = SpendQuery {
        since_ms: Some(MIDNIGHT),
        model: Some("old".to_owned()),
        ..SpendQuery::default()
    };
    let spent = groups(&store, query.clone()).await[0].1;
    assert_eq!((spent.invocations, spent.without_usage), (1, 1));
    // The same file after that tool's later migrations.
    room.foreign()
        .execute_batch("ALTER TABLE task_invocations ADD COLUMN token_usage_json TEXT")
        .unwrap();
    let column = ", token_usage_json";
    old(
        column,
        r#", '{"inputTokens":10,"outputTokens":2,"cacheReadTokens":5,"totalCostUsd":0.25}'"#,
    );
    old(
        column,
        r#", '{"inputTokens":"7","outputTokens":-2,"cachedInputTokens":3,"cacheCreationTokens":1}'"#,
    );
    old(column, ", 'not JSON'");
    old(column, ", x'00ff'");
    let ended = format!(", {}", MIDNIGHT - 1);
    old(", completed_at_ms", &ended);
    let spent = groups(&store, query).await[0].1;
    let expected = Spent {
        invocations: 5,
        without_usage: 3,
        without_cost: 1,
        input_tokens: 17,
        output_tokens: 2,
        cached_input_tokens: 8,
        cache_creation_tokens: 1,
        cost_usd: 0.25,
        ..Spent::default()
    };
    assert_eq!(spent, expected);
}

#[tokio::test]
async fn a_time_is_found_by_an_index_and_a_task_by_its_own() {
    let room = Room::new();
    let store = history(&room).await;
    let db = room.foreign();
    let plan = |(sql, values): (String, Vec<rusqlite::types::Value>)| {
        db.prepare(&format!("EXPLAIN QUERY PLAN {sql}"))
            .unwrap()
            .query_map(rusqlite::params_from_iter(values), |row| row.get(3))
            .unwrap()
            .collect::<rusqlite::Result<Vec<String>>>()
            .unwrap()
            .join("\n")
    };
    let since = SpendQuery {
        since_ms: Some(MIDNIGHT),
        by: vec![SpendKey::Day, SpendKey::Model],
        ..SpendQuery::default()
    };
    let own = plan(spend::own(&since));
    assert!(
        own.contains("steroidsd_invocations_ended (ended_ms>?)"),
        "{own}"
    );
    let foreign = plan(spend::foreign(&since, false));
    assert!(
        foreign.contains("idx_task_invocations_created (created_at>?)"),
        "{foreign}"
    );
    let task = SpendQuery {
        task: Some("T-1".to_owned()),
        ..since
    };
    let own = plan(spend::own(&task));
    assert!(
        own.contains("(task_id=?)") && !own.contains("SCAN"),
        "{own}"
    );
    store.close().await;
}

#[tokio::test]
async fn a_budget_is_told_once_whoever_asks() {
    let room = Room::new();
    let store = room.store();
    let notice = Notice {
        scope: "task",
        about: "T-1".to_owned(),
        bound: "$5.00".to_owned(),
        level: "warned",
    };
    let event = NewEvent {
        kind: "budget".to_owned(),
        ..NewEvent::default()
    };
    let tell = async |store: &Store, notice: &Notice| {
        store
            .tell_budget(notice.clone(), event.clone())
            .await
            .unwrap()
    };
    assert!(!store.is_budget_told(notice.clone()).await.unwrap());
    assert!(tell(&store, &notice).await);
    assert!(!tell(&store, &notice).await);
    store.close().await;
    let store = Store::open(&room.db()).unwrap();
    assert!(!tell(&store, &notice).await);
    assert!(store.is_budget_told(notice.clone()).await.unwrap());
    let reached = Notice {
        level: "reached",
        ..notice.clone()
    };
    let raised = Notice {
        bound: "$9.00".to_owned(),
        ..notice
    };
    assert!(tell(&store, &reached).await && tell(&store, &raised).await);
    assert_eq!(store.events(0, 10).await.unwrap().len(), 3);
}
