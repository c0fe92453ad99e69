//! Activity logs, read the way a person with an editor would.

use std::fs;
use std::path::Path;

use serde_json::Value;

/// Every line of the log at `path`, parsed; panics at one that is no JSON object.
pub fn lines(path: &Path) -> Vec<Value> {
    let bytes = fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    assert!(
        bytes.is_empty() || bytes.ends_with(b"\n"),
        "{} ends in half a line",
        path.display()
    );
    parse(&String::from_utf8(bytes).expect("a log is UTF-8"))
}

/// The lines of a text, parsed.
pub fn parse(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| {
            let value: Value =
                serde_json::from_str(line).unwrap_or_else(|e| panic!("{e} in {line:?}"));
            assert!(value.is_object(), "no object: {line:?}");
            value
        })
        .collect()
}

/// The types, in order.
pub fn types(lines: &[Value]) -> Vec<&str> {
    lines.iter().map(|line| text(line, "type")).collect()
}

/// The texts of all lines of one type, in order.
pub fn messages<'a>(lines: &'a [Value], of: &str) -> Vec<&'a str> {
    lines
        .iter()
        .filter(|line| line["type"] == of)
        .map(|line| text(line, "msg"))
        .collect()
}

/// The numbers of `n 000001 …` lines, in order of the log.
pub fn numbers(lines: &[Value]) -> Vec<u64> {
    messages(lines, "output")
        .into_iter()
        .filter_map(|msg| msg.strip_prefix("n ")?.get(..6)?.parse().ok())
        .collect()
}

/// Panics unless `numbers` are 1 to `count`, each once. Of one stream they are in order; lines of
/// two pipes may change places, so `sorted` says whether order is asked for.
pub fn assert_counts_to(numbers: &[u64], count: u64) {
    let expected: Vec<u64> = (1..=count).collect();
    if numbers != expected {
        let missing: Vec<_> = expected.iter().filter(|n| !numbers.contains(n)).collect();
        let twice: Vec<_> = numbers.windows(2).filter(|two| two[1] <= two[0]).collect();
        panic!("missing: {missing:?}; twice or out of order: {twice:?}");
    }
}

/// Panics unless the log is whole: `start` first, one terminal line and that last, `raw` and `ts`
/// in order, `ts` and `type` in front.
pub fn assert_whole(lines: &[Value]) {
    let types = types(lines);
    assert_eq!(types.first(), Some(&"start"), "{types:?}");
    let terminal = |word: &&&str| matches!(**word, "complete" | "error");
    assert_eq!(types.iter().filter(terminal).count(), 1, "{types:?}");
    assert!(types.last().as_ref().is_some_and(terminal), "{types:?}");
    let raw: Vec<u64> = lines
        .iter()
        .filter_map(|line| line["raw"].as_u64())
        .collect();
    assert!(raw.is_sorted(), "raw falls: {raw:?}");
    assert!(lines.iter().all(|line| line["ts"].is_i64()));
}

fn text<'a>(line: &'a Value, key: &str) -> &'a str {
    line[key]
        .as_str()
        .unwrap_or_else(|| panic!("no text `{key}` in {line}"))
}
