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
    let command = with_plain_paths(command);
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

/// Every path that has no completer of its own is completed by ours, which offers plain words only.
fn with_plain_paths(command: clap::Command) -> clap::Command {
    let plain = |argument: clap::Arg| match argument.get_value_hint() {
        clap::ValueHint::AnyPath if argument.get::<ArgValueCompleter>().is_none() => {
            argument.add(ArgValueCompleter::new(files))
        }
        _ => argument,
    };
    command.mut_args(plain).mut_subcommands(with_plain_paths)
}

fn files(typed: &OsStr) -> Vec<CompletionCandidate> {
    plain(&PathCompleter::any(), typed)
}

fn folders(typed: &OsStr) -> Vec<CompletionCandidate> {
    plain(&PathCompleter::dir(), typed)
}

/// The paths that are one plain word. One that is typed from the home folder may begin as that does.
fn plain(paths: &PathCompleter, typed: &OsStr) -> Vec<CompletionCandidate> {
    let is_at_home = typed.as_encoded_bytes().starts_with(b"~/");
    let mut offered = paths.complete(typed);
    offered.retain(|candidate| {
        let word = candidate.get_value().to_str();
        word.is_some_and(|word| match word.strip_prefix("~/") {
            Some(rest) if is_at_home => is_plain(rest),
            _ => is_plain(word),
        })
    });
    offered
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
        offered.extend(folders(typed));
        offered
    })
}

/// The projects that the daemon serves, be their folders there or not.
pub(crate) fn registered() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| {
        let known = ask::within(PATIENCE, ask::projects).unwrap_or_default();
        let text = typed.to_string_lossy();
        let begun = known.iter().filter(|path| path.starts_with(&*text));
        begun.filter_map(|path| candidate(path, "")).collect()
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
    if !is_plain(word) {
        return None;
    }
    let about = clean_line(about);
    let help = (!about.is_empty()).then(|| about.into());
    Some(CompletionCandidate::new(word).help(help))
}

fn is_plain(word: &str) -> bool {
    let is_plain = |c: char| c.is_alphanumeric() || "-_./%+,".contains(c);
    !word.is_empty() && word.chars().all(is_plain)
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use clap_complete::engine::complete;

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

    #[test]
    fn no_path_is_offered_that_a_shell_would_run() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["za", "za$(touch pwned)", "za`id`", "za;id", "za b", "za&"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        let typed = folder.path().join("z").into_os_string();
        let only = [folder.path().join("za/").into_os_string()];
        let words = |offered: Vec<CompletionCandidate>| -> Vec<_> {
            let words = offered.iter().map(|candidate| candidate.get_value());
            words.map(OsStr::to_owned).collect()
        };
        assert_eq!(words(folders(&typed)), only);

        let mut paths = 0;
        let mut commands = vec![(command(), Vec::new())];
        while let Some((command, before)) = commands.pop() {
            for argument in command.get_arguments() {
                // These ask the daemon: --project, and what is to be forgotten.
                if argument.get_value_hint() != clap::ValueHint::AnyPath
                    || argument.get_id() == "project"
                    || argument.is_positional()
                {
                    continue;
                }
                let flag = argument.get_long().unwrap();
                let mut line = vec![OsString::from("steroidsctl")];
                line.extend(before.iter().map(OsString::from));
                let mut word = OsString::from(format!("--{flag}="));
                word.push(&typed);
                line.push(word);
                let at = line.len() - 1;
                let mut whole = super::command();
                let offered = complete(&mut whole, line, at, None).unwrap();
                let mut expected = OsString::from(format!("--{flag}="));
                expected.push(&only[0]);
                assert_eq!(words(offered), [expected], "{before:?} --{flag}");
                paths += 1;
            }
            for below in command.get_subcommands() {
                let mut before = before.clone();
                before.push(below.get_name().to_owned());
                commands.push((below.clone(), before));
            }
        }
        assert!(paths > 4, "{paths}");
    }

    #[test]
    fn a_path_from_the_home_folder_is_offered_as_it_was_begun() {
        let home = std::env::home_dir().unwrap();
        let offered = folders(OsStr::new("~/"));
        let is_below = |word: &OsStr| {
            let word = word.to_str().unwrap();
            home.join(word.strip_prefix("~/").unwrap()).is_dir()
        };
        assert!(offered.iter().all(|found| is_below(found.get_value())));
    }
}
