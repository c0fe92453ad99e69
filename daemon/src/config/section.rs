//! One table of the file, read key by key. It knows which keys exist, so that none is passed over,
//! and where each stands, so that every complaint names a line.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::ConfigError;

/// The file a table stands in.
pub(super) struct Source<'a> {
    pub(super) file: &'a Path,
    pub(super) text: &'a str,
}

impl Source<'_> {
    /// The line a byte stands in, counted from one.
    pub(super) fn line(&self, at: usize) -> usize {
        let before = self.text.get(..at).unwrap_or(self.text);
        before.bytes().filter(|byte| *byte == b'\n').count() + 1
    }

    fn key(&self, at: usize, key: String, reason: String) -> ConfigError {
        ConfigError::Key {
            file: self.file.to_owned(),
            line: self.line(at),
            key,
            reason,
        }
    }
}

/// A table whose keys are all known.
pub(super) struct Section<'a> {
    source: &'a Source<'a>,
    /// Its name; empty for the file itself.
    name: String,
    table: &'a DeTable<'a>,
}

impl<'a> Section<'a> {
    /// Takes a table, and refuses it for the first key that is not in `known`.
    pub(super) fn of_table(
        source: &'a Source<'a>,
        name: String,
        table: &'a DeTable<'a>,
        known: &[&str],
    ) -> Result<Self, ConfigError> {
        let section = Section {
            source,
            name,
            table,
        };
        for key in table.keys() {
            if !known.contains(&key.get_ref().as_ref()) {
                let reason = format!("unknown key; {} has {}", section.title(), known.join(", "));
                let full = section.path(key.get_ref());
                return Err(source.key(key.span().start, full, reason));
            }
        }
        Ok(section)
    }

    /// The table under a key, with the keys it may have; `None` where it does not stand.
    pub(super) fn section(
        &self,
        key: &str,
        known: &[&str],
    ) -> Result<Option<Section<'a>>, ConfigError> {
        match self.table(key)? {
            Some(table) => Section::of_table(self.source, self.path(key), table, known).map(Some),
            None => Ok(None),
        }
    }

    /// The tables under a key by their free names, in the order of the alphabet.
    pub(super) fn sections(
        &self,
        key: &str,
        known: &[&str],
    ) -> Result<Vec<(String, usize, Section<'a>)>, ConfigError> {
        let Some(table) = self.table(key)? else {
            return Ok(Vec::new());
        };
        let mut found = Vec::new();
        for (name, value) in table {
            let full = format!("{}.{}", self.path(key), name.get_ref());
            let at = name.span().start;
            let DeValue::Table(inner) = value.get_ref() else {
                return Err(self.source.key(at, full, "must be a table".to_owned()));
            };
            let section = Section::of_table(self.source, full, inner, known)?;
            found.push((name.get_ref().clone().into_owned(), at, section));
        }
        Ok(found)
    }

    /// The list of tables under a key, each with the keys it may have, and its place in the file.
    pub(super) fn list(
        &self,
        key: &str,
        known: &[&str],
    ) -> Result<Vec<(usize, Section<'a>)>, ConfigError> {
        let Some(value) = self.table.get(key) else {
            return Ok(Vec::new());
        };
        let DeValue::Array(list) = value.get_ref() else {
            let reason = format!("must be a list of tables: [[{}]]", self.path(key));
            return Err(self.complaint(key, value, reason));
        };
        let mut found = Vec::new();
        for (index, item) in list.iter().enumerate() {
            let full = format!("{}[{index}]", self.path(key));
            let at = item.span().start;
            let DeValue::Table(inner) = item.get_ref() else {
                return Err(self.source.key(at, full, "must be a table".to_owned()));
            };
            found.push((at, Section::of_table(self.source, full, inner, known)?));
        }
        Ok(found)
    }

    fn table(&self, key: &str) -> Result<Option<&'a DeTable<'a>>, ConfigError> {
        match self
            .table
            .get(key)
            .map(|value| (value.span().start, value.get_ref()))
        {
            None => Ok(None),
            Some((_, DeValue::Table(table))) => Ok(Some(table)),
            Some((at, other)) => {
                let reason = format!("must be a table, not {}", other.type_str());
                Err(self.source.key(at, self.path(key), reason))
            }
        }
    }

    /// Whether a key stands here.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Reads a key's value with `read`; `None` where it does not stand.
    pub(super) fn get<T>(
        &self,
        key: &str,
        read: impl FnOnce(&DeValue<'_>) -> Result<T, String>,
    ) -> Result<Option<T>, ConfigError> {
        let Some(value) = self.table.get(key) else {
            return Ok(None);
        };
        read(value.get_ref())
            .map(Some)
            .map_err(|reason| self.complaint(key, value, reason))
    }

    /// Refuses this section as a whole, at the place of `key` where it has one.
    pub(super) fn refuse(&self, key: &str, at: usize, reason: String) -> ConfigError {
        match self.table.get(key) {
            Some(value) => self.complaint(key, value, reason),
            None => self.source.key(at, self.path(key), reason),
        }
    }

    fn complaint(&self, key: &str, value: &Spanned<DeValue<'_>>, reason: String) -> ConfigError {
        self.source.key(value.span().start, self.path(key), reason)
    }

    fn path(&self, key: &str) -> String {
        let mut path = self.name.clone();
        if !path.is_empty() {
            path.push('.');
        }
        // Writing to a String cannot fail.
        let _ = write!(path, "{key}");
        path
    }

    fn title(&self) -> String {
        if self.name.is_empty() {
            "the file".to_owned()
        } else {
            format!("[{}]", self.name)
        }
    }
}

