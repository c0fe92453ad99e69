//! `config show`: what counts of the configuration, and where each value comes from. The daemon is
//! asked, as it may have read another file, or an older one; without it the file speaks for itself.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use steroids_client::{Client, paths, v1};
use steroids_keys::{Entry, Listing, Origin, Set};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::session::Session;
use crate::table::{Column, Table};
use crate::terminal::Style;

const EXAMPLES: &str = "\
Examples:
  steroidsctl config show
  steroidsctl config show retention";

const SHOW_EXAMPLES: &str = "\
Examples:
  steroidsctl config show                     every key, its value, its origin
  steroidsctl config show retention           the keys of a table, or one key
  steroidsctl config show --set               without defaults
  steroidsctl config show --file=./new.toml   of a file, without a daemon
  steroidsctl config show --json | jq '.config[] | select(.changed)'

Without --file the running daemon is asked, and keys are marked that the file has changed since the \
daemon read it. Where none runs, the file speaks. Secrets are not shown. `steroidsd --check-config` judges.";

/// What to do with the configuration.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Show what counts, and where each value comes from
    Show(ShowArgs),
}

/// Which part of it.
#[derive(Debug, clap::Args)]
#[command(after_help = SHOW_EXAMPLES)]
struct ShowArgs {
    /// A key or a table [default: all]
    key: Option<String>,
    /// Only what somebody has set
    #[arg(long)]
    set: bool,
    /// Ask no daemon; show what this file says
    #[arg(long, value_name = "PATH", num_args = 0..=1, require_equals = true)]
    file: Option<Option<PathBuf>>,
}

/// What is shown of the configuration.
struct Shown {
    /// The file; `None` where there is none.
    file: Option<String>,
    /// The one that the daemon would read now, where it is another.
    file_now: Option<String>,
    /// When the daemon read it; `None` without one.
    read_at_ms: Option<i64>,
    entries: Vec<v1::ConfigEntry>,
    problems: Vec<String>,
}

/// Does it.
pub(crate) async fn run(args: &Args, session: &mut Session) -> Result<Exit, Failure> {
    let What::Show(args) = &args.what;
    let mut shown = match &args.file {
        Some(Some(file)) => of_file(Some(file.clone()), true, session)?,
        Some(None) => of_file(paths::config_file_here(), false, session)?,
        None => match session.connect_if_any().await {
            Ok(client) => of_daemon(&client).await?,
            Err(failure) if failure.exit() == Exit::Unreachable => {
                session.note("no daemon runs here; this is what the file says");
                of_file(paths::config_file_here(), false, session)?
            }
            Err(failure) => return Err(failure),
        },
    };
    if let Some(wanted) = args.key.as_deref() {
        shown.entries.retain(|entry| is_in(&entry.key, wanted));
        if shown.entries.is_empty() && steroids_keys::known(wanted).is_empty() {
            let message = format!("there is no key `{wanted}` that counts");
            let hint = match (&args.file, wanted.contains(['/', '~'])) {
                (Some(None), true) => format!("a file is named in one word: --file={wanted}"),
                _ => "`steroidsctl config show` lists them".to_owned(),
            };
            return Err(Failure::new(Exit::NotFound, "no_such_key", message).with_hint(hint));
        }
    }
    if args.set {
        let is_set = |entry: &v1::ConfigEntry| entry.origin != "default" || entry.changed;
        shown.entries.retain(is_set);
    }
    print(&shown, session)?;
    let is_bad = shown.read_at_ms.is_none() && !shown.problems.is_empty();
    Ok(if is_bad {
        Exit::Configuration
    } else {
        Exit::Ok
    })
}

/// What counts of one key: as the daemon read it, or as the file says where none runs; `None` where neither can tell.
pub(super) async fn value_of(
    key: &str,
    client: Option<&Client>,
    session: &Session,
) -> Option<toml::Value> {
    let shown = match client {
        Some(client) => of_daemon(client).await,
        None => of_file(paths::config_file_here(), false, session),
    };
    let entry = shown.ok()?.entries.into_iter().find(|it| it.key == key)?;
    value(&entry.value?)
}

