//! Who comes back to the list finds it where they left it.

use serde_json::{Value, json};
use steroids_tests::Page;
use steroids_tests::rpc::{argv, command};

use super::scene::Scene;

const CARDS: &str = "document.querySelectorAll('[data-test=waiting] > [data-invocation]').length";

/// So many that wait, and a page that shows them.
async fn waiting(scene: &Scene, count: usize) {
    let rpc = scene.daemon.rpc().await;
    let hold = ["holds", "set", "command", "--for", "1h"];
    scene.ctl.run(hold).await.ok();
    for number in 0..count {
        let request = command(
            &scene.ctl.project(),
            &format!("T{number}"),
            argv(&["stall"]),
        );
        rpc.start(request).await.unwrap();
    }
    scene.page.until(&format!("{CARDS} === {count}")).await;
}

/// Brings an item to the middle of the screen, and gives where it stands, in whole pixels, once all that is seen has
/// its own size.
async fn scrolls_to(page: &Page, id: u64) -> Value {
    let top = top(id);
    let scroll = format!(
        "import('/assets/place.js').then(({{ isLaidOut }}) => new Promise((done) => {{
           const view = document.querySelector('main');
           const look = () => {{
             const was = {top};
             document.querySelector('[data-invocation=\"{id}\"]').scrollIntoView({{ block: 'center' }});
             if (was === {top} && isLaidOut(view)) done({top});
             else requestAnimationFrame(look);
           }};
           look();
         }}))"
    );
    page.eval(&scroll).await
}

fn top(id: u64) -> String {
    format!(
        "Math.round(document.querySelector('[data-invocation=\"{id}\"]')?.getBoundingClientRect().top)"
    )
}

/// Waits until it stands there, to a pixel: what is laid out for the first time moves it within some frames.
async fn until_stands(page: &Page, id: u64, there: &Value) {
    let top = top(id);
    let stands = format!(
        "new Promise((done) => {{
           const look = () => (Math.abs({top} - {there}) <= 1 ? done(true) : requestAnimationFrame(look));
           look();
         }})"
    );
    page.eval(&stands).await;
}

/// Scrolls there and opens it, as one does; gives where it stood.
async fn opens(page: &Page, id: u64) -> Value {
    let stood = scrolls_to(page, id).await;
    page.click(&format!("[data-invocation='{id}'] .card-task"))
        .await;
    page.until_there("[data-test=task]").await;
    stood
}

/// Waits until it is chosen in the list.
async fn chosen(page: &Page, id: u64) {
    page.until(&format!(
        "document.activeElement.closest('[data-invocation]')?.dataset.invocation === '{id}'"
    ))
    .await;
}

#[tokio::test]
async fn back_leads_to_the_place_in_the_list_and_to_the_row_that_was_opened() {
    let scene = Scene::new().await;
    let page = &scene.page;
    waiting(&scene, 60).await;
    let stood = opens(page, 40).await;
    page.eval("history.back()").await;
    chosen(page, 40).await;
    until_stands(page, 40, &stood).await;
    assert_ne!(
        page.eval("document.querySelector('main').scrollTop").await,
        0
    );
    // Also where something above it has gone meanwhile.
    let stood = opens(page, 40).await;
    scene.ctl.run(["stop", "3"]).await.ok();
    page.eval("history.back()").await;
    chosen(page, 40).await;
    page.until(&format!("{CARDS} === 59")).await;
    until_stands(page, 40, &stood).await;
    // And where the page of the run was loaded again.
    let stood = opens(page, 40).await;
    page.reload().await;
    page.until_there("[data-test=task]").await;
    page.eval("history.back()").await;
    chosen(page, 40).await;
    until_stands(page, 40, &stood).await;
    // Forward from it and back again; a step that is new begins at its top.
    page.eval("history.forward()").await;
    page.until_there("[data-test=task]").await;
    page.click(".brand").await;
    page.until(&format!("{CARDS} === 59")).await;
    assert_eq!(
        page.eval("document.querySelector('main').scrollTop").await,
        0
    );
    scene.browser.end().await;
}

