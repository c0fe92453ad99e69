//! What the daemon counts of its own work, for whoever watches over it: how much was started and how
//! it ended, how long a database takes. Counted since the daemon started, in bounded room; a count
//! takes a lock for an addition at most, and nothing is ever waited for.

mod invocations;
mod latency;

pub use invocations::{Counts, Ended, HoldSet, Invocations, Used};
pub use latency::{Bucket, Latency, Measured};
