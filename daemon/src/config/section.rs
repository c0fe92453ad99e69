//! One table of the file, read key by key. It knows which keys exist, so that none is passed over,
//! and where each stands, so that every complaint names a line. Which there are, `steroids_keys`
//! says.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::ConfigError;

/// The file a table stands in, and what is wrong with it.
pub(super) struct Source<'a> {
    file: &'a Path,
    text: &'a str,
    problems: RefCell<Vec<ConfigError>>,
}

impl<'a> Source<'a> {
    pub(super) fn new(file: &'a Path, text: &'a str) -> Self {
        Source {
            file,
            text,
            problems: RefCell::default(),
        }
    }

    pub(super) fn file(&self) -> &'a Path {
        self.file
    }

    pub(super) fn text(&self) -> &'a str {
        self.text
    }

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

    /// Notes what is wrong, so that reading goes on: who mends a file wants to hear all of it. Of
    /// one key only the first is kept; that it seems not to be set follows from that.
    fn note(&self, problem: ConfigError) {
        let mut problems = self.problems.borrow_mut();
        let is_known = problems.iter().any(|known| known.key() == problem.key());
        if problem.key().is_none() || !is_known {
            problems.push(problem);
        }
    }

    /// Notes why keys of a table do not go together, unless one of them was wrong in itself: then
    /// nobody knows what was meant.
    fn note_together(&self, problem: ConfigError) {
        let table = problem.key().and_then(|key| Some(key.rsplit_once('.')?.0));
        let is_clear = table.is_none_or(|table| {
            let problems = self.problems.borrow();
            let mut keys = problems.iter().filter_map(ConfigError::key);
            !keys.any(|key| {
                key.strip_prefix(table)
                    .is_some_and(|rest| rest.starts_with('.'))
            })
        });
        if is_clear {
            self.note(problem);
        }
    }

    /// All that is wrong, in the order of the lines.
    pub(super) fn into_problems(self) -> Vec<ConfigError> {
        let mut problems = self.problems.into_inner();
        problems.sort_by_key(ConfigError::line);
        problems
    }
}

/// A table whose keys are all known.
pub(super) struct Section<'a> {
    source: &'a Source<'a>,
    /// Its name; empty for the file itself.
    name: String,
    /// Its name in the table of keys: `providers.*`.
    pattern: String,
    table: &'a DeTable<'a>,
}

impl<'a> Section<'a> {
    /// The file itself.
    pub(super) fn root(source: &'a Source<'a>, table: &'a DeTable<'a>) -> Self {
        Section::of_table(source, String::new(), String::new(), table)
    }

    /// Takes a table, and notes each key in it that there is not.
    fn of_table(
        source: &'a Source<'a>,
        name: String,
        pattern: String,
        table: &'a DeTable<'a>,
    ) -> Self {
        let known = steroids_keys::known(&pattern);
        let section = Section {
            source,
            name,
            pattern,
            table,
        };
        for key in table.keys() {
            if !known.contains(&key.get_ref().as_ref()) {
                let reason = format!("unknown key; {} has {}", section.title(), known.join(", "));
                let full = section.path(key.get_ref());
                source.note(source.key(key.span().start, full, reason));
            }
        }
        section
    }

    /// The table under a key; `None` where it does not stand.
    pub(super) fn section(&self, key: &str) -> Option<Section<'a>> {
        let table = self.table(key)?;
        let pattern = joined(&self.pattern, key);
        Some(Section::of_table(
            self.source,
            self.path(key),
            pattern,
            table,
        ))
    }

    /// The tables under a key by their free names, in the order of the alphabet.
    pub(super) fn sections(&self, key: &str) -> Vec<(String, usize, Section<'a>)> {
        let Some(table) = self.table(key) else {
            return Vec::new();
        };
        let pattern = joined(&self.pattern, &format!("{key}.*"));
        let mut found = Vec::new();
        for (name, value) in table {
            let full = format!("{}.{}", self.path(key), name.get_ref());
            let at = name.span().start;
            let DeValue::Table(inner) = value.get_ref() else {
                let reason = "must be a table".to_owned();
                self.source.note(self.source.key(at, full, reason));
                continue;
            };
            let section = Section::of_table(self.source, full, pattern.clone(), inner);
            found.push((name.get_ref().clone().into_owned(), at, section));
        }
        found
    }

    /// The list of tables under a key, and the place of each in the file.
    pub(super) fn list(&self, key: &str) -> Vec<(usize, Section<'a>)> {
        let Some(value) = self.table.get(key) else {
            return Vec::new();
        };
        let DeValue::Array(list) = value.get_ref() else {
            let reason = format!("must be a list of tables: [[{}]]", self.path(key));
            self.source.note(self.complaint(key, value, reason));
            return Vec::new();
        };
        let pattern = joined(&self.pattern, &format!("{key}[]"));
        let mut found = Vec::new();
        for (index, item) in list.iter().enumerate() {
            let full = format!("{}[{index}]", self.path(key));
            let at = item.span().start;
            let DeValue::Table(inner) = item.get_ref() else {
                let reason = "must be a table".to_owned();
                self.source.note(self.source.key(at, full, reason));
                continue;
            };
            let section = Section::of_table(self.source, full, pattern.clone(), inner);
            found.push((at, section));
        }
        found
    }

    /// What keys were read as together; `None` where they do not go together: that is noted.
    pub(super) fn keep<T>(&self, read: Result<T, ConfigError>) -> Option<T> {
        read.map_err(|problem| self.source.note_together(problem))
            .ok()
    }

    fn table(&self, key: &str) -> Option<&'a DeTable<'a>> {
        let value = self.table.get(key)?;
        match value.get_ref() {
            DeValue::Table(table) => Some(table),
            other => {
                let reason = format!("must be a table, not {}", other.type_str());
                self.source.note(self.complaint(key, value, reason));
                None
            }
        }
    }

    /// Whether a key stands here.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Reads a key's value with `read`; `None` where it does not stand, or is not good: then that
    /// is noted.
    pub(super) fn get<T>(
        &self,
        key: &str,
        read: impl FnOnce(&DeValue<'_>) -> Result<T, String>,
    ) -> Option<T> {
        let value = self.table.get(key)?;
        match read(value.get_ref()) {
            Ok(read) => Some(read),
            Err(reason) => {
                self.source.note(self.complaint(key, value, reason));
                None
            }
        }
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
        joined(&self.name, key)
    }

    fn title(&self) -> String {
        if self.name.is_empty() {
            "the file".to_owned()
        } else {
            format!("[{}]", self.name)
        }
    }
}

fn joined(path: &str, key: &str) -> String {
    match path {
        "" => key.to_owned(),
        path => format!("{path}.{key}"),
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
