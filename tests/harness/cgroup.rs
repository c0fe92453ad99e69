//! Control groups that a test makes for its own daemon, where it may: as root on a machine that has
//! them. Declare one before the home whose processes are in it: it is removed when they are gone.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// A group, removed when it is dropped.
#[derive(Debug)]
pub struct Cgroup {
    path: PathBuf,
}

impl Cgroup {
    /// One of the unified hierarchy, marked as the service manager marks what it has delegated.
    pub fn delegated() -> Option<Cgroup> {
        let group = Cgroup::below(&mount(|kind, _| kind == "cgroup2")?)?;
        let flags = rustix::fs::XattrFlags::empty();
        rustix::fs::setxattr(&group.path, "trusted.delegate", b"1", flags).ok()?;
        group.path.join("cgroup.kill").exists().then_some(group)
    }

    /// One that can bound the number of its threads.
    pub fn of_pids() -> Option<Cgroup> {
        let has_pids = |options: &str| options.split(',').any(|option| option == "pids");
        let v1 = mount(|kind, options| kind == "cgroup" && has_pids(options));
        let group = Cgroup::below(&v1.or_else(|| mount(|kind, _| kind == "cgroup2"))?)?;
        group.path.join("pids.max").exists().then_some(group)
    }

    fn below(mount: &Path) -> Option<Cgroup> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("steroids-tests-{}-{count}", std::process::id());
        let path = mount.join(name);
        fs::create_dir(&path).ok()?;
        Some(Cgroup { path })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Words that move a program in before it begins: `WORDS PROGRAM ARGS`.
    pub fn entering(&self) -> [&str; 4] {
        let path = self.path.to_str().expect("its name is ASCII");
        let script = r#"echo $$ > "$0/cgroup.procs" && exec "$@""#;
        ["/bin/sh", "-c", script, path]
    }

    /// Says what the file `name` has.
    pub fn read(&self, name: &str) -> String {
        let text = fs::read_to_string(self.path.join(name));
        text.unwrap_or_default().trim_end().to_owned()
    }

    /// Sets what the file `name` has.
    pub fn write(&self, name: &str, value: &str) {
        let written = fs::write(self.path.join(name), value);
        written.unwrap_or_else(|error| panic!("{name} takes no {value}: {error}"));
    }

    /// The groups in it.
    pub fn groups(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.path).into_iter().flatten().flatten();
        entries
            .map(|entry| entry.path())
            .filter(|path| path.is_dir())
            .collect()
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // What was killed a moment ago is still in there.
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            for group in self.groups() {
                let _ = fs::remove_dir(group);
            }
            if fs::remove_dir(&self.path).is_ok() || Instant::now() > deadline {
                return;
            }
            // Nobody tells when a group has become empty, and a drop cannot await it.
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// The first mount of a kind.
fn mount(wanted: impl Fn(&str, &str) -> bool) -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
    mounts.lines().find_map(|line| {
        let mut fields = line.split(' ').skip(1);
        let (path, kind, options) = (fields.next()?, fields.next()?, fields.next()?);
        wanted(kind, options).then(|| PathBuf::from(path))
    })
}
