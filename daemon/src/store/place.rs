//! Where a database may lie, and whether it is still the file that was opened.
//!
//! Only names are looked at here, never a descriptor opened: closing any descriptor of a database
//! would drop the locks SQLite holds on it.

use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::error::StoreError;

/// File systems where SQLite's locks or its shared memory cannot be trusted, by `statfs` magic.
const NETWORK: &[(u32, &str)] = &[
    (0x6969, "nfs"),
    (0x517b, "smb"),
    (0xff53_4d42, "cifs"),
    (0xfe53_4d42, "smb2"),
    (0x5346_414f, "afs"),
    (0x7375_7245, "coda"),
    (0x564c, "ncp"),
    (0x00c3_6400, "ceph"),
    (0x0bd0_0bd0, "lustre"),
    (0x0102_1997, "9p"),
    (0x0116_1970, "gfs2"),
    (0x7461_636f, "ocfs2"),
    (0x4750_4653, "gpfs"),
];

/// Magic of every FUSE mount; the mount table says which.
const FUSE: u32 = 0x6573_5546;

/// FUSE file systems that are a network in disguise.
const FUSE_NETWORK: &[&str] = &[
    "fuse.sshfs",
    "fuse.rclone",
    "fuse.glusterfs",
    "fuse.s3fs",
    "fuse.davfs",
    "fuse.ceph-fuse",
    "fuse.curlftpfs",
    "fuse.gcsfuse",
    "fuse.juicefs",
];

/// Refuses a database that is not a plain file of ours on a local disk.
pub(super) fn check(db: &Path) -> Result<(), StoreError> {
    let entry = match fs::symlink_metadata(db) {
        Ok(entry) => entry,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(StoreError::Missing {
                path: db.to_owned(),
            });
        }
        Err(source) => return Err(io_error(db, source)),
    };
    let what = if entry.file_type().is_symlink() {
        Some("a symbolic link")
    } else if !entry.is_file() {
        Some("not a file")
    } else if entry.uid() != rustix::process::geteuid().as_raw() {
        Some("it belongs to another user")
    } else if entry.nlink() > 1 {
        Some("it has a second name (hard link), which breaks the names of SQLite's journals")
    } else {
        None
    };
    match what {
        Some(what) => Err(StoreError::NotAFile {
            path: db.to_owned(),
            what,
        }),
        None => check_disk(db),
    }
}

/// Refuses network file systems.
pub(super) fn check_disk(path: &Path) -> Result<(), StoreError> {
    let stat = rustix::fs::statfs(path).map_err(|errno| io_error(path, errno.into()))?;
    // The magic is a 32-bit number in a signed word of the platform's size.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the magic is the word's low 32 bits"
    )]
    let magic = stat.f_type as u32;
    let named = NETWORK
        .iter()
        .find(|(known, _)| *known == magic)
        .map(|(_, name)| (*name).to_owned());
    let kind = match named {
        None if magic == FUSE => fuse_network(path),
        named => named,
    };
    match kind {
        Some(kind) => Err(StoreError::NetworkFileSystem {
            path: path.to_owned(),
            kind,
        }),
        None => Ok(()),
    }
}

/// The type of the FUSE mount `path` is on, if it is one of [`FUSE_NETWORK`].
fn fuse_network(path: &Path) -> Option<String> {
    let device = fs::symlink_metadata(path).ok()?.dev();
    let wanted = format!(
        "{}:{}",
        rustix::fs::major(device),
        rustix::fs::minor(device)
    );
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let line = mounts
        .lines()
        .find(|line| line.split(' ').nth(2) == Some(&wanted))?;
    let kind = line.split(" - ").nth(1)?.split(' ').next()?;
    FUSE_NETWORK.contains(&kind).then(|| kind.to_owned())
}

/// A file by device and inode.
pub(super) type Id = (u64, u64);

/// By what a database is told from one made anew under its name, on whatever device: its number, and when it was
/// made, as numbers are given again. Not every file system knows the latter.
pub type Origin = Option<(u64, Option<SystemTime>)>;

