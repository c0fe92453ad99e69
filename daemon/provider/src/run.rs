//! What a parser is told of a run before its first line.

use crate::mapping::Mapping;

/// The circumstances under which a provider was started. Nothing known is fine too: then paths
/// stay as they are printed, and usage is taken for that of a new session.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Run {
    /// An earlier session goes on; some CLIs then count its tokens again.
    pub resumed: bool,
    /// Working directory; paths below it are shown relative to it.
    pub cwd: Option<String>,
    /// What the lines mean of a CLI that is known by its user's configuration alone.
    pub mapping: Option<Mapping>,
    /// The zone of the times of day that it prints, as in the variable `TZ` (`CET-1CEST,M3.5.0,M10.5.0/3`);
    /// UTC where nothing is known.
    pub zone: Option<String>,
}

impl Run {
    /// The path as a person wants to read it.
    pub(crate) fn relative<'p>(&self, path: &'p str) -> &'p str {
        let below = self
            .cwd
            .as_deref()
            .and_then(|cwd| path.strip_prefix(cwd.trim_end_matches('/')))
            .and_then(|rest| rest.strip_prefix('/'));
        match below {
            Some(rest) if !rest.is_empty() => rest,
            _ => path,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_below_the_working_directory_are_shortened() {
        let run = Run {
            cwd: Some("/home/dev/app/".to_owned()),
            ..Run::default()
        };
        let cases = [
            ("/home/dev/app/src/lib.rs", "src/lib.rs"),
            ("/home/dev/app", "/home/dev/app"),
            ("/home/dev/app/", "/home/dev/app/"),
            ("/home/dev/apple/x", "/home/dev/apple/x"),
            ("src/lib.rs", "src/lib.rs"),
        ];
        for (path, shown) in cases {
            assert_eq!(run.relative(path), shown);
            assert_eq!(Run::default().relative(path), path);
        }
    }
}
