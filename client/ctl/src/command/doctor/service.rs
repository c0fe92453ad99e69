//! What runs the daemon: its programs and whether they are of one version, its configuration, the
//! user's services, the clock.

use std::path::Path;
use std::time::Duration;

use steroids_client::v1;

use super::Check;
use crate::ask::{Silent, ask};
use crate::clean::clean_line;
use crate::format;
use crate::{program, starting};

/// A program of ours, or systemd's, answers at once.
const WITHIN: Duration = Duration::from_secs(5);
/// No clock that is right shows an earlier time: 2026-01-01.
const EARLIEST_MS: i64 = 1_767_225_600_000;
/// A start by so much ahead of the clock is no rounding.
const AHEAD_MS: i64 = 60_000;

/// A daemon whose program was replaced runs on as it was.
pub(super) fn replaced(pid: i64) -> Option<Check> {
    let program = std::fs::read_link(format!("/proc/{pid}/exe")).ok()?;
    program.to_string_lossy().ends_with(" (deleted)").then(|| {
        Check::warn(
            "daemon",
            "its program was replaced since it started",
            RESTART,
        )
    })
}

/// What a user namespace of its own (`PrivateUsers=`) keeps from the daemon: the kernel then shows it no
/// environment of a process outside, and so no marker.
pub(super) fn namespace(pid: i64) -> Option<Check> {
    let map = |process: &str| std::fs::read_to_string(format!("/proc/{process}/uid_map")).ok();
    let is_own = map(&pid.to_string())? != map("self")?;
    is_own.then(|| Check::ok("namespace", UNSEEN))
}

const UNSEEN: &str = "the daemon has a user namespace of its own (PrivateUsers=): of an agent whose shim was killed it does not \
    find what left the agent's unit; the service manager ends all that is in it";

/// What to do after an upgrade.
pub(super) const RESTART: &str = "restart the daemon: agents go on meanwhile";

/// The shim beside the daemon. Each agent keeps the one it was started with.
pub(super) async fn shim(folder: Option<&Path>, daemon: Option<&str>) -> Option<Check> {
    let program = folder?.join("steroids-shim");
    if !program.exists() {
        // The daemon may be told another by `daemon.shim`, and would not have started without.
        return None;
    }
    let at = program.display();
    let said = match ask(&program, &["--version"], WITHIN).await {
        Ok(said) if said.code == 0 => said.stdout,
        Ok(said) => {
            let text = format!("{at} --version ended with {}", said.code);
            return Some(Check::fail("shim", text, "install steroids anew"));
        }
        Err(Silent::NotRun(error)) => {
            let text = format!("{at} cannot be run: {error}");
            return Some(Check::fail("shim", text, "install steroids anew"));
        }
        Err(Silent::Slow) => {
            let text = format!("{at} --version does not end");
            return Some(Check::warn("shim", text, "see whether it works by hand"));
        }
    };
    let version = said.split_whitespace().last().unwrap_or("?");
    let text = format!("steroids-shim {}, {at}", clean_line(version));
    Some(match daemon {
        Some(daemon) if daemon != version => {
            Check::warn("shim", format!("{text}; the daemon is {daemon}"), RESTART)
        }
        _ => Check::ok("shim", text),
    })
}

/// Has the daemon's program read the configuration, and tells each problem; no word where it cannot be asked so.
pub(super) async fn configuration(folder: Option<&Path>) -> Vec<Check> {
    let problems = match folder {
        Some(folder) => program::problems(folder).await,
        None => None,
    };
    match problems {
        None => Vec::new(),
        Some(problems) if problems.is_empty() => {
            vec![Check::ok("config", "the settings make sense")]
        }
        Some(problems) => {
            let todo = "set it right: the daemon would not start again";
            let problems = problems.into_iter();
            problems
                .map(|why| Check::fail("config", why, todo))
                .collect()
        }
    }
}

