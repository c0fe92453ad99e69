//! A provider's JSON, read without asking it to be well-behaved.
//!
//! An event is taken apart one level at a time into names and untouched text. So a key that occurs
//! twice, a field of another type than expected, a lone surrogate or a million numbers in an array
//! cost at most the field they are in, never the event, and memory stays near the line's own size.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::activity::{Activity, Foreign, Stamp, Stream, Text};
use crate::beginning::closed;
use crate::bounds::{SESSION_LIMIT, TOKENS_LIMIT, USD_LIMIT};
use crate::parser::{IgnoreRule, Line, Sink};
use crate::text::{of_line, whole};

/// Keys of one object that are looked at: known events have under 40; the bound keeps a line of
/// eight million bytes of keys from becoming hundreds of millions in memory.
const KEY_LIMIT: usize = 512;

/// What some programs put before the first thing they print.
const BOM: &[u8] = "\u{FEFF}".as_bytes();

/// One JSON object: its keys and the text of their values.
#[derive(Debug, Clone, Default)]
pub(crate) struct Object<'a> {
    fields: Vec<(Text<'a>, &'a RawValue)>,
    lossy: bool,
}

/// What a line of a JSON mode turns out to be.
pub(crate) enum Event<'a> {
    /// An event, and the whole of it.
    Object(Object<'a>, &'a RawValue),
    /// Nothing but white space.
    Blank,
    /// A whole line that is no JSON object, or half of one that would have been none.
    Text(Text<'a>),
    /// Half an event, or the beginning of a line that is too long and is none.
    Cut(Text<'a>),
    /// The beginning of a line that is too long, as the event that it would be if it ended there.
    Begun(Object<'a>, &'a RawValue, Text<'a>),
}

/// The line as UTF-8, to be lent to [`event`]; the flag tells whether bytes had to be replaced. Of one that is too
/// long the beginning, closed.
pub(crate) fn utf8<'a>(line: &Line<'a>) -> (Cow<'a, str>, bool) {
    if line.truncated_bytes > 0 {
        let beginning = of_line(line);
        let closed = closed(&beginning.text).map(Cow::Owned);
        return (closed.unwrap_or_default(), beginning.lossy);
    }
    match std::str::from_utf8(line.bytes) {
        Ok(text) => (Cow::Borrowed(text), false),
        Err(_) => (
            Cow::Owned(String::from_utf8_lossy(line.bytes).into_owned()),
            true,
        ),
    }
}

/// Reads a line of a JSON mode. `text` and `lossy` are what [`utf8`] made of it.
pub(crate) fn event<'a>(line: &Line<'a>, text: &'a str, lossy: bool) -> Event<'a> {
    let is_begun = line.truncated_bytes > 0;
    if text.trim_ascii().is_empty() {
        return if is_begun {
            Event::Cut(of_line(line))
        } else {
            Event::Blank
        };
    }
    // A BOM in front of the first event is no reason not to understand it.
    let json = text.strip_prefix('\u{FEFF}').unwrap_or(text);
    match serde_json::from_str::<&RawValue>(json) {
        Ok(raw) => match Object::parse(raw, lossy) {
            Some(object) if is_begun => Event::Begun(object, raw, of_line(line)),
            Some(object) => Event::Object(object, raw),
            None if is_begun => Event::Cut(of_line(line)),
            None => Event::Text(of_line(line)),
        },
        Err(_) if !is_begun && (line.complete || !may_begin_event(line.bytes)) => {
            Event::Text(of_line(line))
        }
        Err(_) => Event::Cut(of_line(line)),
    }
}

/// Whether an event may begin so. One is an object, which may have white space or a BOM in front of it.
pub(crate) fn may_begin_event(bytes: &[u8]) -> bool {
    let bytes = bytes.trim_ascii_start();
    let bytes = bytes.strip_prefix(BOM).unwrap_or(bytes);
    let first = bytes.trim_ascii_start().first();
    first.is_none_or(|first| *first == b'{')
}

/// Shows an event that nobody here knows, whole; it may be `lossy`. An empty name is none.
pub(crate) fn unknown(at: Stamp, name: &str, raw: &RawValue, lossy: bool, out: &mut dyn Sink) {
    let name = (!name.is_empty()).then_some(Cow::Borrowed(name));
    let data = Foreign::Json {
        raw: Cow::Borrowed(raw),
        lossy,
    };
    out.activity(at, &Activity::Unknown { name, data });
}

impl<'a> Event<'a> {
    /// Hands back what is an event, and shows what is none. A blank line is passed over by the
    /// provider's own rule.
    pub(crate) fn or_show(
        self,
        at: Stamp,
        blank: &'static IgnoreRule,
        out: &mut dyn Sink,
    ) -> Option<(Object<'a>, &'a RawValue)> {
        match self {
            Event::Object(event, raw) => return Some((event, raw)),
            Event::Blank => out.ignored(blank),
            Event::Text(msg) => {
                let stream = Stream::Stdout;
                out.activity(at, &Activity::Output { stream, msg });
            }
            Event::Cut(text) | Event::Begun(_, _, text) => {
                let data = Foreign::Text(text);
                out.activity(at, &Activity::Unknown { name: None, data });
            }
        }
        None
    }
}

impl<'a> Object<'a> {
    /// Takes an object apart; `None` for any other value.
    pub(crate) fn parse(raw: &'a RawValue, lossy: bool) -> Option<Object<'a>> {
        if !raw.get().starts_with('{') {
            return None;
        }
        let mut json = serde_json::Deserializer::from_str(raw.get());
        let fields = json.deserialize_map(Fields).ok()?;
        Some(Object { fields, lossy })
    }

    /// True if bytes of the line that are not UTF-8 were replaced.
    pub(crate) fn is_lossy(&self) -> bool {
        self.lossy
    }

    /// The value of the first of the keys with this name.
    pub(crate) fn get(&self, key: &str) -> Option<&'a RawValue> {
        self.fields
            .iter()
            .find(|(name, _)| name.text == key)
            .map(|(_, value)| *value)
    }

    /// A string; `None` for any other value.
    pub(crate) fn text(&self, key: &str) -> Option<Text<'a>> {
        text(self.get(key)?, self.lossy)
    }

    /// A string; `None` for any other value.
    pub(crate) fn str(&self, key: &str) -> Option<Cow<'a, str>> {
        self.text(key).map(|text| text.text)
    }

    /// An object; `None` for any other value.
    pub(crate) fn object(&self, key: &str) -> Option<Object<'a>> {
        Object::parse(self.get(key)?, self.lossy)
    }

    /// A number, also one written as a string.
    pub(crate) fn f64(&self, key: &str) -> Option<f64> {
        f64(self.get(key)?)
    }

    /// Money.
    pub(crate) fn usd(&self, key: &str) -> Option<f64> {
        usd(self.get(key)?)
    }

    /// Whether one of these keys is there.
    pub(crate) fn has_any(&self, keys: &[&str]) -> bool {
        keys.iter().any(|key| self.get(key).is_some())
    }

    /// Whether keys are there, and none of these.
    pub(crate) fn is_foreign(&self, keys: &[&str]) -> bool {
        !self.fields.is_empty() && !self.has_any(keys)
    }

    /// A count: a number that is not negative, rounded.
    pub(crate) fn u64(&self, key: &str) -> Option<u64> {
        u64(self.get(key)?)
    }

    /// How many tokens.
    pub(crate) fn tokens(&self, key: &str) -> Option<u64> {
        tokens(self.get(key)?)
    }

    /// The id of a session. One that no CLI would take back is none.
    pub(crate) fn session(&self, key: &str) -> Option<Cow<'a, str>> {
        self.str(key).filter(|id| id.len() <= SESSION_LIMIT)
    }

    /// A whole number.
    pub(crate) fn i64(&self, key: &str) -> Option<i64> {
        i64(self.get(key)?)
    }

    /// `true` or `false`.
    pub(crate) fn bool(&self, key: &str) -> Option<bool> {
        bool(self.get(key)?)
    }

    /// Calls `each` with every element of an array; false if there is no such array.
    pub(crate) fn each(&self, key: &str, each: impl FnMut(&'a RawValue)) -> bool {
        self.get(key).is_some_and(|raw| elements(raw, each))
    }

    /// Calls `each` with every element of an array that is an object.
    pub(crate) fn each_object(&self, key: &str, mut each: impl FnMut(Object<'a>)) -> bool {
        let lossy = self.lossy;
        self.each(key, |raw| {
            if let Some(object) = Object::parse(raw, lossy) {
                each(object);
            }
        })
    }

    /// Keys and values, as printed.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        self.fields.iter().map(|(key, value)| (&*key.text, *value))
    }
}

