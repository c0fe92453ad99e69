//! `steroidsctl top` on a real terminal, with a real daemon.

use rustix::process::Signal;
use steroids_tests::{Daemon, Home, Puppet};

const USUAL: (u16, u16) = (80, 24);
const WIDE: (u16, u16) = (200, 50);

/// The row of a task.
fn row<'a>(text: &'a str, task: &str) -> &'a str {
    let is_it = |line: &&str| line.split_whitespace().any(|word| word == task);
    text.lines().find(is_it).unwrap_or_default()
}

#[tokio::test]
async fn it_shows_what_runs_and_waits_follows_one_and_stops_it() {
    let home = Home::with_config("[daemon]\nmax_running = 2");
    let daemon = Daemon::start(&home).await;
    let app = daemon.project("app").await;
    let web = daemon.project("web").await;
    let mut talker = Puppet::new(&home, "talker");
    let other = Puppet::new(&home, "other");
    let first = app.start_fake("TALK", &talker.args()).await;
    web.start_fake("QUIET", &other.args()).await;
    app.start_fake("LATER", &["exit", "0"]).await;
    talker.prints("\u{1b}]0;owned\u{7}\u{1b}[31mred 漢字\u{1b}[0m\u{1b}[2J");

    let mut screen = app.at_terminal(USUAL, &["top"]);
    let is_full = |text: &str| {
        row(text, "TALK").contains("red 漢字")
            && row(text, "LATER").contains("queued 1")
            && text.contains("running 2 of 2 · queued 1 of")
    };
    let text = screen.until("all three", is_full).await;
    assert!(row(&text, "QUIET").contains("running"), "{text}");
    assert!(row(&text, "LATER").contains("1st of 1"), "{text}");
    assert!(!screen.was_sent("\u{1b}]0;"), "{text}");
    assert!(!screen.was_sent("\u{1b}[31m"), "{text}");

    screen.resizes(WIDE);
    let text = screen
        .until("the rows anew", |text| {
            row(text, "LATER").contains("1st of 1: ")
        })
        .await;
    assert!(text.contains("PROVIDER"), "there is room for more: {text}");
    screen.resizes(USUAL);
    screen.types("/talk\r");
    screen
        .until("one row", |text| {
            text.contains("1 of 3") && row(text, "QUIET").is_empty()
        })
        .await;
    screen.types("\r");
    screen
        .until("its log", |text| text.contains("output    red 漢字"))
        .await;
    talker.prints("and on");
    screen.shows("output    and on").await;
    screen.types("\u{1b}");
    screen.shows("STATE").await;
    screen.types("s");
    screen
        .shows(&format!("stop invocation {first} of TALK in app"))
        .await;
    screen.types("y");
    screen
        .shows(&format!("invocation {first} stopped: cancelled"))
        .await;
    screen.types("\u{1b}");
    // Its place is free now, and who waited has started, and ended.
    screen
        .until("it gone", |text| {
            text.contains("QUIET") && text.contains("queued 0")
        })
        .await;
    screen.types("q");
    let (code, left) = screen.ends().await;
    assert_eq!((code, left.trim()), (0, ""));
    let shown = app.run(["--json", "show", &first.to_string()]).await.json();
    assert_eq!(shown["outcome"], "cancelled");
}

#[tokio::test]
async fn it_outlives_the_daemon_and_gives_the_terminal_back_whatever_ends_it() {
    let home = Home::new();
    let mut daemon = Daemon::start(&home).await;
    let app = daemon.project("app").await;
    let (agent, other) = (Puppet::new(&home, "agent"), Puppet::new(&home, "other"));
    // Of two rows one is not the chosen one, which has no colours of its own.
    app.start_fake("STAYS", &agent.args()).await;
    app.start_fake("OTHER", &other.args()).await;
    // By the flag: the variable is known to the terminal library, too.
    let mut screen = app.at_terminal(USUAL, &["--no-color", "top"]);
    screen.shows("STAYS").await;
    daemon.kill9().await;
    let text = screen.shows("daemon away, since ").await;
    assert!(text.contains("STAYS"), "what was known stays: {text}");
    daemon.start_again().await;
    screen
        .until("the daemon back", |text| {
            !text.contains("away") && text.contains("STAYS") && text.contains("OTHER")
        })
        .await;
    screen.with(|it| {
        let cells = (0..24).flat_map(|y| (0..80).map(move |x| (y, x)));
        for (y, x) in cells {
            let cell = it.cell(y, x).unwrap();
            let colours = (cell.fgcolor(), cell.bgcolor());
            assert_eq!(colours, (vt100::Color::Default, vt100::Color::Default));
        }
    });
    screen.signal(Signal::TERM);
    assert_eq!(screen.ends().await.0, 143);

    let mut screen = app.at_terminal(USUAL, &["top", "--project", &app.project()]);
    screen.shows("STAYS").await;
    screen.types("\u{3}");
    assert_eq!(screen.ends().await.0, 0);
    let shown = app.run(["--json", "show", "1"]).await.json();
    assert_eq!(shown["status"], "running", "it only leaves");
}

#[tokio::test]
async fn a_daemon_that_hangs_is_not_called_serving() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let app = daemon.project("app").await;
    let mut screen = app.at_terminal(USUAL, &["top"]);
    screen.shows(" serving · up ").await;
    daemon.signal(Signal::STOP);
    screen
        .until("that no answer comes", |text| {
            text.contains("daemon does not answer, since ") && !text.contains("serving")
        })
        .await;
    daemon.signal(Signal::CONT);
    screen.shows(" serving · up ").await;
}

#[tokio::test]
async fn without_a_terminal_that_can_be_drawn_on_it_says_so() {
    let home = Home::new();
    let app = steroids_tests::Ctl::new(&home, &home.folder("app"));
    app.run(["top"]).await.exits(2).says("top needs a terminal");
    app.run(["--json", "top"]).await.exits(2).says("no JSON");
    let dumb = app.with_env("TERM", "dumb").at_terminal(USUAL, &["top"]);
    let (code, said) = dumb.ends().await;
    assert_eq!(code, 2);
    assert!(
        said.contains("cannot draw on a terminal of the kind `dumb`"),
        "{said}"
    );
    assert!(said.contains("steroidsctl list --running --all"), "{said}");
}
