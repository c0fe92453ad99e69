//! The keys of the configuration file: one table, from which all who speak of them take their words.
//!
//! The daemon's parser takes from it which keys there are, `config show` their defaults, and the
//! reference page and the manual page are made of it. What a value has to look like in detail, and
//! what it does, is the parser's and the rooms' business; tests hold the defaults in here against
//! theirs. To add a key, add a row in `rows.rs` and read it in the daemon's `config`.
//!
//! A table has a pattern for a name: `providers.*` stands for each table below `[providers]`,
//! `hooks[]` for each `[[hooks]]`.

mod listing;
mod page;
mod rows;

pub use listing::{Entry, Listing, Origin, Set};
pub use page::{cell, page};
pub use rows::{KEYS, TABLES};

/// A table of the file.
#[derive(Debug, Clone, Copy)]
pub struct Table {
    /// Its pattern.
    pub path: &'static str,
    /// One or two sentences.
    pub doc: &'static str,
}

/// A key of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// Pattern of the table it stands in.
    pub table: &'static str,
    /// The key itself.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// What counts where it is not set.
    pub default: Preset,
    /// When a change to it counts.
    pub change: Change,
    /// One sentence.
    pub doc: &'static str,
}

/// What a key holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A text.
    Text,
    /// A text that is shown to nobody.
    Secret,
    /// A table of texts that are shown to nobody.
    Secrets,
    /// An address of which only scheme and host are shown.
    Url,
    /// A list of texts.
    Texts,
    /// An absolute path.
    Path,
    /// `"500ms"`, `"2s"`, `"15m"`, `"2h"`.
    Duration,
    /// `"200 MiB"`, `"10 GB"`.
    Size,
    /// A whole number from one bound to the other.
    Number(u32, u32),
    /// Days, as a whole number; 0 is for ever.
    Days,
    /// `true` or `false`.
    Yes,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A list of these words.
    Choices(&'static [&'static str]),
    /// From 0.0 to 1.0.
    Share,
    /// `"150%"`, of one processor.
    Percent,
    /// A whole number, or `""` for no bound.
    Tasks,
    /// US dollars.
    Dollars,
    /// US dollars for a million tokens.
    Price,
    /// A whole number of tokens.
    Tokens,
    /// A JSON pointer, or a list of which the first with something counts.
    Pointer,
    /// A table, as its sentence says.
    Inline,
    /// `true`, `false`, or a JSON pointer.
    Flag,
}

/// What counts where a key is not set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// This value, as it would be written.
    Is(&'static str),
    /// Something that no value says.
    Else(&'static str),
    /// It has to be set.
    Needed,
}

/// When a changed key counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Once the daemon has read the file again.
    Reload,
    /// Once the daemon was started again.
    Restart,
    /// Once the gateway was started again: it alone reads it.
    Gateway,
}

// === impl Table ===

impl Table {
    /// As it is written in the file: `[providers.NAME]`, `[[hooks]]`.
    pub fn title(&self) -> String {
        match self.path.strip_suffix("[]") {
            Some(list) => format!("[[{}]]", list.replace('*', "NAME")),
            None => format!("[{}]", self.path.replace('*', "NAME")),
        }
    }
}

// === impl Key ===

impl Key {
    /// What counts where it is not set, in Markdown.
    pub fn default_words(&self) -> String {
        match self.default {
            Preset::Is(value) => format!("`{value}`"),
            Preset::Else(words) => words.to_owned(),
            Preset::Needed => "must be set".to_owned(),
        }
    }

    /// The key with its table: `daemon.max_running`, `providers.*.command`.
    pub fn path(&self) -> String {
        format!("{}.{}", self.table, self.name)
    }

    /// Whether its value is for nobody's eyes.
    pub fn is_secret(&self) -> bool {
        matches!(self.kind, Kind::Secret | Kind::Secrets | Kind::Url)
    }
}

// === impl Kind ===

