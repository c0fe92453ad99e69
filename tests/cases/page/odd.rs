//! What is not as it should be: odd lines in another tool's log, words of the gateway's that look like
//! lines, a browser that keeps nothing, a token that was replaced behind the page's back.

use std::fs::OpenOptions;
use std::io::Write;

use serde_json::{Value, json};
use steroids_tests::{Puppet, old_database};

use super::scene::{Scene, assert_in_order, connection, row_says, rows};

/// Lines of JSON, and of none, that no agent of ours would log.
fn odd_lines() -> Vec<String> {
    let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    let deep = [
        format!(
            r#"{{"ts":1,"type":"output","msg":"deep","x":{}}}"#,
            nested(20_000)
        ),
        format!(r#"{{"ts":1,"type":{}}}"#, nested(200)),
        format!(r#"{{"ts":{},"type":"output"}}"#, nested(200)),
    ];
    let lines = [
        "null",
        "17",
        "\"a text\"",
        "[{\"type\":\"error\"}]",
        "{}",
        "not json",
        "{\"torn\":",
        r#"{"ts":1,"type":"output","msg":"torn behind its type"#,
        r#"{"type":5}"#,
        r#"{"type":"constructor","ts":2}"#,
        r#"{"type":"__proto__","__proto__":{"type":"tool"}}"#,
        r#"{"type":"output","ts":1e300,"msg":{"toString":1}}"#,
        r#"{"type":"tool","ts":"x","cmd":7,"name":[],"callId":{}}"#,
        r#"{"type":"tool_result","ts":3,"callId":{},"ok":"no","msg":[1]}"#,
        r#"{"type":"usage","ts":3,"inputTokens":{"valueOf":1},"totalCostUsd":"free"}"#,
        r#"{"type":"plan","ts":3,"items":[null,5,{"text":{"toString":1},"status":[]}]}"#,
        r#"{"type":"notice","ts":-1e17,"level":{},"msg":null}"#,
        r#" {"type":"error","error":"forged"}"#,
        r#" {"type":"log_not_found","taskId":"old","invocationId":1}"#,
        r#"{"ts":4,"type":"complete","success":{},"outcome":"","usage":7}"#,
        r#"{"ts":5,"type":"gap","msg":"in a text"}"#,
    ];
    let lines = lines.into_iter().map(str::to_owned);
    lines.chain(deep).collect()
}

#[tokio::test]
async fn no_line_stops_the_page_and_none_passes_for_the_gateways_own() {
    let scene = Scene::new().await;
    let ctl = scene.daemon.ctl(&scene.home.folder("old"));
    let db = old_database::at_028(ctl.folder());
    let id = old_database::insert_running(&db, "old", 1_700_000_000_000);
    ctl.run(["init"]).await.ok();
    let path = ctl.log_path(id);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut log = OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .unwrap();
    let says = |text: &str| format!("{{\"ts\":5,\"type\":\"output\",\"msg\":\"{text}\"}}\n");
    log.write_all(says("the first.").as_bytes()).unwrap();
    let page = &scene.page;
    // The row that was there before has no log, and the story asks for it.
    page.expect_failed_requests();
    page.viewport(1280, 3000).await;
    let (origin, project) = (scene.gateway.origin(), ctl.project());
    let address = format!("{origin}/tasks/old?project={project}&invocation={id}");
    page.goto(&address).await;
    row_says(page, "the first.").await;
    let watch = "window.announced = [];
         new MutationObserver(([{ target }]) => window.announced.push(target.textContent))
           .observe(document.getElementById('announcer'), { childList: true });";
    page.eval(watch).await;
    connection(page, "live").await;
    // Each beside a line that is in order, and may share its message.
    for (number, odd) in odd_lines().iter().enumerate() {
        let both = format!("{odd}\n{}", says(&format!("after {number}.")));
        log.write_all(both.as_bytes()).unwrap();
        row_says(page, &format!("after {number}.")).await;
    }
    let live = rows(page).await;
    assert_in_order(&live);
    let in_order = |rows: &[(u64, String)]| {
        let said = rows.iter().filter(|(_, text)| text.contains("after "));
        said.cloned().collect::<Vec<_>>()
    };
    assert_eq!(in_order(&live).len(), odd_lines().len());
    connection(page, "live").await;
    let status = "[data-test=status][data-status=running]";
    assert_eq!(page.count(status).await, 1, "it runs, whatever a line says");
    let announced = page.eval("window.announced").await;
    assert_eq!(announced, json!([]), "no line makes the log another one");
    // Read from the log, each stands in the same place.
    page.reload().await;
    row_says(page, &format!("after {}.", odd_lines().len() - 1)).await;
    let read = rows(page).await;
    assert_eq!((in_order(&read), read.len()), (in_order(&live), live.len()));
    // What looks like the daemon's own is taken for it: the log is read anew, and all is there.
    page.eval(watch).await;
    connection(page, "live").await;
    let gap = "{\"ts\":6,\"type\":\"gap\",\"reason\":\"rebuilt\"}\n";
    log.write_all((gap.to_owned() + &says("the last.")).as_bytes())
        .unwrap();
    page.until("window.announced.some((text) => text.includes('written anew'))")
        .await;
    row_says(page, "the last.").await;
    scene.browser.end().await;
}

/// How a stream of the page's ends whose connection ends after these bytes; whether a last line of
/// the log ends it.
async fn end_of(scene: &Scene, bytes: &str, by_line: bool) -> Value {
    let bytes = json!(bytes);
    let script = format!(
        "(async () => {{
           const {{ ResumingStream }} = await import('/assets/stream.js');
           const was = window.fetch;
           // Other parts of the page ask for what is theirs.
           window.fetch = async (url, how) => String(url).startsWith('/x') ? new Response({bytes}) : was(url, how);
           const states = [];
           const ended = new Promise((resolve) => {{
             const it = new ResumingStream({{
               url: '/x', endsByLine: {by_line}, token: () => null,
               onEvents() {{ throw new TypeError('of a listener'); }},
               onState(state, detail) {{
                 if (state === 'catching-up') return;
                 resolve([state, detail?.error ?? null]);
                 it.close();
               }},
             }});
           }});
           const heard = (event) => event.preventDefault();
           addEventListener('error', heard);
           const end = await ended;
           removeEventListener('error', heard);
           window.fetch = was;
           return end;
         }})()"
    );
    scene.page.eval(&script).await
}

