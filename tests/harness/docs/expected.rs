//! Whether what a command printed is what a page shows for it.

use std::sync::OnceLock;

use regex::Regex;

/// What differs from run to run, and what stands in its place on both sides.
const VARIES: [(&str, &str); 9] = [
    (
        "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
        "UUID",
    ),
    ("[0-9]{4}-[0-9]{2}-[0-9]{2}", "DATE"),
    ("[0-9]{2}:[0-9]{2}:[0-9]{2}", "TIME"),
    // Epoch milliseconds of this century.
    ("[12][0-9]{12}", "MS"),
    ("[0-9]+(?:\\.[0-9]+)? ?(?:ms|s|m|h|d)(?-u:\\b)", "SPAN"),
    ("[0-9]+(?:\\.[0-9]+)? [KMGT]iB", "SIZE"),
    ("((?:pid|process) )[0-9]+", "${1}PID"),
    ("(steroidsd? )[0-9]+\\.[0-9]+\\.[0-9]+", "${1}VERSION"),
    ("(#code=)[A-Za-z0-9_-]+", "${1}CODE"),
];

/// Says what differs unless `printed` fits `shown`: line for line, whatever the spaces, where `…`
/// stands for any text and as a line of its own for any lines.
pub fn fits(shown: &str, printed: &str) -> Result<(), String> {
    let mut pattern = String::from("\\A");
    let shown = steady(shown);
    for line in shown.lines() {
        match line.trim() {
            "…" => pattern.push_str("(?:.*\\n)*?"),
            line => {
                pattern.push_str(&words(line));
                pattern.push_str(" *\\n");
            }
        }
    }
    pattern.push_str("\\n*\\z");
    let printed = steady(printed);
    let lines: String = printed
        .lines()
        .map(|line| format!("{}\n", line.trim()))
        .collect();
    let fits = Regex::new(&pattern).expect("what is shown is escaped");
    match fits.is_match(&lines) {
        true => Ok(()),
        false => Err(format!("shown:\n{shown}\nprinted:\n{printed}")),
    }
}

/// A line as a pattern.
fn words(line: &str) -> String {
    let words: Vec<String> = line
        .split_whitespace()
        .map(|word| {
            let parts: Vec<String> = word.split('…').map(regex::escape).collect();
            parts.join(".*?")
        })
        .collect();
    words.join(" +")
}

/// The text with what varies replaced.
fn steady(text: &str) -> String {
    static PATTERNS: OnceLock<Vec<(Regex, &str)>> = OnceLock::new();
    let patterns = PATTERNS.get_or_init(|| {
        let compile = |(pattern, stands_for): (&str, &'static str)| {
            let pattern = Regex::new(pattern).expect("the patterns stand above");
            (pattern, stands_for)
        };
        VARIES.into_iter().map(compile).collect()
    });
    let mut text = text.to_owned();
    for (pattern, stands_for) in patterns {
        text = pattern.replace_all(&text, *stands_for).into_owned();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_spaces_may_differ_and_words_may_not() {
        let shown = "12:00:01  tool   ls\ndone in 1.2s\n";
        assert_eq!(fits(shown, "09:59:59 tool ls\ndone in 340ms\n"), Ok(()));
        assert!(fits(shown, "09:59:59 tool ls\n").is_err());
        assert!(fits(shown, "09:59:59 tool cat\ndone in 1s\n").is_err());
        assert!(fits(shown, "09:59:59 tool ls\ndone in 1s\nmore\n").is_err());
    }

    #[test]
    fn an_ellipsis_is_any_text_or_any_lines() {
        assert_eq!(fits("a … z\n", "a b c z\n"), Ok(()));
        assert!(fits("a … z\n", "a\nz\n").is_err());
        assert_eq!(fits("a\n…\nz\n", "a\nb\nc\nz\n"), Ok(()));
        assert_eq!(fits("a\n…\n", "a\n"), Ok(()));
        assert!(fits("", "unexpected\n").is_err());
    }
}
