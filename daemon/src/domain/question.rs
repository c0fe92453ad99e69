//! Whether a line without an end asks a person something, or is what a program prints before it works:
//! `Compiling... `, a bar, a count. Nobody is to be woken up for the latter, so what is in doubt is no question.

/// What asks without a mark of it.
const SAID: [&str; 5] = [
    "press enter",
    "press return",
    "press any key",
    "hit enter",
    "hit any key",
];

/// True of a line, as a person sees it, that
/// - ends with `?`, or has one at the end of a word and ends with `:`, `>`, `]` or `)`: `Continue? [y/N]`;
/// - ends with a choice in brackets: `Overwrite (yes/no)`, and `:` or `>` behind it;
/// - ends with a word, a quote or a bracket and `:`: `Password:`, `Username for 'https://host':`;
/// - ends with `>` behind a word, or alone: `mysql>`, `>`;
/// - says `press enter`, or one of its like.
///
/// Without a question mark or a choice a line with a `%` is progress, and a number before the end is a count.
pub fn is_question(line: &str) -> bool {
    let line = line.trim_end();
    let Some(last) = line.chars().next_back() else {
        return false;
    };
    if last == '?' || has_question_mark(line) && matches!(last, ':' | '>' | ']' | ')') {
        return true;
    }
    let said = line.to_lowercase();
    if SAID.iter().any(|words| said.contains(words)) {
        return true;
    }
    let before = match last {
        ':' | '>' => line[..line.len() - 1].trim_end(),
        _ => line,
    };
    if ends_with_choice(before) {
        return true;
    }
    if line.contains('%') {
        return false;
    }
    let before = line[..line.len() - last.len_utf8()].chars().next_back();
    match last {
        ':' => before.is_some_and(|c| c.is_alphabetic() || matches!(c, '\'' | '"' | '`' | ')')),
        '>' => before.is_none_or(|c| c.is_alphanumeric() || matches!(c, ' ' | '>')),
        _ => false,
    }
}

/// At the end of a word: not that of a URL's query.
fn has_question_mark(line: &str) -> bool {
    line.split_whitespace().any(|word| word.ends_with('?')) || line.starts_with("? ")
}

/// `[y/N]`, `(yes/no/always)`: words, of which one is a letter, or yes or no. A path or `(3/10)` is none.
fn ends_with_choice(line: &str) -> bool {
    let begins = match line.chars().next_back() {
        Some(']') => line.rfind('['),
        Some(')') => line.rfind('('),
        _ => None,
    };
    let Some(begins) = begins else {
        return false;
    };
    let words: Vec<&str> = line[begins + 1..line.len() - 1]
        .split(['/', '|', ','])
        .map(str::trim)
        .collect();
    let is_word = |word: &&str| !word.is_empty() && word.chars().all(char::is_alphabetic);
    let is_short = |word: &&str| {
        word.chars().count() == 1
            || word.eq_ignore_ascii_case("yes")
            || word.eq_ignore_ascii_case("no")
    };
    words.len() > 1 && words.iter().all(is_word) && words.iter().any(is_short)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_asks_is_a_question() {
        for line in [
            "Continue? [y/N]",
            "Are you sure you want to continue connecting (yes/no/[fingerprint])?",
            "Delete 50% of them? (y/n):",
            "Overwrite it [y/n/a]",
            "Proceed (Y,n) >",
            "Password:",
            "Username for 'https://example.org':",
            "[sudo] password for ada:",
            "Name (app):",
            "? Which of them (Use arrow keys)",
            "Do you trust this folder?",
            "mysql>",
            ">>>",
            ">",
            "Press ENTER to continue . . .",
            "Wirklich löschen? [j/N] ",
        ] {
            assert!(is_question(line), "{line}");
        }
    }

    #[test]
    fn what_a_program_prints_before_it_works_is_none() {
        for line in [
            "",
            "Compiling... ",
            "Compiling steroids (/home/ada/src/app)",
            "[=====>    ]",
            "[#####     ] 45%",
            "[=====>",
            "Downloading (45%):",
            " 10/45",
            "(10/45)",
            "tests [ 12/300 ]",
            "12:",
            "12:04:31",
            "get http://example.org/x?y=1&z=[2]",
            "running [a1b2]",
            "-->",
            "=>",
            "done",
            "⠋",
            "[redacted]",
        ] {
            assert!(!is_question(line), "{line}");
        }
    }
}
