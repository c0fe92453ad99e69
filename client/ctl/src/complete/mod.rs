//! What Tab offers. A shell's script runs this program with [`VARIABLE`] set and the words typed so
//! far; commands and flags come from the command line's own definition, ids and names from the daemon.
//!
//! Nobody who presses Tab has asked for anything to happen: a daemon that does not run is not
//! started, not even by its socket; nothing is registered; and whatever fails, or takes longer than
//! [`PATIENCE`], offers nothing and says nothing.

mod ask;
mod typed;

use std::ffi::OsStr;
use std::time::Duration;

use clap_complete::CompleteEnv;
use clap_complete::engine::{
    ArgValueCandidates, ArgValueCompleter, CompletionCandidate, PathCompleter, ValueCompleter as _,
};
use steroids_client::v1;

use crate::clean::clean_line;

/// The variable by which a script says which shell it is.
pub(crate) const VARIABLE: &str = "STEROIDSCTL_COMPLETE";

/// Longer than this, and who pressed Tab thinks that the terminal hangs.
const PATIENCE: Duration = Duration::from_millis(500);

/// Answers a script, and tells whether it was one that asked.
pub(crate) fn answer() -> bool {
    CompleteEnv::with_factory(command)
        .var(VARIABLE)
        .try_complete(std::env::args_os(), std::env::current_dir().ok().as_deref())
        // A shell that is not known, or one that reads no more: it asked, and is told nothing.
        .unwrap_or(true)
}

/// The command line, with flags offered only to who has begun one, or where nothing else can stand: ids
/// and names would not be completed at once beside them.
fn command() -> clap::Command {
    let mut command = crate::command();
    // With `--help` and `--version`, which clap puts in only now.
    command.build();
    match typed::is_flag(std::env::args_os()) {
        true => command,
        false => without_flags(command),
    }
}

fn without_flags(command: clap::Command) -> clap::Command {
    let hide = |argument: clap::Arg| match argument.is_positional() {
        true => argument,
        false => argument.hide(true),
    };
    command.mut_args(hide).mut_subcommands(without_flags)
}

/// Invocations, newest first.
pub(crate) fn invocations() -> ArgValueCandidates {
    ArgValueCandidates::new(|| invocations_in(&[]))
}

/// Invocations that have not ended.
pub(crate) fn open_invocations() -> ArgValueCandidates {
    ArgValueCandidates::new(|| invocations_in(&[v1::State::Running, v1::State::Queued]))
}

/// Invocations that have ended.
pub(crate) fn ended_invocations() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        invocations_in(&[v1::State::Completed, v1::State::Failed, v1::State::Timeout])
    })
}

/// The project's tasks.
pub(crate) fn tasks() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let tasks = ask::within(PATIENCE, ask::tasks).unwrap_or_default();
        let offer = |task: v1::Task| candidate(&task.id, &task.title);
        tasks.into_iter().filter_map(offer).collect()
    })
}

/// The projects that the daemon serves, and any folder.
pub(crate) fn projects() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| {
        let known = ask::within(PATIENCE, ask::projects).unwrap_or_default();
        let text = typed.to_string_lossy();
        let begun = known.iter().filter(|path| path.starts_with(&*text));
        let mut offered: Vec<_> = begun.filter_map(|path| candidate(path, "")).collect();
        offered.extend(PathCompleter::dir().complete(typed));
        offered
    })
}

/// The providers of the daemon's configuration.
pub(crate) fn providers() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let providers = ask::within(PATIENCE, ask::providers).unwrap_or_default();
        let offer = |provider: v1::Provider| candidate(&provider.name, &provider.command);
        providers.into_iter().filter_map(offer).collect()
    })
}

/// The configured hooks.
pub(crate) fn hooks() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let hooks = ask::within(PATIENCE, ask::hooks).unwrap_or_default();
        let offer = |hook: v1::Hook| candidate(&hook.name, &hook.target);
        hooks.into_iter().filter_map(offer).collect()
    })
}

fn invocations_in(states: &'static [v1::State]) -> Vec<CompletionCandidate> {
    let found = ask::within(PATIENCE, |asked| ask::invocations(asked, states)).unwrap_or_default();
    let offer = |invocation: v1::Invocation| {
        let state = invocation.state().as_str_name();
        let state = state.trim_start_matches("STATE_").to_lowercase();
        let about = format!("{state} {} {}", invocation.provider, invocation.task_id);
        candidate(&invocation.id.to_string(), &about)
    };
    found.into_iter().filter_map(offer).collect()
}

/// A word, with what zsh and fish show beside it. Names are other people's text, and bash puts them
/// into the line as they are: what a shell would not read as one plain word is not offered.
fn candidate(word: &str, about: &str) -> Option<CompletionCandidate> {
    let is_plain = |c: char| c.is_alphanumeric() || "-_./%+,".contains(c);
    if word.is_empty() || !word.chars().all(is_plain) {
        return None;
    }
    let about = clean_line(about);
    let help = (!about.is_empty()).then(|| about.into());
    Some(CompletionCandidate::new(word).help(help))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_shell_would_run_is_not_offered() {
        for word in ["T1", "fix/parser", "a.b_c-2", "\u{e9}t\u{e9}"] {
            assert!(candidate(word, "").is_some(), "{word}");
        }
        for word in [
            "",
            "$(id)",
            "a b",
            "x;y",
            "`id`",
            "a\nb",
            "~",
            "\u{1b}[2J",
            "*",
        ] {
            assert!(candidate(word, "").is_none(), "{word}");
        }
    }
}
