//! The command lines of what ships.

use clap::{Arg, ArgAction, Command, CommandFactory as _};
use steroids_shim::usage;

/// The daemon.
pub(crate) fn daemon() -> Command {
    steroidsd::cli::Arguments::command()
}

/// The gateway.
pub(crate) fn gateway() -> Command {
    steroids_gateway::cli::Arguments::command()
}

/// All of them.
pub fn programs() -> [Command; 4] {
    [daemon(), shim(), steroidsctl::command(), gateway()]
}

/// The shim parses its two flags itself, and lends what it says of them.
fn shim() -> Command {
    let flags = usage::FLAGS.map(|(name, help)| {
        let flag = Arg::new(name).long(name).help(help);
        flag.action(ArgAction::SetTrue)
    });
    let mut exits = String::from("Exit codes:\n");
    for (code, what) in usage::EXITS {
        exits.push_str(&format!("  {code}  {what}\n"));
    }
    Command::new("steroids-shim")
        .version(env!("CARGO_PKG_VERSION"))
        .disable_help_flag(true)
        .disable_version_flag(true)
        .about(usage::ABOUT)
        .long_about(usage::DESCRIPTION)
        .override_usage(
            usage::FORMS
                .map(|form| format!("steroids-shim {form}"))
                .join("\n"),
        )
        .args(flags)
        .after_help(exits)
}
