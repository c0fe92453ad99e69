//! A copy of a database, made by SQLite itself: copying its files would miss what is in the -wal
//! and, on closing them, drop the locks of every connection of this process.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use super::error::StoreError;
use super::{connection, migrate, migrations};

/// Pages copied between two looks at the clock: 4 MiB of the usual page size.
const PAGES: i32 = 1024;

/// How long a copy may stand still because others hold a lock.
const PATIENCE: Duration = Duration::from_secs(10);

/// Names tried for one second's backups; a folder with more has another trouble.
const MOST_NAMES: u32 = 1000;

/// Copies the database into a new file of `folder`, checks the copy, and returns its path.
///
/// The copy has its final name only once it is whole and on the disk.
pub(super) fn make(
    source: &Connection,
    db: &Path,
    folder: &Path,
    version: u32,
) -> Result<PathBuf, StoreError> {
    migrate::make_folder(folder)?;
    let (target, partial) = claim(folder, version)?;
    let made = copy(source, &partial).and_then(|()| settle(&partial, &target, folder));
    if let Err(what) = made {
        // Half a copy helps nobody, and a full disk least of all.
        let _ = fs::remove_file(&partial);
        return Err(StoreError::Backup { path: target, what });
    }
    tracing::info!(backup = %target.display(), of = %db.display(), "database backed up");
    Ok(target)
}

fn copy(source: &Connection, partial: &Path) -> Result<(), String> {
    let mut target = connection::raw(partial, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(text)?;
    let backup = Backup::new(source, &mut target).map_err(text)?;
    let mut progress = Instant::now();
    loop {
        migrations::reach();
        match backup.step(PAGES).map_err(text)? {
            StepResult::Done => break,
            StepResult::More => progress = Instant::now(),
            _ if progress.elapsed() > PATIENCE => {
                return Err("the database is locked by another program".to_owned());
            }
            _ => thread::sleep(Duration::from_millis(50)),
        }
    }
    drop(backup);
    migrations::reach();
    migrate::quick_check(&target, partial).map_err(text)?;
    // One file, whatever mode the original is in: no -wal to forget when somebody restores it.
    target
        .query_row("PRAGMA journal_mode = DELETE", [], |_row| Ok(()))
        .map_err(text)?;
    target.close().map_err(|(_, error)| text(error))
}

fn settle(partial: &Path, target: &Path, folder: &Path) -> Result<(), String> {
    migrations::reach();
    fs::File::open(partial)
        .and_then(|file| file.sync_all())
        .and_then(|()| fs::rename(partial, target))
        .and_then(|()| fs::File::open(folder)?.sync_all())
        .map_err(text)
}

/// Takes a name nobody else has, by making the file that the copy goes into: of two who migrate in
/// the same second each gets its own, and neither removes the other's.
fn claim(folder: &Path, version: u32) -> Result<(PathBuf, PathBuf), StoreError> {
    let now = jiff::Timestamp::now()
        .strftime("%Y%m%dT%H%M%SZ")
        .to_string();
    let mut n = 1_u32;
    loop {
        let suffix = if n == 1 {
            String::new()
        } else {
            format!("-{n}")
        };
        let target = folder.join(format!("steroids-{version:03}-{now}{suffix}.db"));
        let partial = target.with_extension("partial");
        let made = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&partial);
        match made {
            // Looked for only now: whoever had the name before has finished, or never began.
            Ok(_) if !target.exists() => return Ok((target, partial)),
            Ok(_) => {
                let _ = fs::remove_file(&partial);
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists && n < MOST_NAMES => {}
            Err(error) => {
                return Err(StoreError::Backup {
                    path: target,
                    what: text(error),
                });
            }
        }
        n += 1;
    }
}

fn text(error: impl std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_backups_of_one_second_have_names_of_their_own() {
        let folder = tempfile::tempdir().unwrap();
        let (first, second) = loop {
            let first = claim(folder.path(), 9).unwrap();
            let second = claim(folder.path(), 9).unwrap();
            // Only pairs that fell into one second show anything.
            let seconds = [&first.0, &second.0].map(|path| path.to_string_lossy()[..].to_owned());
            if seconds[1].starts_with(seconds[0].trim_end_matches(".db")) {
                break (first, second);
            }
        };
        assert_ne!(first, second);
        fs::rename(&first.1, &first.0).unwrap();
        let third = claim(folder.path(), 9).unwrap();
        assert!(third != first && third != second);
        assert!(first.0.exists() && second.1.exists());
    }
}
