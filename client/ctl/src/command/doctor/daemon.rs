//! What the daemon itself says: that it answers, its version, its troubles, its providers, and
//! how it finds this project.

use std::path::{Path, PathBuf};

use steroids_client::{Client, v1};

use super::Check;
use crate::command::status::UNKNOWN_TODO;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::format;
use crate::session::Session;

/// Whether the daemon answered, and what the checks of the host need from it.
#[derive(Default)]
pub(super) struct Reached {
    pub(super) answered: bool,
    pub(super) state_dir: Option<PathBuf>,
}

/// Adds the checks that need a daemon; one that fails where there is none.
pub(super) async fn checks(session: &Session, checks: &mut Vec<Check>) -> Reached {
    let answer = async {
        let client = session.connect().await?;
        let status = client.status(v1::StatusRequest {}).await?;
        Ok::<_, Failure>((client, status))
    };
    let (client, status) = match answer.await {
        Ok(answer) => answer,
        Err(failure) => {
            checks.push(failed("daemon", &failure));
            checks.extend(providers(&[]));
            return Reached::default();
        }
    };
    checks.push(version(&status));
    for trouble in &status.degraded {
        checks.push(Check::warn("degraded", trouble, "see the daemon's own log"));
    }
    if status.state == "draining" {
        checks.push(Check::warn(
            "draining",
            "the daemon refuses new starts",
            "it is about to stop",
        ));
    }
    checks.extend(formats(&status));
    checks.extend(providers(&status.providers));
    checks.push(project(session, &client).await);
    Reached {
        answered: true,
        state_dir: (!status.state_dir.is_empty()).then(|| PathBuf::from(status.state_dir)),
    }
}

/// A CLI that prints what no parser knows has changed its format.
fn formats(status: &v1::StatusResponse) -> Vec<Check> {
    if status.unknown.is_empty() && status.unknown_events > 0 {
        // A daemon that does not say whose they are.
        let said = format!(
            "{} provider events were not understood",
            status.unknown_events
        );
        return vec![Check::warn("parsers", said, UNKNOWN_TODO)];
    }
    let suspect = status.unknown.iter().map(|events| {
        let said = format!("format change suspected: {}", format::unknown(events));
        Check::warn("parsers", said, UNKNOWN_TODO)
    });
    suspect.collect()
}

fn failed(name: &'static str, failure: &Failure) -> Check {
    Check::fail(name, failure.message(), failure.hint().unwrap_or_default())
}

fn version(status: &v1::StatusResponse) -> Check {
    let ours = env!("CARGO_PKG_VERSION");
    let text = format!(
        "steroidsd {}, process {}, {}",
        status.version, status.pid, status.state
    );
    if status.version == ours {
        Check::ok("daemon", text)
    } else {
        Check::warn(
            "daemon",
            format!("{text}; this is steroidsctl {ours}"),
            "restart the daemon after an upgrade: agents go on meanwhile",
        )
    }
}

/// A start sends the caller's PATH along, so a program is there if either of the two finds it.
fn providers(configured: &[v1::Provider]) -> Vec<Check> {
    let known = configured
        .iter()
        .map(|it| (it.name.as_str(), it.command.as_str()));
    let usual = [
        ("claude", "claude"),
        ("codex", "codex"),
        ("gemini", "gemini"),
        ("opencode", "opencode"),
    ];
    let asked: Vec<(&str, &str)> = if configured.is_empty() {
        usual.into()
    } else {
        known.collect()
    };
    let mut found = Vec::new();
    let mut missing = Vec::new();
    for (name, command) in asked {
        if command.is_empty() {
            continue;
        }
        let theirs = configured
            .iter()
            .find(|it| it.name == name)
            .map(|it| it.program.as_str());
        match on_path(command).or_else(|| theirs.filter(|it| !it.is_empty()).map(PathBuf::from)) {
            Some(program) => found.push(Check::ok(
                "provider",
                format!("{name}: {}", program.display()),
            )),
            None => missing.push(Check::warn(
                "provider",
                format!("{name}: no program `{command}` on PATH"),
                how_to_install(name),
            )),
        }
    }
    found.extend(missing);
    found
}

