//! One entry in the journal's own form: `NAME=value` and a newline for each field, or where a value
//! has newlines, the name, the length as 64 bits, and the value.

use std::fmt::{Debug, Write as _};

use tracing::field::{Field, Visit};

use super::Hide;

/// Of a value, so much is kept: a page of text.
const VALUE: usize = 8 << 10;

/// An entry has so much room. The journal takes a datagram of 200 KiB and more in one piece.
const ENTRY: usize = 96 << 10;

/// The journal's own bound for a name.
const NAME: usize = 64;

/// Fields with their secrets taken out.
#[derive(Debug)]
pub(super) struct Fields {
    hide: Hide,
    text: String,
    /// Name as it was given, name in the journal, value.
    all: Vec<(&'static str, String, String)>,
}

impl Fields {
    pub(super) fn new(hide: Hide) -> Fields {
        Fields {
            hide,
            text: String::new(),
            all: Vec::new(),
        }
    }

    /// The text for a person, with the fields behind it.
    pub(super) fn message(&self) -> String {
        let mut message = self.text.clone();
        for (name, _, value) in &self.all {
            // Writing to a String cannot fail.
            let _ = write!(message, " {name}={value}");
        }
        message
    }

    fn set(&mut self, field: &Field, value: &str) {
        let hidden = (self.hide)(value);
        let value = hidden[..hidden.floor_char_boundary(VALUE)].to_owned();
        if field.name() == "message" {
            self.text = value;
            return;
        }
        self.all.retain(|(name, ..)| *name != field.name());
        let name = journal_name(field.name());
        self.all.push((field.name(), name, value));
    }
}

/// `invocation.id` is what a person looks for, and gets the short name.
fn journal_name(name: &str) -> String {
    if name == "invocation.id" {
        return "STEROIDS_INVOCATION".to_owned();
    }
    let upper = name.chars().map(|c| match c {
        'a'..='z' => c.to_ascii_uppercase(),
        'A'..='Z' | '0'..='9' => c,
        _ => '_',
    });
    "STEROIDS_".chars().chain(upper).take(NAME).collect()
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.set(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field, value);
    }
}

/// An entry that is being made.
#[derive(Debug)]
pub(super) struct Entry {
    bytes: Vec<u8>,
    names: Vec<String>,
    priority: u8,
    message: String,
}

impl Entry {
    pub(super) fn new(priority: u8, identifier: &str) -> Entry {
        let mut entry = Entry {
            bytes: Vec::new(),
            names: Vec::new(),
            priority,
            message: String::new(),
        };
        entry.field("PRIORITY", &priority.to_string());
        entry.field("SYSLOG_IDENTIFIER", identifier);
        entry
    }

    /// The text that is shown.
    pub(super) fn message(&mut self, message: &str) {
        self.message = message[..message.floor_char_boundary(VALUE)].to_owned();
        let message = self.message.clone();
        self.field("MESSAGE", &message);
    }

    /// What is there already goes before.
    pub(super) fn fields(&mut self, fields: &Fields) {
        for (_, name, value) in &fields.all {
            if !self.names.contains(name) {
                self.field(name, value);
                self.names.push(name.clone());
            }
        }
    }

    /// One field; left out where there is no room for it.
    pub(super) fn field(&mut self, name: &str, value: &str) {
        if self.bytes.len() + name.len() + value.len() > ENTRY {
            return;
        }
        self.bytes.extend_from_slice(name.as_bytes());
        if value.contains('\n') {
            self.bytes.push(b'\n');
            self.bytes
                .extend_from_slice(&(value.len() as u64).to_le_bytes());
        } else {
            self.bytes.push(b'=');
        }
        self.bytes.extend_from_slice(value.as_bytes());
        self.bytes.push(b'\n');
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The same for a person, as a line that says its priority.
    pub(super) fn line(&self) -> String {
        let message = self.message.replace('\n', " ");
        format!("<{}>{message}\n", self.priority)
    }
}
