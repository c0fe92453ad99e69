//! What to type to have a program running that somebody looked for: the unit that is installed, where
//! that serves the same paths, else the program with the options that it takes to serve them.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use steroids_client::paths::{self, Paths};

use crate::session::quoted;

/// Where systemd looks for units of users beside what a user has installed for itself: as `systemd-analyze
/// --user unit-paths` of systemd 252 lists them.
const UNITS: [&str; 6] = [
    "/etc/systemd/user",
    "/run/systemd/user",
    "/usr/local/share/systemd/user",
    "/usr/share/systemd/user",
    "/usr/local/lib/systemd/user",
    "/usr/lib/systemd/user",
];

/// Where the system's units stand that start with the machine.
const ENABLED: &str = "/etc/systemd/system/multi-user.target.wants";

/// Below it is the runtime folder of each of the system's daemons, `steroidsd-USER`.
const RUN: &str = "/run/steroidsd-";

/// How to start a daemon for these paths.
pub(crate) fn of_daemon(paths: &Paths) -> String {
    how("steroidsd", paths)
}

/// How to start a gateway for these paths.
pub(crate) fn of_gateway(paths: &Paths) -> String {
    how("steroids-gateway", paths)
}

/// Whether the system starts a daemon for this user, with no session of his.
pub(crate) fn is_by_system() -> bool {
    enabled(Path::new(ENABLED), |name| std::env::var_os(name)).is_some()
}

fn how(program: &str, paths: &Paths) -> String {
    let environment = |name: &str| std::env::var_os(name);
    format!("start it with: {}", command(program, paths, environment))
}

fn command(program: &str, paths: &Paths, environment: impl Fn(&str) -> Option<OsString>) -> String {
    let is = |found: Option<Paths>| {
        found.is_some_and(|found| {
            let same_state =
                paths.state_dir.as_os_str().is_empty() || found.state_dir == paths.state_dir;
            found.socket == paths.socket && same_state
        })
    };
    // A unit knows nothing of what a shell has in its environment for the daemon.
    let of_unit = |name: &str| environment(name).filter(|_| !name.starts_with("STEROIDS_"));
    if is(paths::resolve_in(None, None, of_unit).ok()) {
        // Before the user's own: two daemons would be of one state folder.
        if program == "steroidsd"
            && let Some(user) =
                served(&paths.socket).or_else(|| enabled(Path::new(ENABLED), &environment))
        {
            return format!("sudo systemctl start steroidsd@{user}");
        }
        if has_unit(program, &environment) {
            return format!("systemctl --user start {program}");
        }
    }
    let (socket, state_dir) = (Some(&*paths.socket), Some(&*paths.state_dir));
    for (socket, state_dir) in [(None, None), (None, state_dir), (socket, None)] {
        if is(paths::resolve_in(socket, state_dir, &environment).ok()) {
            return line(program, socket, state_dir);
        }
    }
    line(program, socket, state_dir)
}

fn line(program: &str, socket: Option<&Path>, state_dir: Option<&Path>) -> String {
    let option = |name: &str, path: Option<&Path>| {
        let path = path.filter(|path| !path.as_os_str().is_empty());
        path.map_or_else(String::new, |path| {
            format!(" {name} {}", quoted(&path.to_string_lossy()))
        })
    };
    let socket = option("--socket", socket);
    let state_dir = option("--state-dir", state_dir);
    // In a session of its own, so that it goes on when the terminal is closed.
    format!("setsid -f {program}{socket}{state_dir}")
}

/// Whose daemon of the system has its socket here.
fn served(socket: &Path) -> Option<String> {
    let (user, _) = socket.to_str()?.strip_prefix(RUN)?.split_once('/')?;
    (!user.is_empty()).then(|| user.to_owned())
}

/// By which name the system starts a daemon for this user, among the units in this folder.
fn enabled(folder: &Path, environment: impl Fn(&str) -> Option<OsString>) -> Option<String> {
    let by_name = ["USER", "LOGNAME"].into_iter().filter_map(environment);
    let by_name = by_name.filter_map(|name| name.into_string().ok());
    let by_number = rustix::process::geteuid().as_raw().to_string();
    let mut names = by_name.chain([by_number]);
    // A link, be it to a unit that has gone.
    names.find(|name| {
        let unit = folder.join(format!("steroidsd@{name}.service"));
        !name.contains('/') && unit.symlink_metadata().is_ok()
    })
}

