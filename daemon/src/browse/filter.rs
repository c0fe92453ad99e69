//! Which lines are meant. The cheap questions come first: a line's type stands at its beginning,
//! a call's id is sought in its bytes, and only what passed both is parsed.

use std::borrow::Cow;

use memchr::memmem::Finder;
use serde::Deserialize;

use super::BrowseError;
use super::lines::Seen;
use super::shown::Sought;
use super::written::as_written;

/// Which lines are meant; a line must meet all that is set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Of one of these types; empty: any.
    pub types: Vec<String>,
    /// Showing this, whatever the case of its letters; empty: anything.
    pub text: String,
    /// Of the tool call with this id; empty: any line.
    pub call: String,
    /// A tool's result that is ok, or is not.
    pub ok: Option<bool>,
}

/// A filter, ready for many lines.
#[derive(Clone)]
pub(super) struct Matcher {
    types: Vec<String>,
    text: Option<Sought>,
    call: Option<Call>,
    ok: Option<bool>,
}

#[derive(Clone)]
struct Call {
    id: String,
    // As it stands in a line: most lines do without being parsed.
    finder: Finder<'static>,
}

/// What a line about a tool call says of it.
#[derive(Deserialize)]
struct About<'a> {
    #[serde(rename = "callId", borrow, default)]
    call: Option<Cow<'a, str>>,
    #[serde(default)]
    ok: Option<bool>,
}

impl Filter {
    pub(super) fn compile(self) -> Result<Matcher, BrowseError> {
        let text = match self.text.as_str() {
            "" => None,
            text => Some(Sought::new(text)?),
        };
        let call = (!self.call.is_empty()).then(|| Call {
            finder: Finder::new(as_written(&self.call).as_bytes()).into_owned(),
            id: self.call,
        });
        Ok(Matcher {
            types: self.types,
            text,
            call,
            ok: self.ok,
        })
    }
}

impl Matcher {
    pub(super) fn takes(&self, line: &Seen<'_>) -> bool {
        self.takes_type(line)
            && self
                .call
                .as_ref()
                .is_none_or(|call| call.finder.find(line.bytes).is_some())
            && self.text.as_ref().is_none_or(|text| text.is_in(line))
            && self.takes_call(line)
    }

    fn takes_type(&self, line: &Seen<'_>) -> bool {
        if self.types.is_empty() && self.call.is_none() && self.ok.is_none() {
            return true;
        }
        let (_, kind) = line.head();
        let is_result = kind == "tool_result";
        (self.types.is_empty() || self.types.iter().any(|wanted| *wanted == kind))
            && (self.ok.is_none() || is_result)
            && (self.call.is_none() || is_result || kind == "tool")
    }

    fn takes_call(&self, line: &Seen<'_>) -> bool {
        if self.call.is_none() && self.ok.is_none() {
            return true;
        }
        about(line.bytes).is_some_and(|about| {
            let id = about.call.as_deref();
            self.call
                .as_ref()
                .is_none_or(|call| id == Some(call.id.as_str()))
                && (self.ok.is_none() || about.ok == self.ok)
        })
    }
}

/// The id of the tool call that a line is about.
pub(super) fn call_of(line: &[u8]) -> Option<String> {
    about(line)?.call.map(Cow::into_owned)
}

fn about(line: &[u8]) -> Option<About<'_>> {
    serde_json::from_slice(line).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Offset;

    fn takes(filter: Filter, line: &str) -> bool {
        filter.compile().unwrap().takes(&Seen {
            bytes: line.as_bytes(),
            first: Offset::START,
            next: Offset::START,
        })
    }

    fn text(text: &str) -> Filter {
        Filter {
            text: text.to_owned(),
            ..Filter::default()
        }
    }

    const CALL: &str = r#"{"ts":1,"type":"tool","cmd":"ls \"a\"","callId":"c1","raw":1}"#;
    const FAILED: &str = r#"{"ts":2,"type":"tool_result","callId":"c1","ok":false,"raw":2}"#;

    #[test]
    fn types_and_text_must_both_be_met() {
        let both = |kind: &str, words: &str| Filter {
            types: vec!["notice".to_owned(), kind.to_owned()],
            ..text(words)
        };
        assert!(takes(both("tool", "ls"), CALL));
        assert!(!takes(both("output", "ls"), CALL));
        assert!(!takes(both("tool", "rm"), CALL));
        assert!(!takes(both("tool", "x"), "no JSON with an x"));
    }

    #[test]
    fn a_call_is_its_tool_and_its_result_and_nothing_that_only_names_it() {
        let of = |id: &str| Filter {
            call: id.to_owned(),
            ..Filter::default()
        };
        assert!(takes(of("c1"), CALL) && takes(of("c1"), FAILED));
        assert!(!takes(of("c"), CALL) && !takes(of("c2"), CALL));
        let output = r#"{"ts":1,"type":"output","callId":"c1","raw":1}"#;
        let parent = r#"{"ts":1,"type":"tool","callId":"c2","parentCallId":"c1","raw":1}"#;
        assert!(!takes(of("c1"), output) && !takes(of("c1"), parent));
    }

    #[test]
    fn ok_asks_for_results_alone() {
        let ok = |ok: bool| Filter {
            ok: Some(ok),
            ..Filter::default()
        };
        assert!(takes(ok(false), FAILED) && !takes(ok(true), FAILED));
        assert!(!takes(ok(false), CALL));
        let output = r#"{"ts":1,"type":"output","ok":false,"raw":1}"#;
        assert!(!takes(ok(false), output));
    }
}
