//! Watching: a run from its beginning to its end, through a daemon that dies; two tabs; control.

use serde_json::{Value, json};
use steroids_tests::{Puppet, eventually, log};

use super::scene::{Scene, assert_in_order, connection, picture, row_says, rows};

#[tokio::test]
async fn a_run_is_watched_from_the_overview_to_its_end_through_a_daemon_that_dies() {
    let mut scene = Scene::new().await;
    let page = &scene.page;
    connection(page, "live").await;
    assert_eq!(page.eval("location.hash").await, "", "the code is gone");
    page.until_says("[data-test=projects]", "app").await;
    assert_eq!(page.count("[data-test=running] [data-invocation]").await, 0);
    // Far from the gateway each further one costs a way there and back.
    let scripts = "performance.getEntriesByType('resource')
        .map(({ name }) => new URL(name).pathname).filter((name) => name.endsWith('.js'))";
    assert_eq!(page.eval(scripts).await, json!(["/assets/page.js"]));

    let mut agent = Puppet::new(&scene.home, "agent");
    let rpc = scene.daemon.rpc().await;
    let project = scene.ctl.project();
    // As claude prints it, line by line, moved by hand.
    let recording = crate::recording("claude", "tools");
    let stdout = std::fs::read_to_string(format!("{recording}/stdout")).unwrap();
    let printed: Vec<&str> = stdout.lines().collect();
    let (first, rest) = printed.split_at(printed.len() / 2);
    let started = rpc.start_as(&project, "T1", "claude", &agent.args()).await;
    page.until_there("[data-test=running] [data-invocation]")
        .await;
    for line in first {
        agent.prints(line);
    }
    page.until_says("[data-test=running]", "T1").await;
    picture(page, "overview").await;
    page.click("[data-test=running] [data-invocation]").await;
    page.until_there("[data-test=task][data-task=T1] [data-test=activity] .row")
        .await;
    connection(page, "live").await;
    page.until_there("[data-test=status][data-status=running]")
        .await;
    page.until_there(".row[data-type=tool]").await;
    let log_so_far = log::lines(&scene.ctl.log_path(started.id));
    let last_tool = log_so_far.iter().rfind(|line| line["type"] == "tool");
    let last_tool = last_tool.expect("a tool is in the first half")["cmd"].clone();
    row_says(page, last_tool.as_str().unwrap()).await;
    picture(page, "task-running").await;
    let before = rows(page).await;

    page.expect_failed_requests();
    scene.daemon.kill9().await;
    connection(page, "away").await;
    // Some that were on their way may have come.
    let now = rows(page).await;
    assert!(now.len() >= before.len(), "nothing is cleared");
    for line in rest {
        agent.prints(line);
    }
    agent.exits(0);
    scene.daemon.start_again().await;
    page.until_there("[data-test=status][data-status=completed]")
        .await;
    page.viewport(1280, 3000).await;
    page.until_there(".row[data-type=complete]").await;
    let lines = log::lines(&scene.ctl.log_path(started.id));
    let shown = rows(page).await;
    assert_in_order(&shown);
    let mut shown = shown.into_iter().map(|row| row.1);
    for tool in lines.iter().filter(|line| line["type"] == "tool") {
        // In the log's order, each where it belongs.
        let cmd = tool["cmd"].as_str().unwrap();
        let end = cmd.split(' ').next_back().unwrap();
        assert!(shown.any(|row| row.contains(end)), "{cmd} is not there");
    }
    let count_tools = |ok: bool| {
        let results = lines.iter().filter(|line| line["type"] == "tool_result");
        results.filter(|line| line["ok"] == ok).count() as u64
    };
    for (state, expected) in [("ok", true), ("failed", false)] {
        let selector = format!(".row[data-type=tool][data-state={state}]");
        assert_eq!(
            page.count(&selector).await,
            count_tools(expected),
            "{state}"
        );
    }
    page.viewport(1280, 800).await;
    picture(page, "task-finished").await;
    scene.browser.end().await;
}

