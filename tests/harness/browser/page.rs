//! A tab: what it shows, and what it costs.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};

use super::seen::Seen;
use super::wire::Wire;
use crate::wait::{patience, within};

/// Resolves with the value of CONDITION once it is true. Looks when the document changes, scrolls,
/// is resized, or its address changes: nothing is asked again and again.
const WAIT: &str = r"new Promise((resolve, reject) => {
  const ends = new AbortController();
  const observer = new MutationObserver(look);
  function look() {
    let value;
    try { value = CONDITION; } catch (error) { done(reject, error); return; }
    if (value) done(resolve, value === true ? true : value);
  }
  function done(how, value) { observer.disconnect(); ends.abort(); how(value); }
  observer.observe(document, {subtree: true, childList: true, attributes: true, characterData: true});
  for (const name of ['scroll', 'resize', 'hashchange', 'popstate', 'input', 'toggle', 'focusin'])
    addEventListener(name, look, {capture: true, passive: true, signal: ends.signal});
  document.addEventListener('readystatechange', look, {signal: ends.signal});
  look();
})";

/// A tab of a [`super::Browser`].
#[derive(Debug)]
pub struct Page {
    wire: Arc<Wire>,
    session: String,
    target: String,
    seen: Arc<Seen>,
}

/// What a tab's scripts hold, after a collection.
#[derive(Debug, Clone, Copy)]
pub struct Heap {
    /// Bytes in use by objects.
    pub used: u64,
    /// Bytes taken for them.
    pub total: u64,
    /// Nodes of all its documents.
    pub nodes: u64,
}

/// The time a tab's main thread has spent since it was first asked for that, in seconds.
#[derive(Debug, Clone, Copy)]
pub struct Work {
    /// In scripts.
    pub script: f64,
    /// In layout and style.
    pub layout: f64,
    /// In all tasks.
    pub task: f64,
}

impl Page {
    pub(super) fn new(wire: &Arc<Wire>, session: String, target: String, seen: Arc<Seen>) -> Page {
        let wire = Arc::clone(wire);
        Page {
            wire,
            session,
            target,
            seen,
        }
    }

    pub(super) async fn prepare(&self) {
        for domain in ["Page", "Runtime", "Log", "Audits"] {
            self.call(&format!("{domain}.enable"), json!({})).await;
        }
        self.viewport(1280, 800).await;
    }

    pub(super) async fn takes_itself_for_the_one_in_front(&self) {
        let emulation = json!({"enabled": true});
        self.call("Emulation.setFocusEmulationEnabled", emulation)
            .await;
    }

    /// Goes to an address and waits until it has loaded. One that differs from the present one
    /// only behind `#` loads nothing.
    pub async fn goto(&self, url: &str) {
        let mut loads = self.seen.loads();
        let answer = self.call("Page.navigate", json!({"url": url})).await;
        assert!(answer.get("errorText").is_none(), "{url}: {answer}");
        if answer.get("loaderId").is_some() {
            within(url, loads.changed()).await.expect("the tab is kept");
        }
    }

    /// Runs a script in every document to come, before any of its own.
    pub async fn before_load(&self, script: &str) {
        let method = "Page.addScriptToEvaluateOnNewDocument";
        self.call(method, json!({"source": script})).await;
    }

    /// Loads it again.
    pub async fn reload(&self) {
        let mut loads = self.seen.loads();
        self.call("Page.reload", json!({})).await;
        within("a reload", loads.changed())
            .await
            .expect("the tab is kept");
    }

    /// The value of a JavaScript expression; promises are waited for. Panics where it throws.
    pub async fn eval(&self, expression: &str) -> Value {
        match within(expression, self.try_eval(expression)).await {
            Ok(value) => value,
            Err(error) => panic!("{expression}: {error}\n{}", self.shows().await),
        }
    }

    /// Waits until `condition`, an expression, is true, and gives its value. Survives a load.
    pub async fn until(&self, condition: &str) -> Value {
        let expression = WAIT.replace("CONDITION", condition);
        let waiting = async {
            loop {
                match self.try_eval(&expression).await {
                    // The document it waited in is gone; the next one is asked.
                    Err(error) if error.contains("context") || error.contains("navigated") => {}
                    other => return other,
                }
            }
        };
        match tokio::time::timeout(patience(), waiting).await {
            Ok(Ok(value)) => value,
            Ok(Err(error)) => panic!("{condition}: {error}\n{}", self.shows().await),
            Err(_) => panic!(
                "waited {:?} for {condition}; the page: {:#?}\n{}",
                patience(),
                self.seen.complaints(),
                self.shows().await
            ),
        }
    }

    /// Waits until an element is there that a selector names.
    pub async fn until_there(&self, selector: &str) {
        let selector = json!(selector);
        self.until(&format!("document.querySelector({selector}) !== null"))
            .await;
    }

