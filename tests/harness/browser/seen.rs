//! What a tab said without having been asked: loads, errors, refusals.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use tokio::sync::watch;

/// Of one tab. Kept when the tab is gone, so that the end of a test finds it.
#[derive(Debug, Default)]
pub(super) struct Seen {
    told: Mutex<Told>,
    loads: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Told {
    complaints: Vec<String>,
    failures: Failures,
}

/// Whether a request that fails is a complaint: not where the test itself takes the server away.
#[derive(Debug, Default, PartialEq, Eq)]
enum Failures {
    #[default]
    Complaint,
    Expected,
}

impl Seen {
    pub(super) fn take(&self, method: &str, of: &Value) {
        match method {
            "Page.loadEventFired" => self.loads.send_modify(|loads| *loads += 1),
            "Runtime.exceptionThrown" => {
                let details = &of["exceptionDetails"];
                let what = as_text(&details["exception"]["description"]);
                self.complain(format!("exception: {} {what}", as_text(&details["text"])));
            }
            "Runtime.consoleAPICalled" if is_bad(&of["type"]) => {
                self.complain(format!("console.{}: {}", as_text(&of["type"]), of["args"]));
            }
            "Log.entryAdded" => self.entry(&of["entry"]),
            "Audits.issueAdded" => self.issue(&of["issue"]),
            _ => {}
        }
    }

    /// Errors and refusals so far.
    pub(super) fn complaints(&self) -> Vec<String> {
        self.told().complaints.clone()
    }

    pub(super) fn expect_failures(&self) {
        self.told().failures = Failures::Expected;
    }

    /// Counts finished loads.
    pub(super) fn loads(&self) -> watch::Receiver<u64> {
        self.loads.subscribe()
    }

    fn entry(&self, entry: &Value) {
        if entry["level"] != "error" {
            return;
        }
        let is_network = entry["source"] == "network";
        if is_network && self.told().failures == Failures::Expected {
            return;
        }
        let (source, text) = (as_text(&entry["source"]), as_text(&entry["text"]));
        self.complain(format!("{source}: {text} {}", as_text(&entry["url"])));
    }

    fn issue(&self, issue: &Value) {
        if issue["code"] == "ContentSecurityPolicyIssue" {
            let details = &issue["details"]["contentSecurityPolicyIssueDetails"];
            self.complain(format!("content security policy: {details}"));
        }
    }

    fn complain(&self, what: String) {
        self.told().complaints.push(what);
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_bad(kind: &Value) -> bool {
    matches!(kind.as_str(), Some("error" | "assert"))
}

fn as_text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
