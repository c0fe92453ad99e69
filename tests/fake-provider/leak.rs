//! Prints a variable of its environment in all the ways in which a CLI could, each line in writes
//! of a few bytes, so that no read has the value whole.

use serde_json::{Value, json};

use crate::life;
use crate::options::{Failure, Options};
use crate::pipes::{self, Pipe};

/// Where a line of text is cut by whoever keeps it.
const LONG: usize = 256 * 1024;

pub(crate) fn run(options: &Options) -> Result<u8, Failure> {
    let name = options.text("name").unwrap_or_default();
    let value = std::env::var(name).map_err(|_| Failure::new(format!("no variable `{name}`")))?;
    let lines = match options.text("as") {
        Some("claude") => claude(&value),
        Some("gemini") => gemini(&value),
        _ => text(&value),
    };
    for (at, line) in lines.iter().enumerate() {
        pieces(Pipe::Stdout, line, at % 5 + 1);
    }
    pieces(
        Pipe::Stderr,
        &format!("warning: {value}\nfatal: {value}\n"),
        3,
    );
    if options.flag("stay") {
        return life::stall();
    }
    // Neither ends its line.
    pieces(Pipe::Stdout, &format!("half a line {value}"), 2);
    Ok(3)
}

fn text(value: &str) -> Vec<String> {
    let argv: Vec<String> = std::env::args().collect();
    let mut long = "x ".repeat(LONG / 2 - 6);
    long.push_str(value);
    vec![
        format!("the value is {value}, and again {value}\n"),
        format!("{argv:?}\n"),
        format!("{{\"escaped\":\"{}\"}}\n", escaped(value)),
        format!(
            "{{\"within\":{}}}\n",
            json!(json!({ "deep": value }).to_string())
        ),
        format!("{long} and more\n"),
    ]
}

fn claude(value: &str) -> Vec<String> {
    let within = json!({ "deep": value }).to_string();
    let assistant = |id: &str, content: Value| json!({"type": "assistant", "message": {"id": id, "content": [content]}});
    let events = [
        assistant(
            "m1",
            json!({"type": "text", "text": format!("it is {value}")}),
        ),
        assistant(
            "m2",
            json!({"type": "thinking", "thinking": format!("hm, {value}")}),
        ),
        assistant(
            "m3",
            json!({"type": "tool_use", "id": "t1", "name": "Bash",
                "input": {"command": format!("curl -H 'X: {value}'"), value: [within]}}),
        ),
        json!({"type": "user", "message": {"content": [
            {"type": "tool_result", "tool_use_id": "t1", "content": format!("got {value}\n")}]}}),
        json!({"type": "never_heard_of", value: {"x": [value, within]}}),
        json!({"type": "result", "subtype": "success", "is_error": true,
            "result": format!("API Error: bad key {value}")}),
    ];
    let mut lines: Vec<String> = events.iter().map(|event| format!("{event}\n")).collect();
    lines.insert(
        0,
        format!(
            "{{\"type\":\"assistant\",\"message\":{{\"id\":\"m0\",\"content\":[{{\"type\":\"text\",\
             \"text\":\"{}\"}}]}}}}\n",
            escaped(value)
        ),
    );
    lines
}

/// The text comes in fragments, and one ends inside the value.
fn gemini(value: &str) -> Vec<String> {
    let (first, second) = value.split_at(value.len() / 2);
    [&format!("it is {first}"), second, ". "]
        .into_iter()
        .map(|part| {
            let delta =
                json!({"type": "message", "role": "assistant", "content": part, "delta": true});
            format!("{delta}\n")
        })
        .collect()
}

/// Every second character as JSON may write it.
fn escaped(value: &str) -> String {
    let mut out = String::new();
    for (at, c) in value.chars().enumerate() {
        match c {
            '/' => out.push_str("\\/"),
            c if at % 2 == 0 => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out
}

fn pieces(pipe: Pipe, text: &str, size: usize) {
    // Of a long line the end is enough: it is where the value is.
    let (whole, split) = text.split_at(text.len().saturating_sub(400));
    pipes::write(pipe, whole.as_bytes());
    for piece in split.as_bytes().chunks(size) {
        pipes::write(pipe, piece);
    }
}
