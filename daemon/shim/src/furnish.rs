//! The files of an invocation that a shim makes before it starts a provider, made before there is an
//! invocation: a new name costs a file system more than all else that a start asks of it.

use crate::durable::FileError;
use crate::exit;
use crate::lock;
use crate::paths::InvDir;
use crate::spool::{SpoolError, Writer};
use crate::state::State;

/// Why they could not be made.
#[derive(Debug, thiserror::Error)]
pub enum FurnishError {
    /// One of the small ones.
    #[error(transparent)]
    File(#[from] FileError),
    /// The transcript.
    #[error(transparent)]
    Spool(#[from] SpoolError),
}

/// Makes them in a folder that is there: the lock's file, an empty spool, room for the exit record and
/// for the state. On the disk once the folder was synced. Blocks.
pub fn furnish(dir: &InvDir) -> Result<(), FurnishError> {
    let path = dir.lock();
    lock::provide(&path).map_err(|source| FileError::io("create", &path, source))?;
    Writer::create(&dir.spool())?;
    exit::provide(dir)?;
    State::provide(dir)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    use std::path::PathBuf;

    use super::*;
    use crate::exit::{Draft, End, ExitRecord};
    use crate::spec::PROTOCOL;

    fn inodes(dir: &InvDir) -> Vec<(PathBuf, u64)> {
        let entries = fs::read_dir(dir.path()).unwrap();
        let mut inodes: Vec<_> = entries
            .map(|entry| entry.unwrap())
            .map(|entry| (entry.path(), entry.metadata().unwrap().ino()))
            .collect();
        inodes.sort();
        inodes
    }

    fn state() -> State {
        State {
            proto: PROTOCOL,
            shim_pid: 1,
            shim_start_ticks: 1,
            agent_pid: None,
            agent_start_ticks: None,
            boot_id: "here".to_owned(),
            cgroup: None,
            unit: None,
        }
    }

    #[test]
    fn who_comes_makes_no_file_anew() {
        let folder = tempfile::tempdir().unwrap();
        let dir = InvDir::at(folder.path());
        furnish(&dir).unwrap();
        let made = inodes(&dir);
        assert_eq!(made.len(), 4);
        let _lock = lock::acquire(&dir.lock()).unwrap();
        let _spool = Writer::create(&dir.spool()).unwrap();
        let draft = Draft::reserve(&dir).unwrap();
        assert_eq!(inodes(&dir), made);
        state().store(&dir).unwrap();
        assert_eq!(State::load(&dir).unwrap(), Some(state()));
        let record = ExitRecord {
            proto: PROTOCOL,
            end: End::Cancelled {
                error: "stopped".to_owned(),
            },
            ended_ms: 1,
            spool_length: 0,
            rusage: None,
        };
        draft.commit(&record).unwrap();
        assert_eq!(ExitRecord::load(&dir).unwrap(), Some(record));
        let numbers = |of: Vec<(PathBuf, u64)>| {
            let mut numbers: Vec<_> = of.into_iter().map(|(_, number)| number).collect();
            numbers.sort_unstable();
            numbers
        };
        assert_eq!(numbers(inodes(&dir)), numbers(made));
    }

    #[test]
    fn what_others_could_read_or_write_too_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let dir = InvDir::at(folder.path());
        furnish(&dir).unwrap();
        let path = crate::durable::draft_of(&dir.exit());
        let number = || fs::metadata(&path).unwrap().ino();
        let other = folder.path().join("other");
        fs::hard_link(&path, &other).unwrap();
        let linked = number();
        let draft = Draft::reserve(&dir).unwrap();
        assert_ne!(number(), linked);
        drop(draft);
        assert!(!path.exists(), "a draft is removed with its owner");
        for spoil in [
            |path: &PathBuf| fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap(),
            |path: &PathBuf| fs::write(path, "short").unwrap(),
        ] {
            exit::provide(&dir).unwrap();
            spoil(&path);
            let draft = Draft::reserve(&dir).unwrap();
            let made = fs::metadata(&path).unwrap();
            assert_eq!((made.mode() & 0o777, made.len()), (0o600, 4096));
            drop(draft);
        }
        std::os::unix::fs::symlink(&other, &path).unwrap();
        drop(Draft::reserve(&dir).unwrap());
        assert_eq!(fs::read(&other).unwrap(), [0; 4096]);
    }
}
