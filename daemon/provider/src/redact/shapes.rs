//! Tokens that are known by their shape. The shapes are those that the issuers publish, as they
//! are collected in the default rules of gitleaks (<https://github.com/gitleaks/gitleaks>), here
//! as a beginning, the characters that follow and how many there are at least.

use std::ops::Range;

/// Of a token that was cut off, so many characters after its beginning are enough.
const LEAST_OF_CUT: usize = 4;

/// `beginning` and then at least `least` characters of a kind.
struct Shape {
    beginning: &'static str,
    kind: fn(u8) -> bool,
    least: usize,
}

const fn shape(beginning: &'static str, kind: fn(u8) -> bool, least: usize) -> Shape {
    Shape {
        beginning,
        kind,
        least,
    }
}

const SHAPES: &[Shape] = &[
    // Anthropic, OpenAI and who writes keys like theirs.
    shape("sk-ant-", is_word_or_dash, 20),
    shape("sk-proj-", is_word_or_dash, 20),
    shape("sk-svcacct-", is_word_or_dash, 20),
    shape("sk-admin-", is_word_or_dash, 20),
    shape("sk-or-v1-", is_word_or_dash, 20),
    shape("sk-", is_letter_or_digit, 32),
    // Google.
    shape("AIza", is_word_or_dash, 35),
    shape("ya29.", is_word_or_dash, 20),
    // GitHub, GitLab.
    shape("ghp_", is_letter_or_digit, 36),
    shape("gho_", is_letter_or_digit, 36),
    shape("ghu_", is_letter_or_digit, 36),
    shape("ghs_", is_letter_or_digit, 36),
    shape("ghr_", is_letter_or_digit, 36),
    shape("github_pat_", is_word, 40),
    shape("glpat-", is_word_or_dash, 20),
    // Slack.
    shape("xoxa-", is_letter_digit_or_dash, 20),
    shape("xoxb-", is_letter_digit_or_dash, 20),
    shape("xoxe-", is_letter_digit_or_dash, 20),
    shape("xoxp-", is_letter_digit_or_dash, 20),
    shape("xoxr-", is_letter_digit_or_dash, 20),
    shape("xoxs-", is_letter_digit_or_dash, 20),
    shape("xapp-", is_letter_digit_or_dash, 20),
    // AWS: key ids, which are as long as that.
    shape("AKIA", is_capital_or_digit, 16),
    shape("ASIA", is_capital_or_digit, 16),
    // Registries, payments, models.
    shape("npm_", is_letter_or_digit, 36),
    shape("pypi-AgEIcHlwaS5vcmc", is_word_or_dash, 50),
    shape("sk_live_", is_letter_or_digit, 16),
    shape("sk_test_", is_letter_or_digit, 16),
    shape("rk_live_", is_letter_or_digit, 16),
    shape("hf_", is_letter_or_digit, 34),
];

const JWT: &str = "eyJ";
const KEY_BEGINS: &str = "-----BEGIN ";
const KEY_ENDS: &str = "-----END ";
/// Before a token in a header; the word itself stays.
const SCHEMES: &[&str] = &["Bearer ", "bearer "];
const LEAST_OF_BEARER: usize = 20;

/// The text with which each shape begins, in the order that [`at`] takes.
pub(super) fn beginnings<'a>() -> Vec<&'a str> {
    let others = [JWT, KEY_BEGINS].into_iter().chain(SCHEMES.iter().copied());
    SHAPES
        .iter()
        .map(|shape| shape.beginning)
        .chain(others)
        .collect()
}

