//! See `tests/harness/faults/process.rs`.

mod container;
mod idle;
mod limits;
mod start;
mod tree;

use std::time::Duration;

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

/// Stops an invocation and gives its final row.
async fn stop(rpc: &Rpc, ctl: &Ctl, id: i64, grace: Duration) -> v1::Invocation {
    let request = v1::StopRequest {
        project: ctl.project(),
        id,
        grace: Some(grace.try_into().unwrap()),
    };
    let answer = rpc.invocations().stop(request).await.unwrap().into_inner();
    answer.invocation.unwrap()
}
