//! What somebody looks for on the overview: by a text, by what has to be done, by an address.

use serde_json::json;
use steroids_tests::{Page, Puppet};

use super::scene::{Scene, picture};

/// The tasks of the runs that are shown, in their order.
const SHOWN: &str = "[...document.querySelectorAll('.overview [data-invocation] .item-link')]
    .map((it) => it.textContent)";

/// Waits until these tasks' runs are shown, and no others.
async fn shows(page: &Page, tasks: &[&str]) {
    let tasks = json!(json!(tasks).to_string());
    page.until(&format!("JSON.stringify({SHOWN}) === {tasks}"))
        .await;
}

/// Waits until the address says so from its `?` on.
async fn address(page: &Page, query: &str) {
    let query = json!(query);
    // A text is in it once nothing has been typed for a moment.
    page.eval(&format!(
        "new Promise((done) => {{
           const look = () => location.search === {query} && done(true);
           navigation.addEventListener('currententrychange', look);
           look();
         }})"
    ))
    .await;
}

/// Agents of two projects: `login` and `docs` run, `old` has failed.
async fn some(scene: &Scene) -> (Puppet, Puppet) {
    let rpc = scene.daemon.rpc().await;
    let web = scene.daemon.project("web").await;
    let agents = ["first", "second"].map(|name| Puppet::new(&scene.home, name));
    let old = scene.ctl.start_fake("old", &["exit", "1"]).await;
    rpc.ended(&scene.ctl.project(), old).await;
    web.start_fake("docs", &agents[0].args()).await;
    scene.ctl.start_fake("login", &agents[1].args()).await;
    shows(&scene.page, &["login", "docs", "old"]).await;
    agents.into()
}

#[tokio::test]
async fn a_text_leaves_what_has_it_and_stands_in_the_address() {
    let scene = Scene::new().await;
    let page = &scene.page;
    let (mut docs, mut login) = some(&scene).await;
    page.press("/").await;
    page.until_there("[data-test=overview-filter]:focus").await;
    page.type_text("Log").await;
    shows(page, &["login"]).await;
    page.until_says("[data-test=overview-count]", "1 of 3")
        .await;
    page.until_says("[data-test=tasks]", "login").await;
    assert_eq!(page.count("[data-test=tasks] [data-task=old]").await, 0);
    address(page, "?q=Log").await;
    page.reload().await;
    shows(page, &["login"]).await;
    let typed = "document.querySelector('[data-test=overview-filter]').value";
    assert_eq!(page.eval(typed).await, "Log");
    // Each word may be in another part: a project and a provider.
    page.fill("[data-test=overview-filter]", "web comm").await;
    shows(page, &["docs"]).await;
    page.press("Enter").await;
    assert_eq!(page.eval("location.search").await, "?q=web+comm");
    page.fill("[data-test=overview-filter]", "nothing at all")
        .await;
    shows(page, &[]).await;
    page.until_there("[data-test=overview-none]:not([hidden])")
        .await;
    page.until_says("[data-test=tasks]", "No task matches")
        .await;
    // What comes is looked at as what is there.
    page.fill("[data-test=overview-filter]", "logout").await;
    scene.ctl.start_fake("logout", &["exit", "0"]).await;
    shows(page, &["logout"]).await;
    page.press("Escape").await;
    shows(page, &["login", "docs", "logout", "old"]).await;
    assert_eq!(page.eval("location.search").await, "");
    assert_eq!(page.text("[data-test=overview-count]").await, "");
    docs.exits(0);
    login.exits(0);
    scene.browser.end().await;
}

#[tokio::test]
async fn a_kind_is_chosen_with_one_press_and_back_leads_to_what_was_before() {
    let scene = Scene::new().await;
    let page = &scene.page;
    let (mut docs, mut login) = some(&scene).await;
    let pressed = "[...document.querySelectorAll('.area-filter [aria-pressed=true]')]
        .map((it) => it.dataset.chip)";
    page.click("[data-chip=failed]").await;
    shows(page, &["old"]).await;
    assert_eq!(page.eval("location.search").await, "?show=failed");
    page.click("[data-chip=running]").await;
    shows(page, &["login", "docs"]).await;
    page.until_says("[data-test=overview-count]", "2 of 3")
        .await;
    assert_eq!(page.eval(pressed).await, json!(["running"]));
    page.click("[data-invocation] .item-link").await;
    page.until_there("[data-test=task][data-task=login]").await;
    page.eval("history.back()").await;
    shows(page, &["login", "docs"]).await;
    page.eval("history.back()").await;
    shows(page, &["old"]).await;
    assert_eq!(page.eval(pressed).await, json!(["failed"]));
    page.eval("history.back()").await;
    shows(page, &["login", "docs", "old"]).await;
    page.eval("history.forward()").await;
    shows(page, &["old"]).await;
    page.click("[data-chip=failed]").await;
    shows(page, &["login", "docs", "old"]).await;
    // As a link, with a text; a kind that there is not is none.
    let origin = scene.gateway.origin();
    page.goto(&format!("{origin}/?q=doc&show=running")).await;
    shows(page, &["docs"]).await;
    page.goto(&format!("{origin}/?show=other")).await;
    shows(page, &["login", "docs", "old"]).await;
    // The project that is chosen stays, and so does what is looked for.
    page.click("[data-chip=failed]").await;
    page.click("[data-test=projects] [data-project$='/web']")
        .await;
    page.until_says("[data-test=tasks]", "Tasks of web").await;
    shows(page, &["old"]).await;
    let search = page.eval("location.search").await;
    assert!(
        search.as_str().unwrap().ends_with("web&show=failed"),
        "{search}"
    );
    page.click(".brand").await;
    shows(page, &["login", "docs", "old"]).await;
    picture(page, "overview-filter").await;
    docs.exits(0);
    login.exits(0);
    scene.browser.end().await;
}
