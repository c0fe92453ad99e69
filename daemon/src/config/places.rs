//! Where things are when nobody says otherwise: the XDG folders of the user.

use std::path::{Path, PathBuf};

use directories::ProjectDirs;

/// The user's folders for us, none of them created yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// Holds `config.toml`.
    pub config: PathBuf,
    /// What must outlive a restart of the machine.
    pub state: PathBuf,
    /// Sockets; absent without a login session.
    pub runtime: Option<PathBuf>,
}

impl Places {
    /// Asks the environment (`HOME`, `XDG_*`); `None` if it knows no home.
    pub fn of_user() -> Option<Places> {
        let folders = ProjectDirs::from("", "", "steroids")?;
        Some(Places {
            config: folders.config_dir().to_owned(),
            state: folders.state_dir()?.to_owned(),
            runtime: folders.runtime_dir().map(Path::to_owned),
        })
    }
}