/// How shims are started, and whether the user has a service manager.
pub(super) async fn launcher(status: &v1::StatusResponse) -> Option<Check> {
    if status.launcher.is_empty() {
        return None;
    }
    let manager = user_manager().await;
    let is_systemd = status.launcher == "systemd";
    Some(match (is_systemd, manager) {
        (true, None) => Check::warn(
            "launcher",
            "agents are started as services of systemd, and your service manager does not answer",
            "log in anew, or: sudo systemctl start user@$(id -u).service",
        ),
        (_, manager) => Check::ok("launcher", started_by(status, manager)),
    })
}

/// Who starts agents, why he does, and how the user's service manager is, if there is one.
fn started_by(status: &v1::StatusResponse, manager: Option<String>) -> String {
    let who = match status.launcher.as_str() {
        "systemd" => "agents are started as services of systemd".to_owned(),
        "fork" => "agents are started by the daemon itself (fork)".to_owned(),
        other => format!("agents are started by {}", clean_line(other)),
    };
    let why = clean_line(&status.launcher_why);
    let parts = [Some(who), (!why.is_empty()).then_some(why), manager];
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    parts.join("; ")
}

async fn user_manager() -> Option<String> {
    let said = ask("systemctl", &["--user", "is-system-running"], WITHIN).await;
    let word = said.ok()?.stdout.trim().to_owned();
    let runs = [
        "running",
        "degraded",
        "starting",
        "initializing",
        "maintenance",
    ];
    runs.contains(&word.as_str())
        .then(|| format!("the user's service manager is {word}"))
}

/// Without lingering a user's services end with the last login, but not a daemon of the system. No word where
/// there is no logind, or where the daemon has said it.
pub(super) async fn linger(status: Option<&v1::StatusResponse>) -> Option<Check> {
    let said = |warning: &String| warning.contains("linger");
    if status.is_some_and(|status| status.warnings.iter().any(said)) {
        return None;
    }
    let is_by_system = match status {
        Some(status) => is_of_system(status.pid),
        None => starting::is_by_system(),
    };
    if is_by_system {
        let text = "the system runs the daemon: it and its agents go on after logout";
        return Some(Check::ok("linger", text));
    }
    let user = rustix::process::geteuid().as_raw().to_string();
    let arguments = ["show-user", &user, "--property=Linger", "--value"];
    let said = ask("loginctl", &arguments, WITHIN).await.ok()?;
    match said.stdout.trim() {
        "yes" => Some(Check::ok("linger", "services go on after logout")),
        "no" => Some(Check::warn(
            "linger",
            "your services, the daemon and its agents among them, end when you log out",
            "loginctl enable-linger",
        )),
        _ => None,
    }
}

/// Whether a process is in a unit of the system's own manager.
fn is_of_system(pid: i64) -> bool {
    let groups = std::fs::read_to_string(format!("/proc/{pid}/cgroup"));
    is_system_group(&groups.unwrap_or_default())
}

fn is_system_group(groups: &str) -> bool {
    let group = groups.lines().find_map(|line| line.strip_prefix("0::"));
    group.is_some_and(|group| group.starts_with("/system.slice/"))
}

/// Ages, limits that reset and retention go by the clock.
pub(super) async fn clock(started_at_ms: Option<i64>) -> Check {
    let said = ask(
        "timedatectl",
        &["show", "--property=NTPSynchronized", "--value"],
        WITHIN,
    )
    .await;
    let synchronised = said.ok().map(|said| said.stdout.trim().to_owned());
    clock_check(format::now_ms(), started_at_ms, synchronised.as_deref())
}

