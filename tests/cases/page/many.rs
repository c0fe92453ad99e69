//! Hundreds of tasks on the overview: what happens to one touches no other.

use steroids_tests::rpc::{argv, command};

use super::scene::Scene;

#[tokio::test]
async fn one_more_among_hundreds_makes_none_of_the_others_anew() {
    let scene = Scene::new().await;
    let (rpc, project, page) = (scene.daemon.rpc().await, scene.ctl.project(), &scene.page);
    // Held, so that all of them wait.
    let hold = ["holds", "set", "command", "--for", "1h"];
    scene.ctl.run(hold).await.ok();
    for number in 0..210 {
        let request = command(&project, &format!("T{number}"), argv(&["stall"]));
        rpc.start(request).await.unwrap();
    }
    let waiting = "document.querySelectorAll('[data-test=waiting] > [data-invocation]').length";
    page.until(&format!("{waiting} === 210")).await;
    // More of a project's than anybody looks through, and what brings the others.
    page.until_says("[data-test=tasks]", "10 more").await;
    assert_eq!(page.count("[data-test=tasks] [data-task]").await, 200);
    page.eval(
        "for (const it of document.querySelectorAll('[data-test=waiting] > li, [data-test=tasks] li')) it.isOld = true;
         document.querySelector('[data-invocation=\"100\"] .item-link').focus();",
    )
    .await;
    rpc.start(command(&project, "more", argv(&["stall"])))
        .await
        .unwrap();
    page.until(&format!("{waiting} === 211")).await;
    // Of those that never ran it is the last.
    page.until_says("[data-test=tasks]", "11 more").await;
    let new = "['waiting', 'tasks'].map((list) =>
        [...document.querySelectorAll(`[data-test=${list}] li`)].filter((it) => !it.isOld).length).join()";
    assert_eq!(page.eval(new).await, "1,0");
    let focused = "document.activeElement.closest('[data-invocation]')?.dataset.invocation";
    assert_eq!(page.eval(focused).await, "100");
    // And by its name each is found.
    page.fill("[data-test=overview-filter]", "t209").await;
    page.until(&format!("{waiting} === 1")).await;
    page.until_there("[data-test=tasks] [data-task=T209]").await;
    page.until_says("[data-test=overview-count]", "1 of 211")
        .await;
    scene.browser.end().await;
}
