//! Of which providers nothing is started is told where nothing waits, too.

use super::scene::{Scene, picture};

#[tokio::test]
async fn what_is_held_is_told_where_nothing_waits() {
    let scene = Scene::new().await;
    let (ctl, page) = (&scene.ctl, &scene.page);
    let holds = "[data-test=holds]";
    ctl.run(["holds", "set", "command", "--for", "1h"])
        .await
        .ok();
    page.until_says(holds, "command is held until ").await;
    page.until_says(".area-running", "Nothing runs.").await;
    picture(page, "holds-nothing-waits").await;
    // Who comes later hears of it with all else.
    page.reload().await;
    page.until_says(holds, "command is held until ").await;
    let other = scene.browser.page().await;
    other.goto(&scene.address().await).await;
    other.until_says(holds, "command is held until ").await;
    ctl.run(["holds", "lift", "command"]).await.ok();
    for page in [page, &other] {
        page.until_there("[data-test=holds][hidden]").await;
    }
    scene.browser.end().await;
}
