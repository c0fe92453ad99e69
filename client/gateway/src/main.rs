//! The gateway's front door: flags, configuration, logging, run, exit code.

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser as _;
use steroids_gateway::cli::Arguments;
use steroids_gateway::config::Config;
use steroids_gateway::logging;
use steroids_gateway::run;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // Before the first file: nothing of ours is anybody else's, whatever the shell had set.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let config = match Config::load(&arguments.flags) {
        Ok(config) => config,
        Err(error) => return complain(78, &error.into()),
    };
    logging::start(arguments.log_format, &config.log_level);
    match run_to_end(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(run::exit_code(&error), &error),
    }
}

fn run_to_end(config: Config) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers())
        .enable_all()
        .build()?;
    let ended = runtime.block_on(run::until_signal(config));
    // Whoever still hangs in a system call is not waited for.
    runtime.shutdown_timeout(Duration::from_millis(300));
    ended
}

/// Threads of the runtime, as the daemon has them: what runs there is short, and the cores are the
/// agents'; where several rest, whatever happens wakes more than one of them.
fn workers() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    (cores / 2).clamp(1, 4)
}

/// Last words, log or no log. Where nobody takes them any more, the exit code still tells.
fn complain(code: u8, error: &anyhow::Error) -> ExitCode {
    let _ = writeln!(io::stderr(), "steroids-gateway: {error:#}");
    ExitCode::from(code)
}
