//! The flags that say which daemon and which project, in words that are still being typed: a
//! completer is not told what else stands in the line, and the parser refuses half a line.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::PathBuf;

use crate::cli::Global;

/// The flags, from the arguments that a shell's script gives: its own, `--`, and the line's words.
pub(super) fn global(arguments: impl Iterator<Item = OsString>) -> Global {
    let words: Vec<OsString> = line(arguments).take_while(|word| word != "--").collect();
    Global {
        project: value(&words, "--project"),
        socket: value(&words, "--socket"),
        state_dir: value(&words, "--state-dir"),
        json: false,
        no_color: true,
    }
}

/// Whether the word at which Tab was pressed begins as a flag does. Which that is bash and zsh say; for
/// fish it is the last.
pub(super) fn is_flag(arguments: impl Iterator<Item = OsString>) -> bool {
    let index = std::env::var("_CLAP_COMPLETE_INDEX").ok();
    let mut words = line(arguments);
    let word = match index.and_then(|index| index.parse::<usize>().ok()) {
        // The program itself is counted.
        Some(index) => index.checked_sub(1).and_then(|index| words.nth(index)),
        None => words.last(),
    };
    word.is_some_and(|word| word.as_bytes().starts_with(b"-"))
}

/// The line's words, but for the program.
fn line(arguments: impl Iterator<Item = OsString>) -> impl Iterator<Item = OsString> {
    arguments.skip_while(|word| word != "--").skip(2)
}

/// What stands behind a flag: `--flag V`, `--flag=V`, or in three words, as bash parts them at `=`.
fn value(words: &[OsString], flag: &str) -> Option<PathBuf> {
    let mut words = words.iter().map(OsString::as_os_str);
    while let Some(word) = words.next() {
        if word == flag {
            let next = words.next()?;
            let value = if next == "=" { words.next()? } else { next };
            return path(value);
        }
        let rest = word.as_bytes().strip_prefix(flag.as_bytes());
        if let Some(value) = rest.and_then(|rest| rest.strip_prefix(b"=")) {
            return path(OsStr::from_bytes(value));
        }
    }
    None
}

/// As the shell would have made it, had the line been finished.
fn path(typed: &OsStr) -> Option<PathBuf> {
    if typed.is_empty() {
        return None;
    }
    let home = || std::env::home_dir().map(|home| home.into_os_string().into_vec());
    match typed.as_bytes().strip_prefix(b"~/") {
        Some(rest) => {
            let mut path = home()?;
            path.push(b'/');
            path.extend_from_slice(rest);
            Some(OsString::from_vec(path).into())
        }
        None => Some(typed.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> Global {
        let words = format!("/usr/bin/steroidsctl -- steroidsctl {line}");
        let words: Vec<_> = words.split(' ').map(OsString::from).collect();
        global(words.into_iter())
    }

    #[test]
    fn flags_are_found_however_the_shell_parts_them() {
        for line in [
            "--project /a stop ",
            "stop --project=/a ",
            "stop --project = /a ",
        ] {
            assert_eq!(of(line).project, Some("/a".into()), "{line}");
        }
        let both = of("--socket /s --state-dir /d stop ");
        assert_eq!(both.socket, Some("/s".into()));
        assert_eq!(both.state_dir, Some("/d".into()));
    }

    #[test]
    fn half_a_line_and_other_programs_flags_give_nothing() {
        for line in [
            "stop --project",
            "stop --project=",
            "start -- x --project /a",
            "stop ",
        ] {
            assert_eq!(of(line).project, None, "{line}");
        }
    }

    #[test]
    fn a_home_folder_is_the_shells_to_expand_and_ours_before_that() {
        let home = std::env::home_dir().unwrap();
        assert_eq!(of("--project ~/a stop ").project, Some(home.join("a")));
    }
}
