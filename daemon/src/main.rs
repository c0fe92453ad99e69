//! The daemon's front door: flags, configuration, logging, run, exit code.

use std::io::{self, Write as _};
use std::os::unix::net::UnixListener;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser as _;
use steroidsd::cli::Arguments;
use steroidsd::config::{Config, ConfigError};
use steroidsd::logging;
use steroidsd::run;

fn main() -> ExitCode {
    run::tune_allocator();
    run::take_signals();
    let arguments = Arguments::parse();
    // Before the first file: nothing of ours is anybody else's, whatever the shell had set.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let config = match Config::examine(&arguments.flags) {
        Ok(config) => config,
        Err(problems) => return refuse(problems),
    };
    if arguments.check_config {
        return tell(&config);
    }
    // Before anything is opened, since descriptors come by number.
    let passed = match run::passed_socket(&config.socket) {
        Ok(passed) => passed,
        Err(error) => return complain(78, &error.into()),
    };
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
    match run_to_end(config, passed) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(run::exit_code(&error), &error),
    }
}

fn run_to_end(config: Config, passed: Option<UnixListener>) -> anyhow::Result<()> {
    run::check_descriptors()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers())
        .enable_all()
        .build()?;
    let ended = runtime.block_on(run::until_signal(config, passed));
    // Whoever still hangs in a system call is not waited for.
    runtime.shutdown_timeout(Duration::from_millis(300));
    ended
}

/// Threads of the runtime. What runs there is short, and the cores are the agents'; where several rest,
/// whatever happens wakes more than one of them.
fn workers() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    (cores / 2).clamp(1, 4)
}

/// Says all that is wrong with the configuration: who mends it wants to start once more, not often.
fn refuse(problems: Vec<ConfigError>) -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    for problem in problems {
        code = complain(78, &problem.into());
    }
    code
}

/// Says that the configuration is good, and what may not be meant so.
fn tell(config: &Config) -> ExitCode {
    for doubt in config.doubts() {
        say(format_args!("warning: {doubt}"));
    }
    match &config.file {
        Some(file) => say(format_args!("{}: good", file.display())),
        None => say(format_args!("no configuration file: the defaults count")),
    }
    ExitCode::SUCCESS
}

fn complain(code: u8, error: &anyhow::Error) -> ExitCode {
    say(format_args!("{error:#}"));
    ExitCode::from(code)
}

/// Log or no log. Where nobody takes it any more, the exit code still tells.
fn say(text: std::fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "steroidsd: {text}");
}