fn how_to_install(name: &str) -> String {
    match name {
        "claude" => "npm install -g @anthropic-ai/claude-code".to_owned(),
        "codex" => "npm install -g @openai/codex".to_owned(),
        "gemini" => "npm install -g @google/gemini-cli".to_owned(),
        "opencode" => "npm install -g opencode-ai".to_owned(),
        name => format!("install it, or set `command` under [providers.{name}] in config.toml"),
    }
}

fn on_path(command: &str) -> Option<PathBuf> {
    let is_program = |path: &Path| {
        path.is_file() && rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok()
    };
    if command.contains('/') {
        return Some(PathBuf::from(command)).filter(|path| is_program(path));
    }
    std::env::split_paths(&std::env::var_os("PATH")?)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(command))
        .find(|path| is_program(path))
}

async fn project(session: &Session, client: &Client) -> Check {
    let path = match session.project() {
        Ok(path) => path,
        // Asked for anywhere: that here is no project is no fault.
        Err(failure) => {
            return Check::warn(
                "project",
                failure.message(),
                failure.hint().unwrap_or_default(),
            );
        }
    };
    let request = v1::GetProjectRequest { path: path.clone() };
    let answer = client.project(request).await.map_err(Failure::from);
    let project = match answer.map(|answer| answer.project) {
        Ok(Some(project)) => project,
        Ok(None) => {
            return Check::warn(
                "project",
                format!("{path} is not registered"),
                "run `steroidsctl init` there",
            );
        }
        Err(failure) if failure.exit() == Exit::NotFound => {
            return Check::warn(
                "project",
                failure.message(),
                failure.hint().unwrap_or("run `steroidsctl init` there"),
            );
        }
        Err(failure) => return failed("project", &failure),
    };
    let text = format!("{path}: {}", project.state);
    match project.state.as_str() {
        "ready" => Check::ok("project", text),
        "needs_migration" => Check::fail("project", text, "run `steroidsctl migrate`"),
        "read_only" => Check::warn("project", text, project.reason),
        _ => Check::fail("project", text, project.reason),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::doctor::Verdict;

    #[test]
    fn a_program_that_either_side_finds_is_there() {
        let provider = |name: &str, command: &str, program: &str| v1::Provider {
            name: name.to_owned(),
            kind: "command".to_owned(),
            command: command.to_owned(),
            program: program.to_owned(),
            env: Vec::new(),
        };
        let checks = providers(&[
            provider("gone", "steroids-no-such-program", ""),
            provider("shell", "sh", ""),
            provider("theirs", "steroids-no-such-program", "/opt/x"),
            provider("command", "", ""),
        ]);
        let seen: Vec<_> = checks.iter().map(|check| check.status).collect();
        assert_eq!(seen, [Verdict::Ok, Verdict::Ok, Verdict::Warn]);
        assert!(
            checks[2]
                .hint
                .as_ref()
                .unwrap()
                .contains("[providers.gone]")
        );
    }

    #[test]
    fn a_format_that_has_changed_is_a_warning_that_names_who_changed_it() {
        let mut status = v1::StatusResponse::default();
        assert!(formats(&status).is_empty());
        status.unknown_events = 3;
        assert_eq!(formats(&status)[0].status, Verdict::Warn);
        status.unknown = vec![v1::UnknownEvents {
            provider: "claude".to_owned(),
            version: "2.1.300".to_owned(),
            count: 3,
            ..Default::default()
        }];
        let checks = formats(&status);
        assert!(checks[0].message.contains("claude 2.1.300: 3"));
        let hint = checks[0].hint.as_deref().unwrap_or_default();
        assert!(hint.contains("reproject --all"));
    }

    #[test]
    fn another_version_is_a_warning() {
        let status = v1::StatusResponse {
            version: "0.0.1".to_owned(),
            ..Default::default()
        };
        assert_eq!(version(&status).status, Verdict::Warn);
    }
}
