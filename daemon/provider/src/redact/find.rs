//! Where the secrets stand in a text.
//!
//! A text without any costs a scan for the beginnings of tokens and one for the values, each for
//! all at once. Only where something is found is it looked at closely, and only where escapes
//! could hide something are they undone, a level at a time.

use std::ops::Range;
use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use regex::Regex;

use super::unescape::{Unescaped, unescape};
use super::{PATTERN_BYTES, Redaction, secret, shapes};

/// Stands for a secret that has no name.
pub(super) const PLACEHOLDER: &str = "[redacted]";

/// JSON within a string within JSON within a string.
const LEVELS: usize = 4;

/// Shorter pieces of a value tell nothing.
const PIECE: usize = 8;

/// Of longer values no pieces are known, but their lines and parts are.
const PIECES_OF: usize = 4096;

/// Marks what was cut.
const ELLIPSIS: &str = "…";

/// The same for every invocation.
static BEGINNINGS: LazyLock<Option<AhoCorasick>> =
    LazyLock::new(|| automaton(&shapes::beginnings()));

/// What is looked for, besides what begins like a token.
pub(super) struct Finder {
    texts: Vec<String>,
    /// Finds each of `texts`, and as the last one the mark of what was cut.
    values: Option<AhoCorasick>,
    /// What is put in each value's place.
    placeholders: Vec<String>,
    patterns: Vec<Regex>,
    /// All pieces of all values, sorted.
    pieces: Vec<Piece>,
    /// A value has characters that JSON writes as escapes.
    is_escaped: bool,
}

/// Eight bytes of a value, which value, and where in it.
type Piece = ([u8; PIECE], u32, u32);

/// A place, and the value that it stands for, if it has a name.
type Found = (Range<usize>, Option<usize>);

/// Compiles a pattern of the configuration.
pub(super) fn compile(pattern: &str) -> Result<Regex, regex::Error> {
    regex::RegexBuilder::new(pattern)
        .size_limit(PATTERN_BYTES)
        .build()
}

impl Finder {
    pub(super) fn new(redaction: &Redaction, env: &[(String, String)]) -> Finder {
        let mut texts: Vec<String> = Vec::new();
        let mut placeholders = Vec::new();
        for (name, value) in env {
            if !redaction.variables.contains(name) {
                continue;
            }
            for part in secret::parts(value) {
                if !texts.contains(&part) {
                    texts.push(part);
                    placeholders.push(placeholder(name));
                }
            }
        }
        let mut looked_for: Vec<&str> = texts.iter().map(String::as_str).collect();
        looked_for.push(ELLIPSIS);
        Finder {
            values: (!texts.is_empty())
                .then(|| automaton(&looked_for))
                .flatten(),
            placeholders,
            // Those of a specification were checked with the configuration that they came from.
            patterns: redaction
                .patterns
                .iter()
                .filter_map(|pattern| compile(pattern).ok())
                .collect(),
            pieces: pieces(&texts),
            is_escaped: texts.iter().any(|text| needs_escape(text)),
            texts,
        }
    }

    /// The text with its secrets replaced; `None` if it has none. `is_cut` says that it may be a
    /// part of a longer one.
    pub(super) fn redacted(&self, text: &str, is_cut: bool) -> Option<String> {
        if !self.may_have(text, is_cut) {
            return None;
        }
        let found = self.find(text, is_cut);
        self.replace(text, found)
    }

    /// The first look: false if there is surely nothing.
    pub(super) fn may_have(&self, text: &str, is_cut: bool) -> bool {
        !self.patterns.is_empty()
            || BEGINNINGS.as_ref().is_some_and(|all| all.is_match(text))
            || self.values.as_ref().is_some_and(|all| all.is_match(text))
            || self.may_hide(text)
            || (is_cut && (self.tail(text).is_some() || self.head(text).is_some()))
    }

    /// Whether a part of a text may be a secret that the whole text is not.
    pub(super) fn knows_pieces(&self) -> bool {
        !self.pieces.is_empty()
    }

    /// Whether an escape in it can hide a secret from the first look.
    fn may_hide(&self, text: &str) -> bool {
        let bytes = text.as_bytes();
        let mut backslashes = memchr::memchr_iter(b'\\', bytes);
        backslashes.any(|at| self.is_escaped || matches!(bytes.get(at + 1), Some(b'u' | b'/')))
    }

    /// All places, in order, none overlapping another.
    fn find(&self, text: &str, is_cut: bool) -> Vec<Found> {
        let mut found = Vec::new();
        let mut levels: Vec<Unescaped> = Vec::new();
        self.look(text, is_cut, &mut |it| found.push(it));
        for _ in 1..LEVELS {
            let above = levels.last().map_or(text, |level| level.text.as_str());
            let Some(level) = unescape(above) else { break };
            levels.push(level);
            let level = levels.last().map_or("", |level| level.text.as_str());
            self.look(level, is_cut, &mut |(place, value)| {
                let back = |at| levels.iter().rev().fold(at, |at, level| level.source(at));
                found.push((back(place.start)..back(place.end), value));
            });
        }
        joined(found)
    }

