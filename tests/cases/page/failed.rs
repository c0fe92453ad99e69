//! Of what failed none is lost from the list, whatever comes while somebody reads on in it. The list's module alone, against
//! pages as the daemon makes them, three rows each.

use serde_json::{Value, json};

use super::scene::Scene;

/// Rows and who is asked for them: `fails` adds one, `held` is what waits for `release`, `all` reads on to the end.
const PRELUDE: &str = "
  const real = { fetch: window.fetch, now: Date.now, worker: window.SharedWorker };
  const hour = 3_600_000, began = Date.now() - 10 * hour;
  let rows = [], size = 3, ahead = 0, isHeld = false, release = [], stream;
  Date.now = () => real.now() + ahead;
  window.SharedWorker = undefined;
  const fails = (id, more) => rows.push({ project: '/p', id, taskId: 'T', status: 'failed', startedAtMs: began + id, completedAtMs: began + id, ...more });
  const answer = (asked) => {
    const place = JSON.parse(asked.get('page') ?? '{}');
    const left = rows.filter((it) => it.id < (place[it.project] ?? Infinity) && !it.retriedBy
      && it.completedAtMs >= Number(asked.get('since')) && it.startedAtMs < Number(asked.get('until') ?? Infinity));
    const invocations = [];
    while (left.length && invocations.length < size) {
      const heads = new Map(left.toSorted((a, b) => a.id - b.id).map((it) => [it.project, it]));
      const [head] = [...heads.values()].sort((a, b) => b.startedAtMs - a.startedAtMs);
      invocations.push(head);
      left.splice(left.indexOf(head), 1);
      place[head.project] = head.id;
    }
    return { invocations, nextPage: left.length ? JSON.stringify(place) : undefined };
  };
  window.fetch = async (url, how) => {
    const { pathname, searchParams } = new URL(url, location);
    if (pathname === '/api/overview/stream') return new Response(new ReadableStream({ start(it) { stream = it; } }));
    if (pathname !== '/api/invocations') return real.fetch(url, how);
    const page = structuredClone(answer(searchParams));
    if (isHeld && searchParams.has('page')) await new Promise((go) => release.push(go));
    return Response.json(page);
  };
  const { Failed } = await import('/assets/overview-failed.js');
  const failed = new Failed();
  const ids = () => failed.list().map((it) => it.id).sort((a, b) => a - b).join();
  const all = async () => {
    while (['more', 'older'].includes(failed.state)) await failed.goOn();
    return ids();
  };
";

/// What a script gives that has all of it.
async fn gives(scene: &Scene, script: &str) -> Value {
    let script = format!(
        "(async () => {{ {PRELUDE} try {{ return await (async () => {{ {script} }})(); }} finally {{
           window.fetch = real.fetch; Date.now = real.now; window.SharedWorker = real.worker;
         }} }})()"
    );
    scene.page.eval(&script).await
}

#[tokio::test]
async fn a_page_that_was_on_its_way_is_none_of_a_list_that_was_begun_anew() {
    let scene = Scene::new().await;
    let typed = "
        for (let id = 1; id <= 12; id += 1) fails(id);
        await failed.look();
        await failed.goOn();
        isHeld = true;
        const late = failed.goOn();
        failed.narrow('x', () => false);
        failed.narrow('', () => true);
        isHeld = false;
        release.forEach((go) => go());
        await late;
        return all();";
    // News while the first page behind the newest is on its way.
    let news = "
        for (let id = 1; id <= 11; id += 1) fails(id);
        await failed.look();
        isHeld = true;
        const late = failed.goOn();
        fails(12);
        await failed.look();
        isHeld = false;
        release.forEach((go) => go());
        await late;
        return all();";
    let seen = [gives(&scene, typed).await, gives(&scene, news).await];
    assert_eq!(seen, ["1,2,3,4,5,6,7,8,9,10,11,12"; 2]);
    scene.browser.end().await;
}

