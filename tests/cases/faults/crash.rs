//! See `tests/harness/faults/crash.rs`. The daemon, shims and providers are killed: at each step of
//! what they do, and at random.

mod absent;
mod ending;
mod folderless;
mod forged;
mod lost;
mod mute;
mod power;
mod protocol;
mod recovery;
mod soak;
mod starting;
mod two;

use steroids_proto::v1;
use steroids_tests::rpc;

/// A start of `fake-provider ARGS` that may be sent again, of a task of its own.
fn request(project: &str, id: &str, args: &[&str]) -> v1::StartRequest {
    v1::StartRequest {
        request_id: id.to_owned(),
        ..rpc::command(project, &format!("T-{id}"), rpc::argv(args))
    }
}
