//! The reference page, made of the rows.

use std::fmt::Write as _;

use super::{KEYS, TABLES, Table};

const HEAD: &str = "\
# Configuration reference

Every key of `config.toml`, as the programs know it: `steroidsd` takes its keys from the same table. What the settings
are for, with an example, is in [configuration.md](configuration.md); `steroidsctl config show` tells what counts here and now.

Durations are `\"500ms\"`, `\"2s\"`, `\"15m\"`, `\"2h\"`, sizes `\"200 MiB\"` or `\"10 GB\"`; `\"\"` is none. The last column says what a
change waits for.
";

/// The page in Markdown.
pub fn page() -> String {
    let mut page = HEAD.to_owned();
    for table in TABLES {
        section(&mut page, table);
    }
    page
}

fn section(page: &mut String, table: &Table) {
    let title = table.title();
    // Writing to a String cannot fail.
    let _ = write!(page, "\n## `{title}`\n\n{}\n\n", table.doc);
    page.push_str("| key | holds | default | meaning | change |\n|---|---|---|---|---|\n");
    for key in KEYS.iter().filter(|key| key.table == table.path) {
        let _ = writeln!(
            page,
            "| `{}` | {} | {} | {} | {} |",
            key.name,
            cell(&key.kind.words()),
            cell(&key.default_words()),
            cell(key.doc),
            key.change.words(),
        );
    }
}

/// Text in a cell of a Markdown table.
pub fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