fn clock_check(now: i64, started: Option<i64>, synchronised: Option<&str>) -> Check {
    let text = format::date(now);
    if now < EARLIEST_MS {
        let text = format!("the clock shows {text}");
        return Check::fail("clock", text, "set it right: sudo timedatectl set-ntp true");
    }
    if let Some(started) = started.filter(|started| started - now > AHEAD_MS) {
        let ahead = format::duration(started - now);
        let text = format!("{text}; the daemon was started {ahead} later than that");
        return Check::warn(
            "clock",
            text,
            "the clock was set back: see that it is right",
        );
    }
    match synchronised {
        Some("no") => Check::warn(
            "clock",
            format!("{text}; nothing keeps it right"),
            "sudo timedatectl set-ntp true",
        ),
        _ => Check::ok("clock", text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::doctor::Verdict;
    use crate::command::doctor::script::script;

    fn program(folder: &Path, name: &str, text: &str) {
        script(&folder.join(name), text);
    }

    #[test]
    fn a_clock_that_cannot_be_right_is_told() {
        let now = EARLIEST_MS + 1;
        assert_eq!(
            clock_check(now, Some(now - 5), Some("yes")).status,
            Verdict::Ok
        );
        assert_eq!(clock_check(now, None, None).status, Verdict::Ok);
        assert_eq!(clock_check(now, None, Some("no")).status, Verdict::Warn);
        assert_eq!(clock_check(0, None, Some("yes")).status, Verdict::Fail);
        let back = clock_check(now, Some(now + 7_200_000), Some("yes"));
        assert!(back.message.contains("2h 00m later"), "{}", back.message);
    }

    #[test]
    fn a_daemon_in_a_unit_of_the_system_needs_no_lingering() {
        let system = "0::/system.slice/system-steroidsd.slice/steroidsd@alice.service/daemon\n";
        let user = "0::/user.slice/user-7.slice/user@7.service/app.slice/steroidsd.service\n";
        assert!(is_system_group(system));
        assert!(!is_system_group(user));
        assert!(!is_system_group(""));
    }

    #[test]
    fn who_starts_agents_and_why_is_said_once() {
        let said = |launcher: &str, why: &str, manager: Option<&str>| {
            let status = v1::StatusResponse {
                launcher: launcher.to_owned(),
                launcher_why: why.to_owned(),
                ..v1::StatusResponse::default()
            };
            started_by(&status, manager.map(str::to_owned))
        };
        assert_eq!(
            said("fork", "no user service manager: no socket", None),
            "agents are started by the daemon itself (fork); no user service manager: no socket"
        );
        assert_eq!(
            said(
                "systemd",
                "as was asked for",
                Some("the user's service manager is running")
            ),
            "agents are started as services of systemd; as was asked for; the user's service manager is running"
        );
        assert_eq!(said("rocket\n", "", None), "agents are started by rocket");
    }

    #[tokio::test]
    async fn programs_of_two_versions_are_a_warning_and_one_that_fails_a_failure() {
        let folder = tempfile::tempdir().unwrap();
        assert!(shim(Some(folder.path()), None).await.is_none());
        program(folder.path(), "steroids-shim", "echo steroids-shim 0.1.0");
        let status = async |daemon| {
            shim(Some(folder.path()), Some(daemon))
                .await
                .unwrap()
                .status
        };
        assert_eq!(status("0.1.0").await, Verdict::Ok);
        assert_eq!(status("0.2.0").await, Verdict::Warn);
        let other = tempfile::tempdir().unwrap();
        program(other.path(), "steroids-shim", "exit 1");
        let broken = shim(Some(other.path()), Some("0.1.0")).await.unwrap();
        assert_eq!(broken.status, Verdict::Fail);
    }

    #[tokio::test]
    async fn a_wrong_setting_is_told_in_the_daemons_words() {
        let folder = tempfile::tempdir().unwrap();
        program(folder.path(), "steroidsd", "exit 2");
        assert!(configuration(Some(folder.path())).await.is_empty());
        let other = tempfile::tempdir().unwrap();
        let text = "printf 'steroidsd: warning: odd\nsteroidsd: a.toml:2: no\nsteroidsd: a.toml:9: nor this\n' >&2; exit 78";
        program(other.path(), "steroidsd", text);
        let checks = configuration(Some(other.path())).await;
        assert!(checks.iter().all(|check| check.status == Verdict::Fail));
        let said: Vec<_> = checks.iter().map(|check| &*check.message).collect();
        assert_eq!(said, ["a.toml:2: no", "a.toml:9: nor this"]);
    }
}
