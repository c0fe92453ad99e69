//! Finds and starts a Chromium, and ends it.

use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::wait::patience;
use crate::{Home, processes};

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

/// What spares a test most of what a browser does. What moves by itself stands still: where there is no GPU, a
/// spinner is painted again and again by the processor, a fifth of all that the page's cases take. And a test's
/// tabs share a process, which takes another tenth; those of different tests never do.
pub(super) const SPARING: [&str; 2] = ["--force-prefers-reduced-motion", "--process-per-site"];

/// The browser expects its pipes as descriptors 3 and 4. A shell puts them there: in Rust that
/// takes unsafe code.
const PIPES_TO_3_AND_4: &str = r#"exec "$@" 3<&0 4>&1 0</dev/null 1>&2"#;

/// The one that several use, while any of them does.
static SHARED: Mutex<Weak<Process>> = Mutex::new(Weak::new());

/// A running Chromium: its processes, which all name its folder, and its pipes. Dropping it ends it.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    pub(super) wire: Arc<Wire>,
    profile: PathBuf,
    is_ready: OnceCell<()>,
    // Its processes name it, too.
    _home: Arc<Home>,
}

impl Process {
    /// The one that others of this test program use; a new one if none does, or if it has crashed or was ended
    /// since it did not answer.
    pub(super) fn shared() -> Arc<Process> {
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = shared.upgrade().filter(|it| !it.wire.is_over()) {
            return running;
        }
        let started = Arc::new(Process::start(&Home::new(), &SPARING));
        *shared = Arc::downgrade(&started);
        started
    }

    /// Starts one with a new profile in `home`, and with these flags beside those of all.
    pub(super) fn start(home: &Arc<Home>, flags: &[&str]) -> Process {
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
            .args(flags)
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
        Process {
            child,
            wire: Wire::new(to, from, home.path("browser.log")),
            profile,
            is_ready: OnceCell::new(),
            _home: Arc::clone(home),
        }
    }

    /// Waits until it answers, and tells of shared workers from then on.
    pub(super) async fn ready(&self) {
        let workers = json!({
            "autoAttach": true,
            "waitForDebuggerOnStart": false,
            "flatten": true,
            "filter": [{"type": "shared_worker"}, {"exclude": true}],
        });
        // It answers once it has been read from the disk, a third of a gigabyte, which takes long
        // right after a build.
        let ask = async || {
            self.ask("Target.setAutoAttach", workers, patience() * 4)
                .await;
        };
        self.is_ready.get_or_init(ask).await;
    }

    /// Makes a browser context, and tells its id.
    pub(super) async fn new_context(&self) -> Value {
        let method = "Target.createBrowserContext";
        let mut made = self.ask(method, json!({}), patience()).await;
        made["browserContextId"].take()
    }

    /// One that does not answer is no use to the tests to come: it is ended.
    async fn ask(&self, method: &str, parameters: Value, patience: Duration) -> Value {
        let call = self.wire.call(None, method, parameters);
        match tokio::time::timeout(patience, call).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(e)) => panic!("{method}: {e}"),
            Err(_) => {
                processes::end_group(self.child.id().cast_signed());
                let words = self.wire.last_words();
                panic!("waited {patience:?} for the browser, {method}; {words}")
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        processes::end_group(self.child.id().cast_signed());
        // It has been killed; this takes its status.
        let _ = self.child.wait();
        processes::end_all(&self.profile);
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
