//! Stanzas of a Debian copyright file (DEP-5): one for each crate, and one for each licence that the file
//! does not speak of already.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::graph::Crate;

/// In `debian/copyright`, with their texts.
const KNOWN: [&str; 2] = ["Expat", "Apache-2.0"];

/// The stanzas, each with an empty line before it.
pub(super) fn page(files: &[(&Crate, Vec<String>)]) -> String {
    let mut page = String::new();
    let mut named = BTreeSet::new();
    for (it, texts) in files {
        let taken = if it.offers_mit() { "MIT" } else { &it.licence };
        let licence = licence(taken, &mut named);
        let holders = holders(it, texts).join("\n ");
        // Writing to a string does not fail.
        let _ = write!(
            page,
            "\nFiles: crates/{}-{}/*\nCopyright: {holders}\nLicense: {licence}\n",
            it.name, it.version
        );
    }
    for name in named.iter().filter(|name| !KNOWN.contains(&name.as_str())) {
        let _ = write!(
            page,
            "\nLicense: {name}\n The text stands in /usr/share/doc/steroids/THIRD-PARTY.gz, below each crate that it\n is of.\n"
        );
    }
    page
}

/// The expression in Debian's words; notes each licence in it.
fn licence(expression: &str, named: &mut BTreeSet<String>) -> String {
    let mut said: Vec<String> = Vec::new();
    let mut words = expression.split_whitespace().peekable();
    while let Some(word) = words.next() {
        let name = word.trim_matches(['(', ')']);
        let said_so = match name {
            "OR" => "or".to_owned(),
            "AND" => "and".to_owned(),
            _ => {
                let mut name = short_name(name).to_owned();
                if words.next_if_eq(&"WITH").is_some() {
                    let exception = words.next().unwrap_or_default();
                    let _ = write!(
                        name,
                        " with {} exception",
                        exception.trim_end_matches("-exception")
                    );
                }
                named.insert(name.clone());
                name
            }
        };
        // A comma binds less than the words, and stands where the brackets did.
        if word.ends_with(')') {
            said.push(format!("{said_so},"));
        } else {
            said.push(said_so);
        }
    }
    said.join(" ").trim_end_matches(',').to_owned()
}

fn short_name(spdx: &str) -> &str {
    match spdx {
        "MIT" => "Expat",
        "BSD-2-Clause" => "BSD-2-clause",
        "BSD-3-Clause" => "BSD-3-clause",
        other => other,
    }
}

/// Who says that it is theirs: in the texts, else in the manifest.
fn holders(it: &Crate, texts: &[String]) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for line in texts.iter().flat_map(|text| text.lines()) {
        if let Some(holder) = holder(line)
            && !found.contains(&holder)
        {
            found.push(holder);
        }
    }
    match (found.is_empty(), it.authors.is_empty()) {
        (false, _) => found,
        (true, false) => it.authors.clone(),
        (true, true) => vec![format!("the authors of {}", it.name)],
    }
}

/// What follows the word in a line that claims a copyright; a form that was not filled in claims none.
fn holder(line: &str) -> Option<String> {
    let claim = line.trim().trim_start_matches(['*', '/', '#', '-', ' ']);
    let rest = claim
        .strip_prefix("Copyright ")
        .or_else(|| claim.strip_prefix("copyright "))?;
    let rest = ["(c) ", "(C) ", "\u{a9} "]
        .iter()
        .find_map(|sign| rest.strip_prefix(sign))
        .unwrap_or(rest);
    let rest = rest.trim();
    let begins = rest.chars().next()?;
    let is_claim = begins.is_ascii_digit() || begins.is_uppercase();
    let is_form = rest.contains("[yyyy]") || rest.contains("{yyyy}") || rest.starts_with("License");
    (is_claim && !is_form).then(|| rest.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn a_crate(licence: &str, authors: &[&str]) -> Crate {
        Crate {
            name: "x".to_owned(),
            version: "1.0.0".to_owned(),
            licence: licence.to_owned(),
            authors: authors.iter().map(|&it| it.to_owned()).collect(),
            folder: "/".into(),
        }
    }

    #[test]
    fn an_expression_is_said_in_debians_words() {
        for (spdx, debian) in [
            ("MIT", "Expat"),
            ("MIT OR Apache-2.0", "Expat or Apache-2.0"),
            (
                "(MIT OR Apache-2.0) AND Unicode-3.0",
                "Expat or Apache-2.0, and Unicode-3.0",
            ),
            (
                "Apache-2.0 WITH LLVM-exception OR MIT",
                "Apache-2.0 with LLVM exception or Expat",
            ),
        ] {
            assert_eq!(licence(spdx, &mut BTreeSet::new()), debian);
        }
    }

    #[test]
    fn holders_are_those_of_the_texts_else_of_the_manifest() {
        let text = "Copyright (c) 2019 Ada\n\nThe above copyright notice\n   Copyright [yyyy] [name]\nCopyright (c) 2019 Ada\n";
        let it = a_crate("MIT", &["Bob"]);
        assert_eq!(holders(&it, &[text.to_owned()]), ["2019 Ada"]);
        assert_eq!(holders(&it, &["copyright notice".to_owned()]), ["Bob"]);
        assert_eq!(holders(&a_crate("MIT", &[]), &[]), ["the authors of x"]);
    }

    #[test]
    fn each_crate_has_a_stanza_and_each_licence_that_is_not_known_another() {
        let (it, other) = (
            a_crate("MIT OR ISC", &["Bob"]),
            a_crate("MIT AND ISC", &["Ada"]),
        );
        let page = page(&[(&it, vec![]), (&other, vec![])]);
        let wanted = "\nFiles: crates/x-1.0.0/*\nCopyright: Bob\nLicense: Expat\n\
                      \nFiles: crates/x-1.0.0/*\nCopyright: Ada\nLicense: Expat and ISC\n\
                      \nLicense: ISC\n ";
        assert!(page.starts_with(wanted), "{page}");
        assert!(!page.contains("License: Expat\n "), "{page}");
    }
}
