//! Where the secrets stand in a text.
//!
//! A text without any costs a scan for the beginnings of tokens and one for the values, each for
//! all at once. Only where something is found is it looked at closely, and only where escapes
//! could hide something are they undone, a level at a time. Whatever stands there, our own shapes and
//! the values cost no more than its length: an agent may print what it likes. A pattern of the
//! configuration may take longer, with the square of the length at worst: it is its author's.

use std::collections::HashMap;
use std::ops::Range;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use memchr::memmem;
use regex::Regex;

use super::unescape::{lead_back, unescape};
use super::{PATTERN_BYTES, Redaction, secret, shapes};

/// Stands for a secret that has no name.
pub(super) const PLACEHOLDER: &str = "[redacted]";

/// JSON within a string within JSON within a string.
const LEVELS: usize = 4;

/// Shorter pieces of a value tell nothing.
const PIECE: usize = 8;

/// Of longer values no pieces are known, but their lines and parts are; and none is longer.
const PIECES_OF: usize = 4096;

/// Marks what was cut.
const ELLIPSIS: &str = "…";

/// What is looked for, besides what begins like a token.
pub(super) struct Finder {
    values: Option<Values>,
    patterns: Vec<Regex>,
    /// All pieces of all values, sorted, with the number of the value.
    pieces: Vec<([u8; PIECE], usize)>,
    /// Something that is looked for has characters that JSON writes as escapes, or may have.
    is_escaped: bool,
}

/// The values, by number.
struct Values {
    /// Whether there is any: this one is quicker.
    any: AhoCorasick,
    all: AhoCorasick,
    placeholders: Vec<String>,
}

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
        let mut numbers: HashMap<String, usize> = HashMap::new();
        let mut placeholders = Vec::new();
        let mut pieces = Vec::new();
        let is_secret = |(name, _): &&(String, String)| redaction.variables.contains(name);
        for (name, value) in env.iter().filter(is_secret) {
            for secret::Part { text, core } in secret::parts(value) {
                let number = numbers.get(&text).copied().unwrap_or(placeholders.len());
                if let Some(core) = core.filter(|core| core.len() <= PIECES_OF) {
                    let windows = text.as_bytes()[core].array_windows::<PIECE>();
                    pieces.extend(windows.map(|piece| (*piece, number)));
                }
                if number == placeholders.len() {
                    placeholders.push(placeholder(name));
                    numbers.insert(text, number);
                }
            }
        }
        pieces.sort_unstable();
        pieces.dedup_by_key(|(piece, _)| *piece);
        // Those of a specification were checked with the configuration that they came from.
        let patterns: Vec<Regex> = redaction
            .patterns
            .iter()
            .filter_map(|pattern| compile(pattern).ok())
            .collect();
        Finder {
            // A pattern can ask for what is escaped.
            is_escaped: !patterns.is_empty() || numbers.keys().any(|text| needs_escape(text)),
            values: Values::new(&numbers, placeholders),
            patterns,
            pieces,
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
        let is_any_value = |values: &Values| values.any.is_match(text);
        shapes::may_have(text)
            || self.values.as_ref().is_some_and(is_any_value)
            || self.patterns.iter().any(|pattern| pattern.is_match(text))
            || self.may_hide(text)
            || self.has_piece(text, is_cut)
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

    fn has_piece(&self, text: &str, is_cut: bool) -> bool {
        let mut has = false;
        self.look_for_pieces(text, is_cut, &mut |_| has = true);
        has
    }

    /// All places, in order, none overlapping another.
    fn find(&self, text: &str, is_cut: bool) -> Vec<Found> {
        let mut found = self.look(text, is_cut);
        let mut levels: Vec<String> = Vec::new();
        for _ in 1..LEVELS {
            let above = levels.last().map_or(text, String::as_str);
            let Some(level) = unescape(above) else { break };
            let mut places = self.look(&level, is_cut);
            if !places.is_empty() {
                let sources = levels.iter().rev().map(String::as_str).chain([text]);
                sources.for_each(|source| lead_back(source, ends(&mut places)));
                found.append(&mut places);
            }
            levels.push(level);
        }
        joined(found)
    }

    /// Looks through one level.
    fn look(&self, text: &str, is_cut: bool) -> Vec<Found> {
        let mut places: Vec<Found> = Vec::new();
        // They come nearly in order, and of a text that is nothing else there are many.
        let mut found = |it: Found| match places.last_mut() {
            Some(last) if last.0.start <= it.0.start && it.0.start < last.0.end => join(last, it),
            _ => places.push(it),
        };
        if let Some(values) = &self.values {
            let all = values.all.find_overlapping_iter(text);
            all.for_each(|it| found((it.range(), Some(it.pattern().as_usize()))));
        }
        shapes::find(text, is_cut, &mut |place| found((place, None)));
        for pattern in &self.patterns {
            let places = pattern.find_iter(text).map(|it| it.range());
            places
                .filter(|place| !place.is_empty())
                .for_each(|place| found((place, None)));
        }
        self.look_for_pieces(text, is_cut, &mut found);
        joined(places)
    }

    /// Pieces of values where a text was cut: beside an ellipsis, or at its own ends.
    fn look_for_pieces(&self, text: &str, is_cut: bool, found: &mut dyn FnMut(Found)) {
        if self.pieces.is_empty() {
            return;
        }
        if is_cut {
            found_at(self.head(text), 0, found);
        }
        for at in memmem::find_iter(text.as_bytes(), ELLIPSIS) {
            found_at(self.tail(&text[..at]), 0, found);
            let after = at + ELLIPSIS.len();
            found_at(self.head(&text[after..]), after, found);
        }
        if is_cut {
            found_at(self.tail(text), 0, found);
        }
    }

    /// A piece of a value at the text's end.
    fn tail(&self, text: &str) -> Option<Found> {
        let bytes = text.as_bytes();
        let end = bytes.len();
        let mut start = end.checked_sub(PIECE)?;
        let value = self.piece(bytes, start)?;
        let bound = end.saturating_sub(PIECES_OF);
        while start > bound && self.piece(bytes, start - 1).is_some() {
            start -= 1;
        }
        Some((text.floor_char_boundary(start)..end, Some(value)))
    }

    /// A piece of a value at the text's beginning.
    fn head(&self, text: &str) -> Option<Found> {
        let bytes = text.as_bytes();
        let value = self.piece(bytes, 0)?;
        let more = (1..PIECES_OF).take_while(|&at| self.piece(bytes, at).is_some());
        let end = more.count() + PIECE;
        Some((0..text.ceil_char_boundary(end), Some(value)))
    }

    /// The value with a piece that stands there.
    fn piece(&self, bytes: &[u8], at: usize) -> Option<usize> {
        let piece = bytes.get(at..)?.first_chunk::<PIECE>()?;
        let found = self.pieces.binary_search_by_key(piece, |(piece, _)| *piece);
        found.ok().map(|found| self.pieces[found].1)
    }

    fn replace(&self, text: &str, found: Vec<Found>) -> Option<String> {
        if found.is_empty() {
            return None;
        }
        let mut out = String::with_capacity(text.len());
        let mut from = 0;
        for (place, value) in found {
            out.push_str(&text[from..place.start]);
            let placeholders = self.values.as_ref().map(|values| &values.placeholders);
            let named = value.and_then(|value| placeholders?.get(value));
            out.push_str(named.map_or(PLACEHOLDER, String::as_str));
            from = place.end;
        }
        out.push_str(&text[from..]);
        Some(out)
    }
}

