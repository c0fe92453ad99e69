//! `doctor`: everything an agent needs, checked in the order in which it is needed, and for what
//! is missing, what to do. It changes nothing.

mod daemon;
mod host;
mod kernel;
mod providers;
#[cfg(test)]
mod script;
mod service;

use std::path::Path;

use serde::Serialize;
use steroids_client::v1;

use crate::clean::clean_line;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::program;
use crate::session::Session;
use crate::terminal::Style;

const EXAMPLES: &str = "\
Examples:
  steroidsctl doctor
  steroidsctl doctor --json | jq '.checks[] | select(.status != \"ok\")'

Ends with 0 unless something fails: 69 if no daemon can be reached, 78 if the configuration cannot \
be used, else 4. Warnings do not count. Nothing is changed; the agents' CLIs are run for their \
version, and of their logins only the names of files and variables are shown.";

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
    let (status, if_it_fails) = match session.found() {
        Ok(found) => {
            if let Some(error) = found.unread() {
                checks.push(unusable(&Failure::from(error)));
            }
            let paths = &found.paths;
            checks.extend(host::socket(paths));
            let reached = daemon::checks(session, &found, &mut checks).await;
            let client = reached.as_ref().map(|(client, _)| client);
            let least = host::least_space(client, session).await;
            let status = reached.map(|(_, status)| status);
            let told = status.as_ref().map(|status| status.state_dir.as_str());
            // The daemon knows best where its state is: its configuration may have moved it.
            let state_dir = match told.filter(|told| !told.is_empty()) {
                Some(told) => Path::new(told),
                None => &paths.state_dir,
            };
            folders(session, state_dir, &least, &mut checks);
            let if_it_fails = match status {
                Some(_) => Exit::Refused,
                None => Exit::Unreachable,
            };
            (status, if_it_fails)
        }
        // Nobody knows where the daemon is; the rest can still be looked at.
        Err(failure) => {
            checks.push(unusable(&failure));
            (None, failure.exit())
        }
    };
    host(status.as_ref(), &mut checks).await;
    let is_unusable = |check: &Check| check.name == "config" && check.status == Verdict::Fail;
    let exit = match worst(&checks) {
        Verdict::Fail if checks.iter().any(is_unusable) => Exit::Configuration,
        Verdict::Fail => if_it_fails,
        Verdict::Ok | Verdict::Warn => Exit::Ok,
    };
    print(session, checks)?;
    Ok(exit)
}

fn unusable(failure: &Failure) -> Check {
    let hint = failure.hint().unwrap_or_default();
    Check::fail("config", failure.message(), hint)
}

/// Where the daemon keeps things, and where the project is.
fn folders(session: &Session, state_dir: &Path, least: &host::Least, checks: &mut Vec<Check>) {
    checks.extend(host::state_dir(state_dir));
    checks.extend(host::token(state_dir));
    checks.push(host::space(state_dir, least, "spools"));
    checks.extend(kernel::file_system(state_dir, kernel::STATE));
    let project = session.project().ok();
    if let Some(project) = project.as_deref().map(Path::new) {
        if !host::shares_disk(state_dir, project) {
            checks.push(host::space(project, least, "logs"));
        }
        checks.extend(kernel::file_system(project, kernel::PROJECT));
    }
}

/// What is asked of programs and of the kernel, all at once: some of it takes seconds.
async fn host(status: Option<&v1::StatusResponse>, checks: &mut Vec<Check>) {
    let pid = status.map(|status| status.pid);
    let folder = program::folder(pid);
    let daemon = status.map(|status| status.version.as_str());
    let launcher = async {
        match status {
            Some(status) => service::launcher(status).await,
            None => None,
        }
    };
    let around = providers::Surroundings::here();
    let configured = status.map_or(&[][..], |status| &status.providers);
    // What is wrong with it may have been said.
    let is_told = checks.iter().any(|check| check.name == "config");
    let asked = folder.as_deref().filter(|_| !is_told);
    let config = service::configuration(asked);
    let (config, shim, launcher, linger, clock, agents) = tokio::join!(
        config,
        service::shim(folder.as_deref(), daemon),
        launcher,
        service::linger(status),
        service::clock(status.map(|status| status.started_at_ms)),
        providers::checks(configured, &around),
    );
    checks.extend(config);
    checks.extend([shim, launcher, linger].into_iter().flatten());
    let by_systemd = status.is_some_and(|status| status.launcher == "systemd");
    checks.push(kernel::cgroup(pid, by_systemd));
    checks.push(kernel::inotify());
    checks.push(clock);
    checks.extend(agents);
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
