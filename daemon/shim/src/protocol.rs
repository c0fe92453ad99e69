//! What a daemon and a shim say to each other over the shim's socket: one JSON line each way, at
//! most 4 KiB. No data passes through it, so losing it loses nothing; all data is in the spool.
//!
//! ```text
//! > {"v":1,"op":"hello"}                    < {"v":1,"op":"hello","proto":1,"uuid":"…","shim_pid":7,"agent_pid":8}
//! > {"v":1,"op":"stop","grace_ms":10000}    < {"v":1,"op":"stopping"}
//! > {"v":1,"op":"kill"}                     < {"v":1,"op":"killed"}
//! > {"v":1,"op":"stat"}                     < {"v":1,"op":"stat","phase":"running",…}   also pushed,
//!                                             when writing stops or goes on
//! > {"v":1,"op":"input","id":"m1"}        < {"v":1,"op":"input","id":"m1"}   pushed, after a hello
//!                                           < {"spool":4096}      pushed, after a hello without `"hints":false`
//!                                           < {"v":1,"op":"ending","what":"draining"}   pushed
//! ```
//!
//! Unknown fields are passed over on both sides; what is no request is answered with an error.

use serde::{Deserialize, Serialize};

use crate::tree::Load;

/// Version of the lines.
pub const VERSION: u32 = 1;

/// Bytes of a line at most, with its newline.
pub const LONGEST_LINE: usize = 4096;

/// What a shim is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum Request {
    /// Who it is; from then on it pushes what changes. The last one counts.
    Hello {
        /// With hints of what was written: for who is not told by the kernel, which is sooner and costs
        /// the shim nothing.
        #[serde(default = "wanted", skip_serializing_if = "is_true")]
        hints: bool,
    },
    /// Ask the provider to end, and kill it after the grace. Again: with a shorter grace.
    Stop {
        /// The limits' grace if not given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        grace_ms: Option<u64>,
        /// Why, where it is not that somebody wanted it; a line of at most 512 bytes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        why: Option<String>,
        /// Nobody wanted it: the host goes down, or the user's session ends.
        #[serde(default, skip_serializing_if = "is_false")]
        shutdown: bool,
    },
    /// Kill the provider and all its processes now.
    Kill,
    /// How it is.
    Stat,
    /// A message to the provider stands in the state folder, in `input/ID`. What becomes of it is
    /// pushed to all who have said hello; one that was taken before is not taken again.
    Input {
        /// Made by who sends it: letters, digits, `-` and `_`.
        id: String,
    },
}

/// What a shim says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum Message {
    /// Who it is.
    Hello {
        /// [`crate::spec::PROTOCOL`].
        proto: u32,
        /// Of the invocation.
        uuid: String,
        /// The shim.
        shim_pid: i32,
        /// The provider.
        agent_pid: Option<i32>,
    },
    /// It was asked, or is being asked, to end.
    Stopping,
    /// Its processes are being killed.
    Killed,
    /// How it is.
    Stat(Stat),
    /// The spool now has so many bytes. A hint: the next one may leave some out.
    #[serde(skip)]
    Spool {
        /// Of whole records.
        length: u64,
    },
    /// The provider has ended, and this is what is still done.
    Ending {
        /// `draining`, `disk full`, …
        what: String,
    },
    /// What became of a message.
    Input {
        /// Of the message.
        id: String,
        /// Why it was not taken; absent: it was, now or before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<String>,
        /// It was not taken as another message was, under this id.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        is_reused: bool,
    },
    /// The request was not understood.
    Error {
        /// One line.
        error: String,
    },
}

/// How a shim is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stat {
    /// `running`, `stopping`, `killing`, `draining`, `ending`, `ending: disk full`.
    pub phase: String,
    /// Bytes of whole records in the file.
    pub spool: u64,
    /// Bytes that were read from the provider and are not in the file yet.
    pub waiting: u64,
    /// Reading has stopped, and the provider with it, until the file can be written.
    pub paused: bool,
    /// Why writing does not succeed at the moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// Milliseconds since the provider last printed something.
    pub quiet_ms: u64,
    /// When the provider ended, or else since when reading has stopped, in epoch milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since_ms: Option<u64>,
    /// The unit of the user's service manager that the shim runs in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// What the provider's processes use; only where it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<Load>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde asks for a reference"
)]
fn is_false(flag: &bool) -> bool {
    !*flag
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde asks for a reference"
)]
fn is_true(flag: &bool) -> bool {
    *flag
}

fn wanted() -> bool {
    true
}

