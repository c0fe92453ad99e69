//! What the provider's processes use of the machine: now, for who asks, and in all, for the record.

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use steroids_provider::activity::Level;
use steroids_shim::exit::{OverMemory, Rusage};
use steroids_shim::spool::Control;
use steroids_shim::tree::{Load, group_cpu_us, group_memory_peak, group_oom_kills};

use super::keeper::Keeper;

impl Keeper {
    /// What they use now; `None` once the provider has ended.
    pub(super) fn load(&mut self) -> Option<Load> {
        if self.ended.is_some() {
            return None;
        }
        let accounts = self.group.as_ref().map(|group| group.accounts());
        let load = self.tree().load(accounts);
        self.most_memory = self.most_memory.max(load.memory_bytes);
        Some(load)
    }

    /// What was used by the provider and everything that was reaped for it.
    pub(super) fn rusage(&self) -> Option<Rusage> {
        let usage = getrusage(UsageWho::RUSAGE_CHILDREN).ok()?;
        let micros = |time: TimeVal| time.tv_sec() as u64 * 1_000_000 + time.tv_usec() as u64;
        let (user_us, system_us) = (micros(usage.user_time()), micros(usage.system_time()));
        let max_rss_kib = usage.max_rss() as u64;
        let group = self.group.as_ref();
        let counted = group.and_then(|group| group_memory_peak(group.accounts()));
        // A group also counts those that nobody waited for.
        let of_group = group.and_then(|group| group_cpu_us(group.path()));
        let cpu_us = (user_us + system_us).max(of_group.unwrap_or(0));
        Some(Rusage {
            user_us,
            system_us,
            max_rss_kib,
            peak_bytes: Some(counted.unwrap_or_else(|| self.most_memory.max(max_rss_kib * 1024))),
            cpu_us: Some(cpu_us),
            over_memory: self.over_memory(),
        })
    }

    /// Whether the kernel ended some of them for the memory they had.
    fn over_memory(&self) -> Option<OverMemory> {
        let max = self.memory_max?;
        let killed = group_oom_kills(self.group.as_ref()?.accounts())?;
        (killed > 0).then_some(OverMemory { max, killed })
    }

    /// Puts on record that the kernel did: a provider may go on without some of its processes.
    pub(super) fn tell_over_memory(&mut self) {
        if let Some(OverMemory { max, killed }) = self.over_memory() {
            self.record(&Control::Notice {
                level: Level::Warn,
                msg: format!(
                    "the kernel killed {killed} of its processes: they had reached the memory limit of {max} bytes"
                ),
            });
        }
    }
}