impl Kind {
    /// What it holds, in words.
    pub fn words(self) -> String {
        let listed = |words: &[&str]| {
            let quoted: Vec<_> = words.iter().map(|word| format!("\"{word}\"")).collect();
            quoted.join(", ")
        };
        match self {
            Kind::Text => "text".to_owned(),
            Kind::Secret => "text, never shown".to_owned(),
            Kind::Secrets => "table of texts, never shown".to_owned(),
            Kind::Url => "address, shown without its path".to_owned(),
            Kind::Texts => "list of texts".to_owned(),
            Kind::Path => "absolute path".to_owned(),
            Kind::Duration => "duration".to_owned(),
            Kind::Size => "size".to_owned(),
            Kind::Number(low, high) => format!("whole number from {low} to {high}"),
            Kind::Days => "days, from 0 to 36500".to_owned(),
            Kind::Yes => "true or false".to_owned(),
            Kind::Choice(words) => format!("one of {}", listed(words)),
            Kind::Choices(words) => format!("list of {}", listed(words)),
            Kind::Percent => "a percentage in quotes".to_owned(),
            Kind::Tasks => "a whole number, or `\"\"`".to_owned(),
            Kind::Share => "a number from 0.0 to 1.0".to_owned(),
            Kind::Dollars => "US dollars".to_owned(),
            Kind::Price => "US dollars for a million tokens".to_owned(),
            Kind::Tokens => "number of tokens".to_owned(),
            Kind::Pointer => "JSON pointer, or a list of them".to_owned(),
            Kind::Inline => "table".to_owned(),
            Kind::Flag => "true, false, or a JSON pointer".to_owned(),
        }
    }
}

// === impl Change ===

impl Change {
    /// When it counts, in words.
    pub fn words(self) -> &'static str {
        match self {
            Change::Reload => "reload",
            Change::Restart => "restart",
            Change::Gateway => "restart of the gateway",
        }
    }
}

/// The row of a key in a table, by the table's pattern.
pub fn find(table: &str, name: &str) -> Option<&'static Key> {
    KEYS.iter()
        .find(|key| key.table == table && key.name == name)
}

/// All that may stand in a table, by its pattern: its keys, then the tables in it. The empty pattern
/// is the file itself.
pub fn known(table: &str) -> Vec<&'static str> {
    let keys = KEYS.iter().filter(|key| key.table == table);
    let mut known: Vec<_> = keys.map(|key| key.name).collect();
    for inner in TABLES.iter().filter_map(|inner| below(inner.path, table)) {
        if !known.contains(&inner) {
            known.push(inner);
        }
    }
    known
}

/// The name by which a table stands directly in another one.
fn below(path: &'static str, table: &str) -> Option<&'static str> {
    let rest = match table {
        "" => path,
        table => path.strip_prefix(table)?.strip_prefix('.')?,
    };
    let name = rest.strip_suffix("[]").or(rest.strip_suffix(".*"));
    let name = name.unwrap_or(rest);
    (!name.contains(['.', '*', '['])).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_has_a_table_and_one_row() {
        for (at, key) in KEYS.iter().enumerate() {
            let path = key.path();
            let table = TABLES.iter().any(|table| table.path == key.table);
            assert!(table, "{path} has no table");
            let again = KEYS[at + 1..].iter().any(|other| other.path() == path);
            assert!(!again, "{path} stands twice");
            assert!(key.doc.ends_with('.'), "{path}: {}", key.doc);
        }
    }

    #[test]
    fn every_default_is_a_value() {
        for key in KEYS {
            if let Preset::Is(value) = key.default {
                let text = format!("x = {value}");
                assert!(text.parse::<toml::Table>().is_ok(), "{}", key.path());
            }
        }
    }

    #[test]
    fn a_table_knows_its_keys_and_the_tables_in_it() {
        assert_eq!(known("")[..2], ["daemon", "projects"]);
        assert!(known("").contains(&"providers"));
        assert!(known("").contains(&"hooks"));
        assert!(!known("").contains(&"events"));
        let provider = known("providers.*");
        assert!(provider.contains(&"command") && provider.contains(&"events"));
        assert!(provider.contains(&"retry"), "{provider:?}");
        assert_eq!(known("providers.*.retry"), ["on", "max"]);
        assert!(known("nothing").is_empty());
    }
}