#[tokio::test]
async fn what_newer_ones_push_from_the_first_page_stays() {
    let scene = Scene::new().await;
    // One came of age meanwhile.
    let aged = "
        const old = { startedAtMs: real.now() - 71 * hour, completedAtMs: real.now() - 71 * hour };
        fails(1, old); fails(2, old); fails(3); fails(4);
        await failed.look();
        await failed.goOn();
        ahead = 2 * hour;
        await failed.look();
        return all();";
    // One waited for long: its id is low, and it began late.
    let waited = "
        for (let id = 1; id <= 6; id += 1) fails(id, id === 4 ? { startedAtMs: began + 100 } : {});
        await failed.look();
        await failed.goOn();
        fails(7);
        await failed.look();
        return all();";
    // More than a page came at once.
    let many = "
        for (let id = 1; id <= 7; id += 1) fails(id);
        await failed.look();
        await failed.goOn();
        for (let id = 8; id <= 12; id += 1) fails(id);
        await failed.look();
        return all();";
    // What is gone does not.
    let gone = "
        for (let id = 1; id <= 7; id += 1) fails(id);
        await failed.look();
        await failed.goOn();
        rows = rows.filter((it) => it.id !== 6);
        fails(8);
        await failed.look();
        return all();";
    let expected = [
        (aged, "1,2,3,4"),
        (waited, "1,2,3,4,5,6,7"),
        (many, "1,2,3,4,5,6,7,8,9,10,11,12"),
        (gone, "1,2,3,4,5,7,8"),
    ];
    let mut seen = Vec::new();
    for (script, _) in expected {
        seen.push(gives(&scene, script).await);
    }
    assert_eq!(seen, expected.map(|(_, ids)| ids));
    scene.browser.end().await;
}

#[tokio::test]
async fn what_the_stream_tells_of_is_in_the_list_wherever_its_page_is() {
    let scene = Scene::new().await;
    let script = "
        const { onOverview, startOverview } = await import('/assets/overview-feed.js');
        const tell = (invocation) => new Promise((heard) => {
          const stop = onOverview(() => { stop(); heard(); });
          const { project } = invocation;
          stream.enqueue(new TextEncoder().encode(`data: ${JSON.stringify({ type: 'invocation', project, invocation })}\\n\\n`));
        });
        startOverview();
        for (let id = 1; id <= 12; id += 1) if (id !== 2) fails(id);
        await failed.look();
        const seen = [await all()];
        // It ran for as long as the others together.
        fails(2);
        await tell(rows.at(-1));
        seen.push(ids());
        // One is tried again while a page is on its way that has it.
        failed.narrow('p', () => true);
        isHeld = true;
        const late = failed.goOn();
        rows.find((it) => it.id === 8).retriedBy = 13;
        await tell({ project: '/p', id: 13, taskId: 'T', status: 'running', retryOf: 8 });
        isHeld = false;
        release.forEach((go) => go());
        await late;
        seen.push(await all());
        return seen;";
    let expected = json!([
        "1,3,4,5,6,7,8,9,10,11,12",
        "1,2,3,4,5,6,7,8,9,10,11,12",
        "1,2,3,4,5,6,7,9,10,11,12"
    ]);
    assert_eq!(gives(&scene, script).await, expected);
    scene.browser.end().await;
}

#[tokio::test]
async fn of_what_newer_ones_push_from_the_first_page_no_more_is_kept_either() {
    let scene = Scene::new().await;
    let script = "
        size = 200;
        for (let id = 1; id <= 1500; id += 1) fails(id);
        await failed.look();
        const seen = [(await all()).split(',').length];
        for (let id = 1501; id <= 1900; id += 1) {
          fails(id);
          if (id % 100 === 0) await failed.look();
        }
        const kept = failed.list().map((it) => it.id);
        seen.push(kept.length, Math.min(...kept), failed.state);
        return seen;";
    assert_eq!(
        gives(&scene, script).await,
        json!([1200, 1200, 701, "full"])
    );
    scene.browser.end().await;
}
