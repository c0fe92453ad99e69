//! The command line as a whole: the flags every command takes, and the list of commands.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, Parser, Subcommand};

use crate::command::{
    cleanup, completions, config, doctor, holds, hooks, init, list, migrate, projects, reload,
    reproject, retry, send, show, start, status, stop, stream, tasks, timeline, top, usage, wait,
    wakeup, web,
};
use crate::complete;
use crate::exit::Exit;
use crate::failure::Failure;

const EXAMPLES: &str = "\
Examples:
  steroidsctl init
  steroidsctl start --task T1 --prompt 'fix the failing test' --follow
  steroidsctl start --task T1 -- make test
  steroidsctl list --running
  steroidsctl stream 12
  steroidsctl stop 12

Exit codes:
  0 done   1 the invocation failed   2 usage   3 not found   4 refused
  69 daemon unreachable   75 try again   78 configuration
  124 timed out   130 stopped";

/// Starts AI coding agents under steroidsd, shows what they do while they do it, and stops them
#[derive(Debug, Parser)]
#[command(name = "steroidsctl", version, after_help = EXAMPLES)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Flags of every command.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Everywhere")]
pub(crate) struct Global {
    /// The project's folder [default: the nearest one upwards with .steroids/]
    #[arg(long, global = true, value_name = "DIR", add = complete::projects())]
    pub(crate) project: Option<PathBuf>,
    /// The daemon's socket [env: STEROIDS_SOCKET]
    #[arg(long, global = true, value_name = "PATH")]
    pub(crate) socket: Option<PathBuf>,
    /// The daemon's state folder, which has a socket of its own [env: STEROIDS_STATE_DIR]
    #[arg(long, global = true, value_name = "PATH")]
    pub(crate) state_dir: Option<PathBuf>,
    /// Print JSON, errors too
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Print without colours [env: NO_COLOR]
    #[arg(long, global = true)]
    pub(crate) no_color: bool,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make the current folder a project
    Init(init::Args),
    /// Start an agent, or any command, on a task
    Start(Box<start::Args>),
    /// Show what an agent does, from its first line on, as it happens
    Stream(stream::Args),
    /// Show what runs and what waits, on the whole screen, as it changes
    Top(top::Args),
    /// Show a task's story over all its invocations, sampled
    Timeline(timeline::Args),
    /// List invocations, newest first
    List(list::Args),
    /// Show invocations, each with its prompt and its answer
    Show(show::Args),
    /// Stop invocations, with everything they started
    Stop(stop::Args),
    /// Start what has ended once more, as the next attempt of it
    Retry(Box<retry::Args>),
    /// Wait until invocations have ended
    Wait(wait::Args),
    /// Send a message to a running agent that was started with --interactive
    Send(send::Args),
    /// Show which providers are held, as a limit was reached; lift a hold, or set one
    Holds(holds::Args),
    /// List the project's tasks
    Tasks(tasks::Args),
    /// Show what was used, in tokens and money
    Usage(usage::Args),
    /// List the projects the daemon serves; have it forget one
    Projects(projects::Args),
    /// Bring the project's database up to date, after a backup
    Migrate(migrate::Args),
    /// Delete what is no longer needed
    Cleanup(cleanup::Args),
    /// Show what counts of the configuration
    Config(config::Args),
    /// Make logs anew from their transcripts, with today's parsers
    Reproject(reproject::Args),
    /// Run the maintenance pass now
    Wakeup(wakeup::Args),
    /// Have the daemon read its configuration again
    Reload(reload::Args),
    /// Show who is told of what happens, and how that goes
    Hooks(hooks::Args),
    /// Print the page's URL, or open it in the browser
    Web(web::Args),
    /// Show how the daemon is
    Status(status::Args),
    /// Check everything an agent needs, and say what to do
    Doctor(doctor::Args),
    /// Print a shell's completion script
    Completions(completions::Args),
}

