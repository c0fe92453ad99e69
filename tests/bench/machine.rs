//! What it was measured on.

use std::fs;
use std::process::Command;

use serde::Serialize;
use steroids_tests::binaries;

/// One machine, and which sources.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Machine {
    cores: usize,
    processor: String,
    kernel: String,
    memory_mib: u64,
    commit: String,
}

impl Machine {
    pub(crate) fn here() -> Machine {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let field = |text: &str, name: &str| {
            let line = text.lines().find(|line| line.starts_with(name));
            let value = line.and_then(|line| line.split_once(':'));
            value.map_or(String::new(), |(_, value)| value.trim().to_owned())
        };
        let memory = field(&read("/proc/meminfo"), "MemTotal");
        let kib: u64 = memory
            .split(' ')
            .next()
            .and_then(|kib| kib.parse().ok())
            .unwrap_or(0);
        Machine {
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            processor: field(&read("/proc/cpuinfo"), "model name"),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            memory_mib: kib / 1024,
            commit: commit(),
        }
    }

    /// For people.
    pub(crate) fn line(&self) -> String {
        format!(
            "{} cores ({}), Linux {}, {} MiB, commit {}",
            self.cores, self.processor, self.kernel, self.memory_mib, self.commit
        )
    }
}

/// Of the sources, with a plus if they were changed since; empty where there is no git.
fn commit() -> String {
    let git = |words: &[&str]| {
        let output = Command::new("git")
            .args(words)
            .current_dir(binaries::workspace())
            .output();
        let output = output.ok().filter(|output| output.status.success());
        output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let Some(commit) = git(&["rev-parse", "--short", "HEAD"]) else {
        return String::new();
    };
    let is_changed = git(&["status", "--porcelain"]).is_some_and(|text| !text.is_empty());
    format!("{commit}{}", if is_changed { "+" } else { "" })
}