    /// Looks through one level.
    fn look(&self, text: &str, is_cut: bool, found: &mut dyn FnMut(Found)) {
        if let Some(values) = &self.values {
            for it in values.find_overlapping_iter(text) {
                match it.pattern().as_usize() {
                    value if value < self.texts.len() => found((it.range(), Some(value))),
                    _ => self
                        .tail(&text[..it.start()])
                        .into_iter()
                        .for_each(&mut *found),
                }
            }
        }
        if let Some(beginnings) = &*BEGINNINGS {
            for it in beginnings.find_overlapping_iter(text) {
                if let Some(place) = shapes::at(it.pattern().as_usize(), text, it.start(), is_cut) {
                    found((place, None));
                }
            }
        }
        for pattern in &self.patterns {
            let places = pattern.find_iter(text).map(|it| it.range());
            places
                .filter(|place| !place.is_empty())
                .for_each(|place| found((place, None)));
        }
        if is_cut {
            self.tail(text).into_iter().for_each(&mut *found);
            self.head(text).into_iter().for_each(&mut *found);
        }
    }

    /// A piece of a value at the text's end.
    fn tail(&self, text: &str) -> Option<Found> {
        let bytes = text.as_bytes();
        let last = bytes.last_chunk::<PIECE>()?;
        let (length, value) = self.longest(last, |value, at| {
            let before = value[..at + PIECE].iter().rev();
            let same = before.zip(bytes.iter().rev());
            same.take_while(|(a, b)| a == b).count()
        })?;
        let start = text.floor_char_boundary(bytes.len() - length);
        Some((start..bytes.len(), Some(value)))
    }

    /// A piece of a value at the text's beginning.
    fn head(&self, text: &str) -> Option<Found> {
        let bytes = text.as_bytes();
        let first = bytes.first_chunk::<PIECE>()?;
        let (length, value) = self.longest(first, |value, at| {
            let same = value[at..].iter().zip(bytes);
            same.take_while(|(a, b)| a == b).count()
        })?;
        Some((0..text.ceil_char_boundary(length), Some(value)))
    }

    /// Of all places in values where `piece` stands, how long it is there at most, and in which.
    fn longest(
        &self,
        piece: &[u8; PIECE],
        length: impl Fn(&[u8], usize) -> usize,
    ) -> Option<(usize, usize)> {
        let from = self.pieces.partition_point(|(known, ..)| known < piece);
        let same = self.pieces[from..].iter();
        same.take_while(|(known, ..)| known == piece)
            .map(|&(_, value, at)| {
                let (value, at) = (value as usize, at as usize);
                (length(self.texts[value].as_bytes(), at), value)
            })
            .max()
    }

    fn replace(&self, text: &str, found: Vec<Found>) -> Option<String> {
        if found.is_empty() {
            return None;
        }
        let mut out = String::with_capacity(text.len());
        let mut from = 0;
        for (place, value) in found {
            out.push_str(&text[from..place.start]);
            let named = value.and_then(|value| self.placeholders.get(value));
            out.push_str(named.map_or(PLACEHOLDER, String::as_str));
            from = place.end;
        }
        out.push_str(&text[from..]);
        Some(out)
    }
}

/// In order; what overlaps is one, with the name that one of them has.
fn joined(mut found: Vec<Found>) -> Vec<Found> {
    found.sort_by_key(|(place, value)| (place.start, std::cmp::Reverse(place.end), *value));
    let mut joined: Vec<Found> = Vec::new();
    for (place, value) in found {
        match joined.last_mut() {
            Some((last, known)) if place.start < last.end => {
                last.end = last.end.max(place.end);
                *known = known.or(value);
            }
            _ => joined.push((place, value)),
        }
    }
    joined
}

/// Names are printed by agents as well; one that is no usual name would have to be escaped.
fn placeholder(name: &str) -> String {
    let is_usual = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if name.len() <= 128 && name.bytes().all(is_usual) {
        format!("[redacted {name}]")
    } else {
        PLACEHOLDER.to_owned()
    }
}

fn needs_escape(text: &str) -> bool {
    text.bytes()
        .any(|byte| byte < 0x20 || byte == b'"' || byte == b'\\')
}

fn pieces(texts: &[String]) -> Vec<Piece> {
    let mut pieces = Vec::new();
    for (text, value) in texts.iter().zip(0..) {
        if text.len() <= PIECES_OF {
            let windows = text.as_bytes().array_windows::<PIECE>().zip(0..);
            pieces.extend(windows.map(|(&piece, at)| (piece, value, at)));
        }
    }
    pieces.sort_unstable();
    pieces
}

/// `None` for more than it can hold; an environment is far from that.
fn automaton(all: &[&str]) -> Option<AhoCorasick> {
    // Of the kinds with a prefilter the one that is small, and quickly made.
    AhoCorasick::builder()
        .kind(Some(AhoCorasickKind::ContiguousNFA))
        .build(all)
        .ok()
}
