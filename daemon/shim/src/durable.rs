//! Small files that are there whole or not at all, also after a power loss: written beside,
//! synced, renamed, and the folder synced.

use std::error::Error;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nix::libc;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::spec::PROTOCOL;

/// A specification may carry a prompt of some megabytes; nothing else comes near this.
const LONGEST: u64 = 64 * 1024 * 1024;

/// Why a file of the state folder could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The file system refused.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// It is not what its name promises.
    #[error("{} is not valid", path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// It was written by a newer release.
    #[error("{} is of shim protocol {proto}, known are those up to {PROTOCOL}", path.display())]
    Foreign {
        /// Which file.
        path: PathBuf,
        /// Its protocol.
        proto: u32,
    },
}

impl FileError {
    /// Adds what was tried on which file.
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> FileError {
        FileError::Io {
            action,
            path: path.to_owned(),
            source,
        }
    }

    /// True if the file is not there.
    pub fn is_missing(&self) -> bool {
        matches!(self, FileError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

/// True if a disk, or its owner's share of it, has no room: it is among the causes. Whether or not that is a file's.
pub fn lacks_room(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    let mut causes = std::iter::from_fn(|| {
        let error = next?;
        next = error.source();
        Some(error)
    });
    causes.any(|cause| {
        let kind = cause.downcast_ref().map(io::Error::kind);
        matches!(
            kind,
            Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
        )
    })
}

/// What every file says of itself.
#[derive(serde::Deserialize)]
struct Versioned {
    proto: u32,
}

/// Reads one JSON document; unknown fields are passed over. Blocks.
///
/// # Errors
/// When it is not there, cannot be read, or is none.
pub fn load<T: DeserializeOwned>(path: &Path) -> Result<T, FileError> {
    let bytes = read(path).map_err(|source| match is_no_file(&source) {
        true => FileError::Malformed {
            path: path.to_owned(),
            source: serde::de::Error::custom(source),
        },
        false => FileError::io("read", path, source),
    })?;
    serde_json::from_slice(&bytes).map_err(|source| {
        match serde_json::from_slice::<Versioned>(&bytes) {
            Ok(Versioned { proto }) if proto > PROTOCOL => FileError::Foreign {
                path: path.to_owned(),
                proto,
            },
            _ => FileError::Malformed {
                path: path.to_owned(),
                source,
            },
        }
    })
}

/// All of a file of the state folder: agents run as its owner, and may have put anything there. Blocks, but for no
/// pipe.
///
/// # Errors
/// When it is not there, is no regular file, or longer than any of ours can be.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(path)?;
    let about = file.metadata()?;
    if !about.is_file() {
        let what = "it is no regular file; remove it";
        return Err(io::Error::new(io::ErrorKind::InvalidData, what));
    }
    if about.len() > LONGEST {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    // At once, and not by doubling: a shim is small.
    let mut bytes = Vec::with_capacity(about.len() as usize + 1);
    file.take(LONGEST).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Whether [`read`] says that what is there is none of our files, and not that it cannot be read now.
fn is_no_file(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::InvalidData | io::ErrorKind::FileTooLarge
    ) || error.raw_os_error() == Some(libc::ELOOP)
}

/// Has there be a file of this name, whatever is in it.
///
/// # Errors
/// When there is none and none can be made, or something that is no file has its name.
pub fn mark(path: &Path) -> io::Result<()> {
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(path);
    file.map(drop)
}

/// Writes one JSON document; when it returns, a power loss no longer takes it away.
///
/// # Errors
/// When a step is refused; what was there before is then still there, whole.
pub fn store<T: Serialize>(path: &Path, document: &T) -> Result<(), FileError> {
    stage(path, document)?.publish()
}

/// A document that is on the disk, and has not its name yet.
#[derive(Debug)]
pub struct Staged(PathBuf);

/// Writes one JSON document so far that nothing but a name is missing: a full disk shows here. Another one, or
/// [`store`], takes its place. Blocks.
///
/// # Errors
/// When a step is refused.
pub fn stage<T: Serialize>(path: &Path, document: &T) -> Result<Staged, FileError> {
    let draft = draft_of(path);
    let bytes = encode(path, document)?;
    let written = draft_with(&draft, &bytes).and_then(|file| {
        file.sync_all()
            .map_err(|source| FileError::io("sync", &draft, source))
    });
    written.inspect_err(|_| discard(&draft))?;
    Ok(Staged(path.to_owned()))
}

impl Staged {
    /// Gives it its name; when it returns, a power loss no longer takes it away. Blocks.
    ///
    /// # Errors
    /// As of [`store`].
    pub fn publish(self) -> Result<(), FileError> {
        let draft = draft_of(&self.0);
        name(&draft, &self.0).inspect_err(|_| discard(&draft))
    }
}

/// Removes what could not become whole: where the names are those of messages, nobody would write another
/// to its place.
fn discard(draft: &Path) {
    // One that was named is there no more.
    let _ = fs::remove_file(draft);
}

/// Writes one JSON document that means nothing after the next boot: who reads it finds it whole, or
/// the one before, but nothing waits for the disk.
pub(crate) fn store_for_this_boot<T: Serialize>(
    path: &Path,
    document: &T,
) -> Result<(), FileError> {
    let draft = draft_of(path);
    draft_with(&draft, &encode(path, document)?)?;
    fs::rename(&draft, path).map_err(|source| FileError::io("rename", &draft, source))
}

fn draft_with(draft: &Path, bytes: &[u8]) -> Result<File, FileError> {
    let mut file = create(draft)?;
    file.write_all(bytes)
        .map_err(|source| FileError::io("write", draft, source))?;
    Ok(file)
}

/// One JSON document and a newline.
pub(crate) fn encode<T: Serialize>(path: &Path, document: &T) -> Result<Vec<u8>, FileError> {
    let mut bytes = serde_json::to_vec(document).map_err(|source| FileError::Malformed {
        path: path.to_owned(),
        source,
    })?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// The name a file has until it is whole.
pub(crate) fn draft_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".tmp");
    PathBuf::from(name)
}

/// Opens an empty file for writing, readable by its owner alone.
pub(crate) fn create(path: &Path) -> Result<File, FileError> {
    // Only one that is empty: to cut a file is dearer than to make one.
    let is_empty = |file: &File| file.metadata().is_ok_and(|it| it.len() == 0);
    if let Some(file) = reuse(path).filter(is_empty) {
        return Ok(file);
    }
    // One that a crash left behind may have another mode, or be a link.
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            return Err(FileError::io("remove", path, source));
        }
        _ => {}
    }
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(|source| FileError::io("create", path, source))
}

