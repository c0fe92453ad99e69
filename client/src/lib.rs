//! The client's side of steroidsd: finds the socket, connects, calls by type, and follows activity
//! logs across restarts of the daemon.
//!
//! It prints nothing, reads no configuration file and decides nothing for its caller: what went
//! wrong comes back as a typed error that says what, where, and what to do about it.

mod backoff;
mod client;
mod connect;
mod follow;
pub mod holder;
pub mod json;
pub mod paths;
mod refusal;
mod splice;

pub use backoff::Backoff;
pub use client::Client;
pub use connect::{ConnectError, connect, connect_to_own};
pub use follow::{Follow, FollowError, Item};
pub use refusal::Refusal;
pub use splice::{Splice, splice, splice_invocation, unspliced};
pub use steroids_proto::v1;
