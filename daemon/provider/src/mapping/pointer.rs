//! A place in a JSON value: `/message/content/0/text`, as RFC 6901 has it, and one thing more: where
//! it meets a text on its way, it goes on into the object or the list that the text holds. Models
//! hand over the arguments of their tools like that.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::json::{self, Object};

/// Longest pointer, in bytes: known events are told apart by much less.
const LENGTH_LIMIT: usize = 256;

/// Most steps of one.
const STEP_LIMIT: usize = 16;

/// A place in a JSON value; the empty one is the whole of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pointer {
    text: String,
    steps: Vec<String>,
}

/// Why a text is no pointer.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum PointerError {
    /// It names a key, say.
    #[error("`{0}` is no JSON pointer; it begins with `/`, as in \"/message/text\"")]
    NoSlash(String),
    /// `~` is special.
    #[error("`{0}`: after `~` comes 0 (for `~` itself) or 1 (for `/`)")]
    Escape(String),
    /// Longer or deeper than any event.
    #[error("a pointer has at most {LENGTH_LIMIT} bytes and {STEP_LIMIT} steps")]
    TooLong,
}

impl FromStr for Pointer {
    type Err = PointerError;

    fn from_str(text: &str) -> Result<Pointer, PointerError> {
        if text.len() > LENGTH_LIMIT || text.matches('/').count() > STEP_LIMIT {
            return Err(PointerError::TooLong);
        }
        let steps = match text.strip_prefix('/') {
            Some(rest) => rest.split('/').map(|step| unescaped(step, text)).collect(),
            None if text.is_empty() => Ok(Vec::new()),
            None => Err(PointerError::NoSlash(text.to_owned())),
        }?;
        Ok(Pointer {
            text: text.to_owned(),
            steps,
        })
    }
}

fn unescaped(step: &str, whole: &str) -> Result<String, PointerError> {
    let mut plain = String::new();
    let mut characters = step.chars();
    while let Some(character) = characters.next() {
        plain.push(match character {
            '~' => match characters.next() {
                Some('0') => '~',
                Some('1') => '/',
                _ => return Err(PointerError::Escape(whole.to_owned())),
            },
            other => other,
        });
    }
    Ok(plain)
}

impl TryFrom<String> for Pointer {
    type Error = PointerError;

    fn try_from(text: String) -> Result<Pointer, PointerError> {
        text.parse()
    }
}

impl From<Pointer> for String {
    fn from(pointer: Pointer) -> String {
        pointer.text
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Pointer {
    /// What stands there; `null` is nothing.
    pub(crate) fn find<'a>(&self, value: &'a RawValue) -> Option<Cow<'a, RawValue>> {
        find(value, &self.steps).filter(|found| found.get() != "null")
    }
}

fn find<'a>(value: &'a RawValue, steps: &[String]) -> Option<Cow<'a, RawValue>> {
    let Some((step, rest)) = steps.split_first() else {
        return Some(Cow::Borrowed(value));
    };
    match value.get().as_bytes().first()? {
        b'{' => find(Object::parse(value, false)?.get(step)?, rest),
        b'[' => {
            let index: usize = step.parse().ok()?;
            let (mut at, mut found) = (0, None);
            json::elements(value, |element| {
                if at == index {
                    found = Some(element);
                }
                at += 1;
            });
            find(found?, rest)
        }
        b'"' => {
            let text = json::text(value, false)?.text;
            let inner: &RawValue = serde_json::from_str(&text).ok()?;
            // Each text must lead a step on: an agent may print texts in texts without end, and all
            // that lead here are kept meanwhile.
            if inner.get().starts_with('"') {
                return None;
            }
            find(inner, steps).map(|found| Cow::Owned(found.into_owned()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(json: &str, pointer: &str) -> Option<String> {
        let value: &RawValue = serde_json::from_str(json).unwrap();
        let pointer: Pointer = pointer.parse().unwrap();
        pointer.find(value).map(|found| found.get().to_owned())
    }

    #[test]
    fn a_pointer_leads_through_objects_lists_and_texts_of_json() {
        let json = r#"{"a":[{"b":1},{"b":"{\"c\":{\"d\":\"x\"}}"}],"/~":true,"n":null,"":{"":2}}"#;
        let cases = [
            ("/a/0/b", Some("1")),
            ("/a/1/b/c/d", Some("\"x\"")),
            ("/~1~0", Some("true")),
            ("//", Some("2")),
            ("/n", None),
            ("/a/2/b", None),
            ("/a/-1", None),
            ("/a/b", None),
            ("/a/0/b/c", None),
        ];
        for (pointer, expected) in cases {
            assert_eq!(found(json, pointer).as_deref(), expected, "{pointer}");
        }
        assert_eq!(found(json, "").as_deref(), Some(json));
    }

    #[test]
    fn a_text_within_a_text_is_not_gone_into() {
        // Each quote costs six bytes a level, so a line of 8 MiB would have a thousand levels, and
        // reading them all at once took gigabytes.
        let nested = |levels: usize| {
            let mut json = r#"{"b":1}"#.to_owned();
            for _ in 0..levels {
                let inner = json.replace('\\', r"\u005c").replace('"', r"\u0022");
                json = format!("\"{inner}\"");
            }
            format!("{{\"a\":{json}}}")
        };
        assert_eq!(found(&nested(1), "/a/b").as_deref(), Some("1"));
        assert_eq!(found(&nested(2), "/a/b"), None);
        assert_eq!(found(&nested(100), "/a/b"), None);
    }

    #[test]
    fn what_is_no_pointer_is_refused_with_the_reason() {
        let refused = |text: &str| text.parse::<Pointer>().unwrap_err();
        assert!(matches!(refused("message.text"), PointerError::NoSlash(_)));
        assert!(matches!(refused("/a~"), PointerError::Escape(_)));
        assert!(matches!(refused("/~2"), PointerError::Escape(_)));
        assert_eq!(refused(&"/a".repeat(17)), PointerError::TooLong);
        assert_eq!(
            refused(&format!("/{}", "a".repeat(300))),
            PointerError::TooLong
        );
    }
}
