//! Where things are when nobody says otherwise: the XDG folders of the user, and for the configuration
//! of one who has none of his own, those of the system.

use std::ffi::OsStr;
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
            config: config_folder(
                folders.config_dir(),
                std::env::var_os("XDG_CONFIG_DIRS").as_deref(),
            ),
            state: folders.state_dir()?.to_owned(),
            runtime: folders.runtime_dir().map(Path::to_owned),
        })
    }
}

/// The user's own folder; where there is no file in it, the first of the system's where there is one. One
/// file counts, never a mixture: clients and the gateway go by the same rule.
fn config_folder(own: &Path, of_system: Option<&OsStr>) -> PathBuf {
    let of_system = of_system.filter(|folders| !folders.is_empty());
    let of_system = std::env::split_paths(of_system.unwrap_or(OsStr::new("/etc/xdg")));
    let of_system = of_system.filter(|folder| folder.is_absolute());
    let candidates = of_system.map(|folder| folder.join("steroids"));
    let mut candidates = std::iter::once(own.to_owned()).chain(candidates);
    let found = candidates.find(|folder| folder.join("config.toml").exists());
    found.unwrap_or_else(|| own.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_users_own_file_counts_and_the_systems_where_there_is_none() {
        let root = tempfile::tempdir().unwrap();
        let own = root.path().join("own/steroids");
        let (first, second) = (root.path().join("first"), root.path().join("second"));
        let system = std::env::join_paths([Path::new("relative"), &first, &second]).unwrap();
        let found = || config_folder(&own, Some(&system));
        assert_eq!(found(), own);
        for folder in [&second, &first] {
            std::fs::create_dir_all(folder.join("steroids")).unwrap();
            assert_ne!(found(), folder.join("steroids"));
            std::fs::write(folder.join("steroids/config.toml"), "").unwrap();
            assert_eq!(found(), folder.join("steroids"));
        }
        std::fs::create_dir_all(&own).unwrap();
        std::fs::write(own.join("config.toml"), "").unwrap();
        assert_eq!(found(), own);
    }
}
