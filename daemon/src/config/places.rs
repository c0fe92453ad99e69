//! Where things are when nobody says otherwise: the XDG folders of the user, and for the configuration
//! of one who has none of his own, those of the system.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use directories::ProjectDirs;

/// The user's folders for us, none of them created yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// Each may hold a `config.toml`, and the first that there is counts, never a mixture: the user's own,
    /// then the system's. Clients and the gateway go by the same rule.
    pub config: Vec<PathBuf>,
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
            config: config_folders(
                folders.config_dir(),
                std::env::var_os("XDG_CONFIG_DIRS").as_deref(),
            ),
            state: folders.state_dir()?.to_owned(),
            runtime: folders.runtime_dir().map(Path::to_owned),
        })
    }

    /// The file that counts now; where there is none, where the user's own would be.
    pub(super) fn config_file(&self) -> Option<PathBuf> {
        let found = self.config_files().find(|file| file.exists());
        found.or_else(|| self.config_files().next())
    }

    /// All that may be, the one that counts most first.
    pub(super) fn config_files(&self) -> impl Iterator<Item = PathBuf> {
        self.config.iter().map(|folder| folder.join("config.toml"))
    }
}

fn config_folders(own: &Path, of_system: Option<&OsStr>) -> Vec<PathBuf> {
    let of_system = of_system.filter(|folders| !folders.is_empty());
    let of_system = std::env::split_paths(of_system.unwrap_or(OsStr::new("/etc/xdg")));
    let of_system = of_system.filter(|folder| folder.is_absolute());
    let of_system = of_system.map(|folder| folder.join("steroids"));
    std::iter::once(own.to_owned()).chain(of_system).collect()
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
        let places = Places {
            config: config_folders(&own, Some(&system)),
            state: "/state".into(),
            runtime: None,
        };
        let found = || places.config_file().unwrap();
        assert_eq!(found(), own.join("config.toml"));
        for folder in [&second, &first] {
            let file = folder.join("steroids/config.toml");
            std::fs::create_dir_all(folder.join("steroids")).unwrap();
            assert_ne!(found(), file);
            std::fs::write(&file, "").unwrap();
            assert_eq!(found(), file);
        }
        std::fs::create_dir_all(&own).unwrap();
        std::fs::write(own.join("config.toml"), "").unwrap();
        assert_eq!(found(), own.join("config.toml"));
    }
}
