//! The secrets of the invocations in our care, for whoever writes a text that could quote one: our
//! own log. Tokens that are known by their shape are hidden there always.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use steroids_provider::redact::{Redaction, Redactor};

/// What must not be shown now. Cheap to clone; all clones know the same.
#[derive(Debug, Clone)]
pub struct Secrets {
    shapes: Redactor,
    // Held for a change or a copy of the list, never while a text is looked through.
    known: Arc<Mutex<Numbered>>,
}

#[derive(Debug, Default)]
struct Numbered {
    last: u64,
    redactors: BTreeMap<u64, Redactor>,
}

/// One invocation's secrets are known as long as this is there.
#[derive(Debug)]
pub struct Known {
    secrets: Secrets,
    number: u64,
}

impl Default for Secrets {
    fn default() -> Self {
        Secrets {
            shapes: Redactor::of_shapes(),
            known: Arc::default(),
        }
    }
}

impl Secrets {
    /// Hides these too, until the answer is dropped.
    pub fn know(&self, redactor: Redactor) -> Known {
        let mut known = self.lock();
        known.last += 1;
        let number = known.last;
        known.redactors.insert(number, redactor);
        Known {
            secrets: self.clone(),
            number,
        }
    }

    /// Hides these values, each under its name, until the answer is dropped.
    pub fn know_values(&self, named: &[(String, String)]) -> Known {
        let redaction = Redaction {
            variables: named.iter().map(|(name, _)| name.clone()).collect(),
            patterns: Vec::new(),
        };
        self.know(Redactor::new(&redaction, named, false))
    }

    /// The text without them.
    pub fn hide<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let known: Vec<Redactor> = self.lock().redactors.values().cloned().collect();
        known.iter().fold(self.shapes.text(text), |text, redactor| {
            let redacted = match redactor.text(&text) {
                Cow::Owned(redacted) => Some(redacted),
                Cow::Borrowed(_) => None,
            };
            redacted.map_or(text, Cow::Owned)
        })
    }

    fn lock(&self) -> MutexGuard<'_, Numbered> {
        // Every change is one call, so it is whole whatever panicked meanwhile.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Known {
    fn drop(&mut self) {
        self.secrets.lock().redactors.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden_while_they_are_known_and_tokens_always() {
        let secrets = Secrets::default();
        let env = [("API_KEY".to_owned(), "open-sesame-42".to_owned())];
        let redactor = Redactor::new(&Redaction::of(&env, &[], &[]), &env, false);
        let known = secrets.clone().know(redactor);
        let text = "open-sesame-42 AKIAIOSFODNN7EXAMPLE";
        assert_eq!(secrets.hide(text), "[redacted API_KEY] [redacted]");
        drop(known);
        assert_eq!(secrets.hide(text), "open-sesame-42 [redacted]");
    }
}
