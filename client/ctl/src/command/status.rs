//! `status`: how the daemon is.

mod measures;

use steroids_client::{json, v1};

use crate::clean::clean_line;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::format;
use crate::session::Session;
use crate::terminal::Style;

/// What to do about events that no parser knew.
pub(crate) const UNKNOWN_TODO: &str = "nothing is lost, they are in the log as `unknown`: install a steroidsd that knows them, then `steroidsctl reproject --all`";

const EXAMPLES: &str = "\
Examples:
  steroidsctl status
  steroidsctl status --json | jq .running

Ends with 69 where no daemon answers (78 where none would start with this configuration).";

/// Nothing but the flags of every command.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {}

/// Shows it.
pub(crate) async fn run(_: &Args, session: &mut Session) -> Result<Exit, Failure> {
    let client = session.connect().await?;
    let status = client.status(v1::StatusRequest {}).await?;
    if session.json {
        session.out.json(&json::status(&status))?;
        return Ok(Exit::Ok);
    }
    let colour = session.out.colour;
    let up = format::now_ms() - status.started_at_ms;
    let pairs = [
        (
            "daemon",
            format!("steroidsd {}, {}", status.version, status.state),
        ),
        (
            "process",
            format!(
                "{}, up {}, {}",
                status.pid,
                format::duration(up),
                format::bytes(status.rss_bytes)
            ),
        ),
        ("running", measures::running(&status)),
        ("queued", measures::queued(&status)),
        ("projects", status.projects.to_string()),
        ("streams", measures::streams(&status)),
        ("launcher", launcher(&status)),
        ("socket", status.socket.clone()),
        ("state", status.state_dir.clone()),
        (
            "config",
            if status.config.is_empty() {
                "none".to_owned()
            } else {
                status.config.clone()
            },
        ),
        ("wakeup", wakeup(status.last_wakeup_at_ms)),
    ];
    for (key, value) in pairs.into_iter().chain(measures::lines(&status)) {
        let key = Style::Dim.paint(colour, format!("{key:<10}"));
        session
            .out
            .line(format_args!("{key}  {}", clean_line(&value)))?;
    }
    for (style, value) in unknown(&status) {
        let key = style.paint(colour, format!("{:<10}", "unknown"));
        session
            .out
            .line(format_args!("{key}  {}", clean_line(&value)))?;
    }
    for warning in &status.warnings {
        let key = Style::Warn.paint(colour, format!("{:<10}", "warning"));
        session
            .out
            .line(format_args!("{key}  {}", clean_line(warning)))?;
    }
    for trouble in &status.degraded {
        let key = Style::Bad.paint(colour, format!("{:<10}", "degraded"));
        session.out.line(format_args!(
            "{key}  {}",
            clean_line(&format::by_clock(trouble))
        ))?;
    }
    for hold in &status.holds {
        let key = Style::Warn.paint(colour, format!("{:<10}", "held"));
        session
            .out
            .line(format_args!("{key}  {}", super::holds::line(hold)))?;
    }
    for provider in &status.providers {
        let key = Style::Dim.paint(colour, format!("{:<10}", "provider"));
        let at = if provider.command.is_empty() {
            "what stands behind `--`"
        } else if provider.program.is_empty() {
            "not found by the daemon"
        } else {
            &provider.program
        };
        let text = format!("{} ({}): {at}", provider.name, provider.kind);
        session
            .out
            .line(format_args!("{key}  {}", clean_line(&text)))?;
    }
    Ok(Exit::Ok)
}

/// How agents are started, why so, and what can be bounded.
fn launcher(status: &v1::StatusResponse) -> String {
    let mut said = status.launcher.clone();
    if !status.launcher_why.is_empty() {
        said.push_str(&format!(": {}", status.launcher_why));
    }
    match &*status.controllers {
        [] => said.push_str("; resources cannot be limited"),
        held => said.push_str(&format!("; can limit {}", held.join(", "))),
    }
    said
}

/// What no parser knew, and what to do about it; a line that says so where there is nothing.
fn unknown(status: &v1::StatusResponse) -> Vec<(Style, String)> {
    if status.unknown.is_empty() {
        let none = format!("{} provider events no parser knew", status.unknown_events);
        return vec![(Style::Dim, none)];
    }
    let lines = status.unknown.iter().map(|events| {
        let since = format::ago(events.first_at_ms, format::now_ms());
        format!("events: {}, first {since}", format::unknown(events))
    });
    let todo = format!("since this steroidsd started; {UNKNOWN_TODO}");
    let lines = lines.chain([todo]);
    lines.map(|line| (Style::Warn, line)).collect()
}

fn wakeup(at: i64) -> String {
    if at == 0 {
        "not yet".to_owned()
    } else {
        format::ago(at, format::now_ms())
    }
}
