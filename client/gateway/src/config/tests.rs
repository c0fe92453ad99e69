use super::*;

/// What a gateway with these flags and this file makes of them.
fn resolve(flags: &Flags, text: &str) -> Result<Config, String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.toml");
    std::fs::write(&file, text).unwrap();
    let config = Config::resolve(flags, |name| match name {
        "HOME" => Some("/home/dev".into()),
        "STEROIDS_CONFIG" => Some(file.clone().into()),
        _ => None,
    });
    config.map_err(|error| {
        let said = error.to_string();
        said.replace(&format!("{}:", file.display()), "")
    })
}

fn complaint(text: &str) -> String {
    resolve(&Flags::default(), text).unwrap_err()
}

#[test]
fn without_a_word_it_is_on_this_machine_with_a_token_and_read_only() {
    let config = resolve(&Flags::default(), "").unwrap();
    assert_eq!(config.listen.to_string(), "127.0.0.1:3501");
    assert_eq!((config.auth, config.control), (Auth::Token, false));
    assert_eq!(config.max_connections(), 1128);
    assert_eq!(
        config.state_dir,
        PathBuf::from("/home/dev/.local/state/steroids")
    );
}

#[test]
fn the_file_sets_and_a_flag_wins() {
    let file = "[gateway]\nlisten = \"[::1]:4000\"\ncontrol = true\nmax_streams = 7\n\
                allowed_hosts = [\"a.example\"]\n[providers.x]\nnew_key = 1\n";
    let config = resolve(&Flags::default(), file).unwrap();
    assert_eq!(config.listen.to_string(), "[::1]:4000");
    assert!(config.control);
    assert_eq!(config.max_streams, 7);
    let flags = Flags {
        listen: Some("127.0.0.1:0".to_owned()),
        control: Some(false),
        ..Flags::default()
    };
    let config = resolve(&flags, file).unwrap();
    assert_eq!(config.listen.to_string(), "127.0.0.1:0");
    assert!(!config.control);
}

#[test]
fn what_makes_no_sense_is_named_with_file_line_key_and_reason() {
    for (text, reason) in [
        (
            "[gateway]\n\nport = 1\n",
            "3: `gateway.port`: unknown key; [gateway] has listen, auth, control, max_streams, allowed_hosts",
        ),
        (
            "[gateway]\nlisten = \"0.0.0.0:80\"\n",
            "2: `gateway.listen`: `0.0.0.0:80` is reachable from outside; use 127.0.0.1 or [::1]",
        ),
        (
            "[gateway]\nlisten = \"localhost\"\n",
            "2: `gateway.listen`: `localhost` is no address; write it like \"127.0.0.1:3501\"",
        ),
        (
            "[gateway]\nauth = \"none\"\ncontrol = true\n",
            "3: `gateway.control`: control is never open without a token; set gateway.auth = \"token\", or control = false (--control=false)",
        ),
        (
            "[gateway]\nauth = \"none\"\nallowed_hosts = [\"a\"]\n",
            "3: `gateway.allowed_hosts`: further names are never served without a token; set gateway.auth = \"token\"",
        ),
        (
            "[gateway]\nauth = \"basic\"\n",
            "2: `gateway.auth`: unknown value `basic`; there are token, none",
        ),
        (
            "[gateway]\nmax_streams = 0\n",
            "2: `gateway.max_streams`: must be a whole number from 1 to 100000",
        ),
        // Of several, that which stands first.
        (
            "[gateway]\nlisten = \"here\"\nport = 1\nauth = \"none\"\ncontrol = true\n",
            "2: `gateway.listen`: `here` is no address; write it like \"127.0.0.1:3501\"",
        ),
        (
            "gateway = 1\n",
            "1: `gateway`: must be a table, not integer",
        ),
    ] {
        assert_eq!(complaint(text), reason);
    }
}

#[test]
fn flags_are_held_to_the_same() {
    let outside = Flags {
        listen: Some("192.168.0.1:3501".to_owned()),
        ..Flags::default()
    };
    assert_eq!(
        resolve(&outside, "").unwrap_err(),
        "--listen: `192.168.0.1:3501` is reachable from outside; use 127.0.0.1 or [::1]"
    );
    let open = Flags {
        auth: Some(Auth::None),
        control: Some(true),
        ..Flags::default()
    };
    assert!(resolve(&open, "").unwrap_err().starts_with("--control: "));
    let half = Flags {
        auth: Some(Auth::None),
        ..Flags::default()
    };
    let error = resolve(&half, "[gateway]\ncontrol = true\n").unwrap_err();
    assert!(error.starts_with("--auth: "), "{error}");
}

#[test]
fn a_file_that_was_named_must_be_there() {
    let flags = Flags {
        config: Some("/nonexistent/config.toml".into()),
        ..Flags::default()
    };
    assert!(resolve(&flags, "").is_err());
}
