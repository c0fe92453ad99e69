//! The configuration's text, to the three who read it: the daemon, the gateway, and every client.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use steroids_client::paths;
use steroids_gateway::config as gateway;
use steroidsd::config::{Auth, Config, ConfigError, Flags, Places};

use super::scratch;

/// A text is a configuration or is refused, saying in which line which key is wrong and why; and
/// what the daemon takes the others understand alike.
pub fn config(input: &[u8]) {
    let folder = scratch();
    let file = folder.path().join("config.toml");
    fs::write(&file, input).expect("the file can be written");
    let flags = Flags {
        config: Some(file.clone()),
        ..Flags::default()
    };
    let places = Places {
        config: vec!["/home/dev/.config/steroids".into()],
        state: "/home/dev/.local/state/steroids".into(),
        runtime: None,
    };
    let daemon = Config::resolve(&flags, Some(&places));
    let environment = |name: &str| match name {
        "HOME" => Some(OsString::from("/home/dev")),
        "STEROIDS_CONFIG" => Some(file.clone().into()),
        _ => None,
    };
    let gateway = gateway::Config::resolve(&gateway::Flags::default(), environment);
    let client = paths::resolve_in(None, None, environment);
    match daemon {
        Ok(daemon) => {
            let gateway = gateway.expect("the gateway takes what the daemon takes");
            let client = client.expect("a client takes what the daemon takes");
            understood_alike(&daemon, &gateway);
            let paths = (&daemon.socket, &daemon.state_dir);
            assert_eq!((&client.socket, &client.state_dir), paths);
            checked(&daemon);
        }
        Err(error) => {
            says_where(&error, &file, input);
            refused_alike(
                &error,
                gateway.map(|_| ()).map_err(|error| error.to_string()),
            );
        }
    }
}

fn understood_alike(daemon: &Config, gateway: &gateway::Config) {
    let ours = &daemon.gateway;
    assert_eq!(gateway.listen, ours.listen);
    let auth = match ours.auth {
        Auth::Token => "token",
        Auth::None => "none",
    };
    assert_eq!(gateway.auth.as_str(), auth);
    assert_eq!(gateway.control, ours.control);
    assert_eq!(gateway.max_streams as u64, u64::from(ours.max_streams));
    assert_eq!(gateway.allowed_hosts, ours.allowed_hosts);
    assert_eq!(gateway.socket, daemon.socket);
    assert_eq!(gateway.state_dir, daemon.state_dir);
}

/// What the rest of the daemon counts on.
fn checked(config: &Config) {
    assert!(config.gateway.listen.ip().is_loopback());
    assert!(config.socket.is_absolute() && config.state_dir.is_absolute());
    assert!((1..=10_000).contains(&config.max_running));
    assert!((1..=10_000).contains(&config.max_connections));
    assert!((1..=10_000).contains(&config.max_streams));
    for builtin in ["claude", "codex", "gemini", "opencode", "command"] {
        assert!(config.providers.contains_key(builtin), "{builtin} is gone");
    }
}

fn says_where(error: &ConfigError, file: &Path, input: &[u8]) {
    let said = error.to_string();
    let (found, line) = match error {
        ConfigError::Read { file, .. } => {
            assert!(std::str::from_utf8(input).is_err(), "{said}");
            (file, 1)
        }
        ConfigError::Syntax { file, line, reason } => {
            assert!(!reason.is_empty());
            (file, *line)
        }
        ConfigError::Key {
            file,
            line,
            key,
            reason,
        } => {
            assert!(!reason.is_empty(), "{said}");
            // A key may be the empty text.
            assert!(said.contains(&format!("`{key}`")), "{said}");
            (file, *line)
        }
        ConfigError::Flag { .. } | ConfigError::NoHome => panic!("nothing but the file: {said}"),
    };
    assert_eq!(found, file);
    let lines = input.iter().filter(|byte| **byte == b'\n').count() + 1;
    assert!((1..=lines).contains(&line), "{said}, of {lines} lines");
}

/// The gateway says of its own table what the daemon says.
fn refused_alike(error: &ConfigError, gateway: Result<(), String>) {
    match error {
        ConfigError::Key { key, .. } if key == "gateway" || key.starts_with("gateway.") => {
            assert_eq!(gateway, Err(error.to_string()));
        }
        ConfigError::Read { .. } | ConfigError::Syntax { .. } => {
            assert!(gateway.is_err(), "the gateway takes it: {error}");
        }
        _ => {}
    }
}
