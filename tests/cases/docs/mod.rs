//! The documentation holds: its links lead somewhere, its command lines are understood, its
//! configurations are taken, and what it shows happens, on real programs. How a block says what is
//! to be done with it stands in [`steroids_tests::docs`].

mod examples;
mod recipes;
mod reference;

use std::collections::BTreeMap;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use steroids_tests::docs::{broken, calls, pages};
use steroids_tests::{Home, binaries};

/// What stands for a value in pages, and a value.
const PLACEHOLDERS: [(&str, &str); 7] = [
    ("COMMAND", "start"),
    ("ID", "1"),
    ("N", "1"),
    ("$id", "1"),
    ("$ID", "1"),
    ("SHELL", "bash"),
    ("SPAN", "1h"),
];

#[test]
fn every_link_within_the_documentation_leads_somewhere() {
    let broken = broken(&pages());
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn every_page_is_found_from_the_index() {
    let pages = pages();
    let index = pages.iter().find(|page| page.name == "docs/README.md");
    let index = &index.expect("there is an index").text;
    let names = pages
        .iter()
        .filter_map(|page| page.name.strip_prefix("docs/"));
    let missing: Vec<&str> = names
        .filter(|name| *name != "README.md" && !index.contains(&format!("]({name}")))
        .collect();
    assert!(missing.is_empty(), "docs/README.md names no {missing:?}");
}

#[test]
fn every_configuration_that_is_shown_is_taken() {
    let home = Home::new();
    // The one file that a configuration here asks for.
    let reader = home.path("home/.config/steroids");
    std::fs::create_dir_all(&reader).unwrap();
    let secret = reader.join("hook-secret");
    std::fs::write(&secret, "a secret of some length").unwrap();
    std::fs::set_permissions(&secret, Permissions::from_mode(0o600)).unwrap();
    let mut read = 0;
    for page in pages() {
        let blocks = page.blocks().into_iter();
        for block in blocks.filter(|it| it.language == "toml" && !it.is_marked("excerpt")) {
            let text = block
                .text
                .replace("/home/ada", home.path("home").to_str().unwrap());
            home.configure_exactly(&text);
            let mut daemon = home.command(&binaries::steroidsd());
            let output = daemon.arg("--check-config").output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(
                output.status.success(),
                "{}:{}: {said}",
                page.name,
                block.line
            );
            read += 1;
        }
    }
    assert!(read > 3, "only {read} configurations were found");
}

/// `--help` behind the arguments has them read, and nothing done.
#[test]
fn every_command_line_that_is_shown_is_understood() {
    let mut places = BTreeMap::new();
    for call in pages().iter().flat_map(calls) {
        let mut words = vec![call.program];
        for word in call.arguments {
            let known = PLACEHOLDERS.iter().find(|known| known.0 == word);
            words.push(known.map_or(word, |known| known.1.to_owned()));
        }
        places.entry(words).or_insert(call.place);
    }
    let mut wrong = Vec::new();
    for (words, place) in &places {
        let at = words.iter().position(|word| word == "--");
        let (ours, theirs) = words.split_at(at.unwrap_or(words.len()));
        let program = binaries::steroidsctl().with_file_name(&ours[0]);
        let mut command = Command::new(program);
        let output = command.args(&ours[1..]).arg("--help").args(theirs).output();
        let output = output.expect("the programs are built");
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            wrong.push(format!("{place}: {}: {said}", words.join(" ")));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(places.len() > 50, "only {} were found", places.len());
}
