//! Ids, states, requests, cursors, outcomes, secrets: the words every room shares. No I/O, no runtime, no
//! clock.

mod budget;
pub mod cursor;
mod day;
mod escapes;
mod evidence;
pub mod hold;
mod invocation;
mod offset;
mod price;
mod question;
pub mod queue;
mod request;
mod resources;
pub mod retry;
mod secrets;
mod shell;
mod spend;
mod stalls;

pub use budget::{Amount, Budget, BudgetLevel, BudgetScope, Standing, micro_usd, usd};
pub use day::{Zone, day_text};
pub use escapes::without_escapes;
pub use evidence::Evidence;
pub use invocation::{
    Invocation, InvocationId, Live, Managed, Page, Phase, Query, Queueing, Task, UsageTotals,
};
pub use offset::Offset;
pub use price::{Price, Prices};
pub use question::is_question;
pub use request::{Again, Limits, StartBudget, StartRequest};
pub use resources::{Resources, StartResources, Used};
pub use secrets::{Known, Secrets};
pub use shell::shell_word;
pub use spend::{SpendGroup, SpendKey, SpendQuery, Spending, Spent, dollars};
pub use stalls::{Asking, Stall, Stalls};
pub use steroids_provider::bounds::USD_LIMIT;
pub use steroids_provider::evidence::Cause;
pub use steroids_provider::outcome::{Outcome, RowStatus};