/// A number, also one written as a string.
pub(crate) fn f64(raw: &RawValue) -> Option<f64> {
    let number: f64 = raw.get().trim_matches('"').parse().ok()?;
    number.is_finite().then_some(number)
}

/// Money. Less than nothing is nothing, as of tokens: opencode has printed such, and a budget would get it back. What no
/// run costs is no price: it would use up the budgets of all others.
pub(crate) fn usd(raw: &RawValue) -> Option<f64> {
    let usd = f64(raw).map(|usd| usd.max(0.0));
    usd.filter(|usd| *usd <= USD_LIMIT)
}

/// How many tokens; more than a run can use are none that were counted.
pub(crate) fn tokens(raw: &RawValue) -> Option<u64> {
    u64(raw).filter(|tokens| *tokens <= TOKENS_LIMIT)
}

/// A count: a number that is not negative, rounded.
pub(crate) fn u64(raw: &RawValue) -> Option<u64> {
    let whole = raw.get().trim_matches('"').parse().ok();
    whole.or_else(|| {
        let number = f64(raw)?.round();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "checked to be in range on this line; such casts saturate"
        )]
        (number >= 0.0).then_some(number as u64)
    })
}

/// A whole number.
pub(crate) fn i64(raw: &RawValue) -> Option<i64> {
    raw.get().trim_matches('"').parse().ok()
}

