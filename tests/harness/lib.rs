//! What end-to-end tests are built from. A test begins with a [`Home`]: a temporary folder that
//! stands for the user's, with state, runtime and configuration folders of its own. In it a
//! [`Daemon`] (the real binary) is started, and asked by a [`Ctl`] (the real `steroidsctl`) or by
//! an [`Rpc`] (plain gRPC).
//!
//! Promises: nothing outside the home is touched, and when the home is dropped no process that was
//! started in it is alive. Everything here panics with what it knows (the daemon's log included)
//! rather than return an error: its callers are tests.

pub mod binaries;
pub mod browser;
pub mod cgroup;
mod ctl;
mod cut_disk;
mod daemon;
pub mod docs;
pub mod failpoints;
mod failure;
pub mod faults;
pub mod gateway;
mod home;
mod hung_disk;
pub mod lab;
pub mod log;
pub mod old_database;
pub mod oracle;
pub mod processes;
mod puppet;
pub mod receiver;
pub mod recording;
mod reproject;
pub mod rpc;
mod screen;
pub mod shim;
pub mod skip;
mod small_disk;
mod spec;
mod wait;
pub mod wire;

pub use browser::{Browser, Page};
pub use ctl::{Ctl, Output, Terminal};
pub use cut_disk::CutDisk;
pub use daemon::{Daemon, Refused};
pub use failpoints::FailPoints;
pub use gateway::{Gateway, served, served_with};
pub use home::Home;
pub use hung_disk::{Hung, HungDisk};
pub use lab::Lab;
pub use puppet::Puppet;
pub use reproject::{assert_undisturbed, reprojected};
pub use rpc::{Followed, Rpc, invocation, task};
pub use screen::{Screen, Window};
pub use small_disk::SmallDisk;
pub use spec::plain_spec;
pub use wait::{eventually, patience, within};
pub use wire::Wire;
