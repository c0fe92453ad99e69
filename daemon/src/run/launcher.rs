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
        config::Launcher::Fork => Arc::new(ForkLauncher::new(shim, "as was asked for".to_owned())),
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
            Err(error) => Arc::new(ForkLauncher::new(shim, error.to_string())),
        },
    };
    info!(
        launcher = launcher.name(),
        why = launcher.why(),
        "launcher chosen"
    );
    for warning in launcher.warnings() {
        warn!("{warning}");
    }
    Ok(launcher)
}

/// The user's service manager, by the daemon's own variables.
pub(super) fn manager(config: &Config) -> Manager {
    let variables = config.environment.0.iter();
    let variables: Vec<(OsString, OsString)> = variables
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    Manager::new(&variables)
}
