//! The terminal client of steroidsd: a library with a thin main, so that the manual is made from the
//! same [`command`] as `--help`. It holds nothing: every answer comes from the daemon, and leaving it,
//! however that happens, ends nothing but itself.
//!
//! One file per subcommand under `command/`; what they share is here: where the project and the
//! daemon are (`session`), how an activity looks (`render`), what goes wrong (`failure`) and with
//! which exit code (`exit`).

mod ask;
mod clean;
mod cli;
mod command;
mod complete;
mod exit;
mod failure;
mod follow;
mod format;
mod holder;
mod interrupt;
mod moment;
mod parse;
mod program;
mod project;
mod render;
mod resources;
mod session;
mod spinner;
mod starting;
mod table;
mod terminal;
mod waits;

use std::io::ErrorKind;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};

use crate::cli::Cli;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::session::Session;

/// The whole command line, with what `--help` says of it.
pub fn command() -> clap::Command {
    Cli::command()
}

/// Runs the program with the arguments of this process.
pub fn main() -> ExitCode {
    if complete::answer() {
        return ExitCode::SUCCESS;
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return cli::refuse(error).into(),
    };
    let mut session = Session::new(&cli.global);
    let ended = run(cli, &mut session).and_then(|exit| {
        match session.out.flush() {
            // It ends as it would have, had somebody read on.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(exit),
            // Nor can a terminal that is gone take anything.
            Err(_) if exit == Exit::HungUp => Ok(exit),
            flushed => Ok(flushed.map(|()| exit)?),
        }
    });
    match ended {
        Ok(exit) => {
            interrupt::end(exit);
            exit.into()
        }
        Err(failure) => {
            let failure = match session.found() {
                Ok(found) => failure.with_cure(&found.paths),
                Err(_) => failure,
            };
            failure.report(session.json, session.stderr_colour).into()
        }
    }
}

fn run(cli: Cli, session: &mut Session) -> Result<Exit, Failure> {
    // One worker beside the main thread: it hears Ctrl-C while the main thread waits for a
    // terminal or a pipe that takes no more.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|error| {
            let message = format!("could not start: {error}");
            Failure::new(Exit::TryAgain, "runtime", message)
        })?;
    let exit = runtime.block_on(command::run(cli.command, session));
    runtime.shutdown_background();
    exit
}
