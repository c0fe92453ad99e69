//! How SQLite opens and removes files: by their names, and through no symbolic link.
//!
//! SQLite knows names only. It refuses links (`SQLITE_OPEN_NOFOLLOW`) by looking at each part of a
//! name and opening the whole of it afterwards; a folder that is swapped for a link in between
//! leads it astray, and so does one that is swapped later, when it makes the `-wal` and the `-shm`.
//! Opening through `/proc/self/fd` does not help, as it resolves that link too and goes on with a
//! name. But it lets its system calls be replaced, and `openat2` looks and opens in one.
#![expect(unsafe_code, reason = "SQLite takes functions by their addresses")]

use std::cell::Cell;
use std::ffi::{CStr, OsStr, c_char, c_int};
use std::io;
use std::os::fd::{IntoRawFd as _, OwnedFd};
use std::path::Path;
use std::ptr;
use std::sync::Once;

use rusqlite::ffi::{SQLITE_OK, sqlite3_initialize, sqlite3_syscall_ptr, sqlite3_vfs_find};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, RenameFlags, ResolveFlags, renameat_with};
use rustix::io::Errno;

use super::error::is_crowded;
use super::place::Id;

const THROUGH_NO_LINK: ResolveFlags = ResolveFlags::NO_SYMLINKS.union(ResolveFlags::NO_MAGICLINKS);

/// The names of SQLite's own temporary files. Those are made anew, with names that nobody knows, in
/// a folder of the system's, to which a link may well lead.
const TEMPORARY: &[u8] = b"etilqs_";

/// Names tried for a journal that is set aside: one for each time a database was replaced.
const ASIDE: usize = 100;

/// From here on SQLite follows no symbolic link, in the whole process. Costs nothing when repeated.
pub(super) fn follow_no_links() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let replaced = replace(c"open", address(open as *const ()))
            && replace(c"unlink", address(unlink as *const ()));
        if !replaced {
            // It then follows them as it does everywhere else: only in the moment of a swap.
            tracing::warn!("SQLite does not let its system calls be replaced");
        }
    });
}

fn replace(name: &CStr, function: sqlite3_syscall_ptr) -> bool {
    // SAFETY: the default VFS lives as long as the process; its table of calls is written once,
    // before this process has a connection (see the caller's `Once`), and takes a name and a
    // function with that call's signature.
    unsafe {
        if sqlite3_initialize() != SQLITE_OK {
            return false;
        }
        let vfs = sqlite3_vfs_find(ptr::null());
        match vfs.as_ref().and_then(|vfs| vfs.xSetSystemCall) {
            Some(set) => set(vfs, name.as_ptr(), function) == SQLITE_OK,
            None => false,
        }
    }
}

fn address(function: *const ()) -> sqlite3_syscall_ptr {
    // SAFETY: the address of a function; SQLite casts it back to the call's signature.
    Some(unsafe { std::mem::transmute::<*const (), unsafe extern "C" fn()>(function) })
}

thread_local! {
    /// Whether this thread has asked for one file more than may be open.
    static WAS_CROWDED: Cell<bool> = const { Cell::new(false) };
}

/// Whether SQLite has been refused a file on this thread, since this was last asked, because too many are open. It
/// says itself only that it cannot open something, or opens it for reading instead; and by the time that one looks,
/// others may have closed theirs.
pub(super) fn was_crowded() -> bool {
    WAS_CROWDED.take()
}

/// In the place of `open(2)`.
extern "C" fn open(name: *const c_char, flags: c_int, mode: c_int) -> c_int {
    // SAFETY: SQLite's names end with a NUL, and outlive the call.
    let name = unsafe { CStr::from_ptr(name) };
    let flags = OFlags::from_bits_retain(flags.cast_unsigned());
    // openat2 is strict: no mode where nothing is made.
    let mode = if flags.contains(OFlags::CREATE) {
        Mode::from_raw_mode(mode.cast_unsigned())
    } else {
        Mode::empty()
    };
    match open_through_no_link(name, flags, mode) {
        Ok(fd) => fd.into_raw_fd(),
        Err(errno) => {
            if is_crowded(&io::Error::from(errno)) {
                WAS_CROWDED.set(true);
            }
            failed(errno)
        }
    }
}

