//! The DevTools protocol on a pair of pipes: JSON objects, each ended by a NUL byte.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{ChildStdin, ChildStdout};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::seen::Seen;

/// What was asked for, or why not.
type Answer = Result<Value, String>;

/// The pair of pipes. A thread reads, so that what a page complains of is taken up whatever the
/// test is doing.
#[derive(Debug)]
pub(super) struct Wire {
    out: Mutex<ChildStdin>,
    number: AtomicU64,
    state: Mutex<State>,
    log: PathBuf,
}

#[derive(Debug, Default)]
struct State {
    waiting: HashMap<u64, oneshot::Sender<Answer>>,
    sessions: HashMap<String, Arc<Seen>>,
    /// Each with the browser context that it belongs to.
    workers: Vec<(String, Arc<Seen>)>,
    is_over: bool,
}

impl Wire {
    /// Takes over both pipes; `log` is where the browser's own words go.
    pub(super) fn new(to: ChildStdin, from: ChildStdout, log: PathBuf) -> Arc<Wire> {
        let wire = Arc::new(Wire {
            out: Mutex::new(to),
            number: AtomicU64::new(1),
            state: Mutex::default(),
            log,
        });
        let reader = Arc::clone(&wire);
        // Ends with the browser, which closes its end.
        std::thread::spawn(move || reader.read(from));
        wire
    }

    /// Collects the events of a session from now on.
    pub(super) fn listen(&self, session: &str) -> Arc<Seen> {
        let seen = Arc::new(Seen::default());
        let mut state = self.state();
        state.sessions.insert(session.to_owned(), Arc::clone(&seen));
        seen
    }

    /// Asks, and waits for the answer.
    pub(super) async fn call(
        &self,
        session: Option<&str>,
        method: &str,
        parameters: Value,
    ) -> Answer {
        let (number, message) = self.message(session, method, parameters);
        let (sender, answer) = oneshot::channel();
        {
            let mut state = self.state();
            if state.is_over {
                return Err(self.over());
            }
            state.waiting.insert(number, sender);
        }
        self.send(&message)
            .map_err(|e| format!("{e}; {}", self.over()))?;
        answer.await.unwrap_or_else(|_| Err(self.over()))
    }

    /// Says, and does not wait for an answer.
    pub(super) fn tell(&self, session: Option<&str>, method: &str, parameters: Value) {
        let (_, message) = self.message(session, method, parameters);
        // What has ended wants to hear nothing more.
        let _ = self.send(&message);
    }

    fn message(&self, session: Option<&str>, method: &str, parameters: Value) -> (u64, Value) {
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let mut message = json!({"id": number, "method": method, "params": parameters});
        if let Some(session) = session {
            message["sessionId"] = session.into();
        }
        (number, message)
    }

    fn send(&self, message: &Value) -> std::io::Result<()> {
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        out.write_all(&bytes)
    }

    /// Workers that pages share are nobody's tab; what they throw is collected all the same.
    fn hear_worker(&self, attached: &Value) {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let session = text(&attached["sessionId"]);
        let context = text(&attached["targetInfo"]["browserContextId"]);
        let seen = self.listen(&session);
        self.state().workers.push((context, seen));
        self.tell(Some(&session), "Runtime.enable", json!({}));
    }

    /// What workers of a browser context complained of so far.
    pub(super) fn complaints_of_workers(&self, context: &str) -> Vec<String> {
        let state = self.state();
        let workers = state.workers.iter().filter(|worker| worker.0 == context);
        workers.flat_map(|(_, seen)| seen.complaints()).collect()
    }

    /// Whether it has ended.
    pub(super) fn is_over(&self) -> bool {
        self.state().is_over
    }

    fn over(&self) -> String {
        format!("the browser has ended; {}", self.last_words())
    }

    /// What the browser said last of itself, for a failure's message.
    pub(super) fn last_words(&self) -> String {
        let said = std::fs::read_to_string(&self.log).unwrap_or_default();
        let from = said.char_indices().rev().nth(2_000).map_or(0, |(at, _)| at);
        format!("its last words: {}", &said[from..])
    }

    fn read(&self, from: ChildStdout) {
        let mut from = BufReader::new(from);
        let mut message = Vec::new();
        loop {
            message.clear();
            match from.read_until(0, &mut message) {
                Ok(0) | Err(_) => break,
                Ok(_) => {}
            }
            if message.pop() == Some(0) {
                self.take(&message);
            }
        }
        let mut state = self.state();
        state.is_over = true;
        state.waiting.clear();
    }

    fn take(&self, message: &[u8]) {
        let Ok(mut message) = serde_json::from_slice::<Value>(message) else {
            return;
        };
        let mut state = self.state();
        if let Some(number) = message["id"].as_u64() {
            let answer = match message.get("error") {
                Some(error) => Err(error.to_string()),
                None => Ok(message["result"].take()),
            };
            if let Some(waiting) = state.waiting.remove(&number) {
                // Whoever asked may have given up.
                let _ = waiting.send(answer);
            }
            return;
        }
        if message["method"] == "Target.attachedToTarget"
            && message["params"]["targetInfo"]["type"] == "shared_worker"
        {
            drop(state);
            self.hear_worker(&message["params"]);
            return;
        }
        let session = message["sessionId"].as_str().unwrap_or_default();
        if let Some(seen) = state.sessions.get(session).cloned() {
            drop(state);
            let method = message["method"].as_str().unwrap_or_default();
            seen.take(method, &message["params"]);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
