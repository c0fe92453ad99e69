//! `steroids-shim [--daemonize] [--standby] INVDIR`: runs the provider that `INVDIR/spec.json`
//! describes, keeps all it prints in `INVDIR/spool`, and writes `INVDIR/exit.json` when it has ended.
//!
//! Exits non-zero, with a message, if it could not take the invocation over; then it has started
//! nothing. With `--daemonize` the answer comes as soon as it is known, and the shim lives on. With
//! `--standby` it looks at the folder when it is told to on standard input.
//!
//! `steroids-shim --guard PROGRAM [ARGUMENTS]` runs a program that must not outlive its asker: `guard`.

mod guard;
mod patience;
mod run;
mod sys;

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use run::detach::{self, Launch, Manner};
use steroids_shim::usage;

/// What the command line asks for.
enum Asked {
    Run { manner: Manner, dir: PathBuf },
    Guard(Vec<OsString>),
    Help,
    Version,
    Usage,
}

fn main() -> ExitCode {
    match asked(std::env::args_os().skip(1)) {
        Asked::Run { manner, dir } => match std::path::absolute(dir) {
            Ok(dir) => shim(manner, dir),
            Err(error) => {
                complain(&format!("steroids-shim: no folder was given: {error}"));
                ExitCode::from(2)
            }
        },
        Asked::Guard(words) => ExitCode::from(guard::guard(&words)),
        Asked::Help => {
            let _ = write!(std::io::stdout(), "{}", usage::help());
            ExitCode::SUCCESS
        }
        Asked::Version => {
            let _ = writeln!(
                std::io::stdout(),
                "steroids-shim {}",
                env!("CARGO_PKG_VERSION")
            );
            ExitCode::SUCCESS
        }
        Asked::Usage => {
            let [run, guard, _] = usage::FORMS;
            complain(&format!("usage: steroids-shim {run}, or {guard}"));
            ExitCode::from(2)
        }
    }
}

fn asked(mut arguments: impl Iterator<Item = OsString>) -> Asked {
    let mut manner = Manner::default();
    let mut dir = None;
    while let Some(argument) = arguments.next() {
        match argument.to_str() {
            Some("--guard") => return Asked::Guard(arguments.collect()),
            Some("--daemonize") => manner.daemonizes = true,
            Some("--standby") => manner.stands_by = true,
            Some("--help" | "-h") => return Asked::Help,
            Some("--version") => return Asked::Version,
            Some(flag) if flag.starts_with('-') => return Asked::Usage,
            _ if dir.is_some() => return Asked::Usage,
            _ => dir = Some(PathBuf::from(argument)),
        }
    }
    match dir {
        Some(dir) => Asked::Run { manner, dir },
        None => Asked::Usage,
    }
}

fn shim(manner: Manner, dir: PathBuf) -> ExitCode {
    let outcome = detach::detach(manner).and_then(|launch| match launch {
        Launch::Original(answer) => answer,
        Launch::Shim(report, call) => run::run(&dir, report, call),
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("steroids-shim: {}", error.in_full()));
            ExitCode::FAILURE
        }
    }
}

/// The launcher reads standard error; when it does not, there is nobody to tell.
fn complain(message: &str) {
    let _ = writeln!(std::io::stderr(), "{message}");
}
