//! A control group of its own for the provider, where the service manager has delegated one: then
//! its processes can be killed all at once, and none can leave.
//!
//! ```text
//! launched by fork                         in a unit of its own, bounded by the service manager
//!   DELEGATED/        the daemon's           steroids-inv-UUID.service/
//!     inv-UUID/       the provider             shim/    this process
//!                                              agent/   the provider
//! ```

use std::fs::{self, File, OpenOptions};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::libc;
use steroids_shim::cgroup::Own;
use steroids_shim::spec::{Resources, Spec};
use steroids_shim::unit;

use super::Failure;

/// Microseconds within which a share of a processor is counted.
const CPU_PERIOD_US: u64 = 100_000;

/// The group.
#[derive(Debug)]
pub(crate) struct Group {
    path: PathBuf,
    /// The one whose memory is counted and bounded: this, or the unit's.
    accounts: PathBuf,
}

impl Group {
    /// Makes it, in the unit that this process is in, or below the nearest delegated group. `None` where
    /// there is neither; never in a place that was not given to us, also as root.
    ///
    /// # Errors
    /// Where the bounds that are asked for cannot be held.
    pub(crate) fn make(spec: &Spec, groups: &Own) -> Result<Option<Group>, Failure> {
        if let Some(own) = groups.of_unit(&unit::name(&spec.uuid)) {
            // The service manager holds the bounds, whether or not there is a group within.
            return Ok(Group::in_unit(own));
        }
        let wanted = spec.resources.controllers();
        let group = groups.delegated().and_then(|base| {
            let path = base.join(format!("inv-{}", spec.uuid));
            Group::create(path.clone(), path)
        });
        match group {
            None if !wanted.is_empty() => Err(Failure::Said(format!(
                "no control group was delegated that could bound {}",
                wanted.join(", ")
            ))),
            None => Ok(None),
            Some(group) => {
                if let Err(failure) = group.bound(&spec.resources) {
                    group.remove();
                    return Err(failure);
                }
                Ok(Some(group))
            }
        }
    }

    fn in_unit(own: PathBuf) -> Option<Group> {
        // What this process is itself must outlive the kill of the provider's.
        let shim = own.join("shim");
        fs::create_dir(&shim).ok()?;
        fs::write(shim.join("cgroup.procs"), "0").ok()?;
        Group::create(own.join("agent"), own)
    }

    fn create(path: PathBuf, accounts: PathBuf) -> Option<Group> {
        fs::create_dir(&path).ok()?;
        let group = Group { path, accounts };
        // Kernels before 5.14 have no way to kill a group at once.
        let kills = group.path.join("cgroup.kill").exists();
        if !kills {
            group.remove();
            return None;
        }
        Some(group)
    }

    fn bound(&self, resources: &Resources) -> Result<(), Failure> {
        let set = |file: &str, value: String| {
            let path = self.path.join(file);
            fs::write(&path, value)
                .map_err(|error| Failure::Said(format!("cannot set {}: {error}", path.display())))
        };
        if let Some(bytes) = resources.memory_max {
            set("memory.max", bytes.to_string())?;
        }
        if let Some(percent) = resources.cpu_quota {
            let quota = u64::from(percent) * CPU_PERIOD_US / 100;
            set("cpu.max", format!("{quota} {CPU_PERIOD_US}"))?;
        }
        if let Some(tasks) = resources.tasks_max {
            set("pids.max", tasks.to_string())?;
        }
        Ok(())
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The group whose memory is counted and bounded.
    pub(crate) fn accounts(&self) -> &Path {
        &self.accounts
    }

    /// What a process writes `0` to in order to move in.
    pub(crate) fn entrance(&self) -> Option<OwnedFd> {
        OpenOptions::new()
            .write(true)
            .custom_flags(libc::O_CLOEXEC)
            .open(self.path.join("cgroup.procs"))
            .map(File::into)
            .ok()
    }

    /// Removes it, if it is empty.
    pub(crate) fn remove(&self) {
        // What was left in the background on request still lives there.
        let _ = fs::remove_dir(&self.path);
    }
}
