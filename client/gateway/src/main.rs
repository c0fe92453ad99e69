//! The gateway's front door: flags, configuration, logging, run, exit code.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use steroids_gateway::config::{Config, Flags};
use steroids_gateway::logging::{self, Format};
use steroids_gateway::run;

/// Shows in a browser what steroidsd runs.
///
/// Listens on this machine only and stays in the foreground; TERM or INT end it, and browsers come
/// back when it is started again. Exits with 0 when told to end, 4 when refused (a taken port, an
/// unsafe token file), 78 on configuration.
#[derive(Debug, Parser)]
#[command(name = "steroids-gateway", version)]
struct Arguments {
    #[command(flatten)]
    flags: Flags,
    /// How the log on stderr is written [default: human on a terminal, else json]
    #[arg(long, value_enum, value_name = "FORMAT")]
    log_format: Option<Format>,
}

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
        Err(error) => complain(4, &error),
    }
}

fn run_to_end(config: Config) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    let ended = runtime.block_on(run::until_signal(config));
    // Whoever still hangs in a system call is not waited for.
    runtime.shutdown_timeout(Duration::from_millis(300));
    ended
}

#[expect(clippy::print_stderr, reason = "last words, log or no log")]
fn complain(code: u8, error: &anyhow::Error) -> ExitCode {
    eprintln!("steroids-gateway: {error:#}");
    ExitCode::from(code)
}
