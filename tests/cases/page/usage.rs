//! What was used, drawn.

use serde_json::json;
use steroids_tests::Puppet;

use super::scene::{Scene, assert_fits, picture, row_says};

/// A message of claude by this id, which used so many tokens.
fn message(id: &str, tokens: u32) -> String {
    let usage = json!({ "input_tokens": tokens, "output_tokens": 1 });
    let content = json!([{ "type": "text", "text": format!("message {id}") }]);
    let message = json!({ "id": id, "role": "assistant", "content": content, "usage": usage });
    json!({ "type": "assistant", "message": message }).to_string()
}

#[tokio::test]
async fn while_it_runs_the_task_has_the_sum_of_its_messages_and_never_one_of_them() {
    let scene = Scene::new().await;
    let (rpc, project) = (scene.daemon.rpc().await, scene.ctl.project());
    let mut agent = Puppet::new(scene.daemon.home(), "agent");
    let id = rpc
        .start_as(&project, "T1", "claude", &agent.args())
        .await
        .id;
    scene.open("T1", id).await;
    let page = &scene.page;
    page.eval(
        "{
            const facts = document.querySelector('[data-test=facts]');
            window.seen = new Set();
            const look = () => window.seen.add(facts.textContent.match(/Tokens(.*? in)/)?.[1]);
            new MutationObserver(look)
                .observe(facts, { childList: true, characterData: true, subtree: true });
        }",
    )
    .await;
    agent.prints(&message("m0", 50_000));
    page.until_says("[data-test=facts]", "50k in").await;
    for number in 1..=20 {
        agent.prints(&message(&format!("m{number}"), 1000));
        row_says(page, &format!("message m{number}")).await;
    }
    page.until_says("[data-test=facts]", "70k in").await;
    agent.exits(0);
    rpc.ended(&project, id).await;
    page.until_there("[data-test=status][data-status=failed]")
        .await;
    let seen = page.eval("[...window.seen].filter(Boolean)").await;
    let seen: Vec<String> = serde_json::from_value(seen).unwrap();
    let small = |text: &String| !["5", "6", "7"].iter().any(|tens| text.starts_with(tens));
    assert!(!seen.iter().any(small), "{seen:?}");
    scene.browser.end().await;
}

#[tokio::test]
async fn what_was_used_is_drawn_by_day_and_told_in_words() {
    let scene = Scene::new().await;
    let page = &scene.page;
    // From the overview, with the keyboard: there is nothing yet.
    page.eval("document.querySelector('[data-test=to-usage]').focus()")
        .await;
    page.press("Enter").await;
    page.until_says(
        "[data-test=usage-sums]",
        "Nothing has run in the last 30 days",
    )
    .await;
    picture(page, "usage-empty").await;

    let (rpc, project) = (scene.daemon.rpc().await, scene.ctl.project());
    let runs = [
        ("T1", "claude", "subagent-one", 0),
        ("T1", "claude", "background", 1),
        ("fix-the-parser", "claude", "tools", 3),
        ("fix-the-parser", "opencode", "tools", 3),
        ("T2", "codex", "tools", 5),
        ("T2", "gemini", "tools", 12),
    ];
    let db = scene.ctl.folder().join(".steroids/steroids.db");
    let db = rusqlite::Connection::open(db).unwrap();
    for (task, provider, recording, days_ago) in runs {
        let words = [
            "replay",
            &crate::recording(provider, recording),
            "--speed",
            "0",
        ];
        let id = rpc.start_as(&project, task, provider, &words).await.id;
        rpc.ended(&project, id).await;
        let sql =
            "UPDATE steroidsd_invocations SET ended_ms = ended_ms - ?2 WHERE invocation_id = ?1";
        db.execute(sql, (id, days_ago * 24 * 3_600_000_i64))
            .unwrap();
    }
    for (scheme, width, height) in [
        ("light", 1280, 900),
        ("dark", 1280, 900),
        ("light", 360, 740),
    ] {
        page.prefers_color_scheme(scheme).await;
        page.viewport(width, height).await;
        page.goto(&format!("{}/usage", scene.gateway.origin()))
            .await;
        // 16705 + 31350 + 124245 + 9204 millionths.
        page.until_says("[data-test=usage-sums]", "$0.18").await;
        assert_eq!(page.count("[data-test=usage-days] [data-day]").await, 30);
        assert_fits(page, &format!("usage, {width}")).await;
        picture(page, &format!("usage-{width}-{scheme}")).await;
    }
    page.until_says("[data-test=usage-shares] li:first-child", "fix-the-parser")
        .await;
    page.until_says("[data-test=usage-note]", "2 runs told no cost")
        .await;
    // Today's bar has the focus first; the arrows tell of other days.
    let last = "[...document.querySelectorAll('[data-day]')].at(-1).focus()";
    page.eval(last).await;
    page.until_says("[data-test=usage-said]", "$0.02").await;
    page.press("ArrowLeft").await;
    page.until_says("[data-test=usage-said]", "$0.03").await;
    page.press("Home").await;
    page.until_says("[data-test=usage-said]", "0 runs").await;
    // In tokens, by provider: codex and gemini have their share.
    page.click(".usage-choices a[href*='unit=tokens']").await;
    page.until_says("[data-test=usage-shares] li:first-child", "tokens")
        .await;
    page.click("a[href*='by=provider']").await;
    page.until_there("[data-test=usage-shares] [data-name=gemini]")
        .await;
    page.until_says(
        "[data-test=usage-shares] [data-name=codex]",
        "35,138 tokens",
    )
    .await;
    picture(page, "usage-tokens").await;
    scene.browser.end().await;
}

#[tokio::test]
async fn a_cost_is_what_the_terminal_says_also_where_only_the_row_has_it() {
    // A hundred dollars for a million.
    let scene = Scene::with_config("[prices.\"*\"]\ninput = 100.0\noutput = 0.0\n").await;
    let (rpc, project, page) = (scene.daemon.rpc().await, scene.ctl.project(), &scene.page);
    let mut agent = Puppet::new(scene.daemon.home(), "agent");
    let started = rpc.start_as(&project, "T1", "claude", &agent.args()).await;
    scene.open("T1", started.id).await;
    agent.prints(&message("m0", 50));
    row_says(page, "message m0").await;
    agent.exits(0);
    rpc.ended(&project, started.id).await;
    let listed = scene.ctl.run(["list"]).await.ok();
    assert!(listed.contains("~$0.0050"), "{listed}");
    page.until_says("[data-fact=Cost]", "~$0.0050").await;
    let end = "[data-test=activity] .row-complete";
    page.until_says(end, "~$0.0050").await;
    picture(page, "estimated-cost").await;
    page.reload().await;
    page.until_says(end, "~$0.0050").await;
    scene.browser.end().await;
}
