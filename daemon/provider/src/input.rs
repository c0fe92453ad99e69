//! Further messages to a running agent, on its standard input: which CLIs take them, and how.

use serde_json::json;

use crate::args::option_value;
use crate::kind::Kind;

/// Whether a CLI takes messages while it works, and if not, why.
///
/// # Errors
/// In words, for who asked.
pub fn takes(kind: Kind, args: &[String]) -> Result<(), &'static str> {
    match kind {
        Kind::Claude if option_value(args, &["--input-format"]) == Some("stream-json") => Ok(()),
        Kind::Claude => Err("the configured `args` of claude lack `--input-format stream-json`"),
        Kind::Codex => Err("codex reads its input to the end before it begins"),
        Kind::Gemini => Err("gemini reads its input to the end before it begins"),
        Kind::Opencode => Err("opencode reads its input to the end before it begins"),
        // Whoever configured them knows.
        Kind::Jsonl | Kind::Command => Ok(()),
    }
}

/// What is written for a message: for claude a line of its own JSON, else the text and a newline.
pub fn message(kind: Kind, text: &str) -> String {
    let mut line = match kind {
        Kind::Claude => json!({
            "type": "user",
            "message": {"role": "user", "content": [{"type": "text", "text": text}]},
        })
        .to_string(),
        _ => text.to_owned(),
    };
    line.push('\n');
    line
}

/// What is written first: the prompt, as one of several messages where there may be more.
pub fn first(kind: Kind, interactive: bool, prompt: String) -> String {
    match kind {
        Kind::Claude if interactive && !prompt.is_empty() => message(kind, &prompt),
        // One that reads lines does not see the first one before its end.
        _ if interactive && !prompt.is_empty() && !prompt.ends_with('\n') => prompt + "\n",
        _ => prompt,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn only_those_that_read_on_take_messages() {
        let asked = args("-p --input-format stream-json");
        assert_eq!(takes(Kind::Claude, &asked), Ok(()));
        assert!(takes(Kind::Claude, &args("-p")).is_err());
        for kind in [Kind::Codex, Kind::Gemini, Kind::Opencode] {
            assert!(takes(kind, &asked).unwrap_err().contains(kind.as_str()));
        }
        assert_eq!(takes(Kind::Command, &[]), Ok(()));
    }

    #[test]
    fn a_message_to_claude_is_one_line_of_json() {
        let line = message(Kind::Claude, "two\nlines \"quoted\"");
        assert_eq!(line.matches('\n').count(), 1);
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["type"], "user");
        let block = &value["message"]["content"][0];
        assert_eq!(block["text"], "two\nlines \"quoted\"");
        assert_eq!(message(Kind::Command, "go on"), "go on\n");
        assert_eq!(first(Kind::Claude, false, "do it".to_owned()), "do it");
        let prompt = first(Kind::Claude, true, "do it".to_owned());
        assert_eq!(prompt, message(Kind::Claude, "do it"));
        assert_eq!(first(Kind::Command, true, "do it".to_owned()), "do it\n");
        assert_eq!(first(Kind::Command, true, "do it\n".to_owned()), "do it\n");
        assert_eq!(first(Kind::Command, false, "do it".to_owned()), "do it");
        assert_eq!(first(Kind::Jsonl, true, String::new()), "");
    }
}
