//! Owns every running invocation: starts it, watches over it, ends it when asked, and after a
//! restart takes up those that are there.
//!
//! One task (a *job*) owns one invocation from the moment its shim runs until its row is final;
//! others send it requests and watch what it publishes. A job holds nothing that is needed: when the
//! daemon goes, shim and provider go on, and the next daemon's reconcile makes a new job.
//!
//! ```text
//! start:     row (running) ──> spec.json ──> shim holds the lock ──> answer
//! reconcile: state folder  ──> lock held: adopt │ exit record: finish │ neither: lost
//! end:       exit.json ──> terminal line, synced ──> row, in one transaction
//! ```

mod admit;
mod error;
mod finish;
mod floors;
mod job;
mod keep;
mod link;
mod lost;
mod prepare;
mod reconcile;
mod settings;
mod start;
mod stop;
mod supervisor;
#[cfg(test)]
mod tests;
mod troubles;
mod turns;
mod vitals;

pub use error::{StartError, StopError};
pub use prepare::MAX_PROMPT_BYTES;
pub use reconcile::{Reconciled, Scope};
pub use settings::{DefaultLimits, ProviderSettings, RedactionSettings, Settings};
pub use supervisor::Supervisor;
pub use vitals::{Beat, Vitals};