#[tokio::test]
async fn back_leads_to_the_place_in_a_list_that_is_narrowed_and_in_the_one_before() {
    let scene = Scene::new().await;
    let page = &scene.page;
    waiting(&scene, 60).await;
    scrolls_to(page, 50).await;
    page.press("/").await;
    page.type_text("T").await;
    page.press("Enter").await;
    assert_eq!(page.eval("location.search").await, "?q=T");
    page.click("[data-chip=waiting]").await;
    page.until(&format!("{CARDS} === 60")).await;
    let stood = opens(page, 30).await;
    page.eval("history.back()").await;
    chosen(page, 30).await;
    assert_eq!(page.eval("location.search").await, "?q=T&show=waiting");
    until_stands(page, 30, &stood).await;
    // What was shown before anything was looked for is there again.
    page.eval("history.go(-2)").await;
    page.until("location.search === ''").await;
    page.until(&format!("{CARDS} === 60")).await;
    assert_eq!(
        page.eval("JSON.parse(sessionStorage['steroids.places']).length <= 50")
            .await,
        json!(true)
    );
    scene.browser.end().await;
}

/// Has one more wait, which the page shows then, and as many frames pass as it might move something in.
async fn one_more(scene: &Scene, count: usize) {
    let request = command(
        &scene.ctl.project(),
        &format!("more-{count}"),
        argv(&["stall"]),
    );
    scene.daemon.rpc().await.start(request).await.unwrap();
    scene.page.until(&format!("{CARDS} === {count}")).await;
    frames(&scene.page).await;
}

async fn frames(page: &Page) {
    page.eval(
        "new Promise((done) => {
           let left = 60;
           const next = () => (left-- > 0 ? requestAnimationFrame(next) : done(true));
           next();
         })",
    )
    .await;
}

/// Goes to what was chosen when the list was left, which is `missing` instead of `chosen`.
async fn comes_back_to(page: &Page, chosen: u64, missing: u64) {
    let script = format!(
        r#"if (sessionStorage['steroids.places'])
             sessionStorage['steroids.places'] = sessionStorage['steroids.places'].replaceAll('\\n{chosen}"', '\\n{missing}"');"#
    );
    page.before_load(&script).await;
    page.reload().await;
    page.until_there("[data-test=task]").await;
    page.eval("history.back()").await;
    page.until("document.querySelector('main').scrollTop > 0")
        .await;
}

/// Panics if somebody was brought to it.
async fn left_alone(page: &Page, id: u64) {
    let is_far = format!("{} > innerHeight", top(id));
    assert_eq!(page.eval(&is_far).await, json!(true));
    let is_on_nothing = "document.activeElement === document.body";
    assert_eq!(page.eval(is_on_nothing).await, json!(true));
}

#[tokio::test]
async fn who_comes_back_to_what_is_not_there_is_brought_to_where_it_was_and_then_left_alone() {
    let scene = Scene::new().await;
    let page = &scene.page;
    waiting(&scene, 60).await;
    let top = "Math.round(document.querySelector('main').scrollTop)";
    opens(page, 40).await;
    comes_back_to(page, 40, 61).await;
    page.until_there("[data-test=tasks] [data-task]").await;
    frames(page).await;
    assert_ne!(page.eval(top).await, 0);
    // It comes after all, far below.
    one_more(&scene, 61).await;
    left_alone(page, 61).await;
    // And whoever went elsewhere while not all is read yet, by what tells of nothing.
    opens(page, 30).await;
    page.before_load(
        "const real = window.fetch;
         window.fetch = (url, how) => (String(url).startsWith('/api/tasks?') ? new Promise(() => {}) : real(url, how));",
    )
    .await;
    comes_back_to(page, 30, 62).await;
    frames(page).await;
    page.eval("document.querySelector('main').scrollTop = 0")
        .await;
    one_more(&scene, 62).await;
    assert_eq!(page.eval(top).await, 0);
    // Or pressed something where the focus is: on nothing.
    opens(page, 20).await;
    comes_back_to(page, 20, 63).await;
    page.press("Shift").await;
    one_more(&scene, 63).await;
    left_alone(page, 63).await;
    scene.browser.end().await;
}

#[tokio::test]
async fn places_as_no_version_of_the_page_writes_them_are_passed_over() {
    let scene = Scene::new().await;
    let page = &scene.page;
    for written in [r#"{"a":1}"#, "[1]", "7", "none", r#"[["a",5]]"#] {
        let written = json!(written);
        page.before_load(&format!("sessionStorage['steroids.places'] = {written};"))
            .await;
        page.reload().await;
        page.until_there("[data-test=projects] [data-project]")
            .await;
    }
    scene.browser.end().await;
}
