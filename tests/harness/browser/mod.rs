//! A real headless Chromium, driven as a person would drive it: by the keyboard, the mouse and
//! looking. It is spoken to by the DevTools protocol over two pipes, so no port is opened and
//! nothing stands between.
//!
//! ```text
//! Browser (process, profile in the home) ── Wire (one pipe each way, a thread reads)
//!    └── Page (tab) ── session ── Seen: what its console and its policies complained of
//! ```
//!
//! Promises: a wait is for an event with a deadline; what a page complained of fails the test when
//! the browser ends; and whatever happens the browser's whole process group is gone afterwards.

mod input;
mod launch;
mod page;
mod seen;
mod wire;

use std::path::PathBuf;
use std::process::Child;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use crate::wait::{patience, within};
use crate::{Home, processes};

pub use page::{Heap, Page, Work};
use seen::Seen;
use wire::Wire;

/// A running browser. Dropping it ends it; a test that passes calls [`Browser::end`], which also
/// looks at what its pages complained of.
#[derive(Debug)]
pub struct Browser {
    child: Child,
    wire: Arc<Wire>,
    profile: PathBuf,
    // Its processes name it.
    _home: Arc<Home>,
    pages: Mutex<Vec<Arc<Seen>>>,
}

impl Browser {
    /// Starts one with a new profile in `home`.
    pub async fn start(home: &Arc<Home>) -> Browser {
        let launched = launch::launch(home);
        let browser = Browser {
            child: launched.child,
            wire: launched.wire,
            profile: launched.profile,
            _home: Arc::clone(home),
            pages: Mutex::default(),
        };
        let workers = json!({
            "autoAttach": true,
            "waitForDebuggerOnStart": false,
            "flatten": true,
            "filter": [{"type": "shared_worker"}, {"exclude": true}],
        });
        // It answers once it has been read from the disk, a third of a gigabyte, which takes long
        // right after a build.
        let call = browser.wire.call(None, "Target.setAutoAttach", workers);
        match tokio::time::timeout(patience() * 4, call).await {
            Ok(Ok(_)) => browser,
            Ok(Err(e)) => panic!("starting the browser: {e}"),
            Err(_) => panic!(
                "waited {:?} for the browser to start; {}",
                patience() * 4,
                browser.wire.last_words()
            ),
        }
    }

    /// Opens a tab, in front of the others.
    pub async fn page(&self) -> Page {
        self.open(json!({"url": "about:blank"})).await
    }

    /// Opens a tab in a window of its own, which hides no other.
    pub async fn window(&self) -> Page {
        self.open(json!({"url": "about:blank", "newWindow": true}))
            .await
    }

    async fn open(&self, what: Value) -> Page {
        let created = self.call("Target.createTarget", what);
        let target = created.await["targetId"].clone();
        let attach = json!({"targetId": target, "flatten": true});
        let attached = self.call("Target.attachToTarget", attach).await;
        let session = text(&attached["sessionId"]);
        let seen = self.wire.listen(&session);
        self.pages
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Arc::clone(&seen));
        let page = Page::new(&self.wire, session, text(&target), seen);
        page.prepare().await;
        page
    }

    /// Lets its pages read and write the clipboard, as they may after a click.
    pub async fn grant_clipboard(&self, origin: &str) {
        let permissions = ["clipboardReadWrite", "clipboardSanitizedWrite"];
        let grant = json!({"origin": origin, "permissions": permissions});
        self.call("Browser.grantPermissions", grant).await;
    }

    /// Ends it; panics if a page had errors, or was refused anything by its policy.
    pub async fn end(self) {
        // What was sent before the answer has been taken up when the answer is here.
        self.call("Browser.getVersion", json!({})).await;
        let complaints = self.complaints();
        assert!(complaints.is_empty(), "the page: {complaints:#?}");
    }

    /// What pages and workers complained of so far.
    pub fn complaints(&self) -> Vec<String> {
        let pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        let of_pages = pages.iter().flat_map(|seen| seen.complaints());
        of_pages.chain(self.wire.complaints_of_workers()).collect()
    }

    async fn call(&self, method: &str, parameters: Value) -> Value {
        let answer = within(method, self.wire.call(None, method, parameters)).await;
        answer.unwrap_or_else(|e| panic!("{method}: {e}"))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        processes::end_group(self.child.id().cast_signed());
        // It has been killed; this takes its status.
        let _ = self.child.wait();
        processes::end_all(&self.profile);
        if !std::thread::panicking() {
            let complaints = self.complaints();
            assert!(complaints.is_empty(), "the page: {complaints:#?}");
        }
    }
}

fn text(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("no text: {value}"))
        .to_owned()
}
