//! What was used, in tokens and money: of each invocation what its CLI used and nothing twice, and
//! sums over all of them.

use serde_json::{Value, json};
use steroids_proto::v1;
use steroids_tests::{Ctl, Daemon, Home, Puppet, Rpc, old_database, rpc};

const PRICES: &str = "[prices.\"gpt-5*\"]\ninput = 1.25\noutput = 10\ncached_input = 0.125\n";

/// Tokens that are no cache's, of output, read from a cache and written to one; and the cost, in
/// millionths of a dollar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Count {
    input: u64,
    output: u64,
    cached: u64,
    created: u64,
    cost: Option<u64>,
}

/// Runs a recording as an invocation of a task, and waits for its end.
async fn replay(rpc: &Rpc, ctl: &Ctl, task: &str, recording: &str, resume: &str) -> v1::Invocation {
    let (provider, scenario) = recording.split_once('/').unwrap();
    let words = [
        "replay",
        &crate::recording(provider, scenario),
        "--speed",
        "0",
    ];
    let request = v1::StartRequest {
        project: ctl.project(),
        task_id: task.to_owned(),
        provider: provider.to_owned(),
        model: if provider == "codex" { "gpt-5.5" } else { "" }.to_owned(),
        prompt: "do it".to_owned(),
        resume: resume.to_owned(),
        env: [("FAKE_PROVIDER".to_owned(), json!(words).to_string())].into(),
        ..Default::default()
    };
    let started = rpc.start(request).await.unwrap();
    rpc.ended(&ctl.project(), started.id).await
}

fn count(usage: &v1::Usage) -> Count {
    Count {
        input: usage.input_tokens,
        output: usage.output_tokens,
        cached: usage.cached_input_tokens,
        created: usage.cache_creation_tokens,
        cost: usage.total_cost_usd.map(millionths),
    }
}

fn millionths(usd: f64) -> u64 {
    (usd * 1e6).round() as u64
}

/// The same from JSON, as `show` and `usage` print it. A sum has a cost always, and may be of
/// nothing.
fn count_of(usage: &Value) -> Count {
    let tokens = |key: &str| usage[key].as_u64().unwrap();
    Count {
        input: tokens("inputTokens"),
        output: tokens("outputTokens"),
        cached: tokens("cachedInputTokens"),
        created: tokens("cacheCreationTokens"),
        cost: usage["totalCostUsd"].as_f64().map(millionths),
    }
}

/// What the model answered while it was recorded, turn by turn, as `meta.json` has it from the other
/// side of the wire: no CLI had its hands on it. Input of all kinds, output, read from the cache.
fn served(recording: &str) -> (u64, u64, u64) {
    let (provider, scenario) = recording.split_once('/').unwrap();
    let meta = std::fs::read(format!(
        "{}/meta.json",
        crate::recording(provider, scenario)
    ));
    let meta: Value = serde_json::from_slice(&meta.unwrap()).unwrap();
    let turns = meta["mock_served"].as_array().unwrap();
    // What opencode asks for a title, it never tells.
    let told = turns.iter().filter(|turn| turn["queue"] != "aux");
    told.fold((0, 0, 0), |(input, output, cached), turn| {
        let of = |key: &str| turn["usage"][key].as_u64().unwrap_or(0);
        // Of claude the script gave what is not cached, of the others all.
        let all = of("in")
            + if provider == "claude" {
                of("cached")
            } else {
                0
            };
        (input + all, output + of("out"), cached + of("cached"))
    })
}

