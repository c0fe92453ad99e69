//! The command inside `/bin/bash -lc '…'`, as codex prints every command.

use std::borrow::Cow;

const SHELLS: &[&str] = &["bash", "sh", "zsh", "dash", "ash", "ksh", "fish"];

/// The script that a shell was asked to run; anything else as it is.
pub(super) fn unwrapped(command: &str) -> Cow<'_, str> {
    // Quoting is undone only where there is a wrapper: elsewhere it is part of the command.
    if !is_wrapper(command) {
        return Cow::Borrowed(command);
    }
    let rest = command.split_once(' ').map_or("", |(_, rest)| rest);
    match shlex::split(rest) {
        Some(mut words)
            if words.len() == 2 && matches!(words[0].as_str(), "-lc" | "-c" | "-cl" | "-ic") =>
        {
            Cow::Owned(words.swap_remove(1))
        }
        _ => Cow::Borrowed(command),
    }
}

/// Whether a shell with a script begins here.
pub(super) fn is_wrapper(command: &str) -> bool {
    command.split_once(' ').is_some_and(|(shell, rest)| {
        let name = shell.rsplit('/').next().unwrap_or(shell);
        SHELLS.contains(&name) && rest.starts_with('-')
    })
}

/// Whether every quote of the text is closed.
pub(super) fn is_whole(command: &str) -> bool {
    shlex::split(command).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wrapper_goes_and_its_quoting_with_it() {
        let cases = [
            ("/bin/bash -lc 'rg -n TODO src'", "rg -n TODO src"),
            (
                r#"/bin/bash -lc "sed -n '1,200p' src/lib.rs""#,
                "sed -n '1,200p' src/lib.rs",
            ),
            ("bash -lc ls", "ls"),
            ("/usr/bin/zsh -c 'a\nb'", "a\nb"),
            (
                "/bin/bash -lc \"cat <<'E'\nx \\$y \\\"z\\\" \\`w\\` \\\\\nE\"",
                "cat <<'E'\nx $y \"z\" `w` \\\nE",
            ),
            (r"/bin/sh -c 'it'\''s'", "it's"),
            ("/bin/bash -lc '# only a comment'", "# only a comment"),
        ];
        for (printed, shown) in cases {
            assert_eq!(unwrapped(printed), shown, "{printed}");
        }
    }

    #[test]
    fn what_is_no_wrapper_stays_as_it_is() {
        let cases = [
            "ls -la",
            "bash",
            "",
            "bash -lc",
            "bash script.sh",
            "/bin/bash -lc 'unclosed",
            "/bin/bash -lc 'a' b",
            "/bin/bash -x 'a'",
            "python -c 'print(1)'",
        ];
        for command in cases {
            assert_eq!(unwrapped(command), command);
        }
    }
}
