//! Ids, states, requests, cursors, outcomes, secrets: the words every room shares. No I/O, no runtime, no
//! clock.

mod budget;
pub mod cursor;
pub mod hold;
mod evidence;
mod invocation;
mod offset;
pub mod queue;
mod day;
mod price;
mod request;
pub mod retry;
mod secrets;
mod spend;
mod stalls;

pub use budget::{Amount, Budget, BudgetLevel, BudgetScope, Standing, micro_usd};
pub use day::{Zone, day_text};
pub use evidence::Evidence;
pub use invocation::{
    Invocation, InvocationId, Live, Managed, Page, Phase, Query, Queueing, Task, UsageTotals,
};
pub use offset::Offset;
pub use price::{Price, Prices};
pub use request::{Limits, StartBudget, StartRequest};
pub use secrets::{Known, Secrets};
pub use steroids_provider::evidence::Cause;
pub use stalls::{Stall, Stalls};
pub use spend::{dollars, SpendGroup, Spending, SpendKey, SpendQuery, Spent};
pub use steroids_provider::outcome::{Outcome, RowStatus};
