//! What the page's cases begin with: a daemon, a gateway, a project, a browser, and a tab that has
//! come in by the address that `steroidsctl web` prints.

use std::sync::Arc;

use serde_json::json;
use steroids_tests::{Browser, Ctl, Daemon, Gateway, Home, Page, served_with};

/// Agents are started and stopped from the page, too.
const CONTROL: &str = "[gateway]\ncontrol = true\n";

pub(super) struct Scene {
    pub(super) home: Arc<Home>,
    pub(super) daemon: Daemon,
    pub(super) gateway: Gateway,
    pub(super) ctl: Ctl,
    pub(super) browser: Browser,
    pub(super) page: Page,
}

impl Scene {
    pub(super) async fn new() -> Scene {
        Scene::seen_by(CONTROL, async |_| Browser::shared().await).await
    }

    /// With these settings, and nothing that is started or stopped from the page.
    pub(super) async fn with_config(config: &str) -> Scene {
        Scene::seen_by(config, async |_| Browser::shared().await).await
    }

    /// With a gateway from which nothing is started or stopped.
    pub(super) async fn without_control() -> Scene {
        Scene::with_config("").await
    }

    /// With a browser alone, for cases in which one tab hides another.
    pub(super) async fn with_tabs() -> Scene {
        Scene::seen_by(CONTROL, async |home| Browser::start(home).await).await
    }

    async fn seen_by(config: &str, browser: impl AsyncFnOnce(&Arc<Home>) -> Browser) -> Scene {
        let (home, daemon, gateway, ctl) = served_with(config).await;
        let browser = browser(&home).await;
        let page = browser.page().await;
        let scene = Scene {
            home,
            daemon,
            gateway,
            ctl,
            browser,
            page,
        };
        scene.page.goto(&scene.address().await).await;
        scene.page.until_there("[data-test=projects]").await;
        scene
    }

    /// A new address from the terminal, good once.
    pub(super) async fn address(&self) -> String {
        let said = self.ctl.run(["web"]).await.ok();
        let mut words = said.split_whitespace();
        let address = words.find(|word| word.starts_with("http://"));
        let address = address.unwrap_or_else(|| panic!("no address in {said:?}"));
        assert!(address.contains("/#code="), "{address}");
        address.to_owned()
    }

    /// The address of an invocation's page.
    pub(super) fn task(&self, task: &str, invocation: i64) -> String {
        let (origin, project) = (self.gateway.origin(), self.ctl.project());
        format!("{origin}/tasks/{task}?project={project}&invocation={invocation}")
    }

    /// Opens it and waits until it shows its newest end.
    pub(super) async fn open(&self, task: &str, invocation: i64) {
        self.page.goto(&self.task(task, invocation)).await;
        self.page.until_there("[data-test=activity] .row").await;
    }
}

/// Waits until the badge says so.
pub(super) async fn connection(page: &Page, state: &str) {
    page.until_there(&format!("#connection[data-state={state}]"))
        .await;
}

/// Waits until a row contains these words.
pub(super) async fn row_says(page: &Page, words: &str) {
    let words = json!(words);
    page.until(&format!(
        "[...document.querySelectorAll('[data-test=activity] .row')]
           .some((row) => row.textContent.includes({words}))"
    ))
    .await;
}

/// Index and text of the rows in the document, in the order in which they stand there.
pub(super) async fn rows(page: &Page) -> Vec<(u64, String)> {
    let rows = page
        .eval(
            "[...document.querySelectorAll('[data-test=activity] .row')]
               .map((row) => [Number(row.dataset.index), row.textContent])
               .sort((a, b) => a[0] - b[0])",
        )
        .await;
    serde_json::from_value(rows).expect("rows have an index and a text")
}

/// Panics unless the rows follow one another, and no more of them are there than can be seen about
/// three times over.
pub(super) fn assert_in_order(rows: &[(u64, String)]) {
    let indices: Vec<u64> = rows.iter().map(|row| row.0).collect();
    let is_next = |two: &[u64]| two[1] == two[0] + 1;
    assert!(indices.windows(2).all(is_next), "{indices:?}");
    assert!(
        indices.len() < 250,
        "{} rows in the document",
        indices.len()
    );
}

/// Panics if the page is wider than what is seen, or says what is.
pub(super) async fn assert_fits(page: &Page, what: &str) {
    let wide = page
        .eval(
            // A phone shows all of a page that is too wide, and says that it is as wide itself (`innerWidth`).
            "(() => { const { scrollWidth, clientWidth } = document.documentElement;
               const wide = [...document.querySelectorAll('body *')]
                 .filter((it) => it.getBoundingClientRect().right > clientWidth + 1)
                 .slice(0, 10).map((it) => it.outerHTML.slice(0, 120));
               return scrollWidth <= clientWidth ? [] : [scrollWidth, ...wide]; })()",
        )
        .await;
    assert_eq!(wide, json!([]), "{what} scrolls sideways");
}

/// Keeps a picture where `STEROIDS_TEST_PICTURES` names a folder, for a person to look at.
pub(super) async fn picture(page: &Page, name: &str) {
    if let Some(folder) = std::env::var_os("STEROIDS_TEST_PICTURES") {
        let folder = std::path::PathBuf::from(folder);
        std::fs::create_dir_all(&folder).expect("the folder can be made");
        page.screenshot(&folder.join(format!("{name}.png"))).await;
    }
}
