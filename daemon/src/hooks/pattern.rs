//! Words and beginnings of words that a hook's filters are made of: `T-*`, `!success`.

/// A list of patterns. A `*` stands for anything, also nothing; with a `!` in front, what it matches
/// is left out. Without one that is not negated everything else is in; an empty list lets all pass.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Patterns {
    wanted: Vec<String>,
    unwanted: Vec<String>,
}

impl Patterns {
    /// Takes patterns as they are written.
    pub fn new(written: &[String]) -> Patterns {
        let mut patterns = Patterns::default();
        for pattern in written {
            match pattern.strip_prefix('!') {
                Some(unwanted) => patterns.unwanted.push(unwanted.to_owned()),
                None => patterns.wanted.push(pattern.clone()),
            }
        }
        patterns
    }

    /// True if all pass.
    pub fn is_empty(&self) -> bool {
        self.wanted.is_empty() && self.unwanted.is_empty()
    }

    /// Whether a word passes.
    pub fn pass(&self, word: &str) -> bool {
        let any = |patterns: &[String]| patterns.iter().any(|pattern| matches(pattern, word));
        (self.wanted.is_empty() || any(&self.wanted)) && !any(&self.unwanted)
    }
}

/// Whether a pattern's parts, between its stars, stand in the word one after the other.
fn matches(pattern: &str, word: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else {
        return pattern == word;
    };
    let Some(mut word) = word.strip_prefix(first) else {
        return false;
    };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        // The earliest place leaves most to the rest.
        let Some(at) = word.find(part) else {
            return false;
        };
        word = &word[at + part.len()..];
    }
    word.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patterns(written: &[&str]) -> Patterns {
        let written: Vec<String> = written.iter().map(|&word| word.to_owned()).collect();
        Patterns::new(&written)
    }

    #[test]
    fn a_star_stands_for_anything_and_nothing() {
        for (pattern, word, matching) in [
            ("T1", "T1", true),
            ("T1", "T12", false),
            ("T*", "T", true),
            ("*", "", true),
            ("/home/*/api", "/home/ada/src/api", true),
            ("/home/*/api", "/home/api", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("ab*ba", "aba", false),
            ("*ä*", "xäy", true),
        ] {
            assert_eq!(matches(pattern, word), matching, "{pattern} {word}");
        }
    }

    #[test]
    fn a_negated_pattern_leaves_out_and_alone_lets_the_rest_in() {
        assert!(patterns(&[]).pass("anything"));
        assert!(patterns(&["!success"]).pass("failed"));
        assert!(!patterns(&["!success"]).pass("success"));
        let both = patterns(&["time*", "!timeout_wall"]);
        assert!(both.pass("timeout_silence"));
        assert!(!both.pass("timeout_wall"));
        assert!(!both.pass("failed"));
    }
}
