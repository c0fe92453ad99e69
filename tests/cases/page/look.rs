//! How it looks: narrow, wide, dark; and text that would do something if it were not inert.

use steroids_tests::{Puppet, faults};

use super::scene::{Scene, assert_fits, connection, picture, row_says};

/// What an agent could print to get out of its row.
const HOSTILE: [&str; 7] = [
    "</script><script>window.pwned = 1</script>",
    "<img src=x onerror='window.pwned = 2'><svg onload='window.pwned = 3'>",
    "\\n\\ndata: {\"type\":\"complete\",\"success\":true}\\n\\n",
    "[a link](javascript:window.pwned=4) <a href='javascript:window.pwned=5'>x</a>",
    "\u{1b}]52;c;cHduZWQ=\u{7}\u{1b}[31mred\u{1b}[0m\u{1b}[2J after the escapes",
    "rm -rf \u{202e}gpj.exe\u{2066} after the bidi",
    "{{constructor.constructor('window.pwned=6')()}} ${window.pwned=7}",
];

/// Words of each that tell that it is shown.
const HARMLESS: [&str; 7] = [
    "pwned = 1",
    "onerror",
    "data:",
    "a link",
    "after the escapes",
    "after the bidi",
    "constructor",
];

#[tokio::test]
async fn it_fits_a_phone_and_a_wall_in_light_and_in_dark() {
    let scene = Scene::new().await;
    let recording = crate::recording("claude", "tools");
    let rpc = scene.daemon.rpc().await;
    let project = scene.ctl.project();
    let words = ["replay", &recording, "--speed", "0"];
    let id = rpc.start_as(&project, "T1", "claude", &words).await.id;
    rpc.ended(&project, id).await;
    let mut agent = Puppet::new(&scene.home, "agent");
    let name = "a-long-task-name-that-goes-on-and-on-and-on";
    scene.ctl.start_fake(name, &agent.args()).await;
    agent.prints(&"unbroken".repeat(200));
    let page = &scene.page;
    let background = "getComputedStyle(document.body).backgroundColor";
    let mut backgrounds = Vec::new();
    for scheme in ["light", "dark"] {
        page.prefers_color_scheme(scheme).await;
        for (width, height, name) in [
            (360, 740, "phone"),
            (1280, 800, "desktop"),
            (2560, 1440, "wall"),
        ] {
            page.viewport(width, height).await;
            page.goto(&scene.gateway.origin()).await;
            page.until_there("[data-test=running] [data-invocation]")
                .await;
            assert_fits(page, &format!("overview, {name}")).await;
            picture(page, &format!("overview-{name}-{scheme}")).await;
            scene.open("T1", id).await;
            page.until_there("[data-test=status][data-status=completed]")
                .await;
            assert_fits(page, &format!("task, {name}")).await;
            picture(page, &format!("task-{name}-{scheme}")).await;
        }
        backgrounds.push(page.eval(background).await);
    }
    assert_ne!(backgrounds[0], backgrounds[1], "dark is dark");
    // What can be pressed has a name.
    let nameless = page
        .eval(
            "[...document.querySelectorAll('button, a[href], input, [role=button]')]
               .filter((it) => !(it.getAttribute('aria-label') || it.textContent.trim() || it.title
                 || it.labels?.length || it.querySelector('[alt]')))
               .map((it) => it.outerHTML.slice(0, 100))",
        )
        .await;
    assert_eq!(nameless, serde_json::json!([]));
    scene.browser.end().await;
}

#[tokio::test]
async fn what_an_agent_prints_is_text_and_nothing_else() {
    let scene = Scene::new().await;
    let mut agent = Puppet::new(&scene.home, "agent");
    let page = &scene.page;
    page.viewport(1280, 2000).await;
    let scripts = page.count("script").await;
    let id = scene.ctl.start_fake("T1", &agent.args()).await;
    scene.open("T1", id).await;
    connection(page, "live").await;
    for text in HOSTILE {
        agent.prints(text);
    }
    agent.prints("the last word");
    row_says(page, "the last word").await;
    assert_hostile_is_inert(&scene, scripts).await;
    for words in [
        "</script><script>window.pwned = 1</script>",
        "<img src=x onerror=",
        "data: {\"type\":\"complete\"",
        "javascript:window.pwned=4",
        "red after the escapes",
        "after the bidi",
    ] {
        row_says(page, words).await;
    }
    picture(page, "hostile").await;
    // On the overview the last words of each that runs are shown, too.
    page.goto(&scene.gateway.origin()).await;
    page.until_there("[data-test=running] [data-invocation]")
        .await;
    for (text, words) in HOSTILE.iter().zip(HARMLESS) {
        agent.prints(text);
        page.until_says("[data-test=running]", words).await;
        assert_hostile_is_inert(&scene, scripts).await;
    }
    agent.exits(0);
    scene.browser.end().await;
    let seen = format!(
        "{} texts shown as text in the browser, on two pages",
        HOSTILE.len()
    );
    faults::held(59, seen);
}

async fn assert_hostile_is_inert(scene: &Scene, scripts: u64) {
    let page = &scene.page;
    assert_eq!(page.eval("typeof window.pwned").await, "undefined");
    assert_eq!(page.count("script").await, scripts);
    for bad in [
        "#view img[src=x]",
        "#view [onerror]",
        "#view [onload]",
        "a[href^='javascript' i]",
    ] {
        assert_eq!(page.count(bad).await, 0, "{bad}");
    }
    let active = "/[\\u001b\\u0007\\u202a-\\u202e\\u2066-\\u2069]/.test(document.body.textContent)";
    assert_eq!(
        page.eval(active).await,
        false,
        "control characters are shown as names"
    );
}