/// `true` or `false`.
pub(crate) fn bool(raw: &RawValue) -> Option<bool> {
    raw.get().parse().ok()
}

/// The text of a JSON string; a lone surrogate in it becomes U+FFFD.
pub(crate) fn text(raw: &RawValue, lossy: bool) -> Option<Text<'_>> {
    if !raw.get().starts_with('"') {
        return None;
    }
    let mut json = serde_json::Deserializer::from_str(raw.get());
    let mut text = json.deserialize_bytes(Characters).ok()?;
    text.lossy |= lossy;
    Some(text)
}

/// Calls `each` with every element of an array; false if it is none.
pub(crate) fn elements<'a>(raw: &'a RawValue, each: impl FnMut(&'a RawValue)) -> bool {
    raw.get().starts_with('[')
        && serde_json::Deserializer::from_str(raw.get())
            .deserialize_seq(Elements(each))
            .is_ok()
}

// === visitors ===

struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = Vec<(Text<'de>, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Vec::with_capacity(16);
        while fields.len() < KEY_LIMIT {
            let Some(Key(key)) = map.next_key()? else {
                return Ok(fields);
            };
            fields.push((key, map.next_value()?));
        }
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(fields)
    }
}

struct Elements<F>(F);

impl<'de, F: FnMut(&'de RawValue)> Visitor<'de> for Elements<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
        while let Some(element) = seq.next_element()? {
            (self.0)(element);
        }
        Ok(())
    }
}

struct Key<'a>(Text<'a>);

impl<'de: 'a, 'a> Deserialize<'de> for Key<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_bytes(Characters).map(Key)
    }
}

/// Takes a string as bytes, since only so lone surrogates pass: they come encoded like characters.
struct Characters;

impl<'de> Visitor<'de> for Characters {
    type Value = Text<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_bytes<E>(self, bytes: &'de [u8]) -> Result<Text<'de>, E> {
        Ok(match std::str::from_utf8(bytes) {
            Ok(text) => whole(text),
            Err(_) => without_surrogates(bytes),
        })
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Text<'de>, E> {
        Ok(match std::str::from_utf8(bytes) {
            Ok(text) => whole(text.to_owned()),
            Err(_) => without_surrogates(bytes),
        })
    }
}

/// One U+FFFD for each surrogate (`ED A0..BF xx`).
fn without_surrogates(bytes: &[u8]) -> Text<'static> {
    let mut clean = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&first, after)) = rest.split_first() {
        if first == 0xED && after.first().is_some_and(|&second| second >= 0xA0) {
            clean.extend_from_slice("\u{FFFD}".as_bytes());
            rest = rest.get(3..).unwrap_or_default();
        } else {
            clean.push(first);
            rest = after;
        }
    }
    Text {
        text: Cow::Owned(String::from_utf8_lossy(&clean).into_owned()),
        truncated_bytes: 0,
        lossy: true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(json: &str) -> &RawValue {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn of_a_key_that_occurs_twice_the_first_is_taken() {
        let object = Object::parse(raw(r#"{"id":"item_7","id":"ws_1"}"#), false).unwrap();
        assert_eq!(object.str("id").unwrap(), "item_7");
    }

    #[test]
    fn a_field_of_another_type_costs_only_itself() {
        let object =
            Object::parse(raw(r#"{"a":[1],"b":{"c":"x"},"n":"12","f":1.6}"#), false).unwrap();
        assert!(object.str("a").is_none());
        assert!(object.object("a").is_none());
        assert!(object.bool("b").is_none());
        assert_eq!(object.object("b").unwrap().str("c").unwrap(), "x");
        assert_eq!(object.u64("n"), Some(12));
        assert_eq!(object.u64("f"), Some(2));
        assert_eq!(object.f64("b"), None);
    }

    #[test]
    fn a_lone_surrogate_is_replaced_and_told() {
        let object =
            Object::parse(raw(r#"{"k\ud800":1,"t":"a\udc00b\ud83d\ude00"}"#), false).unwrap();
        let text = object.text("t").unwrap();
        assert_eq!((&*text.text, text.lossy), ("a\u{FFFD}b😀", true));
        assert!(object.get("k\u{FFFD}").is_some());
    }

    #[test]
    fn keys_past_the_bound_are_passed_over() {
        let many: Vec<String> = (0..2000).map(|i| format!("\"k{i}\":{i}")).collect();
        let json = format!("{{{}}}", many.join(","));
        let object = Object::parse(raw(&json), false).unwrap();
        assert_eq!(object.u64("k3"), Some(3));
        assert_eq!(object.fields.len(), KEY_LIMIT);
    }
}
