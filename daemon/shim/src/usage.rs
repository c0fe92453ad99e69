//! What `steroids-shim` says of itself. It has too few words for a parser's crate; its manual page is
//! made from the same.

/// In a line.
pub const ABOUT: &str = "Runs one provider for steroidsd, and keeps what it prints";

/// In some more.
pub const DESCRIPTION: &str = "\
Started by steroidsd, one for each invocation; nobody needs to start it by hand. It runs the provider \
that INVDIR/spec.json describes, keeps all that it prints in INVDIR/spool, holds it to its limits, \
and writes INVDIR/exit.json when it has ended, whether or not the daemon is there.";

/// Ways to call it, without its name.
pub const FORMS: [&str; 3] = [
    "[--daemonize] [--standby] INVDIR",
    "--guard PROGRAM [ARGUMENTS]",
    "--help | --version",
];

/// Its flags.
pub const FLAGS: [(&str, &str); 5] = [
    (
        "daemonize",
        "Answer as soon as it is known whether the provider runs, and live on",
    ),
    (
        "standby",
        "Look at nothing until a byte comes on standard input; end where none does",
    ),
    (
        "guard",
        "Run a program that must not outlive who asked for it, as hooks are run",
    ),
    ("help", "Print help"),
    ("version", "Print version"),
];

/// Its exit codes.
pub const EXITS: [(&str, &str); 3] = [
    (
        "0",
        "the provider was run to its end, or with --daemonize, runs",
    ),
    (
        "1",
        "the invocation could not be taken over; nothing was started",
    ),
    ("2", "the command line makes no sense"),
];

/// All of it.
pub fn help() -> String {
    let mut text = format!("{ABOUT}\n\n{DESCRIPTION}\n\n");
    for (index, form) in FORMS.iter().enumerate() {
        let lead = if index == 0 { "Usage:" } else { "      " };
        text.push_str(&format!("{lead} steroids-shim {form}\n"));
    }
    text.push_str("\nOptions:\n");
    for (flag, what) in FLAGS {
        text.push_str(&format!("  --{flag:<10} {what}\n"));
    }
    text.push_str("\nExit codes:\n");
    for (code, what) in EXITS {
        text.push_str(&format!("  {code}  {what}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_names_every_form_and_flag() {
        let help = help();
        assert!(FORMS.iter().all(|form| help.contains(form)));
        let lines: Vec<_> = help.lines().collect();
        assert!(lines.contains(&"  --version    Print version"), "{help}");
    }
}
