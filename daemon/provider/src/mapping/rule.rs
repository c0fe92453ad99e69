//! One rule of a mapping: the lines it applies to, and what is where in them.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Field, Pointer};
use crate::json;

/// What the lines mean to which it applies.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Places, and the values of which one must stand there. Without any, it applies to each line.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub when: BTreeMap<Pointer, Vec<Is>>,
    /// A list: the rule is applied to each of its elements, in the place of the line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub each: Option<Pointer>,
    /// Where what stands; the first place with something counts.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<Field, Vec<Pointer>>,
    /// Whether it tells of something that went wrong: a call, or the whole run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_error: Option<Flag>,
    /// The run's last event; the exit alone does not prove that its output is whole.
    #[serde(default, skip_serializing_if = "is_false")]
    pub is_final: bool,
    /// The text is a fragment, to be joined with the next.
    #[serde(default, skip_serializing_if = "is_false")]
    pub is_delta: bool,
    /// The counts are those of the whole run so far, and are not added.
    #[serde(default, skip_serializing_if = "is_false")]
    pub is_total: bool,
    /// The count of input has what was cached in it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub is_input_with_cached: bool,
    /// These lines are not shown.
    #[serde(default, skip_serializing_if = "is_false")]
    pub is_ignored: bool,
}

/// A value that has to stand in a place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Is {
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Number(i64),
    /// A text.
    Text(String),
}

/// Whether something went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Flag {
    /// Whenever the rule applies, or never.
    Always(bool),
    /// If `true` stands in one of these places.
    At(Vec<Pointer>),
}

/// Why a rule is refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct RuleError {
    /// The key of it that is wrong.
    pub key: &'static str,
    /// In words.
    pub reason: &'static str,
}

fn is_false(flag: &bool) -> bool {
    !*flag
}

// === impl Rule ===

impl Rule {
    /// Refuses what makes no sense.
    pub fn check(&self) -> Result<(), RuleError> {
        let has = |field| self.fields.contains_key(&field);
        let refuse = |key, reason| Err(RuleError { key, reason });
        if self.is_ignored && (!self.fields.is_empty() || self.is_final) {
            return refuse(
                "ignore",
                "of lines that are ignored nothing else can be read",
            );
        }
        if self.is_ignored && self.when.is_empty() {
            return refuse("ignore", "without `when` it would ignore everything");
        }
        if self.fields.is_empty() && !self.is_final && !self.is_ignored {
            return refuse(
                "text",
                "maps nothing; give a pointer to `text`, say, or `ignore = true`",
            );
        }
        let begins = has(Field::Tool) || has(Field::Command);
        if has(Field::Input) && !begins {
            return refuse(
                "input",
                "needs `tool` or `command`, of which it is the input",
            );
        }
        let answers = has(Field::Result) || has(Field::ExitCode);
        if has(Field::Call) && !begins && !answers && self.is_error.is_none() {
            return refuse(
                "call",
                "needs `tool` or `command` where a call begins, or `result` where it ends",
            );
        }
        if answers && !has(Field::Call) {
            let key = if has(Field::Result) {
                "result"
            } else {
                "exit_code"
            };
            return refuse(key, "needs `call`, by which it is matched to its call");
        }
        if self.is_error.is_some() && !has(Field::Call) && !self.is_final {
            return refuse(
                "is_error",
                "needs `call` or `final`: it tells how one of them went",
            );
        }
        if has(Field::ResetsAt) && !has(Field::Error) && !has(Field::ErrorCode) {
            return refuse(
                "resets_at",
                "needs `error` or `error_code`, of which it tells",
            );
        }
        if self.is_delta && !has(Field::Text) {
            return refuse("delta", "needs `text`, which comes in pieces");
        }
        let counts = Field::COUNTS.into_iter().any(has);
        if self.is_total && !counts {
            return refuse(
                "total",
                "needs a pointer to a count, such as `output_tokens`",
            );
        }
        if self.is_input_with_cached && !(has(Field::InputTokens) && has(Field::CachedTokens)) {
            return refuse(
                "input_with_cached",
                "needs `input_tokens` and `cached_tokens`",
            );
        }
        Ok(())
    }

