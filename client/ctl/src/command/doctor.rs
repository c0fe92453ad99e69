//! `doctor`: everything an agent needs, checked in the order in which it is needed, and for what
//! is missing, what to do. It changes nothing.

mod daemon;
mod host;

use serde::Serialize;

use crate::clean::clean_line;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::session::Session;
use crate::terminal::Style;

const EXAMPLES: &str = "\
Examples:
  steroidsctl doctor
  steroidsctl doctor --json | jq '.checks[] | select(.status != \"ok\")'

Ends with 0 unless something fails: 69 if no daemon can be reached, else 4. Warnings do not count.";

/// Nothing but the flags of every command.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {}

/// How a check went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Ok,
    Warn,
    Fail,
}

/// One line of the report.
#[derive(Debug, Serialize)]
struct Check {
    name: &'static str,
    status: Verdict,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

impl Check {
    fn ok(name: &'static str, message: impl Into<String>) -> Self {
        Check {
            name,
            status: Verdict::Ok,
            message: message.into(),
            hint: None,
        }
    }

    fn warn(name: &'static str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Check {
            name,
            status: Verdict::Warn,
            message: message.into(),
            hint: Some(hint.into()),
        }
    }

    fn fail(name: &'static str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Check {
            status: Verdict::Fail,
            ..Check::warn(name, message, hint)
        }
    }
}

/// Checks all, and prints the report.
pub(crate) async fn run(_: &Args, session: &mut Session) -> Result<Exit, Failure> {
    let mut checks = Vec::new();
    let paths = session.paths()?;
    checks.extend(host::socket(&paths.socket));
    let reached = daemon::checks(session, &mut checks).await;
    // The daemon knows best where its state is: its configuration may have moved it.
    let state_dir = reached.state_dir.unwrap_or(paths.state_dir);
    checks.extend(host::state_dir(&state_dir));
    checks.push(host::space(&state_dir));
    checks.extend(host::linger());
    let exit = match worst(&checks) {
        Verdict::Fail if !reached.answered => Exit::Unreachable,
        Verdict::Fail => Exit::Refused,
        Verdict::Ok | Verdict::Warn => Exit::Ok,
    };
    print(session, checks)?;
    Ok(exit)
}

fn worst(checks: &[Check]) -> Verdict {
    let any = |verdict| checks.iter().any(|check| check.status == verdict);
    match (any(Verdict::Fail), any(Verdict::Warn)) {
        (true, _) => Verdict::Fail,
        (false, true) => Verdict::Warn,
        (false, false) => Verdict::Ok,
    }
}

fn print(session: &mut Session, checks: Vec<Check>) -> Result<(), Failure> {
    if session.json {
        session.out.json(&steroids_client::json::Named {
            name: "checks",
            items: checks,
        })?;
        return Ok(());
    }
    let colour = session.out.colour;
    for check in &checks {
        let (word, style) = match check.status {
            Verdict::Ok => ("ok  ", Style::Good),
            Verdict::Warn => ("warn", Style::Warn),
            Verdict::Fail => ("fail", Style::Bad),
        };
        let word = style.paint(colour, word);
        let message = clean_line(&check.message);
        session
            .out
            .line(format_args!("{word}  {:<10}  {message}", check.name))?;
        for line in check.hint.iter().flat_map(|hint| hint.lines()) {
            let line = clean_line(line);
            session
                .out
                .line(format_args!("{:18}{}", "", Style::Dim.paint(colour, line)))?;
        }
    }
    Ok(())
}
