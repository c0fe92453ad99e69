use super::*;
use crate::holder::tests::hold;

fn paths(flags: (Option<&str>, Option<&str>), environment: &[(&str, &str)]) -> Paths {
    try_paths(flags, environment).unwrap()
}

fn try_paths(
    (socket, state_dir): (Option<&str>, Option<&str>),
    environment: &[(&str, &str)],
) -> Result<Paths, PathsError> {
    resolve_in(socket.map(Path::new), state_dir.map(Path::new), |name| {
        let (_, value) = environment.iter().find(|(key, _)| *key == name)?;
        Some(OsString::from(value))
    })
}

const USUAL: &[(&str, &str)] = &[("HOME", "/home/dev"), ("XDG_RUNTIME_DIR", "/run/user/7")];

#[test]
fn the_runtime_folder_holds_the_socket_and_home_the_state() {
    let found = paths((None, None), USUAL);
    assert_eq!(
        found.socket,
        Path::new("/run/user/7/steroids/steroidsd.sock")
    );
    assert_eq!(
        found.state_dir,
        Path::new("/home/dev/.local/state/steroids")
    );
}

#[test]
fn without_a_runtime_folder_the_socket_lives_in_the_state_folder() {
    let found = paths((None, None), &[("HOME", "/h"), ("XDG_STATE_HOME", "/s")]);
    assert_eq!(found.socket, Path::new("/s/steroids/run/steroidsd.sock"));
}

#[test]
fn flags_win_over_variables_and_variables_over_defaults() {
    let mut environment = USUAL.to_vec();
    environment.extend([
        ("STEROIDS_SOCKET", "/e/sock"),
        ("STEROIDS_STATE_DIR", "/e/state"),
    ]);
    assert_eq!(
        paths((None, None), &environment).socket,
        Path::new("/e/sock")
    );
    let found = paths((Some("/f/sock"), Some("/f/state")), &environment);
    assert_eq!(found.socket, Path::new("/f/sock"));
    assert_eq!(found.state_dir, Path::new("/f/state"));
}

#[test]
fn a_named_state_folder_brings_its_socket_along() {
    let found = paths((None, Some("/f/state")), USUAL);
    assert_eq!(found.socket, Path::new("/f/state/run/steroidsd.sock"));
}

#[test]
fn relative_names_mean_the_current_folder_and_relative_xdg_folders_nothing() {
    let here = std::env::current_dir().unwrap();
    let found = paths((None, None), &[("STEROIDS_SOCKET", "sock")]);
    assert_eq!(found.socket, here.join("sock"));
    let found = paths((None, None), &[("XDG_RUNTIME_DIR", "run"), ("HOME", "/h")]);
    assert_eq!(
        found.socket,
        Path::new("/h/.local/state/steroids/run/steroidsd.sock")
    );
}

#[test]
fn a_named_socket_needs_no_home_and_nothing_at_all_is_an_error() {
    let found = paths((Some("/f/sock"), None), &[]);
    assert_eq!(found.socket, Path::new("/f/sock"));
    assert!(matches!(
        try_paths((None, None), &[("STEROIDS_SOCKET", "")]),
        Err(PathsError::NoHome)
    ));
}

#[test]
fn the_configuration_moves_the_daemon_and_variables_win_over_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.toml");
    let text = "[daemon]\nstate_dir = \"/c/state\"\nmax_running = 3\n[limits]\nwall = \"\"\n";
    std::fs::write(&file, text).unwrap();
    let mut environment = vec![("STEROIDS_CONFIG", file.to_str().unwrap())];
    let found = paths((None, None), &environment);
    assert_eq!(found.state_dir, Path::new("/c/state"));
    assert_eq!(found.socket, Path::new("/c/state/run/steroidsd.sock"));
    environment.push(("STEROIDS_SOCKET", "/e/sock"));
    assert_eq!(
        paths((None, None), &environment).socket,
        Path::new("/e/sock")
    );
}

#[test]
fn a_configuration_that_makes_no_sense_names_file_key_and_reason() {
    let reason = |text: &str| parse(Path::new("/c.toml"), text).unwrap_err().to_string();
    assert_eq!(
        reason("[daemon]\nsocket = \"run/s\""),
        "/c.toml: daemon.socket: must be an absolute path"
    );
    assert_eq!(
        reason("[daemon]\nsocket = 3"),
        "/c.toml: daemon.socket: must be a text"
    );
    assert!(reason("[daemon]\n[daemon]").starts_with("/c.toml: line 2: "));
    // Of what is the daemon's to judge only that it is TOML.
    let large = "[gateway]\nmax_streams = 99999999999999999999999\n";
    assert!(parse(Path::new("/c.toml"), large).is_ok());
    let missing = try_paths(
        (None, None),
        &[("STEROIDS_CONFIG", "/none/c.toml"), ("HOME", "/h")],
    );
    assert!(
        missing
            .unwrap_err()
            .to_string()
            .starts_with("/none/c.toml: ")
    );
}