/// What a stream of another tool's run says of itself, with one connection that ends after a last
/// line and further ones that are answered with `then`, until it says `until`.
async fn states_of(scene: &Scene, then: u16, until: &str) -> Value {
    let script = format!(
        "(async () => {{
           const {{ ResumingStream }} = await import('/assets/stream.js');
           const was = window.fetch;
           let asked = 0;
           window.fetch = async (url, how) => !String(url).startsWith('/x')
             ? was(url, how)
             : asked++ === 0
             ? new Response('id: 1:0:9\\ndata: {{\"type\":\"complete\"}}\\n\\n')
             : new Response(null, {{ status: {then} }});
           const states = [];
           await new Promise((resolve) => {{
             const it = new ResumingStream({{
               url: '/x', endsByLine: false, token: () => null, onEvents() {{}},
               onState(state) {{
                 states.push(state);
                 if (state !== '{until}') return;
                 resolve();
                 it.close();
               }},
             }});
           }});
           window.fetch = was;
           return [states, asked];
         }})()"
    );
    scene.page.eval(&script).await
}

#[tokio::test]
async fn the_end_of_another_tools_run_does_not_look_like_a_gateway_that_is_gone() {
    let scene = Scene::new().await;
    let ended = states_of(&scene, 204, "ended").await;
    assert_eq!(ended, json!([["catching-up", "ended"], 2]));
    // One that is gone in just that moment is told of as ever.
    let gone = states_of(&scene, 503, "reconnecting").await;
    assert_eq!(gone, json!([["catching-up", "reconnecting"], 2]));
    scene.browser.end().await;
}

