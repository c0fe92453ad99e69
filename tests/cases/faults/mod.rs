//! What can happen to a daemon on somebody's machine, and what must hold then: one file for each
//! part of the catalogue (`tests/harness/faults/`). Where a test has a long form, `make test-faults`
//! runs it.

mod catalogue;
mod clients;
mod clock;
mod crash;
mod database;
mod disk;
mod gateway;
mod paths;
mod process;
mod secrets;
