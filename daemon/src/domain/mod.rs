//! Ids, states, requests, cursors, outcomes, secrets: the words every room shares. No I/O, no runtime, no
//! clock.

pub mod cursor;
mod invocation;
mod offset;
mod request;
mod secrets;

pub use invocation::{
    Invocation, InvocationId, Live, Managed, Page, Phase, Query, Task, UsageTotals,
};
pub use offset::Offset;
pub use request::{Limits, StartRequest};
pub use secrets::{Known, Secrets};
pub use steroids_provider::outcome::{Outcome, RowStatus};
