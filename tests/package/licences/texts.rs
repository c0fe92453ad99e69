//! The licences that a crate brings along, and one page of all: each text once, below the crates that it
//! is of.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use super::graph::Crate;

/// As deep as sources of others lie in a crate.
const DEPTH: usize = 4;
const HEAD: &str = "\
steroidsd, steroids-shim, steroidsctl and steroids-gateway are linked with the crates below, each under
the licence that is named behind it; where there is a choice, the MIT licence was taken. Each text
stands once, below all that it is of. SQLite (in libsqlite3-sys) is in the public domain. Rust's
standard library is Copyright (c) The Rust Project Contributors, MIT OR Apache-2.0. steroids-shim may
hold parts of the GNU C Library (LGPL 2.1 or later): it can be linked with another one from the sources
by `make build`.
";

/// The texts that come with a crate.
pub(super) fn of(it: &Crate) -> io::Result<Vec<String>> {
    let (mut own, mut inner) = (Vec::new(), Vec::new());
    collect(&it.folder, 0, &mut own, &mut inner)?;
    if it.offers_mit() && own.iter().any(|(name, _)| is_mit(name)) {
        own.retain(|(name, _)| is_mit(name) || name.to_uppercase().starts_with("NOTICE"));
    }
    own.append(&mut inner);
    own.sort();
    let texts = own.into_iter().map(|(_, text)| text);
    // Offered beside a licence of the permissive kind (zstd does), which is the one that was taken.
    Ok(texts
        .filter(|text| !squeezed(text).starts_with("GNU GENERAL PUBLIC"))
        .collect())
}

/// All of it as one page.
pub(super) fn page(files: &[(&Crate, Vec<String>)]) -> String {
    let mut groups: BTreeMap<String, (Vec<String>, &str)> = BTreeMap::new();
    let mut bare = Vec::new();
    for (it, texts) in files {
        let title = format!("{} {} ({})", it.name, it.version, it.licence);
        if texts.is_empty() {
            bare.push(title.clone());
        }
        for text in texts {
            let group = groups.entry(squeezed(text));
            let (titles, _) = group.or_insert_with(|| (Vec::new(), text));
            titles.push(title.clone());
        }
    }
    let mut groups: Vec<_> = groups.into_values().collect();
    groups.sort();
    let mut page = HEAD.to_owned();
    for (titles, text) in groups {
        page.push_str(&section(&titles));
        for line in text.trim_matches(['\n', '\r']).lines() {
            page.push_str(line.trim_end());
            page.push('\n');
        }
    }
    if !bare.is_empty() {
        page.push_str(&section(&bare));
        page.push_str("These bring no text along; theirs is the usual one of the licence named.\n");
    }
    page
}

fn section(titles: &[String]) -> String {
    format!("\n{}\n{}\n\n", "=".repeat(78), titles.join("\n"))
}

fn is_mit(name: &str) -> bool {
    name.to_uppercase().contains("MIT")
}

/// What two copies that are broken into lines differently have in common.
fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Licences that stand in the folder itself, and in folders of others below.
fn collect(
    folder: &Path,
    depth: usize,
    own: &mut Vec<(String, String)>,
    inner: &mut Vec<(String, String)>,
) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type()?.is_dir() {
            // In order also where a file system lists otherwise.
            let mut below = Vec::new();
            if depth < DEPTH {
                let mut deeper = Vec::new();
                collect(&entry.path(), depth + 1, &mut below, &mut deeper)?;
                below.append(&mut deeper);
            }
            inner.extend(
                below
                    .into_iter()
                    .map(|(file, text)| (format!("{name}/{file}"), text)),
            );
        } else if is_licence(&name) {
            let bytes = fs::read(entry.path())?;
            own.push((name, String::from_utf8_lossy(&bytes).into_owned()));
        }
    }
    Ok(())
}

fn is_licence(name: &str) -> bool {
    let name = name.to_uppercase();
    let kinds = [
        "LICENSE",
        "LICENCE",
        "COPYING",
        "COPYRIGHT",
        "NOTICE",
        "UNLICENSE",
    ];
    kinds.iter().any(|kind| name.starts_with(kind)) && !name.ends_with(".RS")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_files(licence: &str, files: &[(&str, &str)]) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        of(&a_crate("x", licence, folder.path())).unwrap()
    }

    fn a_crate(name: &str, licence: &str, folder: &Path) -> Crate {
        Crate {
            name: name.to_owned(),
            version: "1.0.0".to_owned(),
            licence: licence.to_owned(),
            authors: Vec::new(),
            folder: folder.to_owned(),
        }
    }

    #[test]
    fn of_a_choice_one_is_taken_and_of_what_counts_together_all() {
        let files = [
            ("LICENSE-MIT", "mit"),
            ("LICENSE-APACHE", "apache"),
            ("NOTICE", "notice"),
            ("src/lib.rs", "code"),
            ("src/license.rs", "code"),
            ("theirs/LICENSE", "bsd"),
            ("theirs/COPYING", "\n  GNU GENERAL PUBLIC LICENSE\n"),
        ];
        let taken = of_files("MIT OR Apache-2.0", &files);
        assert_eq!(taken, ["mit", "notice", "bsd"]);
        let taken = of_files("MIT AND Apache-2.0", &files);
        assert_eq!(taken, ["apache", "mit", "notice", "bsd"]);
    }

    #[test]
    fn a_text_stands_once_below_all_that_it_is_of() {
        let at = Path::new("/");
        let [a, b, c] = ["a", "b", "c"].map(|name| a_crate(name, "MIT", at));
        let files = [
            (&a, vec!["Do as\nyou like.\n".to_owned()]),
            (&b, vec!["\nDo as you \nlike.".to_owned()]),
            (&c, vec![]),
        ];
        let page = page(&files);
        let (_, below) = page
            .split_once("=\na 1.0.0 (MIT)\nb 1.0.0 (MIT)\n\n")
            .unwrap();
        assert!(below.starts_with("Do as\nyou like.\n\n="), "{below}");
        assert!(
            below.contains("=\nc 1.0.0 (MIT)\n\nThese bring no text"),
            "{below}"
        );
    }
}
