//! `completions`: the script that teaches a shell the commands and flags.

use clap::{CommandFactory, ValueEnum};
use clap_complete::Shell;

use crate::cli::Cli;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::session::Session;

const EXAMPLES: &str = "\
Examples:
  steroidsctl completions bash > ~/.local/share/bash-completion/completions/steroidsctl
  steroidsctl completions zsh  > ~/.zfunc/_steroidsctl
  steroidsctl completions fish > ~/.config/fish/completions/steroidsctl.fish";

/// For which shell.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The shell
    #[arg(value_enum)]
    shell: Known,
}

/// The shells whose scripts are tried.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Known {
    Bash,
    Zsh,
    Fish,
}

/// Prints the script.
pub(crate) fn run(args: &Args, session: &mut Session) -> Result<Exit, Failure> {
    let shell = match args.shell {
        Known::Bash => Shell::Bash,
        Known::Zsh => Shell::Zsh,
        Known::Fish => Shell::Fish,
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "steroidsctl", &mut script);
    session.out.bytes(&script)?;
    Ok(Exit::Ok)
}
