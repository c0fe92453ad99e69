//! A real headless Chromium, driven as a person would drive it: by the keyboard, the mouse and
//! looking. It is spoken to by the DevTools protocol over two pipes, so no port is opened and
//! nothing stands between.
//!
//! ```text
//! Process (its pipes: Wire, a thread reads)
//!    └── Browser (a browser context of Chromium's: storage, connections, workers)
//!           └── Page (tab) ── session ── Seen: what its console and its policies complained of
//! ```
//!
//! Promises: a wait is for an event with a deadline; what a page complained of fails the test when
//! the browser ends; and whatever happens the process group is gone when its last browser is.

mod input;
mod launch;
mod page;
mod seen;
mod wire;

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use crate::Home;
use crate::wait::within;

use launch::{Process, SPARING};
pub use page::{Heap, Page, Work};
use seen::Seen;

/// Closes a browser context and whatever is open in it.
const DISPOSE: &str = "Target.disposeBrowserContext";

/// A browser of one test. Dropping it ends it; a test that passes calls [`Browser::end`], which also
/// looks at what its pages complained of.
#[derive(Debug)]
pub struct Browser {
    process: Arc<Process>,
    /// Its browser context: what belongs to that goes with it.
    context: String,
    focus: Focus,
    pages: Mutex<Vec<Arc<Seen>>>,
}

/// Which of its tabs take themselves for seen, and for the one that keys go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Focus {
    /// The one that is.
    Real,
    /// Each: a window of another test may lie in front.
    Each,
}

impl Browser {
    /// One with a process of its own, in `home`, whose tabs hide one another.
    pub async fn start(home: &Arc<Home>) -> Browser {
        Browser::of(Arc::new(Process::start(home, &SPARING)), Focus::Real).await
    }

    /// As [`Browser::start`], but it does all that one does which somebody looks at: to measure.
    pub async fn whole(home: &Arc<Home>) -> Browser {
        Browser::of(Arc::new(Process::start(home, &[])), Focus::Real).await
    }

    /// One that shares its process with those of other tests, which spares most of its start. It shares nothing
    /// else with them but the clipboard. Each of its tabs takes itself for the one in front.
    pub async fn shared() -> Browser {
        Browser::of(Process::shared(), Focus::Each).await
    }

    async fn of(process: Arc<Process>, focus: Focus) -> Browser {
        process.ready().await;
        let context = text(&process.new_context().await);
        Browser {
            process,
            context,
            focus,
            pages: Mutex::default(),
        }
    }

    /// Opens a tab, in front of the others.
    pub async fn page(&self) -> Page {
        self.open(json!({})).await
    }

    /// Opens a tab in a window of its own, which hides no other.
    pub async fn window(&self) -> Page {
        self.open(json!({"newWindow": true})).await
    }

    async fn open(&self, mut what: Value) -> Page {
        what["url"] = "about:blank".into();
        what["browserContextId"] = self.context.as_str().into();
        let created = self.call("Target.createTarget", what);
        let target = created.await["targetId"].clone();
        let attach = json!({"targetId": target, "flatten": true});
        let attached = self.call("Target.attachToTarget", attach).await;
        let session = text(&attached["sessionId"]);
        let seen = self.process.wire.listen(&session);
        self.pages
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Arc::clone(&seen));
        let page = Page::new(&self.process.wire, session, text(&target), seen);
        page.prepare().await;
        if self.focus == Focus::Each {
            page.takes_itself_for_the_one_in_front().await;
        }
        page
    }

    /// Lets its pages read and write the clipboard, as they may after a click.
    pub async fn grant_clipboard(&self, origin: &str) {
        let permissions = ["clipboardReadWrite", "clipboardSanitizedWrite"];
        let context = &self.context;
        let grant =
            json!({"origin": origin, "permissions": permissions, "browserContextId": context});
        self.call("Browser.grantPermissions", grant).await;
    }

    /// Ends the workers that its pages share, of which nobody is told, and says how many they were.
    pub async fn end_workers(&self) -> usize {
        let all = self.call("Target.getTargets", json!({})).await;
        let all = all["targetInfos"].as_array().expect("a list of targets");
        let is_one = |it: &&Value| {
            it["type"] == "shared_worker" && it["browserContextId"] == self.context.as_str()
        };
        let workers: Vec<&Value> = all.iter().filter(is_one).collect();
        for worker in &workers {
            let target = json!({"targetId": worker["targetId"]});
            self.call("Target.closeTarget", target).await;
        }
        workers.len()
    }

    /// Ends it; panics if a page had errors, or was refused anything by its policy.
    pub async fn end(self) {
        // What was sent before the answer has been taken up when the answer is here.
        self.call("Browser.getVersion", json!({})).await;
        let complaints = self.complaints();
        // What it still reads ends with it, and not with the server that is stopped next.
        self.call(DISPOSE, self.itself()).await;
        assert!(complaints.is_empty(), "the page: {complaints:#?}");
    }

    /// What pages and workers complained of so far.
    pub fn complaints(&self) -> Vec<String> {
        let pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        let of_pages = pages.iter().flat_map(|seen| seen.complaints());
        let of_workers = self.process.wire.complaints_of_workers(&self.context);
        of_pages.chain(of_workers).collect()
    }

    fn itself(&self) -> Value {
        json!({"browserContextId": self.context})
    }

    async fn call(&self, method: &str, parameters: Value) -> Value {
        let answer = self.process.wire.call(None, method, parameters);
        let answer = within(method, answer).await;
        answer.unwrap_or_else(|e| panic!("{method}: {e}"))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It has ended, or is to: a test that fails waits for nothing more.
        self.process.wire.tell(None, DISPOSE, self.itself());
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
