//! A notification on the desktop, by `notify-send` where there is one and somebody is logged in.

use std::path::{Path, PathBuf};

use super::command::Runner;
use super::payload::Delivery;

const PROGRAM: &str = "notify-send";
/// What a notification has room for.
const SUMMARY_MAX: usize = 80;
const BODY_MAX: usize = 300;

/// The program, if there is anybody to show something to.
pub(super) fn program(runner: &Runner) -> Result<PathBuf, &'static str> {
    let found = runner.search_path.iter().map(|folder| folder.join(PROGRAM));
    let Some(program) = found.into_iter().find(|path| path.is_file()) else {
        return Err("there is no notify-send on the daemon's PATH");
    };
    let set = |name: &str| {
        let value = runner.environment.get(std::ffi::OsStr::new(name));
        value.filter(|value| !value.is_empty())
    };
    let has_bus = set("DBUS_SESSION_BUS_ADDRESS").is_some()
        || set("XDG_RUNTIME_DIR").is_some_and(|folder| Path::new(folder).join("bus").exists());
    if has_bus {
        Ok(program)
    } else {
        Err("there is no desktop session (DBUS_SESSION_BUS_ADDRESS is not set)")
    }
}

/// What it is called with. Nothing in it is markup, a flag or a control character.
pub(super) fn arguments(program: PathBuf, delivery: &Delivery) -> Vec<String> {
    let task = match delivery.task.as_str() {
        "" => "steroids",
        task => task,
    };
    let what = match delivery.outcome {
        "" => &delivery.event,
        outcome => outcome,
    };
    let summary = plain(&format!("{task}: {what}"), SUMMARY_MAX);
    let body = escaped(&plain(&delivery.text, BODY_MAX));
    let fixed = ["--app-name=steroids", "--"].map(str::to_owned);
    let mut argv = vec![program.to_string_lossy().into_owned()];
    argv.extend(fixed);
    argv.extend([summary, body]);
    argv
}

fn plain(text: &str, most: usize) -> String {
    let mut plain = text.replace(char::is_control, " ");
    if plain.len() > most {
        plain.truncate(plain.floor_char_boundary(most));
        plain.push('…');
    }
    plain
}

/// Bodies are markup to most desktops.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notification_is_short_plain_and_no_markup() {
        let mut delivery = Delivery::test("x", 1);
        delivery.task = "--help\u{7}".to_owned();
        delivery.outcome = "failed";
        delivery.text = format!("<b>&\x1b[0m{}", "x".repeat(1000));
        let argv = arguments("/usr/bin/notify-send".into(), &delivery);
        assert_eq!(argv[2..4], ["--", "--help : failed"]);
        assert!(argv[4].starts_with("&lt;b&gt;&amp; [0mxxx"), "{}", argv[4]);
        assert!(argv[4].len() < 350);
    }
}
