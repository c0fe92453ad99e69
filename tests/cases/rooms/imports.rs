//! Finds what a file of the daemon imports: the word behind each `crate::` and the crates of ours,
//! in `use` lines and in paths alike. Comments and the tests at a file's foot do not count.

use std::collections::BTreeSet;

/// The first words of all paths into this crate, and the crates named `steroids_…`.
pub(super) fn imports(source: &str) -> BTreeSet<String> {
    let shipped = source.split("#[cfg(test)]\nmod tests {").next();
    let code: Vec<&str> = shipped.unwrap_or("").lines().map(code).collect();
    let code = code.join("\n");
    let mut found = BTreeSet::new();
    // From a room's own files `super::super::` reaches the root at most.
    for root in ["crate::", "super::super::"] {
        for (at, _) in code.match_indices(root) {
            if !code[..at].ends_with(|c: char| c.is_alphanumeric() || "_$:".contains(c)) {
                heads(&code[at + root.len()..], &mut found);
            }
        }
    }
    for (at, _) in code.match_indices("steroids_") {
        let name = word(&code[at..]);
        if code[at + name.len()..].starts_with("::") {
            found.insert(name.to_owned());
        }
    }
    found
}

/// The word a path goes on with, or the first words of a `{…}` group.
fn heads(path: &str, found: &mut BTreeSet<String>) {
    let Some(group) = path.strip_prefix('{') else {
        found.insert(word(path).to_owned());
        return;
    };
    let mut depth = 0;
    let mut at_head = true;
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => return,
            '}' => depth -= 1,
            ',' if depth == 0 => at_head = true,
            c if c.is_whitespace() => {}
            _ if at_head => {
                found.insert(word(&group[at..]).to_owned());
                at_head = false;
            }
            _ => {}
        }
    }
}

fn word(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_');
    &text[..end.unwrap_or(text.len())]
}

/// A line without its comment.
fn code(line: &str) -> &str {
    line.split("//").next().unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(source: &str) -> Vec<String> {
        imports(source).into_iter().collect()
    }

    #[test]
    fn a_plain_use_a_group_and_a_path_are_all_found() {
        let source = "use crate::store::{Store, Row};\n\
                      use crate::{domain::{Id, Query}, watch};\n\
                      fn f() { crate::follow::open() }\n";
        assert_eq!(found(source), ["domain", "follow", "store", "watch"]);
    }

    #[test]
    fn crates_of_ours_are_found_and_longer_names_are_not() {
        let source = "use steroids_shim::spool;\nlet steroids_x = 1; steroidsd::run();";
        assert_eq!(found(source), ["steroids_shim"]);
    }

    #[test]
    fn comments_and_tests_do_not_count() {
        let source = "// crate::store::x\n/// [`crate::store::Row`]\n\
                      #[cfg(test)]\nmod tests {\n use crate::service::x;\n}\n";
        assert!(found(source).is_empty());
    }

    #[test]
    fn the_way_up_by_super_is_found() {
        assert_eq!(found("use super::super::service::layers;"), ["service"]);
    }
}