#[tokio::test]
async fn a_gateway_that_comes_back_finds_the_page_where_it_was() {
    let mut scene = Scene::new().await;
    let mut agent = Puppet::new(&scene.home, "agent");
    let id = scene.ctl.start_fake("T1", &agent.args()).await;
    for number in 0..5 {
        agent.prints(&format!("before {number}."));
    }
    scene.open("T1", id).await;
    row_says(&scene.page, "before 4.").await;
    connection(&scene.page, "live").await;
    scene.page.expect_failed_requests();
    scene.gateway.kill9().await;
    connection(&scene.page, "reconnecting").await;
    for number in 0..5 {
        agent.prints(&format!("meanwhile {number}."));
    }
    scene.gateway.start_again().await;
    connection(&scene.page, "live").await;
    row_says(&scene.page, "meanwhile 4.").await;
    let shown = rows(&scene.page).await;
    assert_in_order(&shown);
    let outputs: Vec<&str> = shown
        .iter()
        .filter_map(|(_, text)| {
            text.find("before ")
                .or(text.find("meanwhile "))
                .map(|at| &text[at..])
        })
        .map(|text| text.split('.').next().unwrap())
        .collect();
    let expected: Vec<String> = ["before", "meanwhile"]
        .iter()
        .flat_map(|word| (0..5).map(move |number| format!("{word} {number}")))
        .collect();
    assert_eq!(outputs, expected, "none twice, none missing");
    agent.exits(0);
    connection(&scene.page, "live").await;
    scene.page.until_there(".row[data-type=complete]").await;
    scene.browser.end().await;
}

#[tokio::test]
async fn two_tabs_share_the_token_and_one_stream() {
    let scene = Scene::with_tabs().await;
    let mut agent = Puppet::new(&scene.home, "agent");
    let id = scene.ctl.start_fake("T1", &agent.args()).await;
    agent.prints("for both tabs");
    scene.open("T1", id).await;
    row_says(&scene.page, "for both tabs").await;
    connection(&scene.page, "live").await;
    // Beside the first: one that is behind it would hold no stream anyway.
    let second = scene.browser.window().await;
    second.goto(&scene.task("T1", id)).await;
    row_says(&second, "for both tabs").await;
    connection(&second, "live").await;
    // Where the worker is slow to answer, the second begins with one of its own.
    eventually("the tabs to share a stream", async || {
        let streams = r#"steroids_gateway_streams_open{kind="task"}"#;
        let open = scene.gateway.metric(streams).await;
        (open < 1.5).then_some(())
    })
    .await;
    agent.prints("and more");
    row_says(&second, "and more").await;
    scene.page.to_front().await;
    row_says(&scene.page, "and more").await;
    // The one that reads may go; the other goes on.
    let Scene { page, .. } = scene;
    page.close().await;
    second.to_front().await;
    agent.prints("to the one left");
    row_says(&second, "to the one left").await;
    agent.exits(0);
    second.until_there(".row[data-type=complete]").await;
    scene.browser.end().await;
}

#[tokio::test]
async fn tasks_are_asked_for_one_time_after_another_however_much_ends() {
    let scene = Scene::new().await;
    let page = &scene.page;
    let held = "const real = window.fetch;
         const release = new Promise((resolve) => { window.release = resolve; });
         window.asked = 0;
         window.fetch = async (url, options) => {
           if (String(url).startsWith('/api/tasks?')) {
             window.asked += 1;
             document.body.dataset.asked = window.asked;
             await release;
           }
           return real(url, options);
         };";
    page.before_load(held).await;
    page.reload().await;
    page.until_there("body[data-asked]").await;
    for number in 0..5 {
        let task = format!("T{number}");
        scene.ctl.start_fake(&task, &["exit", "0"]).await;
    }
    let ended = "document.querySelectorAll('[data-test=recent] [data-invocation]').length === 5";
    page.until(ended).await;
    assert_eq!(page.eval("window.asked").await, 1);
    page.eval("window.release()").await;
    page.until_there("[data-test=tasks] [data-task=T4]").await;
    scene.browser.end().await;
}

