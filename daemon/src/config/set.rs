//! What counts of the configuration and does not stand in the file: flags, variables, and defaults
//! that depend on the user.

use std::ffi::OsString;
use std::path::Path;

use steroids_keys::{Origin, Set};
use toml::Value;

use super::{Flags, Paths};

/// A flag also has a variable; the one whose value it is set it, as far as anybody can tell.
pub(super) fn elsewhere(
    flags: &Flags,
    paths: &Paths,
    variable: &dyn Fn(&str) -> Option<OsString>,
) -> Vec<Set> {
    let path = |path: &'static str, flag, name, given: Option<&Path>, value: &Path| {
        let given = given.filter(|given| !given.as_os_str().is_empty());
        let origin = match given {
            None => Origin::Default,
            Some(given) if variable(name).is_some_and(|set| set == given) => Origin::Variable(name),
            Some(_) => Origin::Flag(flag),
        };
        Set {
            path,
            value: text(&value.to_string_lossy()),
            origin,
        }
    };
    let mut set = vec![
        path(
            "daemon.socket",
            "--socket",
            "STEROIDS_SOCKET",
            flags.socket.as_deref(),
            &paths.socket,
        ),
        path(
            "daemon.state_dir",
            "--state-dir",
            "STEROIDS_STATE_DIR",
            flags.state_dir.as_deref(),
            &paths.state_dir,
        ),
    ];
    if let Some(level) = &flags.log_level {
        set.push(Set {
            path: "daemon.log_level",
            value: text(level),
            origin: Origin::Flag("--log-level"),
        });
    }
    if let Some(launcher) = flags.launcher {
        let name = "STEROIDS_LAUNCHER";
        set.push(Set {
            path: "daemon.launcher",
            value: text(launcher.as_str()),
            origin: match variable(name).is_some_and(|set| set == launcher.as_str()) {
                true => Origin::Variable(name),
                false => Origin::Flag("--launcher"),
            },
        });
    }
    if flags.allow_root {
        let name = "STEROIDS_ALLOW_ROOT";
        set.push(Set {
            path: "daemon.allow_root",
            value: "true".to_owned(),
            origin: match variable(name) {
                Some(_) => Origin::Variable(name),
                None => Origin::Flag("--allow-root"),
            },
        });
    }
    set
}

/// As it is written in the file.
fn text(value: &str) -> String {
    Value::String(value.to_owned()).to_string()
}
