//! Owns every running invocation: starts it, watches over it, ends it when asked, and after a
//! restart takes up those that are there.
//!
//! One task (a *job*) owns one invocation from the moment its shim runs until its row is final;
//! others send it requests and watch what it publishes. A job holds nothing that is needed: when the
//! daemon goes, shim and provider go on, and the next daemon's reconcile makes a new job.
//!
//! ```text
//! start:     row (running) ──> spec.json ──> shim holds the lock ──> answer
//! no place:  queued.json ──> row (queued) ──> answer; later row (running), and as above
//! reconcile: state folder  ──> lock held: adopt │ exit record: finish │ neither: lost
//! end:       exit.json ──> terminal line, synced ──> row, in one transaction
//! ```

mod address;
mod admit;
mod again;
mod ahead;
mod announce;
mod audience;
mod behind;
mod budget;
mod cared;
mod census;
mod dependency;
mod dependents;
mod door;
mod drafts;
mod elsewhere;
mod ends;
mod error;
mod finish;
mod floors;
mod folderless;
mod foreign;
mod forget;
mod holds;
mod input;
mod job;
mod keep;
mod lacking;
mod ledger;
mod line;
mod link;
mod listen;
mod lost;
mod meter;
mod moved;
mod obey;
mod open_rows;
mod prepare;
mod proof;
mod put_back;
mod queue;
mod reasons;
mod reconcile;
mod reproject;
mod requested;
mod resources;
mod resume;
mod retry;
mod room;
mod settings;
mod spend;
mod stalls;
mod start;
mod starts;
mod stop;
mod stopped;
mod strays;
mod supervisor;
mod terms;
#[cfg(test)]
pub(crate) mod tests;
mod troubles;
mod turns;
mod unknown;
mod unreadable;
mod vitals;
mod waiting;
mod wakes;
mod whereabouts;
mod withdraw;
mod work;
mod zone;

pub use audience::Onlooker;
pub use behind::{Behind, Standings};
pub use budget::Budgets;
pub use cared::Cared;
pub use elsewhere::Elsewhere;
pub use ends::{EndedRun, Ends};
pub use error::{InputError, StartError, StopError};
pub use forget::{Forget, ForgetError};
pub use holds::{HeldProvider, HoldError};
pub use input::Sent;
pub use lacking::NO_SHIM;
pub use prepare::{MAX_PROMPT_BYTES, MAX_RETRIES};
pub use reasons::said;
pub use reconcile::{Reconciled, Scope};
pub use reproject::{Did, Reproject, ReprojectError, Reprojected};
pub use resources::check as check_resources;
pub use retry::RetryError;
pub use settings::{
    DefaultLimits, ProviderQueue, ProviderSettings, QueueSettings, RedactionSettings, Settings,
};
pub use spend::Account;
pub use stop::StillEnding;
pub use supervisor::Supervisor;
pub use terms::Terms;
pub use troubles::put_back;
pub use unknown::UnknownEvents;
pub use vitals::{Beat, Held, Place, Vitals};
