//! The daemon's front door: flags, configuration, logging, run, exit code.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser as _;
use steroidsd::cli::Arguments;
use steroidsd::config::Config;
use steroidsd::logging;
use steroidsd::run;

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