async fn of_daemon(client: &Client) -> Result<Shown, Failure> {
    let answer = client.config(v1::GetConfigRequest {}).await?;
    Ok(Shown {
        file: Some(answer.file).filter(|file| !file.is_empty()),
        file_now: Some(answer.file_now).filter(|file| !file.is_empty()),
        read_at_ms: Some(answer.read_at_ms),
        entries: answer.entries,
        problems: answer.problems,
    })
}

/// What a file says, and the defaults. It has to be there where it was named.
fn of_file(file: Option<PathBuf>, is_named: bool, session: &Session) -> Result<Shown, Failure> {
    let text = match file.as_deref().map(std::fs::read_to_string) {
        Some(Ok(text)) => Some(text),
        None => None,
        Some(Err(error))
            if error.kind() == std::io::ErrorKind::NotFound && !is_named && !is_in_variable() =>
        {
            None
        }
        Some(Err(error)) => {
            let file = file.unwrap_or_default();
            let message = format!("{}: {error}", file.display());
            return Err(Failure::new(Exit::Configuration, "configuration", message));
        }
    };
    let file = file.filter(|_| text.is_some());
    let text = text.unwrap_or_default();
    let mut problems = Vec::new();
    if let Err(error) = text.parse::<toml::Table>() {
        problems.push(format!("not valid TOML: {}", error.message()));
    }
    // Where these are depends on the user, and on nothing that a file of another name says.
    let set = match session.found() {
        Ok(found) if !is_named && found.unread().is_none() => elsewhere(&found.paths),
        _ => Vec::new(),
    };
    let listing = Listing::of(&text, &set);
    for entry in listing.entries.iter().filter(|entry| entry.row.is_none()) {
        problems.push(format!("`{}`: unknown key", entry.path));
    }
    Ok(Shown {
        file: file.map(|file| file.to_string_lossy().into_owned()),
        file_now: None,
        read_at_ms: None,
        entries: listing.entries.iter().map(told).collect(),
        problems,
    })
}

/// Whether the environment names the file: the daemon as well would not start without it.
fn is_in_variable() -> bool {
    std::env::var_os("STEROIDS_CONFIG").is_some_and(|value| !value.is_empty())
}

fn elsewhere(paths: &paths::Paths) -> Vec<Set> {
    let set = |path, name, value: &Path| Set {
        path,
        value: toml::Value::String(value.to_string_lossy().into_owned()).to_string(),
        origin: match std::env::var_os(name) {
            Some(set) if set == value => Origin::Variable(name),
            _ => Origin::Default,
        },
    };
    vec![
        set("daemon.socket", "STEROIDS_SOCKET", &paths.socket),
        set("daemon.state_dir", "STEROIDS_STATE_DIR", &paths.state_dir),
    ]
}

/// As the daemon would tell of it.
fn told(entry: &Entry) -> v1::ConfigEntry {
    let (origin, line, name) = entry.origin.words();
    v1::ConfigEntry {
        key: entry.path.clone(),
        value: entry.shown(),
        origin: origin.to_owned(),
        line: i64::try_from(line).unwrap_or(i64::MAX),
        name: name.to_owned(),
        instead: entry.instead(),
        change: entry.row.map_or("", |row| row.change.words()).to_owned(),
        changed: false,
        now: None,
    }
}

