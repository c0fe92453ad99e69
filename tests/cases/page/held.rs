//! What the page has in memory of a log: rows that are read while lines arrive.

use serde_json::json;

use super::scene::{Scene, connection};

/// The log of an agent that prints one line after another: `print` has it print one of which the page hears
/// at once, `forget` has the page let its rows go, and `shown` gives those that it has, once it has all
/// that it asked for. An answer that was made waits for `held`. The page has its own fetch.
const LOG: &str = r"
    const { ActivityLog } = await import('/assets/activity-log.js');
    let printed = 3, hidden = 0, asked = 0, held = Promise.resolve();
    const line = (n) => ({ ts: n, type: 'output', msg: `n ${n}` });
    const all = (from, to) => Array.from({ length: Math.max(0, to - from) }, (_, at) => from + at + 1).filter((n) => n !== hidden);
    const fetched = window.fetch;
    window.fetch = async (address, options) => {
      const { pathname, searchParams } = new URL(address, location);
      if (!pathname.startsWith('/api/tasks/held/')) return fetched(address, options);
      if (pathname.endsWith('/outline')) {
        const places = all(0, printed).map((n) => [String(n - 1), n]);
        return Response.json({ lines: printed, stride: 1, places, end: String(printed) });
      }
      asked += 1;
      const left = all(Number(searchParams.get('after')), printed);
      const given = left.slice(0, Number(searchParams.get('limit')));
      const more = given.length < left.length;
      const answer = { events: given.map((n) => [String(n), line(n)]), next: String(more ? given.at(-1) : printed), more };
      await held;
      return Response.json(answer);
    };
    let changed = () => {};
    const log = new ActivityLog({
      task: 'held', invocation: 1, project: '/p', filter: { types: 'output' },
      onChange: () => changed(), onFailed: (error) => { throw error; },
    });
    const print = () => {
      printed += 1;
      log.append(String(printed), line(printed));
    };
    const forget = () => log.chunks.clear();
    const read = () => new Promise((resolve) => {
      changed = resolve;
      log.want(0, log.count - 1);
    });
    const shown = () => Array.from({ length: log.count }, (_, at) => log.row(at)?.line.msg ?? null);
    await log.open();
";

#[tokio::test]
async fn a_line_that_comes_while_those_before_it_are_read_is_a_row_as_are_those_after_it() {
    let scene = Scene::new().await;
    let script = format!(
        "(async () => {{ {LOG}
           forget();
           let release;
           held = new Promise((resolve) => {{ release = resolve; }});
           const done = read();
           print();
           release();
           await done;
           print();
           return shown();
         }})()"
    );
    let shown = scene.page.eval(&script).await;
    assert_eq!(shown, json!(["n 1", "n 2", "n 3", "n 4", "n 5"]));
    scene.browser.end().await;
}

#[tokio::test]
async fn a_row_that_was_counted_and_is_not_there_is_asked_for_again_when_another_line_comes() {
    let scene = Scene::new().await;
    let script = format!(
        "(async () => {{ {LOG}
           forget();
           print();
           hidden = 4;
           await read();
           const before = asked;
           // No line came since.
           log.want(0, log.count - 1);
           const again = asked - before;
           hidden = 0;
           print();
           await read();
           return [again, shown()];
         }})()"
    );
    let shown = scene.page.eval(&script).await;
    assert_eq!(shown, json!([0, ["n 1", "n 2", "n 3", "n 4", "n 5"]]));
    scene.browser.end().await;
}

#[tokio::test]
async fn a_result_that_could_not_be_read_is_asked_for_again() {
    let scene = Scene::new().await;
    let script = "(async () => {
        const { ActivityLog } = await import('/assets/activity-log.js');
        const { Row } = await import('/assets/row.js');
        const was = window.fetch;
        let asked = 0;
        window.fetch = async (...call) => {
          // The page behind it goes on asking for what it shows.
          if (!String(call[0]).includes('/invocations/1/')) return was(...call);
          asked += 1;
          const line = { ts: 2, type: 'tool_result', callId: 'c', ok: true };
          return asked === 1 ? Response.json({}, { status: 503 }) : Response.json({ events: [['2', line]] });
        };
        const log = new ActivityLog({ task: 'T', invocation: 1, project: '/p', filter: { types: 'tool' }, onChange() {}, onFailed() {} });
        const row = new Row('1', '0', { ts: 1, type: 'tool', callId: 'c' }, false);
        await log.result(row).catch(() => {});
        await log.result(row);
        // It is known.
        await log.result(row);
        window.fetch = was;
        return [row.state(true), asked];
    })()";
    assert_eq!(scene.page.eval(script).await, json!(["ok", 2]));
    scene.browser.end().await;
}

#[tokio::test]
async fn a_failure_that_comes_while_one_looks_for_failures_tells_its_command() {
    let scene = Scene::new().await;
    let script = "(async () => {
        const { ActivityLog } = await import('/assets/activity-log.js');
        const was = window.fetch;
        const call = { ts: 1, type: 'tool', callId: 'c', cmd: 'make' };
        // Other parts of the page ask for what is theirs.
        window.fetch = async (url, how) => String(url).includes('/lines') ? Response.json({ events: [['1', call]] }) : was(url, how);
        const log = new ActivityLog({ task: 'T', invocation: 1, project: '/p', filter: { types: 'tool_result', ok: 'false' }, onChange() {}, onFailed() {} });
        const failure = { ts: 2, type: 'tool_result', callId: 'c', ok: false };
        log.append('2', failure, JSON.stringify(failure));
        const row = log.row(0);
        if (!row.asked) await log.call(row, '0');
        window.fetch = was;
        return row.tool?.cmd ?? null;
    })()";
    assert_eq!(scene.page.eval(script).await, "make");
    scene.browser.end().await;
}

#[tokio::test]
async fn a_log_that_was_left_is_read_no_more() {
    let scene = Scene::new().await;
    let id = scene
        .ctl
        .start_fake("T1", &["numbers", "--count", "500"])
        .await;
    scene
        .daemon
        .rpc()
        .await
        .ended(&scene.ctl.project(), id)
        .await;
    scene.open("T1", id).await;
    let page = &scene.page;
    connection(page, "live").await;
    let count = "window.asked = [];
        const real = window.fetch;
        window.fetch = (url, options) => {
          window.asked.push(String(url));
          return real(url, options);
        };";
    page.eval(count).await;
    page.click(".brand").await;
    page.until_there("[data-test=projects]").await;
    // A size is told at the end of a frame, and what a list wants then is asked for at once.
    let frames = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))
        .then(() => window.asked.filter((url) => url.includes('/lines')))";
    assert_eq!(page.eval(frames).await, json!([]));
    scene.browser.end().await;
}
