//! What a machine is short of for a moment: processes and memory come back as others end.

use std::io;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::libc;

/// How long one is waited for: a launcher gives a shim 10 s in all, in which it may lack two.
const LONGEST: Duration = Duration::from_secs(3);

const FIRST: Duration = Duration::from_millis(10);
const LAST: Duration = Duration::from_millis(200);

/// Tries again for some seconds while the machine is short of processes or memory. Blocks: nothing runs yet that would
/// have to be looked after.
pub(crate) fn patiently<T>(attempt: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    patient(attempt, LONGEST)
}

fn patient<T>(mut attempt: impl FnMut() -> io::Result<T>, longest: Duration) -> io::Result<T> {
    let until = Instant::now() + longest;
    let mut pause = FIRST;
    loop {
        match attempt() {
            Err(error) if is_short(&error) && Instant::now() + pause < until => sleep(pause),
            tried => return tried,
        }
        pause = (pause * 2).min(LAST);
    }
}

fn is_short(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::ENOMEM))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failing(times: u32, errno: i32) -> impl FnMut() -> io::Result<u32> {
        let mut tried = 0;
        move || {
            tried += 1;
            match tried > times {
                true => Ok(tried),
                false => Err(io::Error::from_raw_os_error(errno)),
            }
        }
    }

    #[test]
    fn what_is_short_is_tried_again_for_a_while_and_nothing_else() {
        assert_eq!(patiently(failing(3, libc::EAGAIN)).unwrap(), 4);
        assert_eq!(patiently(failing(1, libc::ENOMEM)).unwrap(), 2);
        let missing = patiently(failing(1, libc::ENOENT)).unwrap_err();
        assert_eq!(missing.raw_os_error(), Some(libc::ENOENT));
        let spent = patient(failing(u32::MAX, libc::EAGAIN), 4 * FIRST).unwrap_err();
        assert_eq!(spent.raw_os_error(), Some(libc::EAGAIN));
    }
}