impl Values {
    /// `None` if there are none, or more than can be looked for; an environment is far from that.
    fn new(numbers: &HashMap<String, usize>, placeholders: Vec<String>) -> Option<Values> {
        if numbers.is_empty() {
            return None;
        }
        let mut texts = vec![""; placeholders.len()];
        for (text, &number) in numbers {
            texts[number] = text;
        }
        Some(Values {
            any: first_look(&texts)?,
            all: automaton(&texts, MatchKind::Standard)?,
            placeholders,
        })
    }
}

/// Finds the first of these, with the help of a quicker search for their beginnings.
pub(super) fn first_look(all: &[&str]) -> Option<AhoCorasick> {
    automaton(all, MatchKind::LeftmostFirst)
}

fn automaton(all: &[&str], kind: MatchKind) -> Option<AhoCorasick> {
    // Of the kinds with a prefilter the one that is small, and quickly made.
    AhoCorasick::builder()
        .kind(Some(AhoCorasickKind::ContiguousNFA))
        .match_kind(kind)
        .build(all)
        .ok()
}

fn found_at(it: Option<Found>, from: usize, found: &mut dyn FnMut(Found)) {
    if let Some((place, value)) = it {
        found((from + place.start..from + place.end, value));
    }
}

/// Where they begin and end, in that order.
fn ends(places: &mut [Found]) -> impl Iterator<Item = &mut usize> {
    places
        .iter_mut()
        .flat_map(|(place, _)| [&mut place.start, &mut place.end])
}

/// In order; what overlaps is one, with the name that one of them has.
fn joined(mut found: Vec<Found>) -> Vec<Found> {
    found.sort_by_key(|(place, value)| (place.start, std::cmp::Reverse(place.end), *value));
    let mut joined: Vec<Found> = Vec::new();
    for it in found {
        match joined.last_mut() {
            Some(last) if it.0.start < last.0.end => join(last, it),
            _ => joined.push(it),
        }
    }
    joined
}

/// Adds what begins within it.
fn join(last: &mut Found, (place, value): Found) {
    last.0.end = last.0.end.max(place.end);
    last.1 = last.1.or(value);
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