/// In the place of `unlink(2)`.
extern "C" fn unlink(name: *const c_char) -> c_int {
    // SAFETY: SQLite's names end with a NUL, and outlive the call.
    let name = unsafe { CStr::from_ptr(name) };
    match unlink_through_no_link(name) {
        Ok(()) => 0,
        Err(errno) => failed(errno),
    }
}

/// What a system call leaves behind when it fails.
fn failed(errno: Errno) -> c_int {
    nix::errno::Errno::set_raw(errno.raw_os_error());
    -1
}

fn open_through_no_link(name: &CStr, flags: OFlags, mode: Mode) -> Result<OwnedFd, Errno> {
    if is_temporary(name) {
        return rustix::fs::open(name, flags, mode);
    }
    rustix::fs::openat2(CWD, name, flags, mode, THROUGH_NO_LINK)
}

fn unlink_through_no_link(name: &CStr) -> Result<(), Errno> {
    let bytes = name.to_bytes();
    let slash = bytes.iter().rposition(|byte| *byte == b'/');
    let (Some(slash), false) = (slash, is_temporary(name)) else {
        return rustix::fs::unlink(name);
    };
    let (folder, file) = bytes.split_at(slash + 1);
    rustix::fs::unlinkat(folder_through_no_link(folder)?, file, AtFlags::empty())
}

fn folder_through_no_link(folder: impl rustix::path::Arg) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat2(CWD, folder, flags, Mode::empty(), THROUGH_NO_LINK)
}

/// Gives a journal another name beside its own, if it still is the one with this id, and the database
/// beside it is none with that of `own`: `NAME.stray`, or with a number behind, so that what was set aside
/// before is kept. Both are looked at in one folder, whichever has its name by then.
pub(super) fn set_aside(path: &Path, id: Id, own: (&OsStr, Option<Id>)) -> Result<(), Errno> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(Errno::INVAL);
    };
    let folder = folder_through_no_link(folder)?;
    let id_of = |name: &OsStr| {
        let stat = rustix::fs::statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
        Ok::<_, Errno>((stat.st_dev, stat.st_ino))
    };
    let (database, own) = own;
    if id_of(name)? != id || Some(id_of(database)?) == own {
        return Err(Errno::STALE);
    }
    for number in 1..=ASIDE {
        let mut aside = name.to_owned();
        aside.push(".stray");
        if number > 1 {
            aside.push(format!("-{number}"));
        }
        let renamed = renameat_with(&folder, name, &folder, &aside, RenameFlags::NOREPLACE);
        let renamed = match renamed {
            // Some file systems do not know the flag.
            Err(Errno::INVAL | Errno::NOSYS) => rename_by_link(&folder, name, &aside),
            renamed => renamed,
        };
        match renamed {
            Err(Errno::EXIST) => {}
            renamed => return renamed,
        }
    }
    Err(Errno::EXIST)
}

/// Takes no other file's place either. Cut short in the middle, the file has both names.
fn rename_by_link(folder: &OwnedFd, name: &OsStr, aside: &OsStr) -> Result<(), Errno> {
    rustix::fs::linkat(folder, name, folder, aside, AtFlags::empty())?;
    rustix::fs::unlinkat(folder, name, AtFlags::empty())
}