/// Whether there is a unit of this program, and a manager of this user to start it.
fn has_unit(program: &str, environment: impl Fn(&str) -> Option<OsString>) -> bool {
    let folder = |name: &str| {
        let set = environment(name).map(PathBuf::from);
        set.filter(|path| path.is_absolute())
    };
    let below_home = |path: &str| folder("HOME").map(|home| home.join(path));
    let own = [
        folder("XDG_CONFIG_HOME").or_else(|| below_home(".config")),
        folder("XDG_DATA_HOME").or_else(|| below_home(".local/share")),
    ];
    let own = own
        .into_iter()
        .flatten()
        .map(|path| path.join("systemd/user"));
    let mut folders = own.chain(UNITS.iter().map(PathBuf::from));
    folder("XDG_RUNTIME_DIR").is_some_and(|path| path.join("systemd/private").exists())
        && folders.any(|path| path.join(format!("{program}.service")).exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of somebody whose folders are all below this one.
    fn environment(home: &Path) -> impl Fn(&str) -> Option<OsString> {
        let home = home.to_owned();
        move |name| match name {
            "HOME" => Some(home.clone().into()),
            "XDG_RUNTIME_DIR" => Some(home.join("runtime").into()),
            _ => None,
        }
    }

    #[test]
    fn options_are_named_where_it_takes_them() {
        let home = tempfile::tempdir().unwrap();
        let said = |socket: Option<&str>, state_dir: Option<&str>| {
            let environment = environment(home.path());
            let (socket, state_dir) = (socket.map(Path::new), state_dir.map(Path::new));
            let paths = paths::resolve_in(socket, state_dir, &environment).unwrap();
            command("steroidsd", &paths, environment)
        };
        assert_eq!(said(None, None), "setsid -f steroidsd");
        assert_eq!(
            said(Some("/x/a b"), None),
            "setsid -f steroidsd --socket '/x/a b'"
        );
        assert_eq!(
            said(None, Some("/x/s")),
            "setsid -f steroidsd --state-dir /x/s"
        );
        let both = "setsid -f steroidsd --socket /x/d --state-dir /x/s";
        assert_eq!(said(Some("/x/d"), Some("/x/s")), both);
    }

    #[test]
    fn what_the_environment_says_need_not_be_repeated() {
        let home = tempfile::tempdir().unwrap();
        let of_home = environment(home.path());
        let environment = |name: &str| match name {
            "STEROIDS_SOCKET" => Some("/x/d".into()),
            name => of_home(name),
        };
        let paths = paths::resolve_in(None, None, environment).unwrap();
        assert_eq!(
            command("steroidsd", &paths, environment),
            "setsid -f steroidsd"
        );
        let elsewhere = paths::resolve_in(Some(Path::new("/x/e")), None, environment).unwrap();
        let said = command("steroidsd", &elsewhere, environment);
        assert_eq!(said, "setsid -f steroidsd --socket /x/e");
    }

    #[test]
    fn a_daemon_of_the_system_is_started_by_the_system() {
        let home = tempfile::tempdir().unwrap();
        let environment = |name: &str| match name {
            "HOME" => Some(home.path().into()),
            "XDG_RUNTIME_DIR" => Some("/run/steroidsd-alice".into()),
            _ => None,
        };
        let usual = paths::resolve_in(None, None, environment).unwrap();
        let said = command("steroidsd", &usual, environment);
        assert_eq!(said, "sudo systemctl start steroidsd@alice");
        let elsewhere = paths::resolve_in(Some(Path::new("/x/d")), None, environment).unwrap();
        let said = command("steroidsd", &elsewhere, environment);
        assert_eq!(said, "setsid -f steroidsd --socket /x/d");
        assert_eq!(
            command("steroids-gateway", &usual, environment),
            "setsid -f steroids-gateway"
        );

        let user = |name: &'static str| move |_: &str| Some(OsString::from(name));
        let units = home.path();
        assert_eq!(enabled(units, user("alice")), None);
        let unit = units.join("steroidsd@alice.service");
        std::os::unix::fs::symlink("/no/such/steroidsd@.service", unit).unwrap();
        assert_eq!(enabled(units, user("alice")).as_deref(), Some("alice"));
        assert_eq!(enabled(units, user("bob")), None);
    }

    #[test]
    fn a_unit_is_named_where_it_serves_the_same_paths_and_can_be_started() {
        let home = tempfile::tempdir().unwrap();
        let units = home.path().join(".config/systemd/user");
        std::fs::create_dir_all(&units).unwrap();
        std::fs::write(units.join("steroids-gateway.service"), "").unwrap();
        let of_home = environment(home.path());
        let usual = paths::resolve_in(None, None, &of_home).unwrap();
        let program = "steroids-gateway";
        // There is no manager.
        assert_eq!(
            command(program, &usual, &of_home),
            "setsid -f steroids-gateway"
        );
        let manager = home.path().join("runtime/systemd");
        std::fs::create_dir_all(&manager).unwrap();
        std::fs::write(manager.join("private"), "").unwrap();
        let unit = "systemctl --user start steroids-gateway";
        assert_eq!(command(program, &usual, &of_home), unit);
        let elsewhere = paths::resolve_in(Some(Path::new("/x/d")), None, &of_home).unwrap();
        let said = command(program, &elsewhere, &of_home);
        assert_eq!(said, "setsid -f steroids-gateway --socket /x/d");
        // Of the environment a unit knows nothing.
        let environment = |name: &str| match name {
            "STEROIDS_SOCKET" => Some("/x/d".into()),
            name => of_home(name),
        };
        assert_eq!(
            command(program, &elsewhere, environment),
            "setsid -f steroids-gateway"
        );
    }
}
