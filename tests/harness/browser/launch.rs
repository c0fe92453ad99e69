//! Finds and starts a Chromium.

use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use crate::Home;

use super::wire::Wire;

/// Names it goes by, in the order of trying (as `tests/chromium.sh`).
const NAMES: [&str; 4] = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
];

/// No sandbox, since a container and root have none to offer; nothing of its own over the network, and
/// no suggestions to an address bar that nobody types into: these are two pages more, each with scripts,
/// in each browser.
const FLAGS: [&str; 18] = [
    "--headless",
    "--remote-debugging-pipe",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-breakpad",
    "--disable-crash-reporter",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-features=WebUIOmniboxPopup,WebUIOmniboxAimPopup",
    "--hide-scrollbars",
    "--mute-audio",
    "--enable-precise-memory-info",
];

/// The browser expects its pipes as descriptors 3 and 4. A shell puts them there: in Rust that
/// takes unsafe code.
const PIPES_TO_3_AND_4: &str = r#"exec "$@" 3<&0 4>&1 0</dev/null 1>&2"#;

/// A started browser: its process, its pipes, and the folder that all its processes name.
pub(super) struct Launched {
    pub(super) child: Child,
    pub(super) wire: Arc<Wire>,
    pub(super) profile: PathBuf,
}

pub(super) fn launch(home: &Arc<Home>) -> Launched {
    let program = find();
    let profile = tempfile::Builder::new()
        .prefix("browser-")
        .tempdir_in(home.path("tmp"))
        .expect("the home takes a folder")
        // It goes with the home.
        .keep();
    let log = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(home.path("browser.log"))
        .expect("the home takes a file");
    let mut command: Command = home.command(std::path::Path::new("/bin/sh"));
    command
        .args(["-c", PIPES_TO_3_AND_4, "sh"])
        .arg(&program)
        .args(FLAGS)
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg("about:blank")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(log)
        // Inherited by the crash handler too, which leaves the process group.
        .env("XDG_CONFIG_HOME", &profile)
        .process_group(0);
    let mut child = command
        .spawn()
        .unwrap_or_else(|e| panic!("{}: {e}", program.display()));
    let to = child.stdin.take().expect("it was asked for");
    let from = child.stdout.take().expect("it was asked for");
    let log = home.path("browser.log");
    Launched {
        child,
        wire: Wire::new(to, from, log),
        profile,
    }
}

fn find() -> PathBuf {
    if let Some(named) = std::env::var_os("STEROIDS_TEST_CHROMIUM") {
        return named.into();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let candidates = NAMES
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    candidates
        .into_iter()
        .find(|program| program.is_file())
        .unwrap_or_else(|| {
            panic!(
                "the page's tests need Chromium, and none of {NAMES:?} is on PATH: run \
                 tests/chromium.sh, or `apt-get install chromium`, or set STEROIDS_TEST_CHROMIUM"
            )
        })
}
