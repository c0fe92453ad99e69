//! Of what failed all is found, however much of it there is: page by page, as somebody looks.

use rusqlite::params;
use serde_json::json;
use steroids_tests::{Page, old_database};

use super::scene::{Scene, picture};

const SHOWN: &str = "document.querySelectorAll('[data-test=recent] > [data-unresolved]').length";

/// Waits until so many rows are shown.
async fn shows(page: &Page, count: usize) {
    page.until(&format!("{SHOWN} === {count}")).await;
}

#[tokio::test]
async fn what_failed_is_found_by_a_text_behind_the_newest_and_what_is_older_on_request() {
    let scene = Scene::new().await;
    let page = &scene.page;
    let db = old_database::at_028(&scene.home.folder("older"));
    scene.daemon.project("older").await;
    let now = page.eval("Date.now()").await.as_i64().unwrap();
    let day = 86_400_000;
    let row = |task: String, ago: i64| {
        db.execute("INSERT INTO tasks (id, title) VALUES (?1, ?1)", [&task])
            .unwrap();
        db.execute(
            "INSERT INTO task_invocations (task_id, role, provider, model, prompt, status, success, duration_ms, started_at_ms, completed_at_ms)
             VALUES (?1, 'coder', 'claude', 'm', 'p', 'failed', 0, 1, ?2, ?2 + 1)",
            params![task, now - ago],
        )
        .unwrap();
    };
    (0..5).for_each(|number| row(format!("ancient-{number}"), 9 * day));
    (0..5).for_each(|number| row(format!("needle-{number}"), 2 * day));
    (0..500).for_each(|number| row(format!("hay-{number}"), day));
    page.goto(&format!("{}/?show=failed", scene.gateway.origin()))
        .await;
    shows(page, 200).await;
    page.until_says("[data-chip=failed]", "200+").await;
    page.until_says(
        "[data-test=overview-more]",
        "Looked through the newest 200 runs",
    )
    .await;
    picture(page, "further").await;
    // Whoever comes to the foot of the list has more of it.
    page.eval("document.querySelector('[data-test=overview-more]').scrollIntoView()")
        .await;
    shows(page, 400).await;
    // Beside what else has ended there are the newest.
    page.click("[data-chip=failed]").await;
    shows(page, 200).await;
    page.click("[data-chip=failed]").await;
    shows(page, 400).await;
    // A text is sought in all of them, without anybody scrolling.
    page.fill("[data-test=overview-filter]", "needle").await;
    shows(page, 5).await;
    page.until_says("[data-test=overview-more]", "the last three days")
        .await;
    page.fill("[data-test=overview-filter]", "ancient").await;
    shows(page, 0).await;
    page.until_says("[data-test=overview-more]", "the last three days")
        .await;
    page.click("[data-test=overview-further]").await;
    shows(page, 5).await;
    page.until_says("[data-test=overview-more]", "There are no others")
        .await;
    // The button is gone, and who pressed it is still there and hears of it.
    page.until(
        "document.activeElement === document.querySelector('[data-test=overview-more] [role=status]')",
    )
    .await;
    // Of such a run there is no log. Whoever comes back has them still.
    page.expect_failed_requests();
    page.click("[data-test=recent] .item-link").await;
    page.until_there("[data-test=task], [data-test=failure]")
        .await;
    page.eval("history.back()").await;
    shows(page, 5).await;
    scene.browser.end().await;
}

#[tokio::test]
async fn what_is_kept_of_them_is_bounded_and_what_does_not_match_is_not_kept() {
    let scene = Scene::new().await;
    let script = "(async () => {
        const { Failed } = await import('/assets/overview-failed.js');
        const was = window.fetch;
        let page = 0, answers = true;
        window.fetch = async (url, how) => {
          if (!String(url).startsWith('/api/invocations')) return was(url, how);
          if (!answers) return Response.json({}, { status: 503 });
          page += 1;
          const invocations = Array.from({ length: 200 }, (_, at) => ({ id: page * 1000 + at, project: '/p', taskId: at === 7 ? 'needle' : 'hay', status: 'failed' }));
          return Response.json({ invocations, nextPage: String(page) });
        };
        const failed = new Failed();
        const seen = [failed.state];
        await failed.look();
        for (let n = 0; n < 20; n += 1) await failed.goOn();
        seen.push(failed.state, failed.list().length, failed.looked);
        failed.narrow('needle', (it) => it.taskId === 'needle');
        for (let n = 0; n < 20; n += 1) await failed.goOn();
        seen.push(failed.state, failed.list().length, failed.looked);
        // Where nobody answers, what is known stays, and the next time goes on there.
        let told = [];
        failed.changed = (isAnswered) => told.push(isAnswered);
        answers = false;
        await failed.goOn();
        answers = true;
        await failed.goOn();
        seen.push(failed.list().length, told.join());
        window.fetch = was;
        return seen;
    })()";
    scene.page.expect_failed_requests();
    let seen = scene.page.eval(script).await;
    let expected = json!([
        "unknown",
        "full",
        1200,
        1200,
        "more",
        220,
        4200,
        221,
        "false,true"
    ]);
    assert_eq!(seen, expected);
    scene.browser.end().await;
}
