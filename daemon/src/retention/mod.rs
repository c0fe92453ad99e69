//! What is deleted, and when: logs by age, state folders by age and by the room they take.
//!
//! [`policy`] says what may go, from plain facts; [`clock`] whether there are ages at all; [`sweep`]
//! finds the facts and removes; [`stored`] says how much room is taken. What belongs to an invocation that is not over is never among it,
//! whatever its age.

pub mod clock;
pub mod policy;
pub mod stored;
pub mod sweep;

pub use stored::Stored;
pub use sweep::Swept;

/// What may be removed, and when; `None` is no bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Age of an ended invocation's activity log, in days.
    pub log_days: Option<u32>,
    /// Age of an ended invocation's state folder, in days.
    pub spool_days: Option<u32>,
    /// All state folders together, in bytes.
    pub max_bytes: Option<u64>,
}
