use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::command::doctor::Verdict;
use crate::command::doctor::script::script;

fn provider(name: &str, kind: &str, command: &str, program: &str) -> v1::Provider {
    v1::Provider {
        name: name.to_owned(),
        kind: kind.to_owned(),
        command: command.to_owned(),
        program: program.to_owned(),
        env: Vec::new(),
    }
}

fn program(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    script(&path, text);
    path.to_str().unwrap().to_owned()
}

fn at(home: &Path, variables: &[(&str, &str)]) -> Surroundings {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    Surroundings {
        home: Some(home.to_owned()),
        variables: variables.iter().map(owned).collect(),
    }
}

#[tokio::test]
async fn a_program_that_either_side_finds_is_there() {
    let all = [
        provider("gone", "command", "steroids-no-such-program", ""),
        provider("shell", "command", "sh", ""),
        provider("theirs", "command", "steroids-no-such-program", "/opt/x"),
        provider("command", "command", "", ""),
    ];
    let checks = checks(&all, &Surroundings::default()).await;
    let seen: Vec<_> = checks.iter().map(|check| check.status).collect();
    assert_eq!(seen, [Verdict::Ok, Verdict::Ok, Verdict::Warn]);
    assert!(
        checks[2]
            .hint
            .as_ref()
            .unwrap()
            .contains("[providers.gone]")
    );
}

#[tokio::test]
async fn a_known_one_is_asked_for_its_version_and_its_login_is_looked_for() {
    let home = tempfile::tempdir().unwrap();
    let claude = program(home.path(), "claude", "echo '2.1.197 (Claude Code)'");
    let codex = program(home.path(), "codex", "echo 'no node' >&2; exit 127");
    let all = [
        provider("claude", "claude", &claude, ""),
        provider("fast", "codex", &codex, ""),
    ];
    let folder = home.path().join(".claude");
    fs::create_dir(&folder).unwrap();
    let login = folder.join(".credentials.json");
    fs::write(&login, "a secret").unwrap();
    fs::set_permissions(&login, fs::Permissions::from_mode(0o600)).unwrap();

    let checks = checks(&all, &at(home.path(), &[])).await;
    let seen: Vec<_> = checks.iter().map(|it| (it.name, it.status)).collect();
    let expected = [
        ("provider", Verdict::Ok),
        ("login", Verdict::Ok),
        ("provider", Verdict::Warn),
        ("login", Verdict::Warn),
    ];
    assert_eq!(seen, expected);
    assert!(
        checks[0]
            .message
            .starts_with("claude: 2.1.197 (Claude Code), /")
    );
    assert!(checks[1].message.ends_with("/.claude/.credentials.json"));
    assert!(checks[2].message.ends_with("ended with 127: no node"));
    assert_eq!(checks[3].message, "fast: no login is to be seen");
    assert!(checks.iter().all(|check| !check.message.contains("secret")));
}

#[test]
fn a_login_may_be_a_variable_whose_value_is_never_shown() {
    let home = tempfile::tempdir().unwrap();
    let codex = &KNOWN[1];
    let check = login(
        "codex",
        codex,
        &at(home.path(), &[("OPENAI_API_KEY", "sk-1")]),
    );
    assert_eq!(check.status, Verdict::Ok);
    assert_eq!(check.message, "codex: OPENAI_API_KEY is set here");
    let elsewhere = home.path().join("codex");
    fs::create_dir(&elsewhere).unwrap();
    fs::write(elsewhere.join("auth.json"), "").unwrap();
    fs::set_permissions(
        elsewhere.join("auth.json"),
        fs::Permissions::from_mode(0o644),
    )
    .unwrap();
    let open = login(
        "codex",
        codex,
        &at(home.path(), &[("CODEX_HOME", elsewhere.to_str().unwrap())]),
    );
    assert_eq!(open.status, Verdict::Warn);
    assert!(open.hint.unwrap().starts_with("chmod 600"));
}