#[tokio::test]
async fn the_gateways_words_and_a_logs_lines_are_told_apart_by_their_ids() {
    let scene = Scene::new().await;
    for (bytes, state, error) in [
        (
            "id: 1:0:9\ndata: {\"type\":\"complete\"}\n\n",
            "ended",
            None,
        ),
        ("id: 1:0:9\ndata: {\"type\":\"error\"}\n\n", "ended", None),
        ("data: {\"type\":\"log_not_found\"}\n\n", "ended", None),
        (
            "id: 1:0:9\ndata: {\"type\":\"log_not_found\"}\n\n",
            "reconnecting",
            None,
        ),
        // The id of the line before is not its own.
        (
            "id: 1:0:9\ndata: {\"type\":\"output\"}\n\ndata: {\"type\":\"error\",\"error\":\"no\"}\n\n",
            "refused",
            Some("no"),
        ),
        ("data: {\"type\":\"complete\"}\n\n", "reconnecting", None),
        ("id: 1:0:9\ndata: null\n\n", "reconnecting", None),
        // A gateway that stops says when to come back.
        (
            "id: 1:0:9\ndata: {\"type\":\"error\"}\n\nretry: 1000\n\n",
            "reconnecting",
            None,
        ),
    ] {
        let end = end_of(&scene, bytes, true).await;
        assert_eq!(end, json!([state, error]), "{bytes}");
    }
    // Of another tool's run only its row says that it has ended.
    for (bytes, state, error) in [
        (
            "id: 1:0:9\ndata: {\"type\":\"complete\"}\n\n",
            "reconnecting",
            None,
        ),
        (
            "id: 1:0:9\ndata: {\"type\":\"error\"}\n\n",
            "reconnecting",
            None,
        ),
        ("data: {\"type\":\"log_not_found\"}\n\n", "ended", None),
        (
            "data: {\"type\":\"error\",\"error\":\"no\"}\n\n",
            "refused",
            Some("no"),
        ),
    ] {
        let end = end_of(&scene, bytes, false).await;
        assert_eq!(end, json!([state, error]), "{bytes}");
    }
    scene.browser.end().await;
}

#[tokio::test]
async fn a_stream_that_the_gateway_refused_is_opened_again_when_asked_to() {
    let scene = Scene::new().await;
    let id = scene.ctl.start_fake("T1", &["stall"]).await;
    let page = &scene.page;
    // The first stream is refused as a gateway does that has begun to answer.
    page.before_load(
        r#"delete window.SharedWorker;
         const real = window.fetch;
         let refused = false;
         window.fetch = async (url, options) => {
           if (refused || !String(url).includes('/tasks/T1/stream')) return real(url, options);
           refused = true;
           return new Response('data: {"type":"error","error":"not now"}\n\n');
         };"#,
    )
    .await;
    page.goto(&scene.task("T1", id)).await;
    page.until_says("[data-test=panel-note]", "not now").await;
    connection(page, "refused").await;
    page.click("[data-test=panel-note] button").await;
    connection(page, "live").await;
    let hidden = "[data-test=panel-note][hidden]";
    page.until(&format!("document.querySelector('{hidden}')"))
        .await;
    scene.browser.end().await;
}

#[tokio::test]
async fn a_browser_that_keeps_nothing_shows_the_page_all_the_same() {
    let scene = Scene::new().await;
    let page = &scene.page;
    page.before_load(
        "Object.defineProperty(window, 'localStorage', {
           get() { throw new DOMException('denied', 'SecurityError'); } });",
    )
    .await;
    page.reload().await;
    connection(page, "live").await;
    for theme in ["light", "dark"] {
        page.click("#theme").await;
        page.until_there(&format!("html[data-theme={theme}]")).await;
    }
    scene.browser.end().await;
}

#[tokio::test]
async fn a_token_that_is_refused_is_given_up_only_if_there_is_no_newer_one() {
    let mut scene = Scene::new().await;
    connection(&scene.page, "live").await;
    scene.page.expect_failed_requests();
    scene.gateway.kill9().await;
    connection(&scene.page, "reconnecting").await;
    // Replaced, and brought by a sibling, while the stream still goes by the old one.
    let newer = "0123456789abcdef".repeat(4);
    let file = scene.home.state_dir().join("gateway/token");
    std::fs::write(file, format!("{newer}\n")).unwrap();
    let sibling =
        format!("new BroadcastChannel('steroids.session').postMessage({{ token: '{newer}' }})");
    scene.page.eval(&sibling).await;
    let kept = format!("sessionStorage.getItem('steroids.token') === '{newer}'");
    scene.page.until(&kept).await;
    scene.gateway.start_again().await;
    connection(&scene.page, "live").await;
    assert_eq!(scene.page.count("[data-test=signin]").await, 0);
    scene.browser.end().await;
}

