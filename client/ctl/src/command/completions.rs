//! `completions`: the script by which a shell asks this program what may stand where Tab was pressed.

use clap::ValueEnum;
use clap_complete::env::{Bash, EnvCompleter, Fish, Zsh};

use crate::complete::VARIABLE;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::session::Session;

const EXAMPLES: &str = "\
Examples:
  source <(steroidsctl completions bash)      in ~/.bashrc
  source <(steroidsctl completions zsh)       in ~/.zshrc, after compinit
  steroidsctl completions fish | source       in ~/.config/fish/config.fish";

/// Found by compinit in a folder of its own, a file is run as the function that is to answer, at the
/// first Tab; without this it would only define it then.
const AUTOLOADED: &[u8] = b"
if [[ $funcstack[1] == _steroidsctl ]]; then
    _clap_dynamic_completer_steroidsctl \"$@\"
fi
";

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
    let shell: &dyn EnvCompleter = match args.shell {
        Known::Bash => &Bash,
        Known::Zsh => &Zsh,
        Known::Fish => &Fish,
    };
    let name = "steroidsctl";
    let mut script = Vec::new();
    shell.write_registration(VARIABLE, name, name, name, &mut script)?;
    if matches!(args.shell, Known::Zsh) {
        script.extend_from_slice(AUTOLOADED);
    }
    session.out.bytes(&script)?;
    Ok(Exit::Ok)
}
