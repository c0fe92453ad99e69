//! The table of keys against the parser, its defaults against the real ones, and the reference page
//! against the table.

use steroids_keys::{KEYS, Key, Kind as Holds, Preset, page};

use super::*;

/// A file with one table, in which what a table of its kind needs is set.
fn in_table(table: &str, line: &str) -> String {
    let own = |key: &str, text: &str| match line.starts_with(&format!("{key} = ")) {
        true => String::new(),
        false => format!("{text}\n"),
    };
    let jsonl = "[providers.x]\nkind = \"jsonl\"\ncommand = \"x\"\n";
    match table {
        "prices.*" => format!(
            "[prices.x]\n{}{}{line}\n",
            own("input", "input = 1"),
            own("output", "output = 1")
        ),
        "providers.*" => format!("[providers.claude]\n{line}\n"),
        "providers.*.retry" => format!("[providers.claude.retry]\n{line}\n"),
        "providers.*.events[]" => format!("{jsonl}[[providers.x.events]]\n{line}\n"),
        "providers.*.errors" => {
            format!("{jsonl}[[providers.x.events]]\ntext = \"/t\"\n[providers.x.errors]\n{line}\n")
        }
        "hooks[]" => format!(
            "[[hooks]]\n{}{}{}{line}\n",
            own("name", "name = \"a\""),
            own("on", "on = [\"any\"]"),
            match line.split(' ').next() {
                Some("url" | "secret" | "secret_file" | "headers") => {
                    own("url", "url = \"http://localhost\"")
                }
                Some("notify") => String::new(),
                _ => own("command", "command = [\"true\"]"),
            }
        ),
        table => format!("[{table}]\n{line}\n"),
    }
}

#[test]
fn every_key_of_the_table_is_read() {
    // A date is no value of any key.
    for key in KEYS {
        let text = in_table(key.table, &format!("{} = 1979-05-27", key.name));
        let said = complaint(&text);
        let names_it = said.contains(&format!(".{}`: ", key.name));
        let is_known = !said.contains("unknown key");
        assert!(names_it && is_known, "{}: {said}", key.path());
    }
}

#[test]
fn a_key_that_is_not_in_the_table_is_refused_everywhere() {
    for table in TABLES {
        let said = complaint(&in_table(table.path, "no_such_key = 1"));
        assert!(said.contains("no_such_key`: unknown key"), "{said}");
    }
}

fn lines(table: &str) -> Vec<String> {
    let of_table = KEYS.iter().filter(|key| key.table == table);
    of_table
        .filter_map(|key: &Key| match key.default {
            Preset::Is(value) => Some(format!("{} = {value}", key.name)),
            Preset::Else(_) | Preset::Needed => None,
        })
        .collect()
}

/// Without what differs in any two of them.
fn compared(text: &str) -> String {
    let mut config = read(text);
    config.file = None;
    config.listing = Listing::default();
    config.flags = Flags::default();
    config.origin = (Flags::default(), None);
    format!("{config:#?}")
}

#[test]
fn the_defaults_in_the_table_are_the_real_ones() {
    let bare = compared("");
    for table in TABLES {
        let is_single = !table.path.contains(['*', '[']);
        for line in lines(table.path) {
            let (with, without) = match table.path {
                _ if is_single => (in_table(table.path, &line), String::new()),
                "hooks[]" => {
                    let hook = in_table(table.path, &line);
                    let without = hook.replace(&format!("{line}\n"), "");
                    match line.starts_with("notify") {
                        true => {
                            let command = "command = [\"true\"]\n";
                            (hook + command, without + command)
                        }
                        false => (hook, without),
                    }
                }
                "providers.*.events[]" => {
                    let rule = in_table(table.path, "text = \"/t\"");
                    (format!("{rule}{line}\n"), rule)
                }
                "providers.*.retry" => {
                    let on = in_table(table.path, "");
                    (in_table(table.path, &line), on)
                }
                _ => (in_table(table.path, &line), String::new()),
            };
            let without = if without.is_empty() {
                bare.clone()
            } else {
                compared(&without)
            };
            assert_eq!(compared(&with), without, "{}: {line}", table.path);
        }
    }
}

#[test]
fn the_choices_in_the_table_are_those_of_the_parser() {
    for key in KEYS {
        let (words, value): (&[&str], fn(&str) -> String) = match key.kind {
            Holds::Choice(words) => (words, |word| format!("\"{word}\"")),
            Holds::Choices(words) => (words, |word| format!("[\"{word}\"]")),
            _ => continue,
        };
        let refused = complaint(&in_table(
            key.table,
            &format!("{} = {}", key.name, value("no")),
        ));
        for word in words {
            assert!(refused.contains(word), "{}: {refused}", key.path());
        }
    }
}

#[test]
fn a_number_beyond_the_bounds_in_the_table_is_refused() {
    for key in KEYS {
        let Holds::Number(low, high) = key.kind else {
            continue;
        };
        let set = |number: i64| in_table(key.table, &format!("{} = {number}", key.name));
        for number in [i64::from(low) - 1, i64::from(high) + 1] {
            let said = complaint(&set(number));
            assert!(said.contains(&format!(".{}`: ", key.name)), "{said}");
        }
    }
}

#[test]
fn the_reference_page_is_what_the_table_gives() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../docs/configuration-reference.md"
    );
    if std::env::var_os("STEROIDS_BLESS").is_some() {
        std::fs::write(path, page()).unwrap();
    }
    let there = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        there == page(),
        "docs/configuration-reference.md is not what the table of keys gives; \
         STEROIDS_BLESS=1 cargo test -p steroidsd the_reference_page writes it"
    );
}

#[test]
fn all_that_is_wrong_is_told_and_nothing_that_only_follows() {
    let text = "[daemon]\nmax_runing = 2\nmin_free = 7\n[holds]\nfirst = \"x\"\nmost = \"1s\"\n\
                [providers.x]\nkind = \"y\"\nmodel = 3\n[gateway]\nlisten = \"0.0.0.0:1\"\n";
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("c.toml");
    std::fs::write(&file, text).unwrap();
    let flags = Flags {
        config: Some(file),
        ..Flags::default()
    };
    let problems = Config::read(&flags, None, &|_| None).unwrap_err();
    let keys: Vec<_> = problems.iter().filter_map(ConfigError::key).collect();
    assert_eq!(
        keys,
        [
            "daemon.max_runing",
            "daemon.min_free",
            "holds.first",
            "providers.x.kind",
            "providers.x.model",
            "gateway.listen"
        ]
    );
}

#[test]
fn a_value_that_was_set_outside_of_the_file_says_by_what() {
    let flags = Flags {
        state_dir: Some("/s".into()),
        socket: Some("/k".into()),
        log_level: Some("debug".into()),
        ..Flags::default()
    };
    let variable = |name: &str| (name == "STEROIDS_SOCKET").then(|| OsString::from("/k"));
    let config = Config::read(&flags, None, &variable).unwrap();
    let said = |path: &str| {
        let entry = config.listing.get(path).unwrap();
        (
            entry.value.clone().unwrap_or_default(),
            entry.origin.clone(),
        )
    };
    use steroids_keys::Origin;
    assert_eq!(
        said("daemon.socket"),
        ("\"/k\"".into(), Origin::Variable("STEROIDS_SOCKET"))
    );
    assert_eq!(
        said("daemon.state_dir"),
        ("\"/s\"".into(), Origin::Flag("--state-dir"))
    );
    assert_eq!(
        said("daemon.log_level"),
        ("\"debug\"".into(), Origin::Flag("--log-level"))
    );
    assert_eq!(said("daemon.allow_root").1, Origin::Default);
}
