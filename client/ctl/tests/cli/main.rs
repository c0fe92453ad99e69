//! The built program against a fake daemon on a real socket: what a person and a script see.

#![expect(clippy::unwrap_used, reason = "a test that fails here says where")]

#[path = "../../../tests/fake/mod.rs"]
mod fake;

mod config;
mod doctor;
mod errors;
mod harness;
mod left;
mod reading;
mod retry;
mod start;
mod stream;
mod terminal;
mod web;
mod which;
mod words;
