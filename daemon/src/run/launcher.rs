//! How shims are started here: as was asked for, or as well as can be.

use std::ffi::OsString;
use std::sync::Arc;

use tracing::{info, warn};

use super::rooms::{NoShim, shim};
use crate::config::{self, Config};
use crate::launch::{ForkLauncher, Launcher, Manager, SystemdLauncher};

/// The launcher. `auto` takes the user's service manager where one answers, and else does without; who
/// asks for `systemd` gets nothing else, also where there is none yet.
pub(super) async fn launcher(config: &Config) -> Result<Arc<dyn Launcher>, NoShim> {
    let shim = shim(config)?;
    let manager = manager(config);
    let launcher: Arc<dyn Launcher> = match config.launcher {
        config::Launcher::Fork => {
            let why = "as was asked for".to_owned();
            Arc::new(ForkLauncher::new(shim, manager, why))
        }
        config::Launcher::Systemd => {
            let found = manager.find().await;
            let why = "as was asked for".to_owned();
            Arc::new(SystemdLauncher::new(shim, manager, found, why))
        }
        config::Launcher::Auto => match manager.find().await {
            Ok(found) => {
                let why = format!("the user's systemd {} answers", found.version);
                Arc::new(SystemdLauncher::new(shim, manager, Ok(found), why))
            }
            Err(error) => Arc::new(ForkLauncher::new(shim, manager, error.to_string())),
        },
    };
    info!(
        launcher = launcher.name(),
        why = launcher.why(),
        "launcher chosen"
    );
    if launcher.name() == "systemd" && has_own_users() {
        info!("{UNSEEN}");
    }
    for warning in launcher.warnings() {
        warn!("{warning}");
    }
    Ok(launcher)
}

/// Said once: it is so in the unit that we ship, and not to be mended there.
const UNSEEN: &str = "this unit has a user namespace of its own (PrivateUsers=): of an agent whose shim was killed, \
    what left the agent's unit is not found by its marker; the service manager ends all that is in the unit";

/// Whether this process is in another user namespace than who started it, as the kernel then shows no
/// environment of a process outside. Where it does not say, it is not.
fn has_own_users() -> bool {
    let map = |process: &str| std::fs::read_to_string(format!("/proc/{process}/uid_map")).ok();
    let parent = rustix::process::getppid().map(|pid| pid.as_raw_nonzero().to_string());
    let parent = parent.and_then(|pid| map(&pid));
    parent.is_some_and(|parent| map("self") != Some(parent))
}

/// The user's service manager, by the daemon's own variables.
pub(super) fn manager(config: &Config) -> Manager {
    let variables = config.environment.0.iter();
    let variables: Vec<(OsString, OsString)> = variables
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    Manager::new(&variables)
}
