//! Keeps secrets out of what is written for people: the values of a provider's secret environment
//! variables, and tokens that are known by their shape.
//!
//! It works on activities, after lines were put together and JSON was decoded, and before anything
//! is cut; so neither a read that ends inside a secret nor an escape hides one. What it does
//! follows from the specification alone: the same spool gives the same log, whatever the
//! configuration says by then. The spool itself stays as it was printed.
//!
//! ```text
//! Redaction (in the specification) + environment ──> Redactor ──> activity ──> activity
//! ```

mod copy;
mod find;
mod json;
mod runs;
mod secret;
mod shapes;
#[cfg(test)]
mod tests;
mod unescape;

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::activity::{Activity, Stream, Text};
use crate::evidence::{self, Evidence};
use crate::parser::Verdict;
use copy::Copy;
use find::Finder;

/// The longest pattern of a configuration, as compiled.
const PATTERN_BYTES: usize = 1 << 20;

/// A text of this length may be one that a parser has cut: none cuts at less.
const MAY_BE_CUT: usize = 200;

/// What is secret of an invocation. Part of its specification.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redaction {
    /// Names of environment variables, with values that must not be shown.
    pub variables: Vec<String>,
    /// Further shapes, as regular expressions.
    pub patterns: Vec<String>,
}

/// Puts a placeholder where a secret stands. Belongs to one projection: it remembers whether a
/// private key is being printed.
#[derive(Clone)]
pub struct Redactor {
    finder: Option<Arc<Finder>>,
    /// Texts may be parts of a text that was longer.
    pieces: bool,
    /// Inside a private key that is printed line by line; of stdout, of stderr.
    inside: [bool; 2],
}

impl Redaction {
    /// What is secret of an environment: by a variable's name, or because its value is an address
    /// with a password. `further` are names, or beginnings of names followed by `*`.
    pub fn of(env: &[(String, String)], further: &[String], patterns: &[String]) -> Redaction {
        let is_secret = |name: &str, value: &str| {
            secret::is_secret_name(name)
                || secret::has_password(value)
                || further
                    .iter()
                    .any(|pattern| crate::env::matches(pattern, name))
        };
        Redaction {
            variables: env
                .iter()
                .filter(|(name, value)| is_secret(name, value))
                .map(|(name, _)| name.clone())
                .collect(),
            patterns: patterns.to_vec(),
        }
    }
}

/// Why an expression cannot be one of a [`Redaction`]'s patterns.
///
/// # Errors
/// In one line: it does not parse, is too large, or matches everything.
pub fn check_pattern(pattern: &str) -> Result<(), String> {
    let regex = find::compile(pattern).map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => "the expression is too large".to_owned(),
        error => {
            let text = error.to_string();
            let last = text.lines().last().unwrap_or_default();
            let reason = last.trim().trim_start_matches("error: ");
            format!("`{pattern}` is no regular expression: {reason}")
        }
    })?;
    if regex.is_match("") {
        return Err(format!("`{pattern}` matches an empty text, so everything"));
    }
    Ok(())
}

// === impl Redactor ===

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Never what it looks for.
        f.debug_struct("Redactor").finish_non_exhaustive()
    }
}

impl Redactor {
    /// Changes nothing.
    pub fn none() -> Redactor {
        Redactor {
            finder: None,
            pieces: false,
            inside: [false; 2],
        }
    }

    /// Knows tokens by their shape, and no value.
    pub fn of_shapes() -> Redactor {
        Redactor::new(&Redaction::default(), &[], false)
    }

    /// Of one invocation. `pieces` says that its texts may be parts of longer ones.
    pub fn new(redaction: &Redaction, env: &[(String, String)], pieces: bool) -> Redactor {
        let finder = Finder::new(redaction, env);
        Redactor {
            finder: Some(Arc::new(finder)),
            pieces,
            inside: [false; 2],
        }
    }

    /// The text without its secrets.
    pub fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match self.redacted(text, false) {
            Some(text) => Cow::Owned(text),
            None => Cow::Borrowed(text),
        }
    }

    /// A part of a line of which there is more to come, without its secrets.
    pub fn part(&self, stream: Stream, text: &str) -> String {
        let part = Text {
            text: text.into(),
            ..Text::default()
        };
        let mut redactor = self.clone();
        redactor.pieces = true;
        let redacted = redactor.output(stream, &part);
        redacted.unwrap_or_else(|| text.to_owned())
    }

    /// The activity without its secrets; `None` if it has none.
    pub fn activity<'a>(&mut self, activity: &'a Activity<'_>) -> Option<Activity<'a>> {
        self.finder.as_ref()?;
        if let Activity::Output { stream, msg } = activity {
            let text = self.output(*stream, msg)?;
            let msg = replaced(msg, text);
            return Some(Activity::Output {
                stream: *stream,
                msg,
            });
        }
        Copy::of(activity, self)
    }

    /// Takes the secrets out of what a row is to hold.
    pub fn verdict(&self, verdict: &mut Verdict) {
        let texts = [
            &mut verdict.error,
            &mut verdict.response,
            &mut verdict.session_id,
        ];
        for text in texts.into_iter().flatten() {
            if let Some(redacted) = self.redacted(text, false) {
                *text = redacted;
            }
        }
        self.evidence(&mut verdict.evidence);
    }

    /// What a verdict rests on: an event as the JSON that it is, and only then cut.
    fn evidence(&self, evidence: &mut Evidence) {
        if let Some(event) = evidence.final_event.take() {
            let redacted = match serde_json::from_str::<&RawValue>(&event) {
                Ok(json) => self.json(json).map(|json| json.get().to_owned()),
                Err(_) => self.redacted(&event, true),
            };
            evidence.final_event = Some(evidence::shown(redacted.unwrap_or(event)));
        }
        for line in &mut evidence.stderr {
            if let Some(redacted) = self.redacted(line, false) {
                *line = redacted;
            }
        }
    }

    /// A line of output; of a private key, also the lines after its first.
    fn output(&mut self, stream: Stream, msg: &Text<'_>) -> Option<String> {
        let pipe = usize::from(stream == Stream::Stderr);
        let text = &*msg.text;
        let mut from = 0;
        if self.inside[pipe] {
            (from, self.inside[pipe]) = shapes::key_goes_on(text);
        }
        let rest = &text[from..];
        let redacted = self.redacted(rest, msg.truncated_bytes > 0);
        // Where a key begins, there is something to redact.
        if redacted.is_some() && shapes::key_is_open(rest) {
            self.inside[pipe] = true;
        }
        if from == 0 {
            return redacted;
        }
        let rest = redacted.as_deref().unwrap_or(rest);
        Some(format!("{}{rest}", find::PLACEHOLDER))
    }

    fn redacted(&self, text: &str, is_cut: bool) -> Option<String> {
        let is_cut = is_cut || self.pieces || text.len() >= MAY_BE_CUT;
        self.finder.as_ref()?.redacted(text, is_cut)
    }

    fn json(&self, json: &RawValue) -> Option<Box<RawValue>> {
        json::redacted(self.finder.as_ref()?, json.get())
    }
}

fn replaced(text: &Text<'_>, by: String) -> Text<'static> {
    Text {
        text: Cow::Owned(by),
        truncated_bytes: text.truncated_bytes,
        lossy: text.lossy,
    }
}
