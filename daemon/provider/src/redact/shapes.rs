//! Tokens that are known by their shape. The shapes are those that the issuers publish, as they
//! are collected in the default rules of gitleaks (<https://github.com/gitleaks/gitleaks>), here
//! as a beginning, the characters that follow and how many there are at least.
//!
//! An agent may print beginnings by the million. So where a run of characters ends is remembered
//! ([`Runs`]), and no byte is gone through once for each beginning before it.

use std::ops::Range;
use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, Input};

use super::find::first_look;
use super::runs::{Kind, Runs};

/// Of a token that was cut off, so many characters after its beginning are enough, if there is a
/// digit among them: `sk-learn` and `hf_home` end texts as well.
const LEAST_OF_CUT: usize = 4;

/// More than a title of a private key has.
const TITLE: usize = 64;

/// `beginning` and then at least `least` characters of a kind.
struct Shape {
    beginning: &'static str,
    kind: Kind,
    least: usize,
}

const fn shape(beginning: &'static str, kind: Kind, least: usize) -> Shape {
    Shape {
        beginning,
        kind,
        least,
    }
}

const SHAPES: &[Shape] = &[
    // Anthropic, OpenAI and who writes keys like theirs.
    shape("sk-ant-", Kind::WordOrDash, 20),
    shape("sk-proj-", Kind::WordOrDash, 20),
    shape("sk-svcacct-", Kind::WordOrDash, 20),
    shape("sk-admin-", Kind::WordOrDash, 20),
    shape("sk-or-v1-", Kind::WordOrDash, 20),
    shape("sk-", Kind::LetterOrDigit, 32),
    // Google.
    shape("AIza", Kind::WordOrDash, 35),
    shape("ya29.", Kind::WordOrDash, 20),
    // GitHub, GitLab.
    shape("ghp_", Kind::LetterOrDigit, 36),
    shape("gho_", Kind::LetterOrDigit, 36),
    shape("ghu_", Kind::LetterOrDigit, 36),
    shape("ghs_", Kind::LetterOrDigit, 36),
    shape("ghr_", Kind::LetterOrDigit, 36),
    shape("github_pat_", Kind::Word, 40),
    shape("glpat-", Kind::WordOrDash, 20),
    // Slack.
    shape("xoxa-", Kind::LetterDigitOrDash, 20),
    shape("xoxb-", Kind::LetterDigitOrDash, 20),
    shape("xoxe-", Kind::LetterDigitOrDash, 20),
    shape("xoxp-", Kind::LetterDigitOrDash, 20),
    shape("xoxr-", Kind::LetterDigitOrDash, 20),
    shape("xoxs-", Kind::LetterDigitOrDash, 20),
    shape("xapp-", Kind::LetterDigitOrDash, 20),
    // AWS: key ids, which are as long as that.
    shape("AKIA", Kind::CapitalOrDigit, 16),
    shape("ASIA", Kind::CapitalOrDigit, 16),
    // Registries, payments, models.
    shape("npm_", Kind::LetterOrDigit, 36),
    shape("pypi-AgEIcHlwaS5vcmc", Kind::WordOrDash, 50),
    shape("sk_live_", Kind::LetterOrDigit, 16),
    shape("sk_test_", Kind::LetterOrDigit, 16),
    shape("rk_live_", Kind::LetterOrDigit, 16),
    shape("hf_", Kind::LetterOrDigit, 34),
];

const JWT: &str = "eyJ";
/// Shorter than any header of one.
const LEAST_OF_JWT: usize = 16;
const KEY_BEGINS: &str = "-----BEGIN ";
const KEY_ENDS: &str = "-----END ";
const DASHES: &str = "-----";
/// Before a token in a header; the word itself stays.
const SCHEMES: &[&str] = &["Bearer ", "bearer "];
const LEAST_OF_BEARER: usize = 20;

/// The same for every invocation.
static BEGINNINGS: LazyLock<Option<Beginnings>> = LazyLock::new(Beginnings::new);

/// What tokens begin with.
struct Beginnings {
    automaton: AhoCorasick,
    /// For each that it finds the numbers of all that may stand there: after `sk-` also `sk-ant-`.
    numbers: Vec<Vec<usize>>,
}

impl Beginnings {
    fn new() -> Option<Beginnings> {
        let all = beginnings();
        let is_first = |text: &str| {
            let mut others = all.iter().filter(|other| **other != text);
            !others.any(|other| text.starts_with(other))
        };
        let firsts: Vec<&str> = all.iter().copied().filter(|text| is_first(text)).collect();
        let numbers = firsts.iter().map(|first| {
            let numbers = all.iter().enumerate();
            numbers
                .filter(|(_, text)| text.starts_with(first))
                .map(|(number, _)| number)
                .collect()
        });
        Some(Beginnings {
            automaton: first_look(&firsts)?,
            numbers: numbers.collect(),
        })
    }
}