/// Counted by hand: the model's answers in the recordings, at the prices per million tokens that the
/// CLIs have (claude: sonnet 3 for input, 15 for output, 0.3 from and 3.75 into the cache, haiku 1
/// and 5; opencode's model 0.5, 2 and 0.1 by its own configuration while it was recorded), and of
/// codex at those of this test's configuration.
const BY_HAND: &[(&str, &str, Count)] = &[
    // The agent 2100 + 2300, its subagent on haiku 610 + 705; 52 + 17 and 40 + 11; 900 + 2100.
    // 4400 * 3 + 69 * 15 + 3000 * 0.3 = 15135, and 1315 * 1 + 51 * 5 = 1570.
    (
        "claude/subagent-one",
        "",
        Count {
            input: 5715,
            output: 120,
            cached: 3000,
            created: 0,
            cost: Some(16_705),
        },
    ),
    // Two results: 3000 + 3100 to the first, 3200 to that of the background command; 44 + 15 + 13;
    // 2000 + 2900 + 3000. 9300 * 3 + 72 * 15 + 7900 * 0.3 = 31350.
    (
        "claude/background",
        "",
        Count {
            input: 9300,
            output: 72,
            cached: 7900,
            created: 0,
            cost: Some(31_350),
        },
    ),
    // 1200 * 3 + 11 * 15 + 1000 * 0.3 + 64 * 3.75 = 4305.
    ("claude/resume-first", "", CLAUDE),
    // The same once more: it tells each run for itself.
    (
        "claude/resume",
        "a6e177c3-4586-43a8-aa4b-758f8738fd31",
        CLAUDE,
    ),
    // 1200 of which 1000 are cached, 11. 200 * 1.25 + 11 * 10 + 1000 * 0.125 = 485.
    ("codex/resume-first", "", CODEX),
    // It tells 2400, 2000 and 22: both runs. The model answered this one as it did the first.
    (
        "codex/resume",
        "01a202c4-a4c0-70d0-8626-c739cae8771c",
        CODEX,
    ),
    // 5200 + 5350 + 5600 + 5900 + 6200 + 6400 less what is cached, in six steps;
    // 61 + 48 + 120 + 140 + 44 + 75; 4096 + 5120 + 5120 + 5632 + 5888 + 6144; and the steps' costs
    // 2696 + 844 + 1920 + 1656 + 976 + 1112.
    (
        "opencode/tools",
        "",
        Count {
            input: 2650,
            output: 488,
            cached: 32_000,
            created: 0,
            cost: Some(9204),
        },
    ),
    // 200 * 0.5 * … as its step tells: 488.
    ("opencode/resume-first", "", OPENCODE),
    ("opencode/resume", "ses", OPENCODE),
    // The same six turns; nobody says what they cost, and no price is configured.
    (
        "gemini/tools",
        "",
        Count {
            input: 2650,
            output: 488,
            cached: 32_000,
            created: 0,
            cost: None,
        },
    ),
    ("gemini/resume-first", "", GEMINI),
    ("gemini/resume", "gem", GEMINI),
];

const CLAUDE: Count = Count {
    input: 1200,
    output: 11,
    cached: 1000,
    created: 64,
    cost: Some(4305),
};
const CODEX: Count = Count {
    input: 200,
    output: 11,
    cached: 1000,
    created: 0,
    cost: Some(485),
};
const OPENCODE: Count = Count {
    input: 200,
    output: 11,
    cached: 1000,
    created: 0,
    cost: Some(488),
};
const GEMINI: Count = Count {
    input: 200,
    output: 11,
    cached: 1000,
    created: 0,
    cost: None,
};

