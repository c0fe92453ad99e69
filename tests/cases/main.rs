//! End-to-end cases: the real daemon, shim and terminal client as processes, in a home of their own.

#![expect(
    clippy::unwrap_used,
    reason = "a test that fails at an unwrap says where"
)]

mod browse;
mod browser;
mod budgets;
mod completion;
mod compressed;
mod configuration;
mod databases;
mod docs;
mod errors;
mod fake_provider;
mod faults;
mod finding;
mod follow;
mod foreign_bytes;
mod forget;
mod gateway_api;
mod gateway_foreign;
mod gateway_limits;
mod gateway_lists;
mod gateway_metrics;
mod gateway_resume;
mod gateway_safety;
mod gateway_stream;
mod grpc;
mod holds;
mod hooks;
mod input;
mod launcher;
mod limits;
mod lists;
mod live;
mod main_path;
mod manual;
mod mapped;
mod models;
mod never_started;
mod observe;
mod package;
mod page;
mod process;
mod project_paths;
mod queue;
mod recordings;
mod reload;
mod reproject;
mod requests;
mod restart;
mod retention;
mod retry;
mod rooms;
mod sessions;
mod stop;
mod terminal;
mod top;
mod units;
mod usage;
mod wait;

/// The folder of a recorded run.
fn recording(provider: &str, scenario: &str) -> String {
    let folder = steroids_tests::binaries::workspace().join("tests/recordings");
    let folder = folder.join(provider).join(scenario);
    assert!(folder.is_dir(), "{} is missing", folder.display());
    folder.to_string_lossy().into_owned()
}