#[test]
fn the_systems_configuration_counts_while_there_is_none_of_the_users() {
    let root = tempfile::tempdir().unwrap();
    let folder = |name: &str| root.path().join(name).to_str().unwrap().to_owned();
    let (own, system) = (folder("own"), folder("system"));
    let environment = [
        ("XDG_CONFIG_HOME", own.as_str()),
        ("XDG_CONFIG_DIRS", &system),
    ];
    let found = || {
        config_file(|name| {
            let (_, value) = environment.iter().find(|(key, _)| *key == name)?;
            Some(OsString::from(value))
        })
    };
    let file = |folder: &str| Path::new(folder).join("steroids/config.toml");
    assert_eq!(found(), Some(file(&own)));
    for folder in [&system, &own] {
        std::fs::create_dir_all(file(folder).parent().unwrap()).unwrap();
        std::fs::write(file(folder), "").unwrap();
        assert_eq!(found(), Some(file(folder)));
    }
}

#[test]
fn the_daemon_of_the_state_folder_is_found_where_the_default_is_not_served() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().to_str().unwrap();
    let state = folder.path().join(".local/state/steroids");
    std::fs::create_dir_all(&state).unwrap();
    let socket = folder.path().join("d.sock");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let runtime = folder.path().join("runtime");
    std::fs::create_dir_all(runtime.join("steroids")).unwrap();
    let runtime = runtime.to_str().unwrap();
    let here = [("HOME", home), ("XDG_RUNTIME_DIR", runtime)];
    let default = folder.path().join("runtime/steroids/steroidsd.sock");
    assert_eq!(paths((None, None), &here).socket, default);

    let line = format!("pid 7 with socket {}\n", socket.display());
    let _held = hold(&state.join("steroidsd.lock"), &line);
    assert_eq!(paths((None, None), &here).socket, socket);
    assert_eq!(paths((None, None), &[("HOME", home)]).socket, socket);
    // One that was named is meant.
    assert_eq!(paths((Some("/x/d"), None), &here).socket, Path::new("/x/d"));
    let named = [("HOME", home), ("STEROIDS_SOCKET", "/x/d")];
    assert_eq!(paths((None, None), &named).socket, Path::new("/x/d"));
    let other = paths((None, Some("/x/s")), &here);
    assert_eq!(other.socket, Path::new("/x/s/run/steroidsd.sock"));
    // A daemon with another state folder may serve the default.
    let _claim = hold(
        &folder.path().join("runtime/steroids/steroidsd.sock.lock"),
        "",
    );
    assert_eq!(paths((None, None), &here).socket, default);
}

#[test]
fn a_configuration_that_cannot_be_used_hides_no_daemon() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().to_str().unwrap();
    let state = folder.path().join(".local/state/steroids");
    std::fs::create_dir_all(&state).unwrap();
    let socket = folder.path().join("d.sock");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let line = format!("pid 7 with socket {}\n", socket.display());
    let _held = hold(&state.join("steroidsd.lock"), &line);
    let file = folder.path().join("config.toml");
    let environment = [("HOME", home), ("STEROIDS_CONFIG", file.to_str().unwrap())];
    let look = |flag: Option<&str>, state_dir: Option<&str>| {
        let of = |name: &str| {
            let (_, value) = environment.iter().find(|(key, _)| *key == name)?;
            Some(OsString::from(value))
        };
        find_in(flag.map(Path::new), state_dir.map(Path::new), of).unwrap()
    };
    let doubts = |found: &Found| {
        let socket = found.doubt_of_socket().is_some();
        (socket, found.doubt_of_state_dir().is_some())
    };
    let texts = [&b"[daemon"[..], b"[daemon]\nsocket = 7\n", b"# \xff\n"];
    for text in texts {
        std::fs::write(&file, text).unwrap();
        let found = look(None, None);
        assert_eq!(
            (&found.paths.socket, doubts(&found)),
            (&socket, (true, true))
        );
        assert!(try_paths((None, None), &environment).is_err());
    }
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    let found = look(None, None);
    assert_eq!(
        (&found.paths.socket, doubts(&found)),
        (&socket, (true, true))
    );
    let found = look(Some("/x/d"), None);
    assert_eq!(found.paths.socket, Path::new("/x/d"));
    assert_eq!(doubts(&found), (false, true));
    assert_eq!(doubts(&look(None, Some("/x/s"))), (true, false));
    assert_eq!(doubts(&look(Some("/x/d"), Some("/x/s"))), (false, false));
}
