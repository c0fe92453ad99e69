//! The daemon's front door: flags, configuration, logging, run, exit code.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use steroidsd::config::{Config, Flags};
use steroidsd::logging::{self, Format};
use steroidsd::run;

/// Runs AI coding agents unattended and keeps every line they print.
///
/// Stays in the foreground; TERM, INT or HUP end it within five seconds, and the agents go on. Exits
/// with 0 when told to end, 4 when refused (another daemon, an unsafe folder, root), 78 on configuration.
#[derive(Debug, Parser)]
#[command(name = "steroidsd", version)]
struct Arguments {
    #[command(flatten)]
    flags: Flags,
    /// Check the configuration and leave: 0 if it is good, 78 if not
    #[arg(long)]
    check_config: bool,
    /// How the log on stderr is written [default: human on a terminal, else json]
    #[arg(long, value_enum, value_name = "FORMAT")]
    log_format: Option<Format>,
}

fn main() -> ExitCode {
    run::tune_allocator();
    run::take_signals();
    let arguments = Arguments::parse();
    // Before the first file: nothing of ours is anybody else's, whatever the shell had set.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let config = match Config::load(&arguments.flags) {
        Ok(config) => config,
        Err(error) => return complain(78, &error.into()),
    };
    if arguments.check_config {
        return ExitCode::SUCCESS;
    }
    match run::as_first_process() {
        Ok(None) => {}
        Ok(Some(code)) => return ExitCode::from(code),
        Err(error) => {
            let error = anyhow::Error::from(error);
            return complain(
                1,
                &error.context("cannot run as the first process of a container"),
            );
        }
    }
    logging::start(arguments.log_format, &config.log_level);
    match run_to_end(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(run::exit_code(&error), &error),
    }
}

fn run_to_end(config: Config) -> anyhow::Result<()> {
    run::check_descriptors()?;
    let runtime = tokio::runtime::Runtime::new()?;
    let ended = runtime.block_on(run::until_signal(config));
    // Whoever still hangs in a system call is not waited for.
    runtime.shutdown_timeout(Duration::from_millis(300));
    ended
}

#[expect(clippy::print_stderr, reason = "last words, log or no log")]
fn complain(code: u8, error: &anyhow::Error) -> ExitCode {
    eprintln!("steroidsd: {error:#}");
    ExitCode::from(code)
}