fn is_temporary(name: &CStr) -> bool {
    use std::os::unix::ffi::OsStrExt as _;
    let path = Path::new(OsStr::from_bytes(name.to_bytes()));
    path.file_name()
        .is_some_and(|file| file.as_bytes().starts_with(TEMPORARY))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rusqlite::Connection;

    use super::*;

    /// Opened by a name that leads over a link: without the flag that has SQLite look for links
    /// first, so that only the calls are left to refuse it.
    #[test]
    fn nothing_is_opened_or_made_through_a_link() {
        follow_no_links();
        let dir = tempfile::tempdir().unwrap();
        let real = dir.path().join("real");
        fs::create_dir(&real).unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&real, &link).unwrap();
        let name = |path: &Path| std::ffi::CString::new(path.to_str().unwrap()).unwrap();
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC;
        let opened = open_through_no_link(&name(&link.join("a.db")), flags, Mode::RUSR);
        assert_eq!(opened.unwrap_err(), Errno::LOOP);
        assert_eq!(fs::read_dir(&real).unwrap().count(), 0);

        fs::write(real.join("a.db-wal"), "").unwrap();
        let removed = unlink_through_no_link(&name(&link.join("a.db-wal")));
        assert_eq!(removed, Err(Errno::LOOP));
        unlink_through_no_link(&name(&real.join("a.db-wal"))).unwrap();
        assert_eq!(fs::read_dir(&real).unwrap().count(), 0);
    }

    #[test]
    fn what_is_set_aside_takes_no_other_file_with_it_and_no_place_of_one() {
        use std::os::unix::fs::MetadataExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db-wal");
        let (database, other) = (dir.path().join("a.db"), (OsStr::new("a.db"), Some((0, 0))));
        fs::write(&database, "another").unwrap();
        for (text, aside) in [("1", "a.db-wal.stray"), ("2", "a.db-wal.stray-2")] {
            fs::write(&path, text).unwrap();
            let found = fs::metadata(&path).unwrap();
            set_aside(&path, (found.dev(), found.ino()), other).unwrap();
            assert_eq!(fs::read_to_string(dir.path().join(aside)).unwrap(), text);
        }
        fs::write(&path, "3").unwrap();
        assert_eq!(set_aside(&path, (0, 0), other), Err(Errno::STALE));
        assert_eq!(fs::read_to_string(&path).unwrap(), "3");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 4);
    }

    /// As where the folder was another one for a moment, and is back.
    #[test]
    fn nothing_is_set_aside_from_beside_the_database_it_belongs_to_or_from_beside_none() {
        use std::os::unix::fs::MetadataExt;
        let dir = tempfile::tempdir().unwrap();
        let (path, database) = (dir.path().join("a.db-wal"), dir.path().join("a.db"));
        let id = |path: &Path| {
            fs::write(path, "").unwrap();
            let found = fs::metadata(path).unwrap();
            (found.dev(), found.ino())
        };
        let own = (OsStr::new("a.db"), Some(id(&database)));
        let wal = id(&path);
        assert_eq!(set_aside(&path, wal, own), Err(Errno::STALE));
        fs::remove_file(&database).unwrap();
        assert_eq!(set_aside(&path, wal, own), Err(Errno::NOENT));
        assert!(path.exists());
    }

    #[test]
    fn a_file_system_that_cannot_rename_without_replacing_is_served_by_links() {
        let dir = tempfile::tempdir().unwrap();
        let folder = folder_through_no_link(dir.path()).unwrap();
        let (name, aside) = (OsStr::new("a.db-wal"), OsStr::new("a.db-wal.stray"));
        fs::write(dir.path().join(name), "1").unwrap();
        rename_by_link(&folder, name, aside).unwrap();
        assert!(!dir.path().join(name).exists());
        fs::write(dir.path().join(name), "2").unwrap();
        assert_eq!(rename_by_link(&folder, name, aside), Err(Errno::EXIST));
        let text = |name| fs::read_to_string(dir.path().join(name)).unwrap();
        assert_eq!((text(aside), text(name)), ("1".into(), "2".into()));
    }

    /// The folder becomes a link once the database is open, and before its -wal is made.
    #[test]
    fn a_journal_is_not_made_where_a_folder_was_swapped_for_a_link() {
        follow_no_links();
        let dir = tempfile::tempdir().unwrap();
        let (folder, away) = (dir.path().join("folder"), dir.path().join("away"));
        let outside = dir.path().join("outside");
        fs::create_dir(&folder).unwrap();
        fs::create_dir(&outside).unwrap();
        let db = folder.join("a.db");
        let connection = Connection::open(&db).unwrap();
        connection
            .execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t (x)")
            .unwrap();
        drop(connection);

        let connection = Connection::open(&db).unwrap();
        fs::rename(&folder, &away).unwrap();
        std::os::unix::fs::symlink(&outside, &folder).unwrap();
        let written = connection.execute("INSERT INTO t VALUES (1)", []);
        assert!(written.is_err(), "{written:?}");
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    }
}