#[tokio::test]
async fn tokens_and_cost_are_those_counted_by_hand_in_row_and_sums() {
    let home = Home::with_config(PRICES);
    let mut daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    let mut ids = Vec::new();
    for (recording, resume, by_hand) in BY_HAND {
        let all = by_hand.input + by_hand.cached;
        let of_model = (all, by_hand.output, by_hand.cached);
        assert_eq!(of_model, served(recording), "{recording}");
        let ended = replay(&rpc, &ctl, recording, recording, resume).await;
        let usage = ended.usage.unwrap();
        assert_eq!(count(&usage), *by_hand, "{recording}");
        let is_priced = recording.starts_with("codex");
        assert_eq!((usage.estimated, usage.cumulative), (is_priced, false));
        let shown = ctl
            .run(["--json", "show", &ended.id.to_string()])
            .await
            .json();
        assert_eq!(count_of(&shown["usage"]), *by_hand, "{recording}");
        assert_eq!(shown["usage"].get("estimated").is_some(), is_priced);
        ids.push(ended.id);
    }
    let check = async |ctl: &Ctl| {
        let by_id = ctl
            .run(["--json", "usage", "--by", "invocation"])
            .await
            .json();
        for ((recording, _, by_hand), id) in BY_HAND.iter().zip(&ids) {
            let groups = by_id["usage"].as_array().unwrap();
            let group = groups
                .iter()
                .find(|group| group["invocationId"] == *id)
                .unwrap();
            let cost = Some(by_hand.cost.unwrap_or(0));
            assert_eq!(count_of(group), Count { cost, ..*by_hand }, "{recording}");
        }
        let by_provider = ctl.run(["--json", "usage", "--by", "provider", "--since", "1h"]);
        let by_provider = by_provider.await.json();
        for provider in ["claude", "codex", "opencode", "gemini"] {
            let of_provider = BY_HAND.iter().filter(|one| one.0.starts_with(provider));
            let mut sum = Count {
                input: 0,
                output: 0,
                cached: 0,
                created: 0,
                cost: Some(0),
            };
            for (_, _, one) in of_provider {
                sum.input += one.input;
                sum.output += one.output;
                sum.cached += one.cached;
                sum.created += one.created;
                sum.cost = sum.cost.map(|cost| cost + one.cost.unwrap_or(0));
            }
            let groups = by_provider["usage"].as_array().unwrap();
            let group = groups.iter().find(|group| group["provider"] == provider);
            assert_eq!(count_of(group.unwrap()), sum, "{provider}");
        }
        let total = &by_provider["total"];
        assert_eq!(total["invocations"], BY_HAND.len());
        assert_eq!(
            (&total["estimated"], &total["withoutCost"]),
            (&json!(2), &json!(3))
        );
        assert_eq!(total["estimatedCostUsd"], json!(0.00097));
    };
    check(&ctl).await;
    // Other prices change nothing of what has ended.
    home.configure(&PRICES.replace("1.25", "900"));
    daemon.kill9_and_restart().await;
    check(&ctl).await;
}

const MESSAGE: &str = r#"{"type":"assistant","message":{"id":"m1","role":"assistant","content":[{"type":"text","text":"so far"}],"usage":{"input_tokens":1000000,"output_tokens":100000}}}"#;

#[tokio::test]
async fn what_runs_counts_with_what_it_used_so_far_and_is_marked() {
    let home = Home::with_config("[prices.\"*\"]\ninput = 2\noutput = 10\n");
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    let mut agent = Puppet::new(&home, "agent");
    let id = rpc
        .start_as(&ctl.project(), "T1", "claude", &agent.args())
        .await
        .id;
    let followed = rpc.follow(rpc::invocation(&ctl.project(), id), "", true);
    agent.prints(MESSAGE);
    followed.await.until("so far").await;
    rpc.usage_seen(&ctl.project(), id).await;
    let used = ctl
        .run(["--json", "usage", "--by", "task,model", "--all-projects"])
        .await
        .json();
    let expected = json!({
        "project": ctl.project(), "taskId": "T1", "model": "", "invocations": 1, "running": 1,
        "estimated": 1, "inputTokens": 1_000_000, "outputTokens": 100_000,
        "cachedInputTokens": 0, "cacheCreationTokens": 0,
        "totalCostUsd": 3.0, "estimatedCostUsd": 3.0,
    });
    assert_eq!(used["usage"], json!([expected]));
    assert_eq!(used["zone"], "UTC");
    // So far to the west that nobody has the same day there as in the east.
    let mut days = Vec::new();
    for rule in ["WEST12", "EAST-14"] {
        let there = ctl.with_env("TZ", rule);
        let used = there.run(["--json", "usage", "--by", "day"]).await.json();
        assert_eq!(used["zone"], rule);
        days.push(used["usage"][0]["day"].clone());
    }
    assert_ne!(days[0], days[1]);
    let shown = ctl.run(["--json", "show", &id.to_string()]).await.json();
    assert_eq!(shown["usage"]["totalCostUsd"], 3.0);
    assert_eq!(shown["usage"]["estimated"], true);
    let table = ctl.run(["usage"]).await.ok();
    assert!(
        table.contains("~$3.00") && table.contains("1 running"),
        "{table}"
    );
    // Yesterday has nothing of it.
    let until = ctl.run(["--json", "usage", "--until", "1d"]).await.json();
    assert_eq!(until["total"]["invocations"], 0);
    agent.exits(0);
    rpc.ended(&ctl.project(), id).await;
    let csv = ctl
        .run(["usage", "--by", "day,provider", "--csv"])
        .await
        .ok();
    assert!(
        csv.lines()
            .nth(1)
            .unwrap()
            .contains(",claude,1,0,0,0,1,0,1000000,100000,0,0,3,3"),
        "{csv}"
    );
}