#[tokio::test]
async fn stop_and_start_ask_first_and_then_do() {
    let scene = Scene::new().await;
    let rpc = scene.daemon.rpc().await;
    let project = scene.ctl.project();
    let id = rpc.start_as(&project, "T1", "claude", &["stall"]).await.id;
    scene.open("T1", id).await;
    let page = &scene.page;
    page.click("[data-test=stop]").await;
    page.until_there("#dialog[open]").await;
    page.press("Escape").await;
    page.until("!document.querySelector('#dialog').open").await;
    let now = rpc.get(&project, id).await;
    assert_eq!(now.state(), steroids_proto::v1::State::Running);
    page.click("[data-test=stop]").await;
    page.until_there("#dialog[open]").await;
    page.click("#dialog [data-test=confirm]").await;
    let ended = rpc.ended(&project, id).await;
    assert_eq!(ended.outcome, "cancelled");
    page.until_there("[data-test=status][data-status=failed]")
        .await;
    // The end may be seen before the answer, until which nothing behind the dialog can be clicked.
    page.until("!document.querySelector('#dialog').open").await;
    page.click("[data-test=start]").await;
    page.until_there("#dialog[open] [name=prompt]").await;
    page.fill("#dialog [name=prompt]", "say hello").await;
    page.click("#dialog [data-test=confirm]").await;
    page.until(&format!(
        "Number(document.querySelector('[data-test=task]')?.dataset.invocation) > {id}"
    ))
    .await;
    let started = rpc.get(&project, id + 1).await;
    assert_eq!(started.prompt, "say hello");
    scene.browser.end().await;
}

#[tokio::test]
async fn what_has_failed_is_tried_again_from_the_page() {
    let scene = Scene::new().await;
    let rpc = scene.daemon.rpc().await;
    let project = scene.ctl.project();
    let first = scene.ctl.start_fake("T1", &["exit", "1"]).await;
    rpc.ended(&project, first).await;
    scene.open("T1", first).await;
    let page = &scene.page;
    page.click("[data-test=asked] summary").await;
    page.until_says("[data-test=asked]", "fake-provider exit 1")
        .await;
    picture(page, "asked").await;
    page.until_there("[data-test=retry]:not([hidden])").await;
    page.click("[data-test=retry]").await;
    page.until_there("#dialog[open]").await;
    picture(page, "retry").await;
    page.click("#dialog [data-test=confirm]").await;
    page.until_there("[data-test=task][data-invocation='2']")
        .await;
    let second = rpc.ended(&project, 2).await;
    assert_eq!((second.attempt, second.retry_of), (2, Some(first)));
    // Of those before the last there is nothing to try again.
    scene.open("T1", first).await;
    page.until_says("[data-test=facts]", "Retried by").await;
    page.until_there("[data-test=retry][hidden]").await;
    scene.browser.end().await;
}

#[tokio::test]
async fn what_can_be_started_from_the_page_is_an_agent() {
    let scene = Scene::new().await;
    let plain = scene.ctl.start_fake("T1", &["stall"]).await;
    scene.open("T1", plain).await;
    let page = &scene.page;
    page.click("[data-test=start]").await;
    page.until_there("#dialog[open] [name=provider]").await;
    let offered = "[...document.querySelector('[name=provider]').options].map((it) => it.value)";
    assert_eq!(
        page.eval(offered).await,
        json!(["claude", "codex", "gemini", "opencode"])
    );
    let chosen = "document.querySelector('[name=provider]').value";
    assert_eq!(page.eval(chosen).await, "claude");
    scene.browser.end().await;
}

