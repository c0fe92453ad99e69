//! In which zone a provider tells times of day: "try again at 4:10 PM" is of its own clock.
//!
//! The zone is looked up at the start and kept with the specification, as its rule and not as its
//! name: so the log comes out the same wherever, and whenever, it is made again.

use std::fs::File;
use std::io::Read as _;
use std::path::{Component, Path, PathBuf};

/// Where the host's own zone stands, and where all do.
const LOCAL: &str = "/etc/localtime";
const ALL: &str = "/usr/share/zoneinfo";

/// The largest file of a zone has some 4 KiB.
const FILE_MAX: u64 = 64 << 10;

/// Longest rule; known ones have under 50 bytes.
const RULE_MAX: usize = 256;

/// The rule (`CET-1CEST,M3.5.0,M10.5.0/3`) for a variable `TZ`, or for the host where there is none.
/// `None` is UTC, also where nothing could be found out.
pub(super) fn rule_of(tz: Option<&str>) -> Option<String> {
    let Some(tz) = tz else {
        return rule_in(Path::new(LOCAL));
    };
    let name = tz.strip_prefix(':').unwrap_or(tz);
    if let Some(path) = path_of(name)
        && let Some(rule) = rule_in(&path)
    {
        return Some(rule);
    }
    is_rule(name).then(|| name.to_owned())
}

/// The file of a zone by its name, or a path as it is.
fn path_of(name: &str) -> Option<PathBuf> {
    let is_below = |path: &Path| {
        path.components()
            .all(|it| matches!(it, Component::Normal(_)))
    };
    match Path::new(name) {
        path if name.is_empty() || name.contains('\0') || path.is_dir() => None,
        path if path.is_absolute() => Some(path.to_owned()),
        path => is_below(path).then(|| Path::new(ALL).join(path)),
    }
}

/// The last line of a zone's file: the rule from its last change on, so that of times to come.
fn rule_in(path: &Path) -> Option<String> {
    // A pipe would be waited for.
    if !path.metadata().ok()?.is_file() {
        return None;
    }
    let mut bytes = Vec::new();
    let file = File::open(path).ok()?;
    file.take(FILE_MAX).read_to_end(&mut bytes).ok()?;
    let body = bytes.starts_with(b"TZif").then_some(&*bytes)?;
    let body = body.strip_suffix(b"\n")?;
    let line = body.rsplit(|byte| *byte == b'\n').next()?;
    let rule = std::str::from_utf8(line).ok()?;
    is_rule(rule).then(|| rule.to_owned())
}

fn is_rule(text: &str) -> bool {
    text.len() <= RULE_MAX && jiff::tz::TimeZone::posix(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone_file(folder: &Path, footer: &[u8]) -> String {
        let path = folder.join("zone");
        let bytes = [b"TZif2\0binary\ndata", b"\n".as_slice(), footer].concat();
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    }

    #[test]
    fn a_rule_stands_in_the_variable_or_at_the_end_of_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let rule = "CET-1CEST,M3.5.0,M10.5.0/3";
        let of = |tz: &str| rule_of(Some(tz));
        assert_eq!(of(rule).as_deref(), Some(rule));
        let path = zone_file(folder.path(), format!("{rule}\n").as_bytes());
        assert_eq!(of(&path).as_deref(), Some(rule));
        assert_eq!(of(&format!(":{path}")).as_deref(), Some(rule));
        assert_eq!(of(&zone_file(folder.path(), b"no rule\n")), None);
        assert_eq!(of(&zone_file(folder.path(), b"cut")), None);
    }

    #[test]
    fn what_is_no_zone_is_utc() {
        for tz in [
            "",
            ":",
            "/",
            "/dev/zero",
            "../../etc/passwd",
            "No/Such",
            "a\0b",
        ] {
            assert_eq!(rule_of(Some(tz)), None, "{tz:?}");
        }
    }
}
