//! Words of a command that somebody is told to type.

use std::path::Path;

/// A path as a shell takes it: quoted only where that is needed, and with nothing in it that a terminal would act on.
pub fn shell_word(path: &Path) -> String {
    let word = path.to_string_lossy();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:,@%=".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.into_owned();
    }
    let is_shown = |c: char| c.is_alphanumeric() || (' '..='~').contains(&c);
    if word.chars().all(is_shown) {
        return format!("'{}'", word.replace('\'', r"'\''"));
    }
    let mut escaped = String::new();
    for c in word.chars() {
        match c {
            '\'' | '\\' => escaped.extend(['\\', c]),
            c if is_shown(c) => escaped.push(c),
            // In octal, which always has three digits: what follows is never taken for a part of it.
            c => {
                let mut bytes = [0; 4];
                let bytes = c.encode_utf8(&mut bytes).bytes();
                escaped.extend(bytes.map(|byte| format!("\\{byte:03o}")));
            }
        }
    }
    format!("$'{escaped}'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_in_a_command_is_one_word() {
        for (path, word) in [
            ("/home/ada/api", "/home/ada/api"),
            ("/home/ada/über uns", "'/home/ada/über uns'"),
            ("/it's; here", r"'/it'\''s; here'"),
            ("/a\nb'1", r"$'/a\012b\'1'"),
            ("/a\u{200b}b", r"$'/a\342\200\213b'"),
        ] {
            assert_eq!(shell_word(Path::new(path)), word);
        }
    }
}