#[tokio::test]
async fn without_a_code_or_with_a_used_one_it_says_how_to_get_in() {
    let scene = Scene::new().await;
    let used = scene.address().await;
    let code = used.split_once("#code=").unwrap().1;
    let trade = scene.gateway.bare("POST", "/api/session");
    trade.json(&json!({ "code": code })).send().await.ok();
    let Scene { page, .. } = scene;
    page.close().await;
    let stranger = scene.browser.page().await;
    stranger.expect_failed_requests();
    stranger.goto(&scene.gateway.origin()).await;
    stranger
        .until_says("[data-test=signin]", "steroidsctl web")
        .await;
    // A used link typed into an open page is a step within it.
    stranger.goto(&used).await;
    stranger.until_says("[data-test=signin]", "used").await;
    let fresh = {
        let said = scene.ctl.run(["web"]).await.ok();
        let mut words = said.split_whitespace();
        words
            .find(|word| word.starts_with("http://"))
            .unwrap()
            .to_owned()
    };
    stranger.goto(&fresh).await;
    stranger.until_there("[data-test=projects]").await;
    let held = stranger.eval("JSON.stringify([localStorage, document.cookie])");
    let held = held.await;
    assert!(!held.as_str().unwrap().contains(&scene.gateway.token()));
    scene.ctl.run(["web", "--rotate"]).await.ok();
    stranger.until_there("[data-test=signin]").await;
    let told: Value = stranger
        .eval("document.querySelector('[data-test=projects]')")
        .await;
    assert!(told.is_null(), "nothing of what was shown is left");
    scene.browser.end().await;
}

#[tokio::test]
async fn one_new_address_brings_all_tabs_back_that_a_new_token_has_signed_out() {
    let scene = Scene::new().await;
    let mut agent = Puppet::new(&scene.home, "agent");
    let id = scene.ctl.start_fake("T1", &agent.args()).await;
    agent.prints("before.");
    let second = scene.browser.page().await;
    for page in [&scene.page, &second] {
        page.expect_failed_requests();
        page.goto(&scene.task("T1", id)).await;
        row_says(page, "before.").await;
    }
    scene.ctl.run(["web", "--rotate"]).await.ok();
    let stranger = scene.browser.page().await;
    stranger.expect_failed_requests();
    for page in [&scene.page, &second] {
        page.until_there("[data-test=signin]").await;
    }
    stranger.goto(&scene.gateway.origin()).await;
    stranger.until_there("[data-test=signin]").await;
    agent.prints("meanwhile.");
    scene.page.goto(&scene.address().await).await;
    scene.page.until_there("[data-test=projects]").await;
    row_says(&second, "meanwhile.").await;
    connection(&second, "live").await;
    agent.prints("after.");
    row_says(&second, "after.").await;
    stranger.until_there("[data-test=projects]").await;
    connection(&stranger, "live").await;
    scene.browser.end().await;
}

#[tokio::test]
async fn a_token_that_was_refused_is_not_taken_back_from_a_sibling() {
    let scene = Scene::new().await;
    let page = &scene.page;
    page.expect_failed_requests();
    let script = "(async () => {
        const { forget, onFound, token } = await import('/assets/session.js');
        const found = new Promise((resolve) => onFound(() => resolve(token())));
        const refused = token();
        forget(refused);
        const sibling = new BroadcastChannel('steroids.session');
        // They arrive in this order.
        for (const one of [refused, 'newer']) sibling.postMessage({ token: one });
        return found;
    })()";
    assert_eq!(page.eval(script).await, "newer");
    scene.browser.end().await;
}

