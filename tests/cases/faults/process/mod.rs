//! See `tests/harness/faults/process.rs`.

mod container;
mod idle;
mod limits;
mod start;
mod tree;

use steroids_proto::v1;
use steroids_tests::{Ctl, Rpc, rpc};

/// Starts a shell script as an agent; `$1` and on are `words`.
async fn start_script(rpc: &Rpc, ctl: &Ctl, script: &str, words: &[&str]) -> v1::Invocation {
    let shell = ["/bin/sh", "-c", script, "sh"];
    let words = shell.iter().chain(words);
    let argv = words.map(|&word| word.to_owned()).collect();
    let request = rpc::command(&ctl.project(), "T1", argv);
    rpc.start(request).await.unwrap()
}
