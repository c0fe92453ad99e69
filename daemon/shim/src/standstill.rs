//! A shim that was stopped (SIGSTOP): by its agent, whose parent it is, or by a person who meant it. It
//! answers nobody, ends nothing and keeps no limit until it is told to go on.

use std::io;

use rustix::process::Signal;

use crate::paths::InvDir;
use crate::recall::Holder;
use crate::tree;

/// A shim whose process was stopped.
#[derive(Debug)]
pub struct Standstill(Holder);

impl Standstill {
    /// Looks at the shim of a folder; `None` if it was not stopped, or cannot be told from others. Blocks.
    pub fn of(dir: &InvDir) -> Option<Standstill> {
        let shim = Holder::find(dir).ok()?;
        tree::is_stopped(shim.pid()).then_some(Standstill(shim))
    }

    /// The process.
    pub fn pid(&self) -> i32 {
        self.0.pid()
    }

    /// Has it go on.
    ///
    /// # Errors
    /// When the kernel refuses, as it does once the process is gone.
    pub fn end(&self) -> io::Result<()> {
        self.0.signal(Signal::CONT)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::lock;
    use crate::recall::tests::Posing;

    /// What the kernel does with a signal it has taken is seen a moment later.
    fn until(what: &str, mut is_so: impl FnMut() -> bool) {
        let begun = Instant::now();
        while !is_so() {
            assert!(begun.elapsed() < Duration::from_secs(30), "never {what}");
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_shim_that_was_stopped_is_told_from_one_that_works_and_goes_on() {
        let posing = Posing::new();
        let dir = posing.dir();
        let _lock = lock::acquire(&dir.lock()).unwrap();
        assert!(Standstill::of(&dir).is_none());
        posing.signal(Signal::STOP);
        until("stopped", || Standstill::of(&dir).is_some());
        let standstill = Standstill::of(&dir).unwrap();
        assert_eq!(standstill.pid(), posing.pid());
        standstill.end().unwrap();
        until("gone on", || Standstill::of(&dir).is_none());
    }

    #[test]
    fn a_stopped_process_that_is_not_the_shim_is_nobodys_here() {
        let mut posing = Posing::new();
        posing.signal(Signal::STOP);
        until("stopped", || tree::is_stopped(posing.pid()));
        assert!(
            Standstill::of(&posing.dir()).is_none(),
            "nobody has the lock"
        );
        let _lock = lock::acquire(&posing.dir().lock()).unwrap();
        posing.began_later();
        assert!(Standstill::of(&posing.dir()).is_none());
    }
}
