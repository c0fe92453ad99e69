//! The command lines of our programs that stand in pages, in blocks and in code within the text.

use super::Page;

/// The programs whose command lines are looked for.
const PROGRAMS: [&str; 3] = ["steroidsctl", "steroidsd", "steroids-gateway"];

/// A command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Where it stands: `page:line`.
    pub place: String,
    /// Its program.
    pub program: String,
    /// Its arguments, up to what is no argument of it: a pipe, a placeholder for several.
    pub arguments: Vec<String>,
}

/// Every command line of `page`.
pub fn calls(page: &Page) -> Vec<Call> {
    let mut calls = Vec::new();
    for (line, text) in page.prose() {
        for code in text.split('`').skip(1).step_by(2) {
            // In a text a program's name is mostly just that.
            if PROGRAMS.iter().any(|program| code.starts_with(program)) {
                calls.extend(calls_in(&page.name, line, code));
            }
        }
    }
    for block in page.blocks() {
        if ["toml", "json", "text", "ini"].contains(&block.language.as_str()) {
            continue;
        }
        let joined = block.text.replace("\\\n", "  ");
        for (index, text) in joined.lines().enumerate() {
            // What a console prints is no command.
            let typed = match (block.language.as_str(), text.strip_prefix("$ ")) {
                ("console", None) => continue,
                (_, typed) => typed.unwrap_or(text),
            };
            calls.extend(calls_in(&page.name, block.line + index, typed));
        }
    }
    calls
}

/// The calls in one line of shell.
fn calls_in(page: &str, line: usize, text: &str) -> Vec<Call> {
    let mut calls = Vec::new();
    // A drawing.
    if text.contains(['─', '│', '└']) {
        return calls;
    }
    for program in PROGRAMS {
        for (at, _) in text.match_indices(program) {
            let before = text[..at].chars().next_back();
            let rest = &text[at + program.len()..];
            let begins = before.is_none_or(|it| " (\t/".contains(it)) && is_command(&text[..at]);
            if begins && (rest.is_empty() || rest.starts_with(' ')) {
                calls.push(Call {
                    place: format!("{page}:{line}"),
                    program: program.to_owned(),
                    arguments: arguments(rest),
                });
            }
        }
    }
    calls
}

/// Whether a command begins behind `before`.
fn is_command(before: &str) -> bool {
    let before = before
        .trim_end_matches(|it| it != ' ' && it != '(')
        .trim_end();
    let is_assignment = |word: &str| word.contains('=') && !word.starts_with('-');
    match before.split_whitespace().next_back() {
        None => true,
        Some(word) => {
            word.ends_with(['|', ';', '&', '('])
                || ["then", "do", "exec", "!", "if", "while", "nohup"].contains(&word)
                || before.ends_with("setsid -f")
                || is_assignment(word)
        }
    }
}

/// Splits as a shell would, up to what ends a command or is meant as a placeholder for more.
fn arguments(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut letters = text.chars();
    let mut word: Option<String> = None;
    while let Some(letter) = letters.next() {
        match letter {
            '\'' | '"' => {
                let quoted: String = letters.by_ref().take_while(|it| *it != letter).collect();
                word.get_or_insert_default().push_str(&quoted);
            }
            ' ' => words.extend(word.take()),
            '#' if word.is_none() => break,
            '|' | ';' | '&' | '>' | '<' | ')' | '[' | '…' => {
                // `a]` or `2>`: what has begun belongs to what is left out.
                if letter == '>' && word.as_deref() == Some("2") {
                    word = None;
                }
                break;
            }
            letter => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<Vec<String>> {
        let page = Page {
            name: "docs/x.md".to_owned(),
            text: text.to_owned(),
        };
        calls(&page)
            .into_iter()
            .map(|call| call.arguments)
            .collect()
    }

    #[test]
    fn command_lines_are_found_in_blocks_and_in_the_text() {
        let text = "`steroidsctl show 1` `steroidsctl`\n```sh\nid=$(steroidsctl start --task T \
                    --prompt 'a | b' \\\n  --json) # a note\nsteroidsctl list --json | jq .\n\
                    echo the steroidsctl here\n```\n";
        let none: [&str; 0] = [];
        assert_eq!(
            found(text),
            [
                ["show", "1"].as_slice(),
                &none,
                &["start", "--task", "T", "--prompt", "a | b", "--json"],
                &["list", "--json"],
            ]
        );
    }

    #[test]
    fn what_a_console_prints_is_no_command_line() {
        let text = "```console\n$ steroidsctl status\nsteroidsctl --wrong\n```\n";
        assert_eq!(found(text), [["status"]]);
    }

    #[test]
    fn a_placeholder_for_several_ends_what_is_looked_at() {
        assert_eq!(
            found("`steroidsctl start --task T [-- COMMAND…]`"),
            [["start", "--task", "T"]]
        );
    }
}
