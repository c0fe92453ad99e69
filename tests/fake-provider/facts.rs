//! What a process can see of how it was started, as one JSON line.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;

use nix::sys::resource::{Resource, getrlimit};
use serde_json::{Value, json};

use crate::options::Failure;
use crate::pipes;

pub(crate) fn run() -> Result<u8, Failure> {
    // Before anything else is opened here.
    let descriptors = descriptors()?;
    let status = status()?;
    let field = |name: &str| status.get(name).cloned().unwrap_or_default();
    let facts = json!({
        "fds": descriptors,
        "argv": std::env::args().collect::<Vec<_>>(),
        "env": environment(),
        "cwd": std::env::current_dir().ok(),
        "pid": std::process::id(),
        "ppid": std::os::unix::process::parent_id(),
        // 0 where their leader is outside our PID namespace.
        "sid": nix::unistd::getsid(None).ok().map(nix::unistd::Pid::as_raw),
        "pgid": nix::unistd::getpgrp().as_raw(),
        "umask": field("Umask"),
        "sigBlk": field("SigBlk"),
        "sigIgn": field("SigIgn"),
        "core": getrlimit(Resource::RLIMIT_CORE).ok().map(|(soft, _)| soft),
        "nofile": getrlimit(Resource::RLIMIT_NOFILE).ok().map(|(soft, _)| soft),
        "oomScoreAdj": fs::read_to_string("/proc/self/oom_score_adj")
            .ok()
            .and_then(|text| text.trim().parse::<i64>().ok()),
    });
    pipes::stdout(format!("{facts}\n").as_bytes());
    Ok(0)
}

/// Open descriptors and what they are, without the one that reads the list.
fn descriptors() -> Result<BTreeMap<u32, String>, Failure> {
    let folder = "/proc/self/fd";
    let entries = fs::read_dir(folder).map_err(|e| Failure::new(format!("{folder}: {e}")))?;
    let mut found = BTreeMap::new();
    for entry in entries.flatten() {
        let target = fs::read_link(entry.path()).unwrap_or_default();
        let number = entry.file_name().to_string_lossy().parse().unwrap_or(0);
        if !target.as_os_str().as_bytes().ends_with(b"/fd") {
            found.insert(number, target.to_string_lossy().into_owned());
        }
    }
    Ok(found)
}

fn environment() -> BTreeMap<String, Value> {
    std::env::vars_os()
        .map(|(name, value)| {
            let value = value.to_string_lossy().into_owned();
            (name.to_string_lossy().into_owned(), Value::from(value))
        })
        .collect()
}

fn status() -> Result<BTreeMap<String, String>, Failure> {
    let text = fs::read_to_string("/proc/self/status")
        .map_err(|e| Failure::new(format!("/proc/self/status: {e}")))?;
    Ok(text
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect())
}