/// Opens one that is there, and is as [`create`] makes it, as it is.
pub(crate) fn reuse(path: &Path) -> Option<File> {
    let mut options = OpenOptions::new();
    // A pipe that somebody has put there is not waited for.
    options
        .write(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    let file = options.open(path).ok()?;
    let about = file.metadata().ok()?;
    let is_ours = about.uid() == rustix::process::geteuid().as_raw();
    let is_private = about.mode() & 0o7777 == 0o600 && about.nlink() == 1;
    (about.is_file() && is_ours && is_private).then_some(file)
}

/// Makes a written draft durable under its final name.
pub(crate) fn publish(file: &File, draft: &Path, path: &Path) -> Result<(), FileError> {
    file.sync_all()
        .map_err(|source| FileError::io("sync", draft, source))?;
    name(draft, path)
}

fn name(draft: &Path, path: &Path) -> Result<(), FileError> {
    fs::rename(draft, path).map_err(|source| FileError::io("rename", draft, source))?;
    sync_folder_of(path)
}

/// Makes the names in a file's folder durable.
pub fn sync_folder_of(path: &Path) -> Result<(), FileError> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|source| FileError::io("sync", folder, source))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    struct Document {
        proto: u32,
        word: String,
    }

    #[test]
    fn a_stored_document_reads_back_and_only_its_owner_may() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("document.json");
        let document = Document {
            proto: 1,
            word: "two\nlines".to_owned(),
        };
        store(&path, &document).unwrap();
        store(&path, &document).unwrap();
        assert_eq!(load::<Document>(&path).unwrap(), document);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn one_that_cannot_be_written_leaves_nothing_beside() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("document.json");
        // Nothing takes the name of a folder.
        fs::create_dir(&path).unwrap();
        let document = Document {
            proto: 1,
            word: "a".to_owned(),
        };
        store(&path, &document).unwrap_err();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_wrong_with_a_file_is_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("document.json");
        assert!(load::<Document>(&path).unwrap_err().is_missing());
        fs::write(&path, b"{\"proto\":1,\"wo").unwrap();
        assert!(matches!(
            load::<Document>(&path),
            Err(FileError::Malformed { .. })
        ));
        fs::write(&path, b"{\"proto\":99,\"else\":true}").unwrap();
        assert!(matches!(
            load::<Document>(&path),
            Err(FileError::Foreign { proto: 99, .. })
        ));
        fs::write(&path, b"{\"proto\":1,\"word\":\"a\",\"later\":[1]}").unwrap();
        assert_eq!(load::<Document>(&path).unwrap().word, "a");
    }

    #[test]
    fn what_is_no_file_is_neither_waited_for_nor_followed() {
        let room = tempfile::tempdir().unwrap();
        let path = |name: &str| room.path().join(name);
        let (pipe, link, folder) = (path("pipe"), path("link"), path("folder"));
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        std::os::unix::fs::symlink("/dev/zero", &link).unwrap();
        fs::create_dir(&folder).unwrap();
        for path in [&pipe, &link, &folder, Path::new("/dev/zero")] {
            assert!(read(path).is_err(), "{}", path.display());
            let loaded = load::<serde_json::Value>(path);
            assert!(
                matches!(loaded, Err(FileError::Malformed { .. })),
                "{loaded:?}"
            );
        }
        let sparse = path("sparse");
        fs::File::create(&sparse)
            .unwrap()
            .set_len(LONGEST + 1)
            .unwrap();
        assert_eq!(
            read(&sparse).unwrap_err().kind(),
            io::ErrorKind::FileTooLarge
        );

        for path in [&pipe, &link] {
            assert!(mark(path).is_err(), "{}", path.display());
        }
        fs::write(path("made"), "kept").unwrap();
        mark(&path("made")).unwrap();
        assert_eq!(read(&path("made")).unwrap(), b"kept");
        mark(&path("new")).unwrap();
        assert_eq!(read(&path("new")).unwrap(), b"");
    }
}
