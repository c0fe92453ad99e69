//! A CLI that takes messages while it works: claude with `--input-format stream-json`. Each line of
//! stdin is a message, and is answered by a turn of its own; at the end of its input it exits.

use std::io::{BufRead, stdin};

use serde_json::{Value, json};

use crate::options::{Failure, Options};
use crate::pipes;

/// The session of them all.
const SESSION: &str = "s-talk";

pub(crate) fn run(options: &Options) -> Result<u8, Failure> {
    for (turn, line) in stdin().lock().lines().enumerate() {
        let line = line.map_err(|e| Failure::new(format!("stdin: {e}")))?;
        let message: Value = serde_json::from_str(&line)
            .map_err(|e| Failure::new(format!("`{line}` is no JSON: {e}")))?;
        let text = message["message"]["content"][0]["text"].as_str();
        let text = text.ok_or_else(|| Failure::new(format!("`{line}` is no message")))?;
        answer(turn, &format!("heard {text}"));
    }
    options.number("exit", 0)
}

/// What claude prints for a turn.
fn answer(turn: usize, text: &str) {
    let block = json!({"type": "text", "text": text});
    let message = json!({"id": format!("m-{turn}"), "model": "fake", "content": [block]});
    for event in [
        json!({"type": "system", "subtype": "init", "session_id": SESSION}),
        json!({"type": "assistant", "session_id": SESSION, "message": message}),
        json!({"type": "result", "subtype": "success", "is_error": false, "session_id": SESSION,
               "result": text, "usage": {"input_tokens": 1, "output_tokens": 1}}),
    ] {
        pipes::stdout(format!("{event}\n").as_bytes());
    }
}