/// Where a token ends that begins at `start` with the beginning of that number, and from where on
/// it is secret. `is_cut` says that the text may go on behind its end.
pub(super) fn at(number: usize, text: &str, start: usize, is_cut: bool) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    if let Some(shape) = SHAPES.get(number) {
        let from = start + shape.beginning.len();
        let end = run(bytes, from, shape.kind);
        let is_long = end - from >= shape.least;
        let is_token = is_long || (end - from >= LEAST_OF_CUT && goes_on(text, end, is_cut));
        return (is_token && is_apart(bytes, start)).then_some(start..end);
    }
    match number - SHAPES.len() {
        0 => is_apart(bytes, start)
            .then(|| jwt(text, start, is_cut))
            .flatten()
            .map(|end| start..end),
        1 => private_key(text, start).map(|end| start..end),
        scheme => {
            let from = start + SCHEMES.get(scheme - 2)?.len();
            let end = run(bytes, from, is_of_bearer);
            let has_digit = bytes[from..end].iter().any(u8::is_ascii_digit);
            (end - from >= LEAST_OF_BEARER && has_digit).then_some(from..end)
        }
    }
}

/// True if a private key begins in the text and does not end in it.
pub(super) fn key_is_open(text: &str) -> bool {
    let Some(last) = memchr::memmem::rfind(text.as_bytes(), KEY_BEGINS.as_bytes()) else {
        return false;
    };
    is_private_key(&text[last..]) && !text[last..].contains(KEY_ENDS)
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
        if !is_header && !bare.bytes().all(is_base64) {
            return (end, false);
        }
        end += line.len();
    }
    (end, true)
}

fn is_private_key(text: &str) -> bool {
    let Some(title) = text.strip_prefix(KEY_BEGINS) else {
        return false;
    };
    let title = title.split("-----").next().unwrap_or_default();
    title.len() < 64 && title.contains("PRIVATE KEY")
}

/// From its first dash to its last; without an end, as far as it looks like one.
fn private_key(text: &str, start: usize) -> Option<usize> {
    let key = &text[start..];
    if !is_private_key(key) {
        return None;
    }
    if let Some(end) = key.find(KEY_ENDS) {
        let title = end + KEY_ENDS.len();
        let close = key[title..].find("-----").map(|dashes| title + dashes + 5);
        return Some(start + close.unwrap_or(key.len()));
    }
    let begin = KEY_BEGINS.len() + key[KEY_BEGINS.len()..].find("-----")? + 5;
    let looks_so = |byte: u8| is_base64(byte) || byte.is_ascii_whitespace() || byte == b'\\';
    Some(run(text.as_bytes(), start + begin, looks_so))
}

/// Three parts in base64, the first two of them objects.
fn jwt(text: &str, start: usize, is_cut: bool) -> Option<usize> {
    let bytes = text.as_bytes();
    let header = run(bytes, start, is_word_or_dash);
    if goes_on(text, header, is_cut) && header - start >= 16 {
        return Some(header);
    }
    let rest = text.get(header..)?.strip_prefix('.')?;
    if header - start < 16 || !rest.starts_with(JWT) {
        return None;
    }
    let claims = run(bytes, header + 1, is_word_or_dash);
    if bytes.get(claims) != Some(&b'.') {
        return goes_on(text, claims, is_cut).then_some(claims);
    }
    Some(run(bytes, claims + 1, is_word_or_dash))
}

/// True where a text was cut, by whoever: its own end, or an ellipsis.
fn goes_on(text: &str, end: usize, is_cut: bool) -> bool {
    (is_cut && end == text.len()) || text[end..].starts_with('…')
}

fn run(bytes: &[u8], from: usize, kind: impl Fn(u8) -> bool) -> usize {
    let rest = bytes.get(from..).unwrap_or_default();
    from + rest
        .iter()
        .position(|&byte| !kind(byte))
        .unwrap_or(rest.len())
}

/// True if no word goes on into what begins here.
fn is_apart(bytes: &[u8], start: usize) -> bool {
    start
        .checked_sub(1)
        .and_then(|before| bytes.get(before))
        .is_none_or(|byte| !byte.is_ascii_alphanumeric())
}

fn is_letter_or_digit(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
}

fn is_letter_digit_or_dash(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-'
}

fn is_capital_or_digit(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit()
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn is_word_or_dash(byte: u8) -> bool {
    is_word(byte) || byte == b'-'
}

fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=')
}

fn is_of_bearer(byte: u8) -> bool {
    is_base64(byte) || matches!(byte, b'-' | b'.' | b'_' | b'~')
}
