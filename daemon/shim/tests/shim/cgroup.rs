//! A delegated control group, where this test may make one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use steroids_shim::exit::Reason;
use steroids_shim::protocol::Request;

use crate::harness::{Case, until};

/// A group marked as the service manager marks what it has delegated.
struct Delegated(PathBuf);

impl Delegated {
    /// `None`, and a word about it, where this user may not.
    #[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
    fn make() -> Option<Delegated> {
        let made = Delegated::try_make();
        if made.is_none() {
            eprintln!("skipped: no control group can be made here");
        }
        made
    }

    fn try_make() -> Option<Delegated> {
        let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
        let mount = mounts
            .lines()
            .find(|line| line.split(' ').nth(2) == Some("cgroup2"))?;
        let name = format!("steroids-shim-test-{}", std::process::id());
        let group = Delegated(Path::new(mount.split(' ').nth(1)?).join(name));
        fs::create_dir(&group.0).ok()?;
        let flags = rustix::fs::XattrFlags::empty();
        rustix::fs::setxattr(&group.0, "trusted.delegate", b"1", flags).ok()?;
        group.0.join("cgroup.kill").exists().then_some(group)
    }
}

impl Drop for Delegated {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

#[test]
fn in_a_delegated_group_the_provider_gets_one_of_its_own_which_is_gone_in_the_end() {
    let Some(group) = Delegated::make() else {
        return;
    };
    let case =
        Case::script("trap '' TERM; setsid sleep 60 & : > $OUT/up; while :; do sleep 1; done");
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", "echo $$ > $1/cgroup.procs && exec $2 $3", "sh"])
        .arg(&group.0)
        .arg(case.command().get_program())
        .arg(case.dir.path());
    let mut case = case;
    case.start_with(&mut command);
    case.wait_for("up");
    let state = case.state();
    let own = state.cgroup.unwrap();
    assert_eq!(own, group.0.join(format!("inv-{}", case.spec.uuid)));
    let inside = fs::read_to_string(own.join("cgroup.procs")).unwrap();
    assert!(
        inside
            .lines()
            .any(|line| line.parse() == Ok(state.agent_pid.unwrap()))
    );
    assert!(
        !inside
            .lines()
            .any(|line| line.parse() == Ok(state.shim_pid))
    );
    case.connect().ask(&Request::Stop {
        grace_ms: Some(50),
        why: None,
        shutdown: false,
    });
    let ran = case.ran();
    assert_eq!((ran.signal, ran.ended_by), (Some(9), Some(Reason::Stop)));
    assert!(case.is_over());
    assert!(!own.exists());
    until("the group to be empty", || fs::remove_dir(&group.0).ok());
}
