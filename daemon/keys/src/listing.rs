//! What counts, key by key, and where each value comes from: out of the file's text, what stands
//! above it, and the defaults. It does not judge values; a parser has or will.

use std::fmt::Write as _;

use toml::de::{DeArray, DeTable, DeValue};
use toml::{Table, Value};

use super::{Change, KEYS, Key, Kind, Preset, find};

/// Stands for what nobody is to see.
const MASK: &str = "\"…\"";

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// A line of the file, counted from one.
    File(usize),
    /// A variable of the environment.
    Variable(&'static str),
    /// A flag.
    Flag(&'static str),
}

/// A key and what counts for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// With its table: `daemon.max_running`, `hooks[0].name`.
    pub path: String,
    /// As it is written in the file; `None` where no value says it (see [`Entry::row`]).
    pub value: Option<String>,
    /// Where it comes from.
    pub origin: Origin,
    /// Its row; `None` for a key that does not exist.
    pub row: Option<&'static Key>,
}

/// What is set outside of the file, and wins.
#[derive(Debug, Clone)]
pub struct Set {
    /// The key with its table.
    pub path: &'static str,
    /// As it would be written in the file.
    pub value: String,
    /// Who says so; [`Origin::Default`] for a default that is no constant, which wins over nothing.
    pub origin: Origin,
}

/// All keys that count, in the order of the rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// The keys of tables that are always there, and those that are set in the others.
    pub entries: Vec<Entry>,
}

// === impl Listing ===

impl Listing {
    /// Lists what a file's text says, with what is set elsewhere. A text that is no TOML says nothing.
    pub fn of(text: &str, set: &[Set]) -> Listing {
        let mut found = Vec::new();
        if let (Ok(places), Ok(values)) = (DeTable::parse(text), text.parse::<Table>()) {
            let walk = Walk { text };
            walk.table(&mut found, "", "", places.get_ref(), &values);
        }
        let mut entries = Vec::new();
        for key in KEYS.iter().filter(|key| is_single(key)) {
            let path = key.path();
            let in_file = found.iter().position(|entry: &Entry| entry.path == path);
            let in_file = in_file.map(|at| found.remove(at));
            entries.push(counts(key, in_file, set));
        }
        entries.extend(found);
        // A stable sort: keys of one table in the order of the rows, those of the file behind.
        entries.sort_by_key(|entry| entry.row.map_or(usize::MAX, place));
        Listing { entries }
    }

    /// The entry of a key.
    pub fn get(&self, path: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.path == path)
    }

    /// What counts once a newer one was read by a daemon that goes on: of keys that take a restart, what
    /// counted before.
    #[must_use]
    pub fn reloaded(&self, newer: Listing) -> Listing {
        let is_taken = |entry: &Entry| entry.row.is_some_and(|row| row.change == Change::Reload);
        let kept = self.entries.iter().filter(|entry| !is_taken(entry));
        let is_gone = |entry: &&Entry| newer.get(&entry.path).is_none();
        let gone: Vec<Entry> = kept.filter(is_gone).cloned().collect();
        let counting = newer.entries.into_iter();
        let counting = counting.filter_map(|entry| match is_taken(&entry) {
            true => Some(entry),
            false => self.get(&entry.path).cloned(),
        });
        let mut entries: Vec<Entry> = counting.chain(gone).collect();
        entries.sort_by_key(|entry| entry.row.map_or(usize::MAX, place));
        Listing { entries }
    }

    /// The keys that this listing and another one differ in, whoever says them.
    pub fn differences(&self, other: &Listing) -> Vec<String> {
        let value = |listing: &Listing, path: &str| listing.get(path).map(|it| it.value.clone());
        let mut differ = Vec::new();
        for entry in self.entries.iter().chain(&other.entries) {
            let path = &entry.path;
            if value(self, path) != value(other, path) && !differ.contains(path) {
                differ.push(path.clone());
            }
        }
        differ
    }
}

/// Whether a key stands in a table that is always there, and only once.
fn is_single(key: &Key) -> bool {
    !key.table.contains(['*', '['])
}

/// Where a key's table begins, so that tables stay together.
fn place(key: &Key) -> usize {
    let first = KEYS.iter().position(|other| other.table == key.table);
    first.unwrap_or(usize::MAX)
}

fn counts(key: &'static Key, in_file: Option<Entry>, set: &[Set]) -> Entry {
    let path = key.path();
    let entry = |value, origin| Entry {
        path: path.clone(),
        value,
        origin,
        row: Some(key),
    };
    let set = set.iter().find(|set| set.path == path);
    match (set, in_file, key.default) {
        (Some(set), None, _) => entry(Some(set.value.clone()), set.origin.clone()),
        (Some(set), Some(_), _) if set.origin != Origin::Default => {
            entry(Some(set.value.clone()), set.origin.clone())
        }
        (_, Some(in_file), _) => in_file,
        (None, None, Preset::Is(value)) => entry(Some(value.to_owned()), Origin::Default),
        (None, None, Preset::Else(_) | Preset::Needed) => entry(None, Origin::Default),
    }
}

