use super::*;

const TEXT: &str = r#"
[daemon]
max_running = 2
log_level = "debug"

[providers.claude]
model = "m"
retry = { on = ["overloaded"] }

[[hooks]]
name = "a"
url = "https://u:p@example.org/secret/path"
secret = "hush"
headers = { Authorization = "Bearer hush" }

[[hooks]]
name = "b"
notify = true
"#;

fn shown(listing: &Listing, path: &str) -> (Option<String>, Origin) {
    let entry = listing.get(path).expect(path);
    (entry.shown(), entry.origin.clone())
}

#[test]
fn a_value_has_the_line_it_stands_in_or_is_the_default() {
    let listing = Listing::of(TEXT, &[]);
    let said = |path| shown(&listing, path);
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(said("daemon.max_running"), (text("2"), Origin::File(3)));
    assert_eq!(said("daemon.max_streams"), (text("64"), Origin::Default));
    assert_eq!(said("daemon.socket"), (None, Origin::Default));
    assert_eq!(
        said("providers.claude.model"),
        (text("\"m\""), Origin::File(7))
    );
    assert_eq!(
        said("providers.claude.retry.on"),
        (text("[\"overloaded\"]"), Origin::File(8))
    );
    assert_eq!(said("hooks[1].notify"), (text("true"), Origin::File(18)));
    assert!(listing.entries.iter().all(|entry| entry.row.is_some()));
}

#[test]
fn what_is_secret_is_shown_to_nobody() {
    let listing = Listing::of(TEXT, &[]);
    let said = |path| shown(&listing, path).0.unwrap();
    assert_eq!(said("hooks[0].secret"), "\"…\"");
    assert_eq!(said("hooks[0].headers"), "{ Authorization = \"…\" }");
    assert_eq!(said("hooks[0].url"), "\"https://example.org/…\"");
    let all = format!(
        "{:?}",
        listing.entries.iter().map(Entry::shown).collect::<Vec<_>>()
    );
    assert!(!all.contains("hush") && !all.contains("secret"), "{all}");
    let unknown = Listing::of("[daemon]\npassword = \"hush\"", &[]);
    assert_eq!(shown(&unknown, "daemon.password").0.unwrap(), "\"…\"");
}

#[test]
fn what_is_set_elsewhere_wins_and_a_computed_default_does_not() {
    let set = |path, value: &str, origin| Set {
        path,
        value: value.to_owned(),
        origin,
    };
    let flag = Origin::Flag("--log-level");
    let listing = Listing::of(
        TEXT,
        &[
            set("daemon.log_level", "\"warn\"", flag.clone()),
            set("daemon.max_running", "9", Origin::Default),
            set("daemon.socket", "\"/s\"", Origin::Default),
        ],
    );
    let said = |path| shown(&listing, path);
    assert_eq!(said("daemon.log_level"), (Some("\"warn\"".into()), flag));
    assert_eq!(said("daemon.max_running").1, Origin::File(3));
    assert_eq!(
        said("daemon.socket"),
        (Some("\"/s\"".into()), Origin::Default)
    );
}

#[test]
fn two_listings_differ_in_what_was_changed_added_and_taken_away() {
    let before = Listing::of(TEXT, &[]);
    let text = TEXT.replace("max_running = 2", "max_running = 3\nmax_streams = 64");
    let text = text.replace("hush\"\nheaders", "hushed\"\nheaders");
    let after = Listing::of(&text.replace("model = \"m\"", ""), &[]);
    assert_eq!(
        before.differences(&after),
        [
            "daemon.max_running",
            "providers.claude.model",
            "hooks[0].secret"
        ]
    );
    assert!(before.differences(&before).is_empty());
}

#[test]
fn a_newer_file_counts_but_for_what_takes_a_restart() {
    let before = Listing::of("[daemon]\nmax_running = 2\nmax_streams = 9\n", &[]);
    let newer = Listing::of("[daemon]\nmax_running = 3\n[limits]\nwall = \"1h\"\n", &[]);
    let counts = before.reloaded(newer.clone());
    let value = |path: &str| counts.get(path).unwrap().value.clone().unwrap();
    assert_eq!(value("daemon.max_running"), "3");
    assert_eq!(value("daemon.max_streams"), "9");
    assert_eq!(value("limits.wall"), "\"1h\"");
    assert_eq!(counts.differences(&newer), ["daemon.max_streams"]);
    let paths = |listing: &Listing| -> Vec<String> {
        let entries = listing.entries.iter();
        entries.map(|entry| entry.path.clone()).collect()
    };
    assert_eq!(paths(&counts), paths(&newer));
}