/// Whether a key is the one that was named, or stands in the table that was.
fn is_in(key: &str, wanted: &str) -> bool {
    key.strip_prefix(wanted)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

fn print(shown: &Shown, session: &mut Session) -> Result<(), Failure> {
    if session.json {
        let entries: Vec<Value> = shown.entries.iter().map(as_json).collect();
        let mut shape = json!({
            "file": shown.file,
            "readAtMs": shown.read_at_ms,
            "config": entries,
            "problems": shown.problems,
        });
        if let Some(file) = &shown.file_now {
            shape["fileNow"] = json!(file);
        }
        session.out.json(&shape)?;
        return Ok(());
    }
    let mut table = Table::new(&COLUMNS);
    for entry in &shown.entries {
        let (value, style) = match &entry.value {
            Some(value) if entry.origin == "default" => (value.clone(), Style::Dim),
            Some(value) => (value.clone(), Style::Plain),
            None => (entry.instead.clone(), Style::Dim),
        };
        table.row(vec![
            (entry.key.clone(), Style::Plain),
            (value, style),
            (origin(entry, shown.file.as_deref()), Style::Dim),
            (by_now(entry), Style::Warn),
        ]);
    }
    for line in table.lines(session.out.width(), session.out.colour) {
        session.out.line(line)?;
    }
    session.out.flush()?;
    if let Some(file) = &shown.file_now {
        session.note(format_args!("by now another file counts: {file}"));
    }
    for problem in &shown.problems {
        session.note(format_args!("the file cannot be used: {problem}"));
    }
    Ok(())
}

const COLUMNS: [Column; 4] = [
    Column::left("KEY"),
    Column::flexible("VALUE"),
    Column::flexible("FROM"),
    Column::flexible("BY NOW"),
];

fn origin(entry: &v1::ConfigEntry, file: Option<&str>) -> String {
    match &*entry.origin {
        "file" => format!("{}:{}", file.unwrap_or("the file"), entry.line),
        "environment" | "flag" => entry.name.clone(),
        other => other.to_owned(),
    }
}

/// What the file says since the daemon read it.
fn by_now(entry: &v1::ConfigEntry) -> String {
    if !entry.changed {
        return String::new();
    }
    let now = entry.now.as_deref().unwrap_or("not set");
    match &*entry.change {
        "" => now.to_owned(),
        change => format!("{now} (after a {change})"),
    }
}

fn as_json(entry: &v1::ConfigEntry) -> Value {
    let json = |text: Option<&String>| -> Value {
        let value = text.and_then(|text| value(text));
        value.map_or(Value::Null, |value| json!(value))
    };
    let mut object = json!({
        "key": entry.key,
        "value": json(entry.value.as_ref()),
        "origin": entry.origin,
        "change": entry.change,
        "changed": entry.changed,
    });
    if entry.line > 0 {
        object["line"] = json!(entry.line);
    }
    if !entry.name.is_empty() {
        object["name"] = json!(entry.name);
    }
    if entry.changed {
        object["now"] = json(entry.now.as_ref());
    }
    object
}

fn value(text: &str) -> Option<toml::Value> {
    format!("x = {text}")
        .parse::<toml::Table>()
        .ok()?
        .remove("x")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_examples_name_what_there_is() {
        #[derive(clap::Parser)]
        struct Shows {
            #[command(flatten)]
            args: ShowArgs,
            #[arg(long)]
            json: bool,
        }
        let mut files = 0;
        for line in SHOW_EXAMPLES.lines().filter(|line| line.starts_with("  ")) {
            let example = line.trim_start().split("  ").next().unwrap();
            let example = example.split(" | ").next().unwrap();
            let words = example.split(' ').skip(2);
            let shows = <Shows as clap::Parser>::try_parse_from(words).unwrap();
            if let Some(key) = shows.args.key {
                assert!(!steroids_keys::known(&key).is_empty(), "{line}");
            }
            files += usize::from(matches!(shows.args.file, Some(Some(_))));
            assert_eq!(shows.json, line.contains("--json"));
        }
        assert_eq!(files, 1);
    }

    #[test]
    fn a_key_is_named_whole_or_by_its_table() {
        assert!(is_in("daemon.max_running", "daemon"));
        assert!(is_in("daemon.max_running", "daemon.max_running"));
        assert!(is_in("hooks[0].name", "hooks"));
        assert!(!is_in("daemon.max_running", "daemon.max"));
    }

    #[test]
    fn values_are_json_as_they_are_toml() {
        let entry = |value: &str| v1::ConfigEntry {
            value: Some(value.to_owned()),
            changed: true,
            now: None,
            ..v1::ConfigEntry::default()
        };
        assert_eq!(as_json(&entry("8"))["value"], json!(8));
        assert_eq!(as_json(&entry("[\"a\"]"))["value"], json!(["a"]));
        assert_eq!(as_json(&entry("{ a = \"…\" }"))["value"], json!({"a": "…"}));
        assert_eq!(as_json(&entry("8"))["now"], Value::Null);
    }
}