#[tokio::test]
async fn what_a_run_waits_for_is_seen_from_afar_and_from_near() {
    let scene = Scene::new().await;
    let page = &scene.page;
    let mut agent = Puppet::new(&scene.home, "agent");
    let rpc = scene.daemon.rpc().await;
    let project = scene.ctl.project();
    let started = rpc.start_as(&project, "T1", "claude", &agent.args()).await;
    agent.prints(r#"{"type":"assistant","message":{"id":"m1","role":"assistant","content":[{"type":"tool_use","id":"c1","name":"Bash","input":{"command":"make all"}}]},"session_id":"s"}"#);
    page.until_says("[data-field=wait]", "waits for tool Bash · ")
        .await;
    picture(page, "waits-overview").await;

    // What waits, and of which provider nothing is started; it goes with what waited for it.
    let hold = ["holds", "set", "command", "--for", "1h"];
    scene.ctl.run(hold).await.ok();
    scene.ctl.start_fake("T2", &["exit", "0"]).await;
    page.until_says("[data-test=holds]", "command is held until ")
        .await;
    picture(page, "holds-overview").await;
    scene.ctl.run(["holds", "lift", "command"]).await.ok();
    page.until_there("[data-test=holds][hidden]").await;
    scene.open("T1", started.id).await;
    page.until_says("[data-test=facts]", "Waits for").await;
    page.until_says("[data-test=facts]", "tool Bash · ").await;
    picture(page, "waits-task").await;

    // Every state there is, without having to wait for it.
    let words = "import('/assets/waits.js').then(({ waitText, limitText }) => {
        const now = 1_000_000;
        const say = (live) => [waitText(live, now), limitText(live, now)].join('|');
        return [
            say(undefined),
            say({ waitsSinceMs: now - 4000 }),
            say({ waitsSinceMs: now - 720_000 }),
            say({ waitsFor: 'model', waitsSinceMs: now - 4000 }),
            say({ waitsFor: 'retry', waitsSinceMs: now - 4000, waitsUntilMs: now - 1 }),
            say({ waitsFor: 'message', waitsSinceMs: now - 4000 }),
            say({ waitsFor: 'message', waitsSinceMs: now - 4000, waitsUntilMs: now + 60_000 }),
            say({ waitsFor: 'unfinished_line', waitsOn: 'Go on?', waitsSinceMs: now - 4000 }),
            say({ waitsFor: 'unfinished_line', waitsOn: 'Go on?', waitsSinceMs: now - 720_000 }),
            say({ waitsFor: 'result_sent', waitsSinceMs: now - 4000 }),
            say({ waitsFor: 'model', waitsSinceMs: now - 720_000, limit: 'silence', limitAtMs: now + 179_000 }),
        ];
    })";
    assert_eq!(
        page.eval(words).await,
        json!([
            "|",
            "|",
            "quiet for 12m 00s|",
            "model · 4s|",
            "retry · 4s|",
            "your message · 4s|",
            "your message · 4s · its input is closed in 1m 00s|",
            "|",
            "the rest of a line, or an answer: Go on? · 12m 00s|",
            "result sent · 4s|",
            "model · 12m 00s|silence ends it in 2m 59s"
        ])
    );
    let near = "import('/assets/overview-cards.js').then(({ runningCard, updateRunning }) => {
        const live = { waitsFor: 'model', waitsSinceMs: 1000, limit: 'tool_silence', limitAtMs: 9000 };
        const models = { provider: 'claude', model: 'sonnet', answeringModel: 'claude-sonnet-4-5' };
        const it = { taskId: 'T', project: '/p', status: 'running', alarm: 'disk full', live, ...models };
        const card = runningCard(it);
        updateRunning(card, it, 5000);
        return ['.card-who', '.card-wait', '.card-alarm'].map((place) => card.querySelector(place).textContent);
    })";
    assert_eq!(
        page.eval(near).await,
        json!([
            "p · claude · claude-sonnet-4-5",
            "waits for model · 4s",
            "disk full · silence of its tool ends it in 4s"
        ])
    );
    // Its log's last line may overtake what its row told before; another database counts anew.
    let news = "import('/assets/story.js').then(({ Story }) => {
        const story = new Story({ onChange() {} });
        const say = (news) => {
            story.put({ id: 1, ...news });
            return story.invocations[0].status;
        };
        return [
            say({ uuid: 'a', status: 'queued' }),
            say({ uuid: 'a', status: 'running' }),
            say({ status: 'failed', outcome: 'failed' }),
            say({ uuid: 'a', status: 'running', live: { waitsFor: 'ending' } }),
            say({ usage: { inputTokens: 1 } }),
            say({ uuid: 'a', status: 'timeout', outcome: 'timeout_wall' }),
            say({ uuid: 'b', status: 'running' }),
            say({ uuid: 'c', status: 'failed', managed: false }),
            say({ uuid: 'c', status: 'running', managed: false }),
        ];
    })";
    assert_eq!(
        page.eval(news).await,
        json!([
            "queued", "running", "failed", "failed", "failed", "timeout", "running", "failed",
            "running"
        ])
    );
    agent.exits(0);
    page.until_there("[data-test=status][data-status=failed]")
        .await;
    let facts = page
        .eval("document.querySelector('[data-test=facts]').textContent")
        .await;
    assert!(!facts.as_str().unwrap().contains("Waits for"), "{facts}");
    scene.browser.end().await;
}
