//! The manual as it is installed: every program, every command, every flag, and nothing that troff
//! complains about.

use std::process::Command;

use steroids_package::{manual, programs};

#[test]
fn every_command_has_a_page_and_every_flag_stands_on_it() {
    let pages = manual();
    let page = |name: &str| pages.iter().find(|page| page.name == name);
    assert!(pages.iter().all(|page| !page.name.contains("-help")));
    for program in programs() {
        let mut program = program.disable_help_subcommand(true);
        program.build();
        let mut commands = vec![(program.get_name().to_owned(), program)];
        while let Some((name, command)) = commands.pop() {
            let text = &page(&name).unwrap_or_else(|| panic!("no page {name}")).text;
            // The lines with which what is told of a flag begins; the synopsis begins with a name.
            let told = text.lines().filter(|line| line.starts_with("\\fB\\-"));
            let told = told.collect::<Vec<_>>();
            for flag in command.get_arguments().filter(|flag| !flag.is_hide_set()) {
                let Some(long) = flag.get_long() else {
                    continue;
                };
                let flag = format!("\\-\\-{}", long.replace('-', "\\-"));
                let is_told = told.iter().any(|line| line.contains(&flag));
                assert!(is_told, "{name} says nothing of --{long}");
            }
            assert!(text.contains(".SH NAME\n"), "{name}");
            let children = command.get_subcommands().cloned();
            commands.extend(children.map(|child| (format!("{name}-{}", child.get_name()), child)));
        }
    }
    let start = &page("steroidsctl-start").unwrap().text;
    assert!(start.contains(".SH EXAMPLES\n.nf\n"), "{start}");
    assert!(
        page("steroidsctl")
            .unwrap()
            .text
            .contains(".SH \"EXIT CODES\"\n")
    );
}

#[test]
fn troff_has_nothing_to_complain_of() {
    let folder = tempfile::tempdir().unwrap();
    let mut groff = Command::new("groff");
    // -ww: all warnings; -z: no output; -k: as man does, for what is not ASCII.
    groff.args(["-k", "-man", "-Tutf8", "-ww", "-z"]);
    for page in manual() {
        let file = folder.path().join(page.file());
        std::fs::write(&file, page.text).unwrap();
        groff.arg(file);
    }
    let output = match groff.env("LC_ALL", "C.UTF-8").output() {
        Err(error) if std::env::var("CI").as_deref() != Ok("true") => {
            eprintln!("SKIPPED: no groff (Debian: groff-base) to check the manual with: {error}");
            return;
        }
        output => output.unwrap(),
    };
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{said}");
}
