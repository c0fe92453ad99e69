//! Where the prompt comes from, and how long it may be.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::exit::Exit;
use crate::failure::Failure;

/// The contract's bound: a message to the daemon is at most 4 MiB, environment included.
const LONGEST: usize = 3 * 1024 * 1024;

/// One of three ways to say what to do.
#[derive(Debug, clap::Args)]
#[group(id = "prompt_from", multiple = false)]
pub(super) struct Args {
    /// What to do
    #[arg(long, short, value_name = "TEXT", allow_hyphen_values = true)]
    prompt: Option<String>,
    /// Read what to do from a file; `-` is standard input
    #[arg(long, value_name = "FILE")]
    prompt_file: Option<PathBuf>,
    /// Read what to do from standard input
    #[arg(value_name = "-", value_parser = ["-"], hide_possible_values = true)]
    stdin: Option<String>,
}

impl Args {
    /// The prompt; may be left out only for a command, which may have nothing to read.
    pub(super) fn read(self, is_command: bool) -> Result<String, Failure> {
        let prompt = match (self.prompt, self.prompt_file, self.stdin) {
            (Some(text), _, _) => text,
            (None, Some(file), _) if file != Path::new("-") => from_file(&file)?,
            (None, None, None) if is_command => return Ok(String::new()),
            (None, None, None) => {
                return Err(Failure::usage("there is no prompt")
                    .with_hint("give it with --prompt TEXT, --prompt-file FILE, or `-` to read standard input; or a command after `--`"));
            }
            (None, _, _) => whole(io::stdin().lock(), "standard input")?,
        };
        if prompt.len() > LONGEST {
            return Err(too_long());
        }
        if prompt.trim().is_empty() && !is_command {
            return Err(Failure::usage("the prompt is empty"));
        }
        Ok(prompt)
    }
}

fn from_file(path: &Path) -> Result<String, Failure> {
    let name = path.display().to_string();
    // Missing, too: that there is no project, for which a script makes one, has a code of its own.
    let file = File::open(path).map_err(|error| {
        let message = format!("cannot read {name}: {error}");
        Failure::new(Exit::Usage, "prompt_file", message)
    })?;
    whole(file, &name)
}

/// Everything, but never more than is allowed: the source may be endless.
fn whole(source: impl Read, name: &str) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    source
        .take(LONGEST as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Failure::usage(format!("cannot read {name}: {error}")))?;
    if bytes.len() > LONGEST {
        return Err(too_long());
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Failure::usage(format!("{name} is not UTF-8 text (byte {at})"))
    })
}

fn too_long() -> Failure {
    Failure::usage("the prompt is longer than 3 MiB")
        .with_hint("put the text into a file of the project and let the prompt name it")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(prompt: Option<&str>, file: Option<&Path>) -> Args {
        Args {
            prompt: prompt.map(str::to_owned),
            prompt_file: file.map(Path::to_owned),
            stdin: None,
        }
    }

    #[test]
    fn only_a_command_does_without_a_prompt() {
        assert!(of(None, None).read(false).is_err());
        assert_eq!(of(None, None).read(true).unwrap(), "");
        assert!(of(Some(" \n"), None).read(false).is_err());
    }

    #[test]
    fn three_mebibytes_are_the_end() {
        let longest = "x".repeat(LONGEST);
        assert!(of(Some(&longest), None).read(false).is_ok());
        let error = of(Some(&(longest + "x")), None).read(false).unwrap_err();
        assert_eq!(error.exit(), Exit::Usage);
        assert!(error.hint().unwrap().contains("file of the project"));
    }

    #[test]
    fn an_endless_file_is_not_read_to_its_end() {
        let error = of(None, Some(Path::new("/dev/zero")))
            .read(false)
            .unwrap_err();
        assert!(error.message().contains("3 MiB"));
    }

    #[test]
    fn a_missing_file_and_one_that_is_no_text_say_so() {
        let folder = tempfile::tempdir().unwrap();
        let missing = of(None, Some(&folder.path().join("none"))).read(false);
        assert_eq!(missing.unwrap_err().exit(), Exit::Usage);
        let binary = folder.path().join("binary");
        std::fs::write(&binary, b"ab\xff").unwrap();
        let error = of(None, Some(&binary)).read(false).unwrap_err();
        assert!(error.message().contains("byte 2"));
    }
}
