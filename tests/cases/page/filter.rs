//! The filter: it finds what is to be seen and nothing else, in what was logged and in what comes.

use serde_json::json;
use steroids_tests::Puppet;

use super::scene::{Scene, connection, row_says};

/// Filters by a text, and waits until so many rows are left.
async fn leaves(scene: &Scene, text: &str, rows: usize) {
    let page = &scene.page;
    page.fill("[data-test=filter]", text).await;
    page.press("Enter").await;
    let events = if rows == 1 { "event" } else { "events" };
    page.until(&format!(
        "document.querySelector('[data-test=filter]').value === {}
           && document.querySelector('[data-test=count]').textContent === '{rows} {events}'
           && document.querySelectorAll('[data-test=activity] .row').length === {rows}
           && document.querySelector('.filter').dataset.busy !== 'true'",
        json!(text)
    ))
    .await;
}

#[tokio::test]
async fn a_filter_finds_what_is_shown_and_nothing_that_is_hidden() {
    let scene = Scene::new().await;
    let page = &scene.page;
    let mut agent = Puppet::new(&scene.home, "agent");
    let id = scene.ctl.start_fake("T1", &agent.args()).await;
    scene.open("T1", id).await;
    agent.prints("plain error: here");
    agent.prints("\u{1b}[1;31merror\u{1b}[0m: cannot find value x");
    row_says(page, "cannot find").await;
    leaves(&scene, "error: ", 2).await;
    // As it comes, too: the page itself looks then.
    agent.prints("\u{1b}[33merror\u{1b}[0m: a third");
    agent.prints("no such thing");
    row_says(page, "a third").await;
    leaves(&scene, "stdout", 0).await;
    agent.prints("a line that came");
    agent.prints("and stdout in words");
    row_says(page, "stdout in words").await;
    assert_eq!(page.count("[data-test=activity] .row").await, 1);
    leaves(&scene, "\"raw\"", 0).await;
    leaves(&scene, "ERROR: ", 3).await;
    agent.exits(0);
    page.until_there("[data-test=status][data-status=completed]")
        .await;
    connection(page, "live").await;
    leaves(&scene, "Completed", 1).await;
    leaves(&scene, "started coder", 1).await;
    scene.browser.end().await;
}

/// Held to the same list as the daemon's.
#[tokio::test]
async fn what_comes_is_filtered_as_what_was_logged() {
    let scene = Scene::new().await;
    let cases = include_str!("../../../daemon/src/browse/tests/shown.json");
    let wrong = scene
        .page
        .eval(&format!(
            "(async () => {{
               const {{ parseLine }} = await import('/assets/line.js');
               const {{ matcherOf }} = await import('/assets/line-types.js');
               const finds = (line, q) => matcherOf({{ types: line.type, q }})(line);
               return {cases}.flatMap(({{ line, found, absent }}) => {{
                 const parsed = parseLine(line);
                 return [...found.filter((q) => !finds(parsed, q)).map((q) => `lacks ${{q}} in ${{line}}`),
                   ...absent.filter((q) => finds(parsed, q)).map((q) => `has ${{q}} in ${{line}}`)];
               }});
             }})()"
        ))
        .await;
    assert_eq!(wrong, json!([]));
    scene.browser.end().await;
}
