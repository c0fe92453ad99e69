//! steroidsd: runs AI coding agents unattended and keeps every line they print.
//!
//! The rooms, from the top of the stack down: each imports only what stands below it.

// Builds the rooms bottom up, starts their tasks, waits for the end, takes them down in order.
pub mod run;

// The command line, flags and all.
pub mod cli;

// File, environment and flags into one checked value, made of each room's settings.
pub mod config;

// The daemon's own log, on stderr.
pub mod logging;

// gRPC in and out, and nothing but it.
pub mod service;

// The periodic pass: reconcile, retention, spool clean-up.
pub mod wakeup;

// What may go, and removing it.
pub mod retention;

// A task's story, sampled.
pub mod timeline;

// Any part of a log, without the rest.
pub mod browse;

// Tells others of what happened: commands, HTTP, notifications.
pub mod hooks;

// Tells an OpenTelemetry collector of invocations.
pub mod otlp;

// One subscriber: from a cursor to the end, then live.
pub mod follow;

// One task per invocation; its start, its stop, and who takes it up after a restart.
pub mod supervise;

// Starts a shim.
pub mod launch;

// Spool to activities to log, exactly once; then the row.
pub mod projection;

// Which folders are projects, opened safely once.
pub mod projects;

// SQLite: the only SQL.
pub mod store;

// Log files: append, read, recover.
pub mod activity_log;

// The kernel's word that a file has grown, as hints that carry no data.
pub mod watch;

// What the daemon counts of its own work.
pub mod counts;

// Ids, states, cursors, requests: no I/O, no runtime, no clock.
pub mod domain;
