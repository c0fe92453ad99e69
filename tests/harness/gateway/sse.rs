//! A stream of server-sent events, read as the standard says browsers read it, but with nothing
//! hidden: comments and `retry:` are given too, and an end is told from a cut.

use tokio::time::{Instant, timeout};

use super::http::{Answer, Connection, Request};
use crate::wait::{patience, within};

/// One thing in a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// What `onmessage` would be called with, and the `lastEventId` then.
    Event {
        /// The id of this frame; `None` if it had none.
        id: Option<String>,
        /// Its `event:` name, which ours never have.
        name: Option<String>,
        /// Its data, lines joined by newlines.
        data: String,
    },
    /// An id without data: what `lastEventId` is from then on.
    Place(String),
    /// A line that begins with a colon, without it and without the blank.
    Comment(String),
    /// `retry:`, in milliseconds.
    Retry(u64),
    /// The server has ended the body as HTTP wants it.
    End,
    /// The connection broke in the middle of the body; half a frame counts for nothing.
    Cut,
}

/// An open stream.
#[derive(Debug)]
pub struct Sse {
    connection: Connection,
    /// The answer's headers.
    pub head: Answer,
    buffer: Vec<u8>,
    frame: Frame,
    ready: std::collections::VecDeque<Item>,
    /// When something came that was no heartbeat, or was first waited for.
    heard: Instant,
}

#[derive(Debug, Default)]
struct Frame {
    id: Option<String>,
    name: Option<String>,
    data: Option<String>,
}

/// A reader that comes back with what it had last, as a browser does, and keeps all it was given.
#[derive(Debug, Default)]
pub struct Received {
    /// Data of every event, in order.
    pub data: Vec<String>,
    /// The id of the last event that had one.
    pub last_id: Option<String>,
    /// Comments, in order.
    pub comments: Vec<String>,
    /// The last `retry:`.
    pub retry: Option<u64>,
}

impl Sse {
    /// Opens it; anything but a stream is given back as the answer it is.
    pub async fn open(request: &Request) -> Result<Sse, Answer> {
        Sse::try_open(request)
            .await
            .unwrap_or_else(|e| panic!("{request:?}: {e}"))
    }

    /// As [`Sse::open`] of a server that may be gone.
    pub async fn try_open(request: &Request) -> std::io::Result<Result<Sse, Answer>> {
        within("the head of a stream", async {
            let mut connection = Connection::try_open(request.address()).await?;
            connection.write(&request.bytes()).await;
            let (status, headers) = connection.head().await?;
            let mut head = Answer {
                status,
                headers,
                body: Vec::new(),
            };
            let kind = head.header("content-type").unwrap_or_default();
            if status != 200 || !kind.starts_with("text/event-stream") {
                if head.is_chunked() {
                    while let Some(chunk) = connection.chunk().await? {
                        head.body.extend_from_slice(&chunk);
                    }
                } else if status != 204 {
                    let length = head.header("content-length").map(str::to_owned);
                    head.body = connection.rest_of(length.as_deref()).await?;
                }
                return Ok(Err(head));
            }
            Ok(Ok(Sse {
                connection,
                head,
                buffer: Vec::new(),
                frame: Frame::default(),
                ready: std::collections::VecDeque::new(),
                heard: Instant::now(),
            }))
        })
        .await
    }

    /// The next thing. The deadline is for something to come: heartbeats do not put it off.
    pub async fn next(&mut self) -> Item {
        let what = "something but heartbeats in a stream";
        let left = patience().saturating_sub(self.heard.elapsed());
        let Ok(item) = timeout(left, self.next_of_any_length()).await else {
            panic!("waited {:?} for {what}", patience());
        };
        if item != Item::Comment("heartbeat".to_owned()) {
            self.heard = Instant::now();
        }
        item
    }

    /// Begins the deadline anew: something has been done that will be heard.
    fn expect_more(&mut self) {
        self.heard = Instant::now();
    }

    /// As [`Sse::next`], without a deadline; may be dropped only together with the stream.
    pub async fn next_of_any_length(&mut self) -> Item {
        loop {
            if let Some(item) = self.ready.pop_front() {
                return item;
            }
            match self.connection.chunk().await {
                Ok(Some(bytes)) => self.take(&bytes),
                Ok(None) => return Item::End,
                Err(_) => return Item::Cut,
            }
        }
    }

    /// The next event, passing over comments and `retry:`; `None` at an end or a cut.
    pub async fn event(&mut self) -> Option<(Option<String>, String)> {
        self.expect_more();
        loop {
            match self.next().await {
                Item::Event { id, data, .. } => return Some((id, data)),
                Item::Place(_) | Item::Comment(_) | Item::Retry(_) => {}
                Item::End | Item::Cut => return None,
            }
        }
    }