/// A line that is no message of this protocol.
#[derive(Debug, thiserror::Error)]
#[error("not a line of the shim protocol")]
pub struct ProtocolError(#[source] serde_json::Error);

/// A line with its version.
#[derive(Serialize, Deserialize)]
struct Versioned<T> {
    v: u32,
    #[serde(flatten)]
    said: T,
}

/// A pushed hint, which goes without a version for being short.
#[derive(Serialize, Deserialize)]
struct Hint {
    spool: u64,
}

/// The line that asks it, with its newline.
pub fn encode(request: &Request) -> String {
    line(&Versioned {
        v: VERSION,
        said: request,
    })
}

/// What a shim said with this line.
pub fn decode(line: &str) -> Result<Message, ProtocolError> {
    match serde_json::from_str(line) {
        Ok(Versioned { v: _, said }) => Ok(said),
        Err(error) => match serde_json::from_str(line) {
            Ok(Hint { spool }) => Ok(Message::Spool { length: spool }),
            Err(_) => Err(ProtocolError(error)),
        },
    }
}

/// The shim's side: the line that says it, with its newline.
pub fn encode_message(message: &Message) -> String {
    match message {
        Message::Spool { length } => line(&Hint { spool: *length }),
        said => line(&Versioned { v: VERSION, said }),
    }
}

/// The shim's side: what is asked with this line.
pub fn decode_request(line: &str) -> Result<Request, ProtocolError> {
    serde_json::from_str(line)
        .map(|Versioned { v: _, said }| said)
        .map_err(ProtocolError)
}

fn line<T: Serialize>(said: &T) -> String {
    // Strings and numbers in structs: there is nothing in it that cannot be written.
    let mut line = serde_json::to_string(said).unwrap_or_default();
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_read_as_documented() {
        for (request, text) in [
            (Request::Hello { hints: true }, r#"{"v":1,"op":"hello"}"#),
            (
                Request::Hello { hints: false },
                r#"{"v":1,"op":"hello","hints":false}"#,
            ),
            (
                Request::Stop {
                    grace_ms: Some(10000),
                    why: None,
                    shutdown: false,
                },
                r#"{"v":1,"op":"stop","grace_ms":10000}"#,
            ),
            (
                Request::Stop {
                    grace_ms: None,
                    why: Some("too dear".to_owned()),
                    shutdown: false,
                },
                r#"{"v":1,"op":"stop","why":"too dear"}"#,
            ),
            (
                Request::Stop {
                    grace_ms: None,
                    why: None,
                    shutdown: false,
                },
                r#"{"v":1,"op":"stop"}"#,
            ),
            (Request::Kill, r#"{"v":1,"op":"kill"}"#),
            (Request::Stat, r#"{"v":1,"op":"stat"}"#),
            (
                Request::Input {
                    id: "m1".to_owned(),
                },
                r#"{"v":1,"op":"input","id":"m1"}"#,
            ),
        ] {
            assert_eq!(encode(&request), format!("{text}\n"));
            assert_eq!(decode_request(text).unwrap(), request);
        }
    }

    #[test]
    fn messages_read_back() {
        let stat = Stat {
            phase: "running".to_owned(),
            spool: 1,
            waiting: 2,
            paused: false,
            trouble: None,
            quiet_ms: 3,
            since_ms: Some(4),
            unit: None,
            load: Some(Load {
                cpu_ms: 5,
                memory_bytes: 6,
                processes: 7,
            }),
        };
        for message in [
            Message::Hello {
                proto: 1,
                uuid: "u".to_owned(),
                shim_pid: 7,
                agent_pid: None,
            },
            Message::Stopping,
            Message::Input {
                id: "m1".to_owned(),
                error: Some("no".to_owned()),
                is_reused: true,
            },
            Message::Killed,
            Message::Stat(stat),
            Message::Spool { length: 9 },
            Message::Ending {
                what: "draining".to_owned(),
            },
            Message::Error {
                error: "what?".to_owned(),
            },
        ] {
            assert_eq!(decode(&encode_message(&message)).unwrap(), message);
        }
        assert_eq!(
            encode_message(&Message::Spool { length: 9 }),
            "{\"spool\":9}\n"
        );
    }

    #[test]
    fn unknown_fields_are_passed_over_and_unknown_words_refused() {
        assert_eq!(
            decode_request(r#"{"v":2,"op":"kill","why":"because"}"#).unwrap(),
            Request::Kill
        );
        assert!(decode_request(r#"{"v":1,"op":"dance"}"#).is_err());
        assert!(decode_request("").is_err());
    }
}