    /// Waits until the element's text contains `words`.
    pub async fn until_says(&self, selector: &str, words: &str) {
        let (selector, words) = (json!(selector), json!(words));
        self.until(&format!(
            "(document.querySelector({selector})?.textContent ?? '').includes({words})"
        ))
        .await;
    }

    /// The text of the first such element, as it is laid out.
    pub async fn text(&self, selector: &str) -> String {
        let selector = json!(selector);
        let inner = format!("document.querySelector({selector}).innerText");
        super::text(&self.eval(&inner).await)
    }

    /// How many such elements there are.
    pub async fn count(&self, selector: &str) -> u64 {
        let selector = json!(selector);
        let length = format!("document.querySelectorAll({selector}).length");
        let count = self.eval(&length).await.as_u64();
        count.expect("a length is a number")
    }

    /// Sets the size of what is seen, in CSS pixels.
    pub async fn viewport(&self, width: u32, height: u32) {
        let size = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600,
        });
        self.call("Emulation.setDeviceMetricsOverride", size).await;
    }

    /// Prefers dark, or light.
    pub async fn prefers_color_scheme(&self, scheme: &str) {
        let feature = json!({"name": "prefers-color-scheme", "value": scheme});
        let media = json!({"features": [feature]});
        self.call("Emulation.setEmulatedMedia", media).await;
    }

    /// Writes a picture of what is seen to a PNG file.
    pub async fn screenshot(&self, path: &Path) {
        self.to_front().await;
        let shot = self
            .call("Page.captureScreenshot", json!({"format": "png"}))
            .await;
        let bytes = from_base64(&super::text(&shot["data"]));
        std::fs::write(path, bytes).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    }

    /// Shows this tab rather than another.
    pub async fn to_front(&self) {
        self.call("Page.bringToFront", json!({})).await;
    }

    /// Closes the tab, as its cross does.
    pub async fn close(self) {
        let target = json!({"targetId": self.target});
        let closed = self.wire.call(None, "Target.closeTarget", target);
        within("a tab to close", closed)
            .await
            .expect("the tab is there");
    }

    /// From now on a request that fails is what the test intends.
    pub fn expect_failed_requests(&self) {
        self.seen.expect_failures();
    }

    /// What its console and its policies complained of so far.
    pub fn complaints(&self) -> Vec<String> {
        self.seen.complaints()
    }

    /// What its scripts hold, garbage collected first.
    pub async fn heap(&self) -> Heap {
        self.call("HeapProfiler.collectGarbage", json!({})).await;
        let usage = self.call("Runtime.getHeapUsage", json!({})).await;
        let counters = self.call("Memory.getDOMCounters", json!({})).await;
        Heap {
            used: number(&usage["usedSize"]) as u64,
            total: number(&usage["totalSize"]) as u64,
            nodes: number(&counters["nodes"]) as u64,
        }
    }

    /// What its main thread has done.
    pub async fn work(&self) -> Work {
        // Counts from the first time on.
        self.call("Performance.enable", json!({})).await;
        let answer = self.call("Performance.getMetrics", json!({})).await;
        let metrics = answer["metrics"].as_array().expect("a list of metrics");
        let of = |name: &str| {
            let metric = metrics.iter().find(|metric| metric["name"] == name);
            metric.map_or(0.0, |metric| number(&metric["value"]))
        };
        Work {
            script: of("ScriptDuration"),
            layout: of("LayoutDuration") + of("RecalcStyleDuration"),
            task: of("TaskDuration"),
        }
    }

    async fn try_eval(&self, expression: &str) -> Result<Value, String> {
        let parameters = json!({
            "expression": expression,
            "awaitPromise": true,
            "returnByValue": true,
            "userGesture": true,
        });
        let method = "Runtime.evaluate";
        let answer = self.wire.call(Some(&self.session), method, parameters);
        let mut answer = answer.await?;
        match answer.get("exceptionDetails") {
            Some(details) => Err(details.to_string()),
            None => Ok(answer["result"]["value"].take()),
        }
    }

    pub(super) async fn call(&self, method: &str, parameters: Value) -> Value {
        let answer = self.wire.call(Some(&self.session), method, parameters);
        let answer = within(method, answer).await;
        answer.unwrap_or_else(|e| panic!("{method}: {e}"))
    }

    /// For messages: where it is and the beginning of what it shows.
    async fn shows(&self) -> String {
        let what = "location.href + '\\n' + document.body?.innerText.slice(0, 4000)";
        let shown = tokio::time::timeout(patience(), self.try_eval(what)).await;
        match shown {
            Ok(Ok(Value::String(text))) => format!("--- page ---\n{text}\n---"),
            other => format!("(the page does not answer: {other:?})"),
        }
    }
}

fn number(value: &Value) -> f64 {
    value
        .as_f64()
        .unwrap_or_else(|| panic!("no number: {value}"))
}

/// The protocol gives pictures so; it pads them and uses no other alphabet.
fn from_base64(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut held) = (0_u32, 0);
    for letter in text.bytes() {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => continue,
        };
        bits = bits << 6 | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held) as u8);
        }
    }
    bytes
}
