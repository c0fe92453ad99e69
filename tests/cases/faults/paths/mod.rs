//! See `tests/harness/faults/paths.rs`.

mod copied;
mod descriptors;
mod gone;
mod moved;
mod old_path;
mod projects;
mod root;
mod scene;
mod sockets;
mod state;
mod strangers;
mod swapped;
