//! The built gateway at its socket, byte for byte: who is let in, what is answered to whom, and how
//! it starts and stops.

#![expect(clippy::unwrap_used, reason = "a test that fails here says where")]

#[expect(dead_code, reason = "the tests of the client use the rest")]
#[path = "../../../tests/fake/mod.rs"]
mod fake;

mod api;
mod doors;
mod gateway;
mod life;
mod limits;
mod token;
