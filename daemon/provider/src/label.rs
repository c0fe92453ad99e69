//! What the labels of tool calls have in common, whatever the provider.

use serde_json::value::RawValue;

/// Of a tool nobody here knows, how much of its input is shown.
const INPUT_LIMIT: usize = 200;

/// ` (+3 -1)` for a text that replaces another.
pub(crate) fn changes(old: &str, new: &str) -> String {
    let (added, removed) = changed_lines(old, new);
    format!(" (+{added} -{removed})")
}

/// Lines added and removed; those that are the same at the beginning and at the end don't count.
pub(crate) fn changed_lines(old: &str, new: &str) -> (usize, usize) {
    let old: Vec<&str> = old.lines().collect();
    let new: Vec<&str> = new.lines().collect();
    let same = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let (old, new) = (&old[same..], &new[same..]);
    let pairs = old.iter().rev().zip(new.iter().rev());
    let same = pairs.take_while(|(a, b)| a == b).count();
    (new.len() - same, old.len() - same)
}

/// The tool's name and the beginning of its input, for a tool nobody here knows.
pub(crate) fn plain(name: &str, input: Option<&RawValue>) -> String {
    let input = input.map_or("", RawValue::get);
    if matches!(input, "" | "{}" | "null") {
        return name.to_owned();
    }
    let short = &input[..input.floor_char_boundary(INPUT_LIMIT)];
    let more = if short.len() < input.len() { "…" } else { "" };
    format!("{name} {}{more}", short.replace(['\n', '\r'], " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lines_that_differ_count() {
        assert_eq!(changes("a\nb\nc", "a\nx\ny\nc"), " (+2 -1)");
        assert_eq!(changes("a\na", "a"), " (+0 -1)");
        assert_eq!(changes("", "a\nb\n"), " (+2 -0)");
    }

    #[test]
    fn an_unknown_tool_shows_the_beginning_of_its_input() {
        let long = format!("{{\"a\":\"{}\"}}", "é".repeat(200));
        let raw: &RawValue = serde_json::from_str(&long).unwrap();
        let label = plain("odd", Some(raw));
        assert!(label.starts_with("odd {\"a\":\"é") && label.ends_with('…'));
        assert!(label.len() < 220);
        assert_eq!(plain("odd", None), "odd");
    }
}