/// Answers a command line that was not understood, or `--help`.
pub(crate) fn refuse(error: clap::Error) -> Exit {
    let words: Vec<_> = std::env::args_os().collect();
    let error = dashed(&words, error);
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => match print(&error) {
            Ok(()) => Exit::Ok,
            // Whoever closed the pipe has read enough of the help: that says nothing.
            Err(unwritten) => Failure::from(unwritten).report(has("--json"), false),
        },
        _ if has("--json") => {
            let rendered = error.render().to_string();
            let message = rendered.trim_start_matches("error: ");
            let message = message.split("\n\n").next().unwrap_or(message);
            let tip = match error.get(ContextKind::Suggested) {
                Some(ContextValue::StyledStrs(tips)) => tips.first().map(ToString::to_string),
                _ => None,
            };
            Failure::usage(message.replace('\n', " "))
                .with_hint(tip.unwrap_or_else(|| "see `steroidsctl --help`".to_owned()))
                .report(true, false)
        }
        _ => {
            let _ = print(&error);
            Exit::Usage
        }
    }
}

/// Prints it where it belongs, to the last byte.
fn print(error: &clap::Error) -> io::Result<()> {
    let is_plain = has("--no-color");
    let text = error.render();
    match error.use_stderr() {
        true if is_plain => write!(io::stderr(), "{text}"),
        false if is_plain => write!(io::stdout(), "{text}"),
        _ => error.print(),
    }?;
    // What ends with no newline is else written where nobody hears of an error.
    io::stdout().flush()
}

/// A value with a dash in front is taken for a flag, and clap advises a `--` that would not help. What its own
/// flag says of it is said, or how that is given such a value.
fn dashed(words: &[OsString], mut error: clap::Error) -> clap::Error {
    let flag = match error.get(ContextKind::InvalidArg) {
        // Of `-5s` it names `-5`, as it would of short flags.
        Some(ContextValue::String(flag)) if error.kind() == ErrorKind::UnknownArgument => flag,
        _ => return error,
    };
    let ours = words.split(|word| word == "--").next().unwrap_or(words);
    let is_it = |word: &OsString| word.to_string_lossy().starts_with(flag.as_str());
    let is_flag = |word: &OsString| word.to_string_lossy().starts_with('-');
    let pair = ours
        .windows(2)
        .position(|pair| is_flag(&pair[0]) && is_it(&pair[1]));
    let Some(at) = pair else {
        return error;
    };
    let mut joined = words[at].clone();
    joined.push("=");
    joined.push(&words[at + 1]);
    let value = words[at + 1].to_string_lossy();
    let tip = format!(
        "if '{value}' is a value, use '{}'",
        joined.to_string_lossy()
    );
    let mut words = words.to_vec();
    words.splice(at..=at + 1, [joined]);
    match Cli::try_parse_from(words) {
        Err(own) if own.kind() == ErrorKind::ValueValidation => return own,
        // One that takes no value, or none that is known.
        Err(own)
            if matches!(
                own.kind(),
                ErrorKind::TooManyValues | ErrorKind::UnknownArgument
            ) => {}
        _ => {
            let tip = ContextValue::StyledStrs(vec![tip.into()]);
            error.insert(ContextKind::Suggested, tip);
        }
    }
    error
}

/// Whether a flag stands anywhere before a `--`; asked only where nothing could be parsed.
fn has(flag: &str) -> bool {
    std::env::args_os()
        .take_while(|argument| argument != "--")
        .any(|argument| argument == flag)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    /// All commands, and those below them.
    fn all(command: &clap::Command) -> Vec<clap::Command> {
        let below = command.get_subcommands().flat_map(all);
        std::iter::once(command.clone()).chain(below).collect()
    }

    /// What is wrapped here by hand is wrapped once more where a terminal is narrower.
    #[test]
    fn examples_fit_a_terminal_and_paragraphs_are_one_line_each() {
        for command in all(&Cli::command()) {
            let help = command.get_after_help();
            let help = help.map(ToString::to_string).unwrap_or_default();
            let lines: Vec<&str> = help.lines().collect();
            let is_prose = |line: &&str| !line.is_empty() && !line.starts_with(' ');
            let is_too_long = |line: &&&str| line.starts_with(' ') && line.len() > 80;
            let of = command.get_name();
            assert_eq!(lines.iter().find(is_too_long), None, "{of}");
            let broken = lines.windows(2).find(|pair| pair.iter().all(is_prose));
            assert_eq!(broken, None, "{of}");
        }
    }

    #[test]
    fn every_command_has_examples() {
        for command in Cli::command().get_subcommands() {
            assert!(
                command.get_after_help().is_some(),
                "{} has no examples",
                command.get_name()
            );
        }
    }
}
