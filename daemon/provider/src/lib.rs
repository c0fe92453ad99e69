//! What AI coding CLIs are told, and what they print: arguments going out, activities coming back.
//!
//! Pure: no I/O and no clock. The daemon projects spools to activity logs with it, and the shim
//! holds its time limits with the same parsers.

pub mod activity;
pub mod args;
mod beginning;
pub mod bounds;
mod calls;
mod claude;
mod codex;
mod command;
mod connection;
pub mod decoder;
mod deltas;
pub mod encode;
pub mod env;
mod escape;
pub mod evidence;
mod gemini;
mod held;
pub mod input;
mod json;
mod jsonl;
mod judge;
pub mod kind;
mod label;
mod lines;
pub mod mapping;
mod opencode;
pub mod outcome;
pub mod parser;
mod plan;
pub mod redact;
mod reset;
pub mod run;
mod signal;
#[cfg(test)]
mod testing;
mod text;
pub mod waits;