// === impl Origin ===

impl Origin {
    /// Its word, the line of the file, and the variable or flag; 0 and nothing where there is none.
    pub fn words(&self) -> (&'static str, usize, &'static str) {
        match self {
            Origin::Default => ("default", 0, ""),
            Origin::File(line) => ("file", *line, ""),
            Origin::Variable(name) => ("environment", 0, name),
            Origin::Flag(name) => ("flag", 0, name),
        }
    }
}

// === impl Entry ===

impl Entry {
    /// What counts where there is no value, in words.
    pub fn instead(&self) -> String {
        match self.value {
            Some(_) => String::new(),
            None => self.row.map(Key::default_words).unwrap_or_default(),
        }
    }

    /// Its value for people to see: without what is secret.
    pub fn shown(&self) -> Option<String> {
        let value = self.value.as_ref()?;
        let shown = match self.row.map(|row| row.kind) {
            Some(Kind::Secret) => MASK.to_owned(),
            Some(Kind::Secrets) => masked(value),
            Some(Kind::Url) => host(value),
            Some(_) => value.clone(),
            // Whatever it is, nobody said that it may be shown.
            None => MASK.to_owned(),
        };
        Some(shown)
    }
}

/// A table with its keys, and nothing of its values.
fn masked(value: &str) -> String {
    let Ok(table) = format!("x = {value}").parse::<Table>() else {
        return MASK.to_owned();
    };
    let Some(Value::Table(inner)) = table.get("x") else {
        return MASK.to_owned();
    };
    let keys: Vec<_> = inner.keys().map(|key| format!("{key} = {MASK}")).collect();
    match keys.is_empty() {
        true => "{}".to_owned(),
        false => format!("{{ {} }}", keys.join(", ")),
    }
}

/// Scheme and host of an address.
fn host(value: &str) -> String {
    let address = value.trim_matches(['"', '\'']);
    let Some((scheme, rest)) = address.split_once("://") else {
        return MASK.to_owned();
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    format!("\"{scheme}://{host}/…\"")
}

/// A walk through a file, whose places and values are in two trees of the same shape.
struct Walk<'a> {
    text: &'a str,
}

impl Walk<'_> {
    fn table(
        &self,
        found: &mut Vec<Entry>,
        pattern: &str,
        path: &str,
        places: &DeTable<'_>,
        values: &Table,
    ) {
        for (name, place) in places {
            let (at, name) = (name.span().start, name.get_ref().as_ref());
            let Some(value) = values.get(name) else {
                continue;
            };
            let row = find(pattern, name);
            let inner = join(path, name);
            match (place.get_ref(), value) {
                (DeValue::Table(places), Value::Table(values)) if row.is_none() => {
                    let any = join(pattern, "*");
                    let pattern = if has(&any) { any } else { join(pattern, name) };
                    self.table(found, &pattern, &inner, places, values);
                }
                (DeValue::Array(places), Value::Array(values)) if row.is_none() => {
                    let pattern = format!("{}[]", join(pattern, name));
                    self.list(found, &pattern, &inner, places, values);
                }
                _ => found.push(Entry {
                    path: inner,
                    value: Some(value.to_string()),
                    origin: Origin::File(self.line(at)),
                    row,
                }),
            }
        }
    }

    fn list(
        &self,
        found: &mut Vec<Entry>,
        pattern: &str,
        path: &str,
        places: &DeArray<'_>,
        values: &[Value],
    ) {
        for (at, (place, value)) in places.iter().zip(values).enumerate() {
            if let (DeValue::Table(places), Value::Table(values)) = (place.get_ref(), value) {
                let path = format!("{path}[{at}]");
                self.table(found, pattern, &path, places, values);
            }
        }
    }

    fn line(&self, at: usize) -> usize {
        let before = self.text.get(..at).unwrap_or(self.text);
        before.bytes().filter(|byte| *byte == b'\n').count() + 1
    }
}

/// Whether there is a table of this pattern.
fn has(pattern: &str) -> bool {
    super::TABLES.iter().any(|table| table.path == pattern)
}

/// A key below a path, in quotes where it needs them.
fn join(path: &str, name: &str) -> String {
    let is_bare = |byte: u8| byte.is_ascii_alphanumeric() || b"_-*".contains(&byte);
    let mut joined = path.to_owned();
    if !joined.is_empty() {
        joined.push('.');
    }
    // Writing to a String cannot fail.
    let _ = match !name.is_empty() && name.bytes().all(is_bare) {
        true => write!(joined, "{name}"),
        false => write!(joined, "{name:?}"),
    };
    joined
}

#[cfg(test)]
mod tests;