#[tokio::test]
async fn requests_that_make_no_sense_are_refused_by_field() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    let refused = async |request: v1::UsageRequest| {
        let refused = rpc.invocations().usage(request).await.unwrap_err();
        (refused.code(), refused.message().to_owned())
    };
    let zone = v1::UsageRequest {
        zone: "Mars/Olympus".to_owned(),
        ..Default::default()
    };
    let (code, message) = refused(zone).await;
    assert_eq!(code, tonic::Code::InvalidArgument);
    assert!(message.contains("zone"), "{message}");
    let by = v1::UsageRequest {
        by: vec![99],
        ..Default::default()
    };
    assert!(refused(by).await.1.contains("by knows invocation"));
    ctl.run(["usage", "--by", "colour"])
        .await
        .exits(2)
        .says("provider, model, day");
    ctl.run(["usage", "--since", "once"])
        .await
        .exits(2)
        .says("2026-11-01");
    ctl.run(["usage"])
        .await
        .exits(0)
        .says("no such invocations");
}

#[tokio::test]
async fn of_a_task_that_there_is_not_nothing_is_summed() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    let runs = rpc.start_fake(&ctl.project(), "T1", &["exit", "0"]).await;
    rpc.ended(&ctl.project(), runs.id).await;
    ctl.run(["usage", "--task", "T1"]).await.ok();
    for more in [&[][..], &["--json"]] {
        let words = [&["usage", "--task", "T-1"], more].concat();
        let refused = ctl.run(words).await.exits(3);
        assert!(refused.stderr.contains("T-1"), "{}", refused.stderr);
    }
    // There is such a task, of which nothing ended then.
    let words = ["usage", "--task", "T1", "--until", "2026-01-01"];
    ctl.run(words).await.ok();
}

#[tokio::test]
async fn the_older_tools_columns_hold_what_this_run_used() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.ctl(&home.folder("app"));
    let db = old_database::at_028(ctl.folder());
    ctl.run(["init"]).await.ok();
    let rpc = daemon.rpc().await;
    let session = BY_HAND[5].1;
    let mut ids = Vec::new();
    for (recording, resume) in [("codex/resume-first", ""), ("codex/resume", session)] {
        ids.push(replay(&rpc, &ctl, "T1", recording, resume).await.id);
    }
    for id in ids {
        let (found, usage, active): (String, String, i64) = db
            .query_row(
                "SELECT session_id, token_usage_json, last_activity_at_ms - completed_at_ms
                 FROM task_invocations WHERE id = ?1",
                [id],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
            )
            .unwrap();
        let expected = json!({
            "inputTokens": 200, "outputTokens": 11, "cachedInputTokens": 1000,
            "cacheReadTokens": 1000, "cacheCreationTokens": 0,
        });
        assert_eq!((found.as_str(), active), (session, 0));
        assert_eq!(serde_json::from_str::<Value>(&usage).unwrap(), expected);
    }
    // Its own rows count as they say.
    let old = old_database::insert_running(&db, "old", 1_795_651_200_000);
    let said = r#"{"inputTokens":5,"outputTokens":1,"cacheReadTokens":3,"totalCostUsd":0.25}"#;
    db.execute(
        "UPDATE task_invocations SET token_usage_json = ?2, status = 'completed' WHERE id = ?1",
        (old, said),
    )
    .unwrap();
    let used = ctl.run(["--json", "usage", "--task", "old"]).await.json();
    let total = &used["total"];
    assert_eq!(
        (&total["inputTokens"], &total["totalCostUsd"]),
        (&json!(5), &json!(0.25))
    );
}
