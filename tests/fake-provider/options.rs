//! The verb, its words and its `--key value` pairs. Whatever a verb does not ask for is passed
//! over: a daemon puts the arguments of the CLI behind ours.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// What is wrong with the arguments, or with what they name.
#[derive(Debug)]
pub(crate) struct Failure(String);

impl Failure {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Failure(text.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What it was told.
#[derive(Debug, Default)]
pub(crate) struct Options {
    words: Vec<String>,
    values: HashMap<String, String>,
}

impl Options {
    /// Sorts arguments. The first of two equal keys counts, so that ours win over the CLI's.
    pub(crate) fn new(args: impl Iterator<Item = String>) -> Self {
        let mut options = Options::default();
        let mut args = args.peekable();
        while let Some(arg) = args.next() {
            match arg.strip_prefix("--") {
                Some(key) => {
                    let value = args.next_if(|next| !next.starts_with('-'));
                    let entry = options.values.entry(key.to_owned());
                    entry.or_insert(value.unwrap_or_default());
                }
                None => options.words.push(arg),
            }
        }
        options
    }

    /// Takes them from a JSON list of strings.
    pub(crate) fn from_json(list: &str) -> Result<Self, Failure> {
        let words: Vec<String> = serde_json::from_str(list)
            .map_err(|e| Failure::new(format!("FAKE_PROVIDER is no JSON list: {e}")))?;
        Ok(Options::new(words.into_iter()))
    }

    pub(crate) fn verb(&self) -> &str {
        self.words.first().map_or("", String::as_str)
    }

    /// The word behind the verb.
    pub(crate) fn word(&self, what: &str) -> Result<&str, Failure> {
        self.words
            .get(1)
            .map(String::as_str)
            .ok_or_else(|| Failure::new(format!("{} needs {what}", self.verb())))
    }

    pub(crate) fn flag(&self, key: &str) -> bool {
        self.values.contains_key(key)
    }

    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(String::as_str)
    }

    /// The value of `key`, or `default` where it is not given.
    pub(crate) fn number<T: FromStr>(&self, key: &str, default: T) -> Result<T, Failure> {
        match self.values.get(key) {
            None => Ok(default),
            Some(value) => parse(key, value),
        }
    }

    pub(crate) fn millis(&self, key: &str, default: u64) -> Result<Duration, Failure> {
        self.number(key, default).map(Duration::from_millis)
    }
}

/// Reads a number; the failure names where it stood.
pub(crate) fn parse<T: FromStr>(what: &str, value: &str) -> Result<T, Failure> {
    value
        .parse()
        .map_err(|_| Failure::new(format!("{what}: `{value}` is no number")))
}
