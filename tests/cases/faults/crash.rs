//! See `tests/harness/faults/crash.rs`. The daemon, shims and providers are killed: at each step of
//! what they do, and at random.

mod ending;
mod lost;
mod mute;
mod protocol;
mod recovery;
mod soak;
mod starting;
mod two;

use rustix::process::{Pid, Signal, kill_process};
use steroids_proto::v1;
use steroids_tests::{Ctl, Home, reprojected, rpc};

/// A start of `fake-provider ARGS` that may be sent again, of a task of its own.
fn request(project: &str, id: &str, args: &[&str]) -> v1::StartRequest {
    v1::StartRequest {
        project: project.to_owned(),
        task_id: format!("T-{id}"),
        provider: "command".to_owned(),
        request_id: id.to_owned(),
        argv: rpc::argv(args),
        ..Default::default()
    }
}

/// The shim of a running invocation.
fn shim(home: &Home, uuid: &str) -> i32 {
    let mut shims = home.processes().into_iter().filter(|process| {
        process.command.contains("steroids-shim") && process.command.contains(uuid)
    });
    let shim = shims.next().expect("a running invocation has a shim");
    shim.pid
}

fn signal(pid: i32, signal: Signal) {
    let pid = Pid::from_raw(pid).expect("a process id is positive");
    kill_process(pid, signal).expect("it was started here and not waited for");
}

/// Panics unless the log is what one undisturbed pass over the spool makes.
fn assert_undisturbed(ctl: &Ctl, invocation: &v1::Invocation) {
    let on_disk = std::fs::read(ctl.log_path(invocation.id)).expect("it has a log");
    let undisturbed = reprojected(&ctl.home().invocation_dir(&invocation.uuid));
    if on_disk != undisturbed {
        let (on_disk, undisturbed) = (
            String::from_utf8_lossy(&on_disk),
            String::from_utf8_lossy(&undisturbed),
        );
        panic!("--- log\n{on_disk}\n--- from the spool\n{undisturbed}");
    }
}
