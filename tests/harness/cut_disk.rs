//! A disk whose power can be cut: what no program had asked to be on it is gone, as after a power loss
//! of the whole machine. It is an ext4 in a file, in a mount namespace of the test's own. A cut mounts a
//! copy of the file as it is, without anything that the file system still has in memory.
//!
//! What that cannot show: an fsync on ext4 commits all earlier changes of names and sizes, so of a
//! folder's sync that is missing nothing is seen where any fsync came between; and what this disk was
//! given it keeps, in order, while a real one may lose its cache, or half a sector.

use std::fs::{self, File};
use std::os::unix::fs::{DirBuilderExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::processes::{is_stopped, stands_still};
use crate::small_disk::is_alone;
use crate::{Daemon, Home, eventually, processes, skip};

/// Enough for some invocations; sparse, and so quickly copied.
const SIZE: u64 = 64 * 1024 * 1024;

/// By default it would commit by itself what was changed, every 5 s. That is the journal's timer alone:
/// the kernel still writes pages that are old, or too many.
const OPTIONS: &str = "loop,commit=300";

/// What names the running boot.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// The disk. Dropping it takes it away.
#[derive(Debug)]
pub struct CutDisk {
    files: TempDir,
    image: PathBuf,
    cuts: usize,
}

impl CutDisk {
    /// A new one, empty. `None`, said and counted, where the caller may not mount one. Everything that
    /// is to see it must be started later, by the same thread.
    ///
    /// # Panics
    /// With `CI=true`, where root has loop devices and still gets none.
    pub fn mount() -> Option<CutDisk> {
        if !is_alone() {
            missing("no mounts of its own");
            return None;
        }
        // Short, as a home is.
        let files = tempfile::Builder::new().prefix("st-").tempdir_in("/tmp");
        let files = files.expect("/tmp takes a folder");
        let image = files.path().join("0.ext4");
        let file = File::create_new(&image).expect("a new folder takes a file");
        file.set_len(SIZE).expect("a sparse file takes no room");
        fs::create_dir(files.path().join("m")).expect("a new folder takes a folder");
        let disk = CutDisk {
            files,
            image,
            cuts: 0,
        };
        // All of it now: nothing is to be written by the kernel later.
        let extended = "lazy_itable_init=0,lazy_journal_init=0,nodiscard";
        let mut format = Command::new("mkfs.ext4");
        format.args(["-q", "-F", "-E", extended]).arg(&disk.image);
        match run(format).and_then(|()| disk.attach()) {
            Ok(()) => Some(disk),
            Err(error) => {
                missing(&error);
                None
            }
        }
    }

    /// A new home, all of which is on it. `more` goes on in the table `[daemon]`.
    pub fn home(&self, more: &str) -> Arc<Home> {
        // The disk is small.
        let config = format!("[daemon]\nmin_free = \"\"\n{more}");
        let home = Home::below(&self.path(), &config);
        // But for what its daemons say: that is to be read also of one whose power was cut.
        let log = symlink(
            self.files.path().join("daemon.log"),
            home.path("daemon.log"),
        );
        log.expect("a new home takes a link");
        self.sync();
        home
    }

    /// Where it is.
    pub fn path(&self) -> PathBuf {
        self.files.path().join("m")
    }

    /// Writes all that was changed so far.
    pub fn sync(&self) {
        let root = File::open(self.path()).expect("it is mounted");
        rustix::fs::syncfs(root).expect("it takes what was written");
    }

    /// Cuts the power under a daemon and all that it has started, and starts the machine again, without
    /// the daemon: another boot, and no `/run`.
    pub async fn cut(&mut self, daemon: &mut Daemon) {
        let home = Arc::clone(daemon.home());
        stand_still(&home).await;
        processes::end_all(home.root());
        daemon.ended().await;
        self.lose();

        let run = home.path("run");
        fs::remove_dir_all(&run).expect("it is ours");
        let made = fs::DirBuilder::new().mode(0o700).create(&run);
        made.expect("it is ours");
        self.boot();
    }

    /// Loses what was not synced, where nothing runs any more.
    pub fn lose(&mut self) {
        self.cuts += 1;
        let after = self.files.path().join(format!("{}.ext4", self.cuts));
        copy(&self.image, &after).expect("there is room for a copy");
        umount2(&self.path(), MntFlags::MNT_DETACH).expect("it is mounted");
        fs::remove_file(&self.image).expect("it is ours");
        self.image = after;
        self.attach().expect("what could be mounted can be again");
    }

    fn attach(&self) -> Result<(), String> {
        let mut mount = Command::new("mount");
        mount.args(["-t", "ext4", "-o", OPTIONS]);
        mount.arg(&self.image).arg(self.path());
        run(mount)
    }

    /// Gives the boot another name.
    fn boot(&self) {
        let name = self.files.path().join("boot_id");
        fs::write(&name, format!("{}\n", uuid::Uuid::new_v4())).expect("the folder takes a file");
        let none = None::<&str>;
        // The one of the boot before.
        let _ = umount2(BOOT_ID, MntFlags::MNT_DETACH);
        mount(Some(&name), BOOT_ID, none, MsFlags::MS_BIND, none).expect("root mounts a file");
    }
}

impl Drop for CutDisk {
    fn drop(&mut self) {
        // Its device goes with the mount, once nobody has a file open on it.
        let _ = umount2(&self.path(), MntFlags::MNT_DETACH);
        let _ = umount2(BOOT_ID, MntFlags::MNT_DETACH);
    }
}

/// Stops all that runs there: nobody is to see another die, and to act on it.
async fn stand_still(home: &Home) {
    let mut before = None;
    eventually("all that runs to stop", async || {
        let running = home.processes();
        let is_still = running.iter().all(|process| stands_still(process.pid));
        for process in running.iter().filter(|process| !is_stopped(process.pid)) {
            if let Some(pid) = Pid::from_raw(process.pid) {
                // It may have ended by itself.
                let _ = kill_process(pid, Signal::STOP);
            }
        }
        // Of one that was begun while this was listed only the next list may know; whoever could begin
        // another stood still before that.
        let is_over = is_still && before.as_ref() == Some(&running);
        before = is_still.then_some(running);
        is_over.then_some(())
    })
    .await;
}

/// Copies it without its holes, and without what has become zeros.
fn copy(from: &Path, to: &Path) -> Result<(), String> {
    let mut copy = Command::new("cp");
    copy.args(["--sparse=always", "--reflink=auto"]);
    copy.arg(from).arg(to);
    run(copy)
}

fn run(mut command: Command) -> Result<(), String> {
    let program = command.get_program().to_owned();
    let output = command.output().map_err(|e| format!("{program:?}: {e}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{program:?}: {}", said.trim()))
}

/// Says that there is none. A machine that tests need not let them be root, nor have loop devices.
fn missing(why: &str) {
    let why = format!("no disk whose power can be cut ({why})");
    let is_root = rustix::process::geteuid().is_root();
    if is_root && Path::new("/dev/loop-control").exists() {
        skip::skip(&why);
    } else {
        skip::say(&why);
    }
}