/// The text with which each shape begins, in the order that [`Tokens::at`] takes.
fn beginnings() -> Vec<&'static str> {
    let others = [JWT, KEY_BEGINS].into_iter().chain(SCHEMES.iter().copied());
    SHAPES
        .iter()
        .map(|shape| shape.beginning)
        .chain(others)
        .collect()
}

/// Whether a token may begin anywhere in it.
pub(super) fn may_have(text: &str) -> bool {
    BEGINNINGS
        .as_ref()
        .is_some_and(|all| all.automaton.is_match(text))
}

/// Gives the place of every token, in the order of their beginnings; some overlap. `is_cut` says
/// that the text may go on behind its end.
pub(super) fn find(text: &str, is_cut: bool, found: &mut dyn FnMut(Range<usize>)) {
    let Some(beginnings) = &*BEGINNINGS else {
        return;
    };
    let mut tokens = Tokens::new(text, is_cut);
    let mut from = 0;
    while let Some(it) = beginnings.automaton.find(Input::new(text).range(from..)) {
        for &number in &beginnings.numbers[it.pattern().as_usize()] {
            tokens
                .at(number, it.start())
                .into_iter()
                .for_each(&mut *found);
        }
        // Another may begin within it.
        from = it.start() + 1;
    }
}

/// The tokens of one text, asked for from its beginning to its end.
struct Tokens<'t> {
    text: &'t str,
    is_cut: bool,
    runs: Runs<'t>,
    closing: Option<Closing>,
}

/// From any place between `from` and `upto`, where a private key is over: `None` is nowhere.
struct Closing {
    from: usize,
    upto: usize,
    end: Option<usize>,
}