/// Reads a text.
pub(super) fn text(value: &DeValue<'_>) -> Result<String, String> {
    let text = value
        .as_str()
        .ok_or_else(|| wrong(value, "a text in quotes"))?;
    if text.contains('\0') {
        return Err("must not contain a NUL".to_owned());
    }
    Ok(text.to_owned())
}

/// Reads a text that says something.
pub(super) fn word(value: &DeValue<'_>) -> Result<String, String> {
    let text = text(value)?;
    if text.is_empty() {
        Err("must not be empty".to_owned())
    } else {
        Ok(text)
    }
}

/// Reads a list of texts.
pub(super) fn texts(value: &DeValue<'_>) -> Result<Vec<String>, String> {
    let list = value
        .as_array()
        .ok_or_else(|| wrong(value, "a list of texts"))?;
    list.iter().map(|item| text(item.get_ref())).collect()
}

/// Reads yes or no.
pub(super) fn yes(value: &DeValue<'_>) -> Result<bool, String> {
    value.as_bool().ok_or_else(|| wrong(value, "true or false"))
}

/// Reads a whole number between two bounds, both included.
pub(super) fn number(low: u32, high: u32) -> impl Fn(&DeValue<'_>) -> Result<u32, String> {
    move |value| {
        let wanted = || wrong(value, &format!("a whole number from {low} to {high}"));
        let integer = value.as_integer().ok_or_else(wanted)?;
        u32::from_str_radix(integer.as_str(), integer.radix())
            .ok()
            .filter(|number| (low..=high).contains(number))
            .ok_or_else(|| format!("must be a whole number from {low} to {high}"))
    }
}

/// Reads an absolute path.
pub(super) fn path(value: &DeValue<'_>) -> Result<PathBuf, String> {
    let path = PathBuf::from(word(value)?);
    if path.is_absolute() {
        Ok(path)
    } else {
        Err(format!(
            "`{}` is relative; write the whole path, from /",
            path.display()
        ))
    }
}

/// Reads one of a few words.
pub(super) fn choice<T: Copy>(
    choices: &[(&'static str, T)],
) -> impl Fn(&DeValue<'_>) -> Result<T, String> {
    let choices = choices.to_vec();
    move |value| {
        let text = text(value)?;
        let found = choices.iter().find(|(word, _)| *word == text);
        found.map(|(_, choice)| *choice).ok_or_else(|| {
            let words: Vec<_> = choices.iter().map(|(word, _)| *word).collect();
            format!("unknown value `{text}`; there are {}", words.join(", "))
        })
    }
}

fn wrong(value: &DeValue<'_>, wanted: &str) -> String {
    format!("must be {wanted}, not {}", value.type_str())
}
