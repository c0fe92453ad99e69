//! One page of the manual, made of a command as clap knows it. clap_mangen writes what every page
//! has; what stands behind the help (`Examples:`, `Exit codes:`) becomes sections as it was printed, line
//! by line, and what `--help` has no place for is put to it.

use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Inline, Roff, bold, roman};

use crate::sections::{self, Entry};

/// What the footer calls the set.
const MANUAL: &str = "Steroids";

/// A page, ready to be written.
#[derive(Debug)]
pub struct Page {
    /// What is asked for: `steroidsctl-start`.
    pub name: String,
    /// 1 for what one types, 5 for files, 8 for what runs as a service.
    pub section: u8,
    /// In troff's language.
    pub text: String,
}

impl Page {
    /// The name of its file.
    pub fn file(&self) -> String {
        format!("{}.{}", self.name, self.section)
    }
}

/// The page of a program, and those of its commands.
pub fn pages(mut program: Command) -> Vec<Page> {
    program = program.subcommand_help_heading("COMMANDS");
    // It would have a copy of each command below it, and a page for each copy.
    program = program.disable_help_subcommand(true);
    program.build();
    let name = program.get_name().to_owned();
    let mut made = Vec::new();
    add(&program, &name, &mut made);
    made
}

/// `git help` is found under `git-help`, and so is this.
fn add(command: &Command, name: &str, made: &mut Vec<Page>) {
    made.push(page(command, name));
    for child in command
        .get_subcommands()
        .filter(|child| !child.is_hide_set())
    {
        add(child, &format!("{name}-{}", child.get_name()), made);
    }
}

fn page(command: &Command, name: &str) -> Page {
    let section = sections::number(name);
    let man = Man::new(command.clone())
        .title(name.to_uppercase())
        .section(section.to_string())
        .source(source())
        .manual(MANUAL);
    let mut text = Vec::new();
    let has_options = command
        .get_arguments()
        .any(|argument| !argument.is_hide_set());
    let has_commands = command.get_subcommands().any(|child| !child.is_hide_set());
    let written = man
        .render_title(&mut text)
        .and_then(|()| man.render_name_section(&mut text))
        .and_then(|()| man.render_synopsis_section(&mut text))
        .and_then(|()| man.render_description_section(&mut text))
        .and_then(|()| match has_options {
            true => man.render_options_section(&mut text),
            false => Ok(()),
        })
        .and_then(|()| match has_commands {
            true => man.render_subcommands_section(&mut text),
            false => Ok(()),
        });
    written.expect("memory takes all that is written to it");
    let mut roff = Roff::new();
    if let Some(behind) = command.get_after_help() {
        behind_it(&mut roff, &behind.to_string());
    }
    for (title, entries) in sections::of(name) {
        terms(&mut roff, title, &entries);
    }
    see_also(&mut roff, &sections::see_also(name));
    text.extend(roff.render().into_bytes());
    Page {
        name: name.to_owned(),
        section,
        text: String::from_utf8(text).expect("help is text"),
    }
}

/// What the footer says the page belongs to.
pub(crate) fn source() -> String {
    format!("steroids {}", env!("CARGO_PKG_VERSION"))
}

/// Blocks under a `Title:` of their own, line by line as they are, and paragraphs of lines that are not indented.
fn behind_it(roff: &mut Roff, text: &str) {
    let mut is_open = false;
    for line in text.lines() {
        let title = line
            .strip_suffix(':')
            .filter(|title| !title.starts_with(' '));
        if let Some(title) = title {
            if is_open {
                roff.control("fi", []);
            }
            roff.control("SH", [title.to_uppercase().as_str()]);
            roff.control("nf", []);
            is_open = true;
        } else if line.is_empty() {
            // A section, or a paragraph, has its room.
        } else if let Some(line) = line.strip_prefix("  ") {
            if !is_open {
                roff.control("nf", []);
                is_open = true;
            }
            roff.text([roman(line)]);
        } else {
            if is_open {
                roff.control("fi", []);
                is_open = false;
            }
            roff.control("PP", []);
            roff.text([roman(line)]);
        }
    }
    if is_open {
        roff.control("fi", []);
    }
}

/// A section of terms, each with a paragraph.
pub(crate) fn terms(roff: &mut Roff, title: &str, entries: &[Entry]) {
    roff.control("SH", [title]);
    for (term, what) in entries {
        roff.control("TP", []);
        roff.text([bold(*term)]);
        roff.text([roman(*what)]);
    }
}

/// The last section: other pages.
pub(crate) fn see_also(roff: &mut Roff, pages: &[(String, u8)]) {
    roff.control("SH", ["SEE ALSO"]);
    let mut line: Vec<Inline> = Vec::new();
    for (index, (name, section)) in pages.iter().enumerate() {
        let end = if index + 1 < pages.len() { "), " } else { ")" };
        line.push(bold(name.as_str()));
        line.push(roman(format!("({section}{end}")));
    }
    roff.text(line);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_behind_the_help_keeps_its_lines_and_paragraphs_are_filled() {
        let mut roff = Roff::new();
        behind_it(
            &mut roff,
            "Examples:\n  a --b\n  .c\n\nOne long line.\n\nAnother.\n\nExit codes:\n  0 done",
        );
        let text = roff.render();
        let expected = ".SH EXAMPLES\n.nf\na \\-\\-b\n\\&.c\n.fi\n.PP\nOne long line.\n.PP\nAnother.\n.SH \"EXIT CODES\"\n.nf\n0 done\n.fi\n";
        assert!(text.ends_with(expected), "{text}");
    }
}