    /// Whether it tells of a call's end.
    pub(crate) fn is_result(&self) -> bool {
        let has = |field| self.fields.contains_key(&field);
        has(Field::Call) && (has(Field::Result) || has(Field::ExitCode) || self.is_error.is_some())
    }

    /// Whether it tells of what was used.
    pub(crate) fn is_usage(&self) -> bool {
        Field::COUNTS
            .iter()
            .any(|field| self.fields.contains_key(field))
    }

    pub(crate) fn applies(&self, line: &RawValue) -> bool {
        self.when.iter().all(|(place, values)| {
            let found = place.find(line);
            found.is_some_and(|found| values.iter().any(|value| value.is(&found)))
        })
    }

    /// What stands in the first of a field's places that has something.
    pub(crate) fn find<'a>(&self, field: Field, value: &'a RawValue) -> Option<Cow<'a, RawValue>> {
        let places = self.fields.get(&field)?;
        places.iter().find_map(|place| place.find(value))
    }

    pub(crate) fn is_error(&self, value: &RawValue) -> bool {
        match &self.is_error {
            None => false,
            Some(Flag::Always(always)) => *always,
            Some(Flag::At(places)) => places.iter().any(|place| {
                let found = place.find(value);
                found.is_some_and(|found| json::bool(&found) == Some(true))
            }),
        }
    }
}

impl Is {
    fn is(&self, found: &RawValue) -> bool {
        match self {
            Is::Bool(value) => json::bool(found) == Some(*value),
            Is::Number(value) => found.get().parse() == Ok(*value),
            Is::Text(value) => json::text(found, false).is_some_and(|text| text.text == *value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(json: &str) -> Rule {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_rule_applies_where_all_its_conditions_hold() {
        let rule = rule(r#"{"when":{"/type":["a","b"],"/n":[7],"/ok":[true]}}"#);
        let applies = |json: &str| rule.applies(serde_json::from_str(json).unwrap());
        assert!(applies(r#"{"type":"a","n":7,"ok":true}"#));
        assert!(applies(r#"{"type":"b","n":7,"ok":true,"x":1}"#));
        assert!(!applies(r#"{"type":"c","n":7,"ok":true}"#));
        assert!(!applies(r#"{"type":"a","n":"7","ok":true}"#));
        assert!(!applies(r#"{"type":"a","n":7}"#));
        assert!(!applies("[]"));
    }

    #[test]
    fn what_makes_no_sense_is_refused_at_its_key() {
        let cases = [
            ("{}", "text"),
            (r#"{"is_ignored":true}"#, "ignore"),
            (
                r#"{"when":{"/a":["b"]},"is_ignored":true,"fields":{"text":["/t"]}}"#,
                "ignore",
            ),
            (r#"{"fields":{"input":["/i"]}}"#, "input"),
            (r#"{"fields":{"call":["/i"]}}"#, "call"),
            (r#"{"fields":{"result":["/r"]}}"#, "result"),
            (r#"{"fields":{"exit_code":["/r"]}}"#, "exit_code"),
            (r#"{"fields":{"resets_at":["/r"]}}"#, "resets_at"),
            (
                r#"{"fields":{"text":["/t"]},"is_error":["/e"]}"#,
                "is_error",
            ),
            (r#"{"fields":{"thinking":["/t"]},"is_delta":true}"#, "delta"),
            (r#"{"fields":{"text":["/t"]},"is_total":true}"#, "total"),
            (
                r#"{"fields":{"input_tokens":["/t"]},"is_input_with_cached":true}"#,
                "input_with_cached",
            ),
        ];
        for (json, key) in cases {
            assert_eq!(rule(json).check().unwrap_err().key, key, "{json}");
        }
        for json in [
            r#"{"is_final":true,"is_error":true}"#,
            r#"{"fields":{"call":["/c"]},"is_error":["/e"]}"#,
            r#"{"fields":{"command":["/c"],"input":["/i"]}}"#,
        ] {
            assert_eq!(rule(json).check(), Ok(()), "{json}");
        }
    }
}