/// The files of an open database, as they were when it was opened.
///
/// SQLite goes on writing into a file that was deleted or replaced, and nobody would ever see it.
#[derive(Debug, Clone)]
pub(super) struct Identity {
    files: Vec<(PathBuf, Option<Id>)>,
    origin: Origin,
}

impl Identity {
    /// Of a database whose connections have been used, so that its -wal and -shm exist.
    pub(super) fn of(db: &Path) -> Identity {
        let files = ["", "-wal", "-shm"]
            .into_iter()
            .map(|suffix| beside(db, suffix))
            .map(|path| {
                let id = id_of(&path);
                (path, id)
            })
            .collect();
        let entry = fs::symlink_metadata(db).ok();
        let origin = entry.map(|entry| (entry.ino(), entry.created().ok()));
        Identity { files, origin }
    }

    /// True if each file is still the one it was.
    pub(super) fn holds(&self) -> bool {
        self.files
            .iter()
            .all(|(path, id)| id.is_none() || id_of(path) == *id)
    }

    /// Which database it was.
    pub(super) fn origin(&self) -> Origin {
        self.origin
    }

    /// The database's name in its folder, and which file it was.
    pub(super) fn database(&self) -> (&OsStr, Option<Id>) {
        let first = self.files.first();
        let named = first.and_then(|(path, id)| Some((path.file_name()?, *id)));
        named.unwrap_or_default()
    }

    /// Journals of ours that stand beside another database than the one they belong to.
    ///
    /// None while there is no database at all: it may come back, and needs them then.
    pub(super) fn strays(&self) -> Vec<(&Path, Id)> {
        let Some(((db, was), journals)) = self.files.split_first() else {
            return Vec::new();
        };
        match id_of(db) {
            None => Vec::new(),
            now if now == *was => Vec::new(),
            Some(_) => journals
                .iter()
                .filter_map(|(path, id)| Some((path.as_path(), (*id)?)))
                .filter(|(path, id)| id_of(path) == Some(*id))
                .collect(),
        }
    }
}

/// What changes when somebody writes into a file, or puts another in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp(Option<(Id, u64, [i64; 4])>);

impl Stamp {
    /// Of the file of this name, now.
    pub fn of(path: &Path) -> Stamp {
        Stamp::made(fs::symlink_metadata(path).ok())
    }

    /// As [`Stamp::of`]; an empty file is as good as none.
    pub fn of_content(path: &Path) -> Stamp {
        let entry = fs::symlink_metadata(path).ok();
        Stamp::made(entry.filter(|entry| entry.len() > 0))
    }

    fn made(entry: Option<Metadata>) -> Stamp {
        Stamp(entry.map(|entry| {
            let times = [
                entry.mtime(),
                entry.mtime_nsec(),
                entry.ctime(),
                entry.ctime_nsec(),
            ];
            (id(&entry), entry.len(), times)
        }))
    }
}

/// How many descriptors of this process lead to the file of this name.
///
/// SQLite opens by name; that it opened the file that was checked, and not one that stood in its
/// place for a moment, shows only here. Looking does not open anything.
pub(super) fn descriptors(db: &Path) -> usize {
    let (Some(wanted), Ok(open)) = (id_of(db), fs::read_dir("/proc/self/fd")) else {
        return 0;
    };
    open.filter_map(|entry| fs::metadata(entry.ok()?.path()).ok())
        .filter(|entry| id(entry) == wanted)
        .count()
}

fn id_of(path: &Path) -> Option<Id> {
    fs::symlink_metadata(path).ok().map(|entry| id(&entry))
}

fn id(entry: &Metadata) -> Id {
    (entry.dev(), entry.ino())
}

/// The name of a file SQLite keeps beside the database.
pub(super) fn beside(db: &Path, suffix: &str) -> PathBuf {
    let mut name = db.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

pub(super) fn io_error(path: &Path, source: io::Error) -> StoreError {
    StoreError::Io {
        path: path.to_owned(),
        source,
    }
}
