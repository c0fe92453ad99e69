//! That one gateway at a time has a token: each keeps it in memory, so that another's would go on
//! being good after it was replaced at the first. The kernel lets go of the lock with the open file,
//! whatever becomes of the process; the file stays, since removing it would let two hold two files of
//! one name.

use std::fs::{File, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::OFlags;

use super::TokenError;

const NAME: &str = "lock";
/// Enough for a process id; anybody of this user may have written the file.
const LONGEST_HOLDER: u64 = 64;

/// The right to a folder's token, until it is dropped.
#[derive(Debug)]
pub(crate) struct TokenLock {
    _file: File,
}

impl TokenLock {
    /// Takes it, or names who has it. Blocks.
    pub(super) fn take(folder: &Path) -> Result<TokenLock, TokenError> {
        let path = folder.join(NAME);
        let io = |source| TokenError::Io {
            path: path.clone(),
            source,
        };
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(flags.bits().cast_signed())
            .open(&path)
            .map_err(io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(TokenError::Held {
                    folder: folder.to_owned(),
                    holder: holder(&file),
                });
            }
            Err(TryLockError::Error(error)) => return Err(io(error)),
        }
        // On a full disk it is held all the same; the next one is told that it does not say by whom.
        let _ = write_holder(&mut file);
        Ok(TokenLock { _file: file })
    }
}

fn write_holder(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    writeln!(file, "pid {}", std::process::id())
}

/// What the holder wrote; it may not have come to that yet.
fn holder(file: &File) -> String {
    let mut text = String::new();
    let read = file.take(LONGEST_HOLDER).read_to_string(&mut text);
    match (read, text.trim()) {
        (Ok(_), line) if !line.is_empty() => line.to_owned(),
        _ => "a process that does not say which".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_told_who_has_it_and_gets_it_when_that_one_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let first = TokenLock::take(folder.path()).unwrap();
        let error = TokenLock::take(folder.path()).unwrap_err().to_string();
        assert!(
            error.contains(&format!("pid {}", std::process::id())),
            "{error}"
        );
        drop(first);
        TokenLock::take(folder.path()).unwrap();
    }
}
