//! `steroids-config(5)`: every key of the settings, from the table that the programs take their keys
//! from.

use clap_mangen::roff::{Inline, Roff, bold, italic, roman};
use steroids_keys::{KEYS, Key, TABLES};

use crate::page::{Page, see_also, source, terms};
use crate::sections::{self, Entry};

const NAME: &str = "steroids-config";

const ABOUT: &str = "\
The settings of steroidsd(8) and steroids-gateway(8), in TOML. No file is needed, and nothing has to be set. A key that \
does not exist, or a value that makes no sense, ends the program with exit code 78 and a line that names file, line, key \
and reason; `steroidsd --check-config` tells beforehand. Flags win over variables of the environment, these over the file.";

const VALUES: &str = "\
Durations are \"500ms\", \"2s\", \"15m\", \"2h\"; sizes are \"200 MiB\" or \"10 GB\"; \"\" is none.";

const FILES: [Entry; 3] = [
    (
        "$STEROIDS_CONFIG",
        "The file, where it is set; so is --config. It then has to exist.",
    ),
    (
        "~/.config/steroids/config.toml",
        "The user's own; XDG_CONFIG_HOME names another folder than ~/.config.",
    ),
    (
        "/etc/xdg/steroids/config.toml",
        "For those who have none; XDG_CONFIG_DIRS names other folders than /etc/xdg. One file counts, never a mixture.",
    ),
];

/// The page.
pub(crate) fn page() -> Page {
    let mut roff = Roff::new();
    let title = NAME.to_uppercase();
    let source = source();
    roff.control("TH", [title.as_str(), "5", "", &source, "Steroids"]);
    roff.control("SH", ["NAME"]);
    roff.text([roman(format!(
        "{NAME} - settings of steroidsd and steroids-gateway"
    ))]);
    roff.control("SH", ["DESCRIPTION"]);
    roff.text([roman(ABOUT)]);
    roff.control("PP", []);
    roff.text([roman(VALUES)]);
    terms(&mut roff, "FILES", &FILES);
    for table in TABLES {
        roff.control("SH", [table.title().as_str()]);
        roff.text(marked(table.doc));
        for key in KEYS.iter().filter(|key| key.table == table.path) {
            entry(&mut roff, key);
        }
    }
    see_also(&mut roff, &sections::see_also(NAME));
    Page {
        name: NAME.to_owned(),
        section: sections::number(NAME),
        text: roff.render(),
    }
}

fn entry(roff: &mut Roff, key: &Key) {
    roff.control("TP", []);
    roff.text([bold(key.name), roman(" = "), italic(key.kind.words())]);
    roff.text(marked(key.doc));
    roff.control("br", []);
    let mut default = vec![roman("Default: ")];
    default.extend(marked(&key.default_words()));
    default.push(roman(format!(
        ". A change counts after: {}.",
        key.change.words()
    )));
    roff.text(default);
}

/// Text with code between backticks, which stands out here as well.
fn marked(text: &str) -> Vec<Inline> {
    let parts = text.split('`').enumerate();
    let parts = parts.filter(|(_, part)| !part.is_empty());
    let marked = parts.map(|(index, part)| {
        if index % 2 == 1 {
            bold(part)
        } else {
            roman(part)
        }
    });
    marked.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_stands_under_its_table() {
        let text = page().text;
        for table in TABLES {
            let (_, below) = text
                .split_once(&format!(".SH {}\n", table.title()))
                .or_else(|| text.split_once(&format!(".SH \"{}\"\n", table.title())))
                .unwrap_or_else(|| panic!("{} has no section", table.path));
            let section = below.split("\n.SH").next().unwrap();
            for key in KEYS.iter().filter(|key| key.table == table.path) {
                assert!(
                    section.contains(&format!("\\fB{}\\fR", key.name)),
                    "{}",
                    key.path()
                );
            }
        }
    }
}
