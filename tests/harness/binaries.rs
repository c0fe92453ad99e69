//! The built programs, beside the test that runs.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The daemon.
pub fn steroidsd() -> PathBuf {
    path("steroidsd")
}

/// The terminal client.
pub fn steroidsctl() -> PathBuf {
    path("steroidsctl")
}

/// The gateway for browsers.
pub fn steroids_gateway() -> PathBuf {
    path("steroids-gateway")
}

/// The stand-in for an AI CLI.
pub fn fake_provider() -> PathBuf {
    path("fake-provider")
}

/// The workspace's root.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the tests crate is a folder of the workspace")
}

fn path(name: &str) -> PathBuf {
    folder().join(name)
}

/// Where cargo puts programs of the profile that this one was built with.
pub(crate) fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let own = std::env::current_exe().expect("a running program has a path");
        let mut folder = own.parent().expect("a program is in a folder");
        if folder.ends_with("deps") {
            folder = folder.parent().expect("deps is in the profile's folder");
        }
        if std::env::var_os("STEROIDS_TESTS_BUILT").is_none() {
            build(folder);
        }
        folder.to_owned()
    })
}

/// Cargo builds the programs of other packages for nobody's tests, so they might be missing or
/// old. `make test` has just built them, and says so by the variable.
fn build(folder: &Path) {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
    cargo.args(["build", "--quiet", "--workspace", "--all-targets"]);
    if folder.ends_with("release") {
        cargo.arg("--release");
    }
    if let Some(target) = folder.parent() {
        cargo.arg("--target-dir").arg(target);
    }
    let status = cargo.current_dir(workspace()).status();
    assert!(
        status.as_ref().is_ok_and(|status| status.success()),
        "cargo build --workspace --all-targets: {status:?}"
    );
}
