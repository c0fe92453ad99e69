//! Rows as a daemon tells them, for these tests and those of what is drawn.

use super::*;

pub(in super::super) const NOW: i64 = 1_700_000_000_000;

/// A running one of a project.
pub(in super::super) fn running(project: &str, id: i64, task: &str) -> v1::Invocation {
    v1::Invocation {
        id,
        project: format!("/home/dev/{project}"),
        task_id: task.to_owned(),
        role: "coder".to_owned(),
        provider: "claude".to_owned(),
        model: "sonnet".to_owned(),
        state: v1::State::Running.into(),
        started_at_ms: Some(NOW - 60_000 - id * 1000),
        managed: true,
        usage: Some(v1::Usage {
            input_tokens: 1000 * id.unsigned_abs(),
            output_tokens: 34,
            total_cost_usd: Some(0.25),
            ..Default::default()
        }),
        live: Some(v1::Live {
            last_activity_at_ms: NOW - 4000,
            last_type: "tool".to_owned(),
            last_text: "cargo test --workspace".to_owned(),
            waits_for: "tool".to_owned(),
            waits_on: "Bash".to_owned(),
            waits_since_ms: NOW - 4000,
            cpu_percent: Some(12.4 * (id % 10) as f64),
            memory_bytes: Some(64 * 1024 * 1024 * id.unsigned_abs()),
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// One that waits at a place.
pub(in super::super) fn queued(id: i64, place: i32, provider: &str) -> v1::Invocation {
    v1::Invocation {
        provider: provider.to_owned(),
        state: v1::State::Queued.into(),
        started_at_ms: None,
        queued_at_ms: Some(NOW - 30_000),
        usage: None,
        live: None,
        place,
        waiting: format!("{place} of 2: daemon.max_running = 2 is reached"),
        ..running("app", id, "T9")
    }
}

pub(in super::super) fn told(running: Vec<v1::Invocation>) -> News {
    News::Watched(v1::WatchResponse {
        running,
        ..Default::default()
    })
}

pub(in super::super) fn happened(kind: &str, invocation: v1::Invocation) -> News {
    News::Watched(v1::WatchResponse {
        events: vec![v1::LifecycleEvent {
            kind: kind.to_owned(),
            invocation_id: Some(invocation.id),
            invocation: Some(invocation),
            message: "says why".to_owned(),
            ..Default::default()
        }],
        ..Default::default()
    })
}

pub(in super::super) fn status() -> v1::StatusResponse {
    v1::StatusResponse {
        version: "0.1.0".to_owned(),
        state: "serving".to_owned(),
        started_at_ms: NOW - 7_500_000,
        running: 3,
        max_running: 4,
        queued: 2,
        max_queued: 100,
        projects: 2,
        holds: vec![v1::Hold {
            provider: "codex".to_owned(),
            since_ms: NOW,
            until_ms: NOW + 600_000,
            reason: "rate_limited".to_owned(),
        }],
        ..Default::default()
    }
}

/// Three that run, two that wait.
pub(in super::super) fn app() -> App {
    let mut app = App::new(None, NOW);
    app.hear(News::Joined);
    let mut stalled = running("app", 12, "T3");
    let live = stalled.live.as_mut().unwrap();
    live.limit = "silence".to_owned();
    live.limit_at_ms = Some(NOW + 180_000);
    app.hear(told(vec![
        running("app", 7, "T1"),
        running("web", 3, "T2"),
        stalled,
        queued(20, 1, "codex"),
        queued(21, 2, "claude"),
    ]));
    app.hear(News::Status(Box::new(status())));
    app
}

/// What runs and waits in these projects, of which no event tells.
fn untold(projects: &[&str], invocations: Vec<v1::Invocation>) -> News {
    let projects = projects.iter().map(|name| format!("/home/dev/{name}"));
    News::Untold(Untold {
        invocations,
        projects: projects.collect(),
    })
}

#[test]
fn what_no_event_tells_of_is_shown_until_it_is_told_or_is_not_there_any_more() {
    let mut app = app();
    let foreign = v1::Invocation {
        managed: false,
        ..running("web", 4, "T4")
    };
    app.hear(told(vec![foreign]));
    // It ran there when it was told, and another one runs there by now; an older tool's may.
    app.hear(untold(&["web"], vec![running("web", 9, "T9")]));
    assert_eq!(ids(&app), [12, 9, 7, 4, 20, 21]);
    app.hear(untold(&["web"], vec![]));
    assert_eq!(ids(&app), [12, 7, 4, 20, 21]);

    // Back again: who runs there is told, and who is not told has ended.
    let both = vec![running("web", 9, "T9"), running("web", 10, "T10")];
    app.hear(untold(&["web"], both));
    app.hear(told(vec![running("web", 10, "T10")]));
    app.hear(untold(&[], vec![]));
    assert_eq!(ids(&app), [12, 10, 7, 4, 20, 21]);

    // Its database was slow once: of who was told before, events go on to tell.
    app.hear(untold(&["web"], vec![running("web", 10, "T10")]));
    app.hear(untold(&[], vec![]));
    assert_eq!(ids(&app), [12, 10, 7, 4, 20, 21]);
}

fn ids(app: &App) -> Vec<i64> {
    app.shown().iter().map(|it| it.id).collect()
}

fn chosen(app: &App) -> Option<i64> {
    let shown = app.shown();
    app.selected(&shown).map(|at| shown[at].id)
}

#[test]
fn what_wants_to_be_looked_at_stands_first_and_what_waits_last() {
    let app = app();
    assert_eq!(ids(&app), [12, 7, 3, 20, 21]);
    let words: Vec<_> = app
        .shown()
        .iter()
        .map(|it| app.standing(it).word())
        .collect();
    assert_eq!(words, ["stalled", "running", "running", "held", "queued"]);
}

#[test]
fn the_order_is_by_the_column_chosen_and_can_be_turned() {
    let mut app = app();
    app.sort_by(Sort::Tokens);
    assert_eq!(ids(&app), [12, 7, 3, 20, 21]);
    app.sort_by(Sort::Task);
    assert_eq!(ids(&app), [7, 3, 12, 20, 21]);
    app.is_reversed = true;
    assert_eq!(ids(&app), [12, 3, 7, 20, 21]);
    app.is_reversed = false;
    app.sort_by(Sort::Cpu);
    assert_eq!(ids(&app), [7, 3, 12, 20, 21]);
    app.sort_by(Sort::Memory);
    assert_eq!(ids(&app), [12, 7, 3, 20, 21]);
    assert_eq!(Sort::State.moved(-1), Sort::Memory);
    assert_eq!(Sort::Memory.moved(1), Sort::State);
}

#[test]
fn one_that_ends_leaves_and_the_selection_goes_to_who_takes_its_place() {
    let mut app = app();
    app.select_by(1);
    assert_eq!(chosen(&app), Some(7));
    let mut ended = running("app", 7, "T1");
    ended.state = v1::State::Completed.into();
    app.hear(happened("finished", ended));
    assert_eq!(ids(&app), [12, 3, 20, 21]);
    assert_eq!(chosen(&app), Some(3));
}

#[test]
fn the_selection_stays_on_its_row_wherever_that_goes() {
    let mut app = app();
    app.select_by(1);
    let mut late = running("app", 30, "T0");
    late.alarm = "shim does not answer".to_owned();
    late.started_at_ms = Some(0);
    app.hear(told(vec![late]));
    assert_eq!(ids(&app)[0], 30);
    assert_eq!(chosen(&app), Some(7));
    app.select_by(isize::MAX / 2);
    assert_eq!(chosen(&app), Some(21));
    app.select_by(-isize::MAX / 2);
    assert_eq!(chosen(&app), Some(30));
}

#[test]
fn a_daemon_that_comes_back_tells_what_runs_and_nothing_else_is_left() {
    let mut app = app();
    app.hear(News::Away("agents go on".to_owned()));
    app.now += 5000;
    app.hear(News::Away("agents go on".to_owned()));
    assert_eq!(app.away, Some((NOW, "agents go on".to_owned())));
    assert_eq!(ids(&app).len(), 5, "what was known stays on the screen");
    app.hear(News::Joined);
    app.hear(told(vec![running("web", 3, "T2")]));
    assert_eq!(app.away, None);
    assert_eq!(ids(&app), [3]);
}

#[test]
fn a_daemon_whose_answer_is_overdue_is_late_since_its_last_one() {
    let mut app = app();
    app.now += 4000;
    app.hear(News::Status(Box::new(status())));
    app.now += 15_000;
    app.hear(News::Overdue);
    app.now += 15_000;
    app.hear(News::Overdue);
    assert_eq!(app.late, Some(NOW + 4000));
    app.hear(News::Away("agents go on".to_owned()));
    let away = Some((NOW + 4000, "agents go on".to_owned()));
    assert_eq!(app.away, away, "it was away before that was noticed");
    app.hear(News::Joined);
    assert_eq!((app.late, &app.away), (None, &None));
    app.hear(News::Overdue);
    app.hear(told(vec![]));
    assert_eq!(app.late, None, "it has said something");
}

#[test]
fn places_follow_and_bring_nobody_back_who_has_started() {
    let mut app = app();
    let mut started = running("app", 20, "T9");
    started.started_at_ms = Some(NOW - 70_000);
    started.provider = "codex".to_owned();
    app.hear(happened("started", started));
    app.hear(News::Queue(vec![
        queued(20, 1, "codex"),
        queued(21, 1, "claude"),
        queued(99, 2, "x"),
    ]));
    assert_eq!(ids(&app), [12, 20, 7, 3, 21]);
    assert_eq!(app.shown()[4].place, 1);
    assert_eq!(
        app.shown()[1].place,
        0,
        "it runs, whatever an older answer says"
    );
}

#[test]
fn a_filter_finds_every_word_in_any_column() {
    let mut app = app();
    app.seek(|filter| filter.push_str("Sonnet t3"));
    assert_eq!(ids(&app), [12]);
    app.seek(|filter| *filter = "stalled".to_owned());
    assert_eq!(ids(&app), [12]);
    app.seek(|filter| *filter = "#20".to_owned());
    assert_eq!(ids(&app), [20]);
    assert_eq!(app.count(), 5);
    app.seek(|filter| *filter = "ä".repeat(500));
    assert!(app.filter.len() <= 200 && ids(&app).is_empty());
    assert_eq!(app.open(), None);
}

#[test]
fn a_stop_is_asked_for_and_its_row_is_ending_until_it_is_told() {
    let mut app = app();
    app.ask_to_stop();
    let key = Key {
        project: "/home/dev/app".to_owned(),
        id: 12,
    };
    assert_eq!(app.mode, Mode::Confirm(key.clone()));
    assert_eq!(app.stop(key.clone()), Ask::Stop(key.clone()));
    assert_eq!(app.standing(app.row(&key).unwrap()), Standing::Ending);
    app.hear(News::Stopped(
        key.clone(),
        Err("not stopped: why".to_owned()),
    ));
    assert_eq!(app.standing(app.row(&key).unwrap()), Standing::Stalled);
    assert!(app.message.as_ref().unwrap().is_bad);
}

#[test]
fn what_comes_of_a_log_that_is_not_looked_at_any_more_is_dropped() {
    let mut app = app();
    let Some(Ask::Follow(_, first)) = app.open() else {
        panic!("a row is selected");
    };
    assert_eq!(app.close(), Some(Ask::Unfollow));
    let Some(Ask::Follow(_, second)) = app.open() else {
        panic!("a row is selected");
    };
    app.hear(News::Log(first, LogNews::Broken("late".to_owned())));
    assert_eq!(app.log.as_ref().unwrap().0.trouble, None);
    app.hear(News::Log(second, LogNews::Broken("now".to_owned())));
    assert_eq!(app.log.as_ref().unwrap().0.trouble.as_deref(), Some("now"));
}

#[test]
fn an_alarm_is_told_on_the_line_below() {
    for kind in ["stalled", "waiting", "budget"] {
        let mut app = app();
        app.hear(happened(kind, running("app", 7, "T1")));
        assert_eq!(app.message.unwrap().text, "invocation 7: says why");
    }
}
