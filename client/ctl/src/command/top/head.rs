//! What stands above the list: the daemon, how much runs and waits, what is held, what is wrong.

use ratatui::text::Line;
use steroids_client::v1;

use super::app::App;
use super::columns::{memory, short};
use super::draw::Theme;
use super::row::{self, Standing};
use crate::clean::clean_line;
use crate::format;
use crate::table::cut;
use crate::terminal::Style;

/// The lines, the most important first.
pub(super) fn lines(app: &App, theme: Theme, width: usize) -> Vec<Line<'static>> {
    let mut lines = vec![daemon(app), counts(app)];
    if let Some(held) = app.status.as_ref().and_then(holds) {
        lines.push((held, Style::Warn));
    }
    for trouble in app.status.iter().flat_map(|status| &status.degraded) {
        lines.push((
            format!("degraded: {}", clean_line(&format::by_clock(trouble))),
            Style::Bad,
        ));
    }
    let shown = lines.into_iter().map(|(text, style)| {
        let text = cut(&text, width);
        Line::from(theme.span(text, style))
    });
    shown.collect()
}

fn daemon(app: &App) -> (String, Style) {
    let mut parts = Vec::new();
    let mut style = Style::Plain;
    let since = |since: i64| {
        let time = format::clock(since);
        format!("since {time} ({})", short(app.now - since))
    };
    if let Some((away, why)) = &app.away {
        style = Style::Bad;
        parts.push(format!("daemon away, {}", since(*away)));
        parts.push(why.clone());
    } else if let Some(late) = app.late {
        style = Style::Bad;
        parts.push(format!("daemon does not answer, {}", since(late)));
        parts.push("agents go on".to_owned());
    } else if let Some(status) = &app.status {
        if status.state != "serving" {
            style = Style::Warn;
        }
        parts.push(format!("steroidsd {} {}", status.version, status.state));
        parts.push(format!("up {}", short(app.now - status.started_at_ms)));
        let projects = status.projects;
        let plural = if projects == 1 { "" } else { "s" };
        parts.push(format!("{projects} project{plural}"));
    } else {
        parts.push("steroidsd".to_owned());
    }
    if !app.load.is_empty() {
        parts.push(format!("load {}", app.load));
    }
    (clean_line(&parts.join(" · ")), style)
}

fn counts(app: &App) -> (String, Style) {
    if app.status.is_none() && app.count() == 0 {
        return ("running ? · queued ?".to_owned(), Style::Plain);
    }
    let count = |standing| app.standing_so(standing);
    let waiting = count(Standing::Queued) + count(Standing::Held);
    let running = app.count() - waiting;
    // The bounds are the daemon's, for all projects: they say nothing of one.
    let status = app.status.as_ref().filter(|_| app.project.is_none());
    let bound = |most: fn(&v1::StatusResponse) -> i64| {
        let most = status.map(most).filter(|most| *most > 0);
        most.map_or_else(String::new, |most| format!(" of {most}"))
    };
    let of = app.project.as_ref().map(|path| {
        let name = path.rsplit('/').next().unwrap_or_default();
        format!("{}: ", clean_line(name))
    });
    let of = of.unwrap_or_default();
    let mut parts = vec![
        format!(
            "{of}running {running}{}",
            bound(|status| status.max_running)
        ),
        format!("queued {waiting}{}", bound(|status| status.max_queued)),
    ];
    for standing in [
        Standing::Stalled,
        Standing::Asking,
        Standing::Ending,
        Standing::Held,
    ] {
        let so = count(standing);
        if so > 0 {
            parts.push(format!("{} {so}", standing.word()));
        }
    }
    let style = if count(Standing::Stalled) > 0 {
        Style::Warn
    } else {
        Style::Plain
    };
    // As the counts, of all: a filter is for the rows.
    let all: Vec<_> = app.rows().collect();
    let tokens = all
        .iter()
        .fold(0u64, |sum, it| sum.saturating_add(row::tokens(it)));
    if tokens > 0 {
        parts.push(format!("{} tokens", format::count(tokens)));
    }
    let cost: f64 = all.iter().filter_map(|it| row::cost(it)).sum();
    if cost > 0.0 {
        parts.push(format::cost(cost));
    }
    let used: Vec<_> = all.iter().map(|it| row::used(it)).collect();
    if used.iter().any(|used| used.cpu.is_some()) {
        let cpu: f64 = used.iter().filter_map(|used| used.cpu).sum();
        parts.push(format!("CPU {cpu:.0}%"));
    }
    if used.iter().any(|used| used.memory.is_some()) {
        let sum = used.iter().filter_map(|used| used.memory);
        parts.push(format!("memory {}", memory(sum.sum())));
    }
    (parts.join(" · "), style)
}

fn holds(status: &v1::StatusResponse) -> Option<String> {
    let held = status.holds.iter().map(|hold| {
        let until = format::clock(hold.until_ms);
        let reason = hold.reason.replace('_', " ");
        format!("{} until {until} ({reason})", hold.provider)
    });
    let held: Vec<_> = held.collect();
    (!held.is_empty()).then(|| clean_line(&format!("held: {}", held.join(", "))))
}
