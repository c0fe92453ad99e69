//! The unit of the user's service manager in which a shim may run: its name says whose it is.

/// Of an invocation's unit.
pub fn name(uuid: &str) -> String {
    format!("steroids-inv-{uuid}.service")
}
