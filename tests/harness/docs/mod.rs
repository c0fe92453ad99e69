//! The documentation as something that can be tried: its pages, their blocks of code, the links and
//! the command lines in them, and a shell in which blocks are run as a reader would.
//!
//! | a block begins with | and is |
//! |---|---|
//! | `` ```console `` | run, line by line behind `$ `; what it prints must fit the lines below |
//! | `` ```sh run `` | run; each of its commands must end with 0 |
//! | `` ```js run `` | run in a browser, on a page of the gateway; `//> ` says what it logs |
//! | `` ```toml `` | read as a configuration, unless it is marked `excerpt` |
//!
//! Blocks of a page are run in their order, in one shell. `…` stands for any text, and as a line of
//! its own for any lines. Clock times, spans, sizes and the like may differ.

mod commands;
mod expected;
mod links;
mod page;
mod shell;

pub use commands::{Call, calls};
pub use expected::fits;
pub use links::broken;
pub use page::{Block, Page, Step, pages};
pub use shell::{Ran, Shell};
