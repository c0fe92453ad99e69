//! What the standard library and the system-call crates offer only as unsafe, and all of it that
//! the daemon needs: how the allocator treats memory that was given back to it, what signals do, and
//! descriptors that were passed on by number.
#![expect(
    unsafe_code,
    reason = "neither the allocator's settings, dispositions nor inherited numbers have a safe form"
)]

use std::os::fd::{FromRawFd as _, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

#[cfg(target_env = "gnu")]
use nix::libc;
use nix::sys::signal::{SigHandler, SigSet, Signal, signal};

/// Allocations from here on are mappings of their own, which go back to the system when freed.
/// Batches and messages are larger than this, and whatever lives for long is smaller.
#[cfg(target_env = "gnu")]
const MAPPED_FROM: libc::c_int = 128 * 1024;

/// As much may be free at the end of an arena; [`give_back_memory`] takes that, too.
#[cfg(target_env = "gnu")]
const KEPT_FREE: libc::c_int = 4 * 1024 * 1024;

/// Keeps the process as small as what it holds. Call it while there is one thread.
///
/// By default each thread may get an arena of its own, which keeps what the thread once held, and
/// the threshold for mappings grows with use, so that after one burst large buffers, too, are cut
/// from arenas. A daemon that idles for hours after a minute of fifty readers would keep their
/// buffers all the time.
pub fn tune_allocator() {
    #[cfg(target_env = "gnu")]
    // SAFETY: numbers only; called while there is one thread.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 2);
        // The fixed threshold also switches off its growing.
        libc::mallopt(libc::M_MMAP_THRESHOLD, MAPPED_FROM);
        // Set, or it would be lower than what one replay takes and gives back all the time.
        libc::mallopt(libc::M_TRIM_THRESHOLD, KEPT_FREE);
    }
}

/// Gives back what the allocator keeps free between what is in use: a millisecond or two.
pub(super) fn give_back_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: takes the allocator's own locks.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Takes signals as if nobody had said anything of them: whoever started this process may have
/// blocked the one that is to end it, or ignored the one that tells of a child's end. Call it while
/// there is one thread.
pub fn take_signals() {
    // A mask that cannot be set is one that is not understood: nothing would be better without.
    let _ = SigSet::empty().thread_set_mask();
    // SAFETY: the default disposition runs no code of ours.
    let _ = unsafe { signal(Signal::SIGCHLD, SigHandler::SigDfl) };
}

/// The descriptors that the service manager has passed on, by their numbers; given once, since each has
/// one owner. It must not be asked for numbers that this process has opened itself.
pub(super) fn own_passed(numbers: impl Iterator<Item = RawFd>) -> Vec<OwnedFd> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    if TAKEN.swap(true, Ordering::Relaxed) {
        return Vec::new();
    }
    numbers
        // SAFETY: whoever started us says that these are open and ours; they were looked at before
        // anything was opened here, and are given out once.
        .map(|number| unsafe { OwnedFd::from_raw_fd(number) })
        .collect()
}