    /// Everything up to its end; panics at a cut.
    pub async fn rest(&mut self) -> Vec<Item> {
        self.expect_more();
        let mut items = Vec::new();
        loop {
            match self.next().await {
                Item::End => return items,
                Item::Cut => panic!("cut after {items:#?}"),
                item => items.push(item),
            }
        }
    }

    /// The data of the first event that contains `words`, and all before it.
    pub async fn until(&mut self, words: &str) -> Vec<String> {
        self.expect_more();
        let mut seen = Vec::new();
        loop {
            match self.next().await {
                Item::Event { data, .. } => {
                    let found = data.contains(words);
                    seen.push(data);
                    if found {
                        return seen;
                    }
                }
                Item::Place(_) | Item::Comment(_) | Item::Retry(_) => {}
                end => panic!("{end:?} instead of `{words}` after {seen:#?}"),
            }
        }
    }

    /// Passes over everything up to the comment that contains `words`.
    pub async fn until_comment(&mut self, words: &str) {
        self.expect_more();
        loop {
            match self.next().await {
                Item::Comment(text) if text.contains(words) => return,
                Item::End | Item::Cut => panic!("an end instead of `: {words}`"),
                _ => {}
            }
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
        while let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.buffer.drain(..=end).collect();
            let line = String::from_utf8(line).expect("a stream is UTF-8");
            self.line(line.trim_end_matches(['\n', '\r']));
        }
    }

    fn line(&mut self, line: &str) {
        if line.is_empty() {
            let frame = std::mem::take(&mut self.frame);
            let (id, name) = (frame.id, frame.name);
            match (frame.data, id) {
                (Some(data), id) => self.ready.push_back(Item::Event { id, name, data }),
                // Nothing is dispatched, and it is named by who comes back.
                (None, Some(id)) => self.ready.push_back(Item::Place(id)),
                (None, None) => {}
            }
            return;
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "" => self.ready.push_back(Item::Comment(value.to_owned())),
            "id" => self.frame.id = Some(value.to_owned()),
            "event" => self.frame.name = Some(value.to_owned()),
            "retry" => {
                let retry = value.parse().map(Item::Retry);
                self.ready.extend(retry.ok());
            }
            "data" => match &mut self.frame.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                none => *none = Some(value.to_owned()),
            },
            other => panic!("no field of an event stream: {other:?}"),
        }
    }
}

impl Received {
    /// Takes up what comes until the stream ends or is cut, and says which.
    pub async fn read(&mut self, stream: &mut Sse) -> Item {
        stream.expect_more();
        loop {
            let item = stream.next().await;
            if matches!(item, Item::End | Item::Cut) {
                return item;
            }
            self.take(item);
        }
    }

    /// Takes up one thing.
    pub fn take(&mut self, item: Item) {
        match item {
            Item::Event { id, name, data } => {
                assert_eq!(name, None, "onmessage is not called for named events");
                self.last_id = id.or(self.last_id.take());
                self.data.push(data);
            }
            Item::Place(id) => self.last_id = Some(id),
            Item::Comment(text) => self.comments.push(text),
            Item::Retry(millis) => self.retry = Some(millis),
            Item::End | Item::Cut => {}
        }
    }

    /// The request with the `Last-Event-ID` that a browser would send.
    pub fn resumes(&self, request: &Request) -> Request {
        request
            .clone()
            .instead("Last-Event-ID", self.last_id.as_deref())
    }

    /// True once the terminal line has come.
    pub fn is_complete(&self) -> bool {
        let last = self.data.last().map(String::as_str).unwrap_or_default();
        let last: serde_json::Value = serde_json::from_str(last).unwrap_or_default();
        matches!(last["type"].as_str(), Some("complete" | "error"))
    }

    /// The bytes of a log file that would give this data; panics where a line has no
    /// `"invocationId":id` in its place.
    pub fn log(&self, id: i64) -> Vec<u8> {
        let lines = self.data.iter().map(|data| unspliced(data, id) + "\n");
        lines.collect::<String>().into_bytes()
    }
}

/// A log's own line, of the data that was made of it.
pub fn unspliced(data: &str, id: i64) -> String {
    let front = format!("{{\"invocationId\":{id},");
    let rest = data.strip_prefix(&front);
    let rest = rest.unwrap_or_else(|| panic!("no invocationId {id} in front of {data}"));
    format!("{{{rest}")
}