#[tokio::test]
async fn an_answer_that_breaks_off_or_is_given_up_is_no_answer() {
    let scene = Scene::new().await;
    let script = "(async () => {
        const { get } = await import('/assets/api.js');
        const was = window.fetch;
        // Of what is real, a stream's body never ends; of what is not, it breaks off.
        let reads;
        window.fetch = async (path, options) => {
          if (path !== '/api/overview/stream') {
            const start = (body) => body.error(new TypeError('network error'));
            return new Response(new ReadableStream({ start }), { status: path === '/gone' ? 503 : 200 });
          }
          const answer = await was(path, options);
          answer.json = () => {
            reads();
            return Response.prototype.json.call(answer);
          };
          return answer;
        };
        const told = (answer) => answer.then(() => 'an answer', ({ name, message }) => [name, message]);
        const closed = new AbortController();
        const isRead = new Promise((resolve) => { reads = resolve; });
        const givenUp = told(get('/api/overview/stream', { signal: closed.signal }));
        await isRead;
        closed.abort();
        const all = [(await givenUp)[0], await told(get('/x')), await told(get('/gone'))];
        window.fetch = was;
        return all;
    })()";
    assert_eq!(
        scene.page.eval(script).await,
        json!([
            "AbortError",
            ["Error", "the gateway cannot be reached"],
            ["Error", "the gateway answered 503"],
        ])
    );
    scene.browser.end().await;
}

#[tokio::test]
async fn a_task_that_was_left_before_all_of_it_came_does_not_come_back() {
    let scene = Scene::new().await;
    let id = scene.ctl.start_fake("T1", &["stall"]).await;
    let page = &scene.page;
    // What waits for an answer's text runs before a timer does.
    let held = "const real = window.fetch;
         const release = new Promise((resolve) => { window.release = resolve; });
         window.fetch = async (url, options) => {
           if (url !== '/api/status') return real(url, options);
           await release;
           const answer = await real(url, options);
           const body = await answer.json();
           answer.json = async () => {
             setTimeout(() => { document.body.dataset.read = 'true'; });
             return body;
           };
           return answer;
         };";
    page.before_load(held).await;
    page.goto(&scene.task("T1", id)).await;
    page.click(".brand").await;
    page.until_there("[data-test=projects]").await;
    page.eval("window.release()").await;
    page.until_there("body[data-read]").await;
    assert_eq!(page.count("[data-test=task]").await, 0);
    page.until_there("[data-test=projects]").await;
    scene.browser.end().await;
}

#[tokio::test]
async fn an_address_of_an_invocation_that_is_none_of_the_task_says_so() {
    let scene = Scene::new().await;
    let id = scene.ctl.start_fake("T1", &["stall"]).await;
    let page = &scene.page;
    page.goto(&scene.task("T1", 9999)).await;
    let words = "no invocation 9999 of this task";
    page.until_says("[data-test=missing]:not([hidden])", words)
        .await;
    page.until_there(&format!("[data-test=task][data-invocation='{id}']"))
        .await;
    scene.open("T1", id).await;
    assert_eq!(page.count("[data-test=missing]:not([hidden])").await, 0);
    scene.browser.end().await;
}

#[tokio::test]
async fn a_task_of_any_name_is_opened_followed_and_stopped() {
    let scene = Scene::new().await;
    let page = &scene.page;
    let names = [".", "..", "%2e", "a/b", "50 % ?#&+"];
    for (number, task) in names.iter().enumerate() {
        let mut agent = Puppet::new(&scene.home, &format!("agent{number}"));
        let id = scene.ctl.start_fake(task, &agent.args()).await;
        agent.prints("at first.");
        page.goto(&scene.gateway.origin()).await;
        let card = format!(".card[data-invocation=\"{id}\"]");
        page.until_there(&card).await;
        page.click(&card).await;
        row_says(page, "at first.").await;
        // The address alone leads there, too.
        let address = page.eval("location.href").await;
        page.goto(address.as_str().unwrap()).await;
        row_says(page, "at first.").await;
        connection(page, "live").await;
        agent.prints("then.");
        row_says(page, "then.").await;
        page.click("[data-test=stop]").await;
        page.click("#dialog[open] [data-test=confirm]").await;
        page.until_there("[data-test=status][data-status=failed]")
            .await;
    }
    scene.browser.end().await;
}