impl<'t> Tokens<'t> {
    fn new(text: &'t str, is_cut: bool) -> Tokens<'t> {
        Tokens {
            text,
            is_cut,
            runs: Runs::new(text.as_bytes()),
            closing: None,
        }
    }

    /// What is secret of a token that begins at `start` with the beginning of that number, if it
    /// is one.
    fn at(&mut self, number: usize, start: usize) -> Option<Range<usize>> {
        let bytes = self.text.as_bytes();
        if let Some(shape) = SHAPES.get(number) {
            let from = start + shape.beginning.len();
            if !bytes[start..].starts_with(shape.beginning.as_bytes()) || !is_apart(bytes, start) {
                return None;
            }
            let end = self.runs.end(shape.kind, from);
            let is_piece = || {
                let piece = &bytes[from..end];
                piece.len() >= LEAST_OF_CUT
                    && piece.iter().any(u8::is_ascii_digit)
                    && self.goes_on(end)
            };
            return (end - from >= shape.least || is_piece()).then_some(start..end);
        }
        match number - SHAPES.len() {
            0 if is_apart(bytes, start) => self.jwt(start).map(|end| start..end),
            0 => None,
            1 => self.private_key(start).map(|end| start..end),
            scheme => {
                let from = start + SCHEMES.get(scheme - 2)?.len();
                let end = self.runs.end(Kind::Bearer, from);
                let has_digit = bytes[from..end].iter().any(u8::is_ascii_digit);
                (end - from >= LEAST_OF_BEARER && has_digit).then_some(from..end)
            }
        }
    }

    /// Three parts in base64, the first two of them objects.
    fn jwt(&mut self, start: usize) -> Option<usize> {
        let header = self.runs.end(Kind::WordOrDash, start);
        if header - start < LEAST_OF_JWT {
            return None;
        }
        if self.goes_on(header) {
            return Some(header);
        }
        if !self.text[header..].strip_prefix('.')?.starts_with(JWT) {
            return None;
        }
        let claims = self.runs.end(Kind::Claims, header + 1);
        if !self.text[claims..].starts_with('.') {
            return self.goes_on(claims).then_some(claims);
        }
        Some(self.runs.end(Kind::Signature, claims + 1))
    }

    /// From its first dash to its last; without an end, as far as it looks like one.
    fn private_key(&mut self, start: usize) -> Option<usize> {
        let body = key_body(&self.text.as_bytes()[start..])? + start;
        if let Some(end) = self.closing(body) {
            return Some(end);
        }
        Some(self.runs.end(Kind::KeyBody, body))
    }

    /// Behind the next line, from a place on, that ends a key.
    fn closing(&mut self, from: usize) -> Option<usize> {
        if let Some(known) = &self.closing
            && (known.from..=known.upto).contains(&from)
        {
            return known.end;
        }
        let bytes = self.text.as_bytes();
        let found = memchr::memmem::find(&bytes[from..], KEY_ENDS.as_bytes());
        let title = found.map(|found| from + found + KEY_ENDS.len());
        let end = title.map(|title| {
            let near = &bytes[title..bytes.len().min(title + TITLE)];
            let dashes = memchr::memmem::find(near, DASHES.as_bytes());
            dashes.map_or(title, |dashes| title + dashes + DASHES.len())
        });
        self.closing = Some(Closing {
            from,
            upto: found.map_or(bytes.len(), |found| from + found),
            end,
        });
        end
    }

    /// True where a text was cut, by whoever: its own end, or an ellipsis.
    fn goes_on(&self, end: usize) -> bool {
        (self.is_cut && end == self.text.len()) || self.text[end..].starts_with('…')
    }
}

/// True if a private key begins in the text and does not end in it.
pub(super) fn key_is_open(text: &str) -> bool {
    let bytes = text.as_bytes();
    let Some(last) = memchr::memmem::rfind(bytes, KEY_BEGINS.as_bytes()) else {
        return false;
    };
    let key = &bytes[last..];
    key_body(key).is_some() && memchr::memmem::find(key, KEY_ENDS.as_bytes()).is_none()
}

/// How far a private key goes that began before this text, and whether it goes on after it.
pub(super) fn key_goes_on(text: &str) -> (usize, bool) {
    let mut end = 0;
    for line in text.split_inclusive('\n') {
        let bare = line.trim();
        if bare.starts_with(KEY_ENDS) {
            return (end + line.trim_end().len(), false);
        }
        // Encrypted keys have headers, and an empty line after them.
        let is_header = bare.starts_with("Proc-Type: ") || bare.starts_with("DEK-Info: ");
        if !is_header && !bare.bytes().all(|byte| Kind::Base64.has(byte)) {
            return (end, false);
        }
        end += line.len();
    }
    (end, true)
}

/// Where the title of a private key is over, if one begins here.
fn key_body(key: &[u8]) -> Option<usize> {
    let title = key.strip_prefix(KEY_BEGINS.as_bytes())?;
    let near = &title[..title.len().min(TITLE)];
    let dashes = memchr::memmem::find(near, DASHES.as_bytes())?;
    memchr::memmem::find(&near[..dashes], b"PRIVATE KEY")?;
    Some(KEY_BEGINS.len() + dashes + DASHES.len())
}

/// True if no word goes on into what begins here.
fn is_apart(bytes: &[u8], start: usize) -> bool {
    let before = &bytes[..start];
    before
        .last()
        .is_none_or(|byte| !byte.is_ascii_alphanumeric())
        || ends_with_sequence(before)
}

/// Longer sequences are not looked through.
const SEQUENCE: usize = 32;

/// How ESC is shown where it is not sent.
const ESCAPES: &[&str] = &[
    "\x1b", "\\x1b", "\\x1B", "\\033", "\\e", "^[", "\\u001b", "\\u001B",
];

/// Whether the letter at the end ends a terminal's escape sequence, such as `ESC [ 3 1 m`.
fn ends_with_sequence(text: &[u8]) -> bool {
    let Some((_, text)) = text.split_last() else {
        return false;
    };
    let text = &text[text.len().saturating_sub(SEQUENCE)..];
    let within = text
        .iter()
        .rev()
        .take_while(|byte| matches!(byte, 0x20..=0x3F));
    let (text, within) = text.split_at(text.len() - within.count());
    if let Some(text) = text.strip_suffix(b"[") {
        let is_number = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b';' | b':');
        // Or one that has lost its ESC.
        let is_stripped = !within.is_empty() && within.iter().all(is_number);
        return is_stripped || ESCAPES.iter().any(|esc| text.ends_with(esc.as_bytes()));
    }
    let is_control = text.ends_with("\u{9B}".as_bytes());
    let is_short = text.ends_with(b"\x1b") && within.iter().all(|byte| *byte < 0x30);
    is_control || is_short
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PARTS: &[&str] = &[
        "sk-",
        "sk-ant-",
        "eyJ",
        "-",
        ".",
        " ",
        "…",
        "\n",
        "AKIA",
        "AIza",
        "ghp_",
        "github_pat_",
        "xoxb-",
        "glpat-",
        "Bearer ",
        "-----",
        "-----BEGIN PRIVATE KEY-----",
        "-----BEGIN ",
        "-----END ",
        "-----END PRIVATE KEY-----",
        "a1B2c3D4e5F6g7H8i9J0",
        "ABCDEFGHIJKLMNOP",
        "x",
        "7",
        "\x1b[31m",
    ];

    proptest! {
        #[test]
        fn what_is_remembered_changes_nothing(
            parts in prop::collection::vec(prop::sample::select(PARTS), 0..40),
            is_cut: bool,
        ) {
            let text = parts.concat();
            let mut remembering = Vec::new();
            find(&text, is_cut, &mut |place| remembering.push(place));
            let mut forgetting = Vec::new();
            for (number, beginning) in beginnings().iter().enumerate() {
                for (start, _) in text.match_indices(beginning) {
                    forgetting.extend(Tokens::new(&text, is_cut).at(number, start));
                }
            }
            remembering.sort_by_key(|place| (place.start, place.end));
            forgetting.sort_by_key(|place| (place.start, place.end));
            prop_assert_eq!(remembering, forgetting, "{}", text);
        }
    }
}
