//! Messages to the provider: read by the writing thread, put on record, and handed to its standard
//! input in that order. Each is taken once, however often it is announced.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use steroids_provider::activity::Level;
use steroids_provider::input;
use steroids_shim::input::Input;
use steroids_shim::protocol::Message;
use steroids_shim::spool::{Control, NO_MORE_INPUT};

use super::clock::mono_ms;
use super::feed::Unfed;
use super::keeper::Keeper;
use super::phase::Phase;

/// Messages that one invocation takes at most; each is remembered by its id.
const MOST: usize = 10_000;

/// Tells one message from another.
fn mark(input: &Input) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&input.text, input.end).hash(&mut hasher);
    hasher.finish()
}

impl Keeper {
    /// Has a message read; `Some` is an answer that needs no reading.
    pub(super) fn announce_input(&mut self, id: String) -> Option<Message> {
        let refused = if self.inputs.len() >= MOST && !self.inputs.contains_key(&id) {
            format!("it has had {MOST} messages")
        } else if self.queue.load(id.clone()) {
            // Answered when it was read; also one that was taken before, as it may be another.
            return None;
        } else {
            "too many messages wait to be read".to_owned()
        };
        Some(Message::Input {
            id,
            error: Some(refused),
            is_reused: false,
        })
    }

    /// Takes the messages that were read.
    pub(super) fn take_inputs(&mut self) {
        for (id, read) in self.queue.loaded() {
            let before = self.inputs.get(&id).copied();
            let is_reused =
                matches!((before, &read), (Some(before), Ok(input)) if before != mark(input));
            let refused = match (before, read) {
                (Some(_), _) if is_reused => Some(format!("`{id}` was another message's id")),
                // Announced twice, its file was read the first time.
                (Some(_), _) => None,
                (None, Ok(input)) => match self.take_input(&input) {
                    Ok(()) => {
                        self.inputs.insert(id.clone(), mark(&input));
                        None
                    }
                    Err(refused) => Some(refused),
                },
                (None, Err(error)) => Some(error),
            };
            self.connections.push(&Message::Input {
                id,
                error: refused,
                is_reused,
            });
        }
    }

    fn take_input(&mut self, input: &Input) -> Result<(), String> {
        if self.phase != Phase::Running || self.ended.is_some() {
            return Err("the agent is ending".to_owned());
        }
        let line = match input.text.is_empty() {
            true => String::new(),
            false => input::message(self.kind, &input.text),
        };
        self.feed.check(line.len()).map_err(|unfed| match unfed {
            Unfed::Closed => "its input is closed".to_owned(),
            Unfed::Full { waiting } => {
                format!("{waiting} bytes wait already: it does not read its input")
            }
        })?;
        if !line.is_empty() {
            self.record(&Control::Input {
                msg: input.text.clone(),
            });
            self.feed.push(line.as_bytes());
            // It has something to do again.
            self.course.last_output = mono_ms();
            self.pulse.asked();
        }
        if input.end {
            let why = input.why.as_deref().unwrap_or("was asked for");
            self.close_input(&format!("{NO_MORE_INPUT}, as {why}; its input is closed"));
        }
        Ok(())
    }

    /// Closes the provider's input behind what was written: a tidy end, where it waits for more.
    pub(super) fn close_input(&mut self, why: &str) {
        self.record(&Control::Notice {
            level: Level::Info,
            msg: why.to_owned(),
        });
        self.feed.end();
    }
}
