use steroids_keys::{KEYS, TABLES};
use steroids_provider::kind::Kind;
use steroids_shim::spec::Life;

use super::*;
use crate::domain::Outcome;

/// A user's folders under a temporary one, with this configuration file in it.
fn resolve(text: &str, flags: impl FnOnce(&mut Flags)) -> Result<Config, ConfigError> {
    let home = tempfile::tempdir().unwrap();
    let places = Places {
        config: vec![home.path().join("config")],
        state: "/home/ada/.local/state/steroids".into(),
        runtime: Some("/run/user/7/steroids".into()),
    };
    std::fs::create_dir_all(&places.config[0]).unwrap();
    std::fs::write(places.config[0].join("config.toml"), text).unwrap();
    let mut given = Flags::default();
    flags(&mut given);
    Config::resolve(&given, Some(&places))
}

pub(super) fn read(text: &str) -> Config {
    resolve(text, |_| {}).unwrap()
}

/// The complaint about a file, without the folder it stands in.
pub(super) fn complaint(text: &str) -> String {
    let error = resolve(text, |_| {}).expect_err(text).to_string();
    error
        .split_once("/config.toml:")
        .expect("names the file and the line")
        .1
        .to_owned()
}

#[test]
fn the_documentation_names_every_key_and_its_example_is_good() {
    let document = include_str!("../../../docs/configuration.md");
    let (_, rest) = document.split_once("```toml\n").unwrap();
    let (example, _) = rest.split_once("```").unwrap();
    for table in TABLES.iter().map(|table| table.path) {
        // Rules and hooks have pages of their own.
        if !table.contains("[]") && table != "providers.*.errors" {
            for key in KEYS.iter().filter(|key| key.table == table) {
                let name = key.name;
                assert!(example.contains(&format!("{name} = ")), "{}", key.path());
            }
        }
    }
    // What it gives as the defaults are those.
    let (read, bare) = (read(example), read(""));
    assert_eq!(
        format!("{:?}", read.retention),
        format!("{:?}", bare.retention)
    );
    assert_eq!(format!("{:?}", read.limits), format!("{:?}", bare.limits));
    assert_eq!(read.queue, bare.queue);
}

#[test]
fn the_examples_of_providers_are_good_and_every_key_of_a_rule_is_documented() {
    let document = include_str!("../../../docs/providers.md");
    let examples: Vec<&str> = document
        .split("```toml\n")
        .skip(1)
        .map(|rest| rest.split_once("```").unwrap().0)
        .collect();
    let config = read(&examples.concat());
    assert_eq!(config.providers["aider"].settings.kind, Kind::Command);
    let vibe = &config.providers["vibe"].settings;
    assert_eq!(vibe.mapping.as_ref().unwrap().events.len(), 5);
    for key in steroids_keys::known("providers.*.events[]") {
        let is_named = [format!("`{key}`"), format!("`{key} = ")];
        assert!(is_named.iter().any(|it| document.contains(it)), "{key}");
    }
}

#[test]
fn the_documentation_names_the_variables_that_each_kind_gets() {
    let document = include_str!("../../../docs/configuration.md");
    for kind in Kind::BUILTIN {
        let names = steroids_provider::args::Settings::builtin(kind).env;
        let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
        let row = match names.is_empty() {
            true => format!("| {kind}, jsonl | none |"),
            false => format!("| {kind} | {} |", names.join(", ")),
        };
        assert!(document.contains(&row), "{row}");
    }
}

#[test]
fn without_a_file_everything_has_its_default() {
    let places = Places {
        config: vec!["/nowhere/at/all".into()],
        state: "/home/ada/.local/state/steroids".into(),
        runtime: None,
    };
    let config = Config::resolve(&Flags::default(), Some(&places)).unwrap();
    assert_eq!(config.file, None);
    assert_eq!(
        config.socket,
        Path::new("/home/ada/.local/state/steroids/run/steroidsd.sock")
    );
    assert_eq!(
        config.runtime_dir,
        Path::new("/home/ada/.local/state/steroids/run")
    );
    assert_eq!((config.max_running, config.max_connections), (8, 256));
    assert_eq!(config.min_free, 200 << 20);
    assert_eq!(config.wakeup_interval, Some(Duration::from_secs(300)));
    assert_eq!(config.launcher, Launcher::Auto);
    assert_eq!(config.retention.max_bytes, Some(10 << 30));
    let names: Vec<_> = config.providers.keys().map(String::as_str).collect();
    assert_eq!(names, ["claude", "codex", "command", "gemini", "opencode"]);
    assert_eq!(config.gateway.listen.to_string(), "127.0.0.1:3501");
}

#[test]
fn the_sockets_of_a_session_are_in_its_runtime_folder() {
    let config = read("");
    assert_eq!(
        config.socket,
        Path::new("/run/user/7/steroids/steroidsd.sock")
    );
    assert!(config.file.is_some());
}

#[test]
fn a_flag_wins_over_the_file() {
    let text = "[daemon]\nsocket = \"/a/sock\"\nstate_dir = \"/a/state\"\nlog_level = \"warn\"\n";
    let config = resolve(text, |flags| {
        flags.socket = Some("/b/sock".into());
        flags.log_level = Some("steroidsd=debug".into());
    })
    .unwrap();
    assert_eq!(config.socket, Path::new("/b/sock"));
    assert_eq!(config.state_dir, Path::new("/a/state"));
    assert_eq!(config.log_level, "steroidsd=debug");
}

#[test]
fn a_relative_flag_is_meant_from_here_and_an_empty_one_is_none() {
    let config = resolve("", |flags| {
        flags.socket = Some("some.sock".into());
        flags.state_dir = Some("".into());
    })
    .unwrap();
    assert_eq!(
        config.socket,
        std::env::current_dir().unwrap().join("some.sock")
    );
    assert_eq!(
        config.state_dir,
        Path::new("/home/ada/.local/state/steroids")
    );
}

#[test]
fn a_named_state_folder_brings_its_sockets_along() {
    let config = resolve("", |flags| flags.state_dir = Some("/srv/steroids".into())).unwrap();
    assert_eq!(config.socket, Path::new("/srv/steroids/run/steroidsd.sock"));
    assert_eq!(config.runtime_dir, Path::new("/srv/steroids/run"));
}

#[test]
fn passes_that_never_rest_are_refused() {
    let text = |interval| format!("[daemon]\nwakeup_interval = \"{interval}\"");
    let refused = resolve(&text("999ms"), |_| ()).unwrap_err().to_string();
    assert!(refused.contains("a second at least"), "{refused}");
    let least = Some(Duration::from_secs(1));
    assert_eq!(read(&text("1s")).wakeup_interval, least);
}

#[test]
fn everything_in_the_documentation_is_read() {
    let config = read(
        r#"
        [daemon]
        wakeup_interval = ""
        max_running = 2
        min_free = "1 GiB"
        launcher = "fork"
        shim = "/opt/steroids-shim"
        [limits]
        silence = "20m"
        wall = ""
        grace = "0s"
        life = ["tool", "cpu"]
        [retention]
        log_days = 0
        max_bytes = "500 MB"
        [providers.claude]
        command = "/usr/bin/claude"
        model = "opus"
        env = ["ANTHROPIC_*"]
        extra_args = ["--foo"]
        silence = ""
        [providers.mytool]
        kind = "command"
        life = []
        args = ["-x", "{prompt}"]
        [gateway]
        listen = "[::1]:4000"
        control = true
        "#,
    );
    assert_eq!(config.wakeup_interval, None);
    assert_eq!((config.max_running, config.launcher), (2, Launcher::Fork));
    assert_eq!(config.min_free, 1 << 30);
    assert_eq!(config.limits.silence, Some(Duration::from_secs(1200)));
    assert_eq!(config.limits.tool_silence, Some(Duration::from_secs(7200)));
    assert_eq!(config.limits.grace, Duration::ZERO);
    let life = |tool, cpu| Life {
        tool,
        cpu,
        disk: false,
    };
    assert_eq!(config.limits.life, life(true, true));
    assert_eq!(config.providers["mytool"].life, Some(life(false, false)));
    assert_eq!(config.providers["claude"].life, None);
    assert_eq!(
        (config.retention.log_days, config.retention.spool_days),
        (None, Some(7))
    );
    assert_eq!(config.retention.max_bytes, Some(500_000_000));
    let claude = &config.providers["claude"];
    assert_eq!(claude.settings.command, "/usr/bin/claude");
    assert_eq!(claude.settings.model.as_deref(), Some("opus"));
    assert_eq!(claude.settings.env, ["ANTHROPIC_*"]);
    assert_eq!(claude.limits.silence, Some(None));
    assert_eq!(config.providers["mytool"].settings.kind, Kind::Command);
    assert_eq!(config.providers["codex"].settings.command, "codex");
    assert!(config.gateway.control);
}

#[test]
fn prices_are_read_by_pattern_and_what_makes_none_is_named() {
    let prices = read("[prices.\"gpt-5*\"]\ninput = 1.25\noutput = 10\n").prices;
    let price = prices.of("gpt-5.5", None).unwrap();
    assert_eq!(
        (price.input, price.output, price.cached_input),
        (1.25, 10.0, None)
    );
    assert_eq!(prices.of("o9", None), None);
    let wrong = [
        ("[prices.m]\ninput = 1", "`prices.m.output`: not set"),
        (
            "[prices.m]\ninput = -1\noutput = 1",
            "`prices.m.input`: must be a number of US dollars",
        ),
        (
            "[prices.m]\ninput = \"1\"\noutput = 1",
            "`prices.m.input`: must be a number",
        ),
        (
            "[prices.m]\ninput = nan\noutput = 1",
            "`prices.m.input`: must be a number",
        ),
        ("[prices]\nm = 1", "`prices.m`: must be a table"),
        ("[prices.m]\nper_day = 1", "unknown key"),
    ];
    for (text, said) in wrong {
        let complaint = complaint(text);
        assert!(complaint.contains(said), "{complaint}");
    }
}

#[test]
fn every_limit_can_be_set_for_all_and_for_one_provider_and_be_none() {
    let five = |prefix: &str| {
        format!(
            "silence = \"{prefix}1s\"\ntool_silence = \"{prefix}2s\"\nwall = \"{prefix}3s\"\n\
             post_result = \"{prefix}4s\"\ngrace = \"{prefix}5s\"\n"
        )
    };
    let none = "silence = \"\"\ntool_silence = \"\"\nwall = \"\"\npost_result = \"\"\n";
    let (all, one) = (five(""), five("1"));
    let text = format!("[limits]\n{all}[providers.codex]\n{one}[providers.gemini]\n{none}");
    let config = read(&text);
    let seconds = Duration::from_secs;
    let limits = config.limits;
    let all = [limits.silence, limits.tool_silence, limits.wall];
    assert_eq!(all, [1, 2, 3].map(|it| Some(seconds(it))));
    assert_eq!(limits.post_result, Some(seconds(4)));
    assert_eq!(limits.grace, seconds(5));
    let limits = config.providers["codex"].limits;
    let one = [limits.silence, limits.tool_silence, limits.wall];
    assert_eq!(one, [11, 12, 13].map(|it| Some(Some(seconds(it)))));
    assert_eq!(limits.post_result, Some(Some(seconds(14))));
    assert_eq!(limits.grace, Some(seconds(15)));
    let limits = config.providers["gemini"].limits;
    let none = [limits.silence, limits.tool_silence, limits.wall];
    assert_eq!(none, [Some(None); 3]);
    assert_eq!(limits.post_result, Some(None));
}

#[test]
fn a_sign_of_life_that_there_is_not_is_refused_with_those_there_are() {
    assert_eq!(
        complaint("[limits]\nlife = [\"cpu\", \"heat\"]\n"),
        "2: `limits.life`: unknown value `heat`; there are tool, cpu, disk"
    );
    let one = "[providers.claude]\nlife = \"cpu\"\n";
    assert!(complaint(one).starts_with("2: `providers.claude.life`: must be a list"));
}

#[test]
fn an_unknown_key_is_named_with_its_line_and_what_there_is() {
    assert_eq!(
        complaint("[daemon]\n\nmax_runing = 2\n"),
        "3: `daemon.max_runing`: unknown key; [daemon] has socket, state_dir, log_level, \
         wakeup_interval, max_running, min_free, max_connections, max_streams, launcher, shim, \
         allow_root"
    );
    assert_eq!(
        complaint("[demon]\n"),
        "1: `demon`: unknown key; the file has daemon, projects, queue, holds, retry, limits, \
         retention, redaction, prices, budget, resources, providers, hooks, otlp, gateway"
    );
    assert_eq!(
        complaint("[providers.claude]\nmodell = \"x\"\n"),
        "2: `providers.claude.modell`: unknown key; [providers.claude] has kind, command, model, \
         args, extra_args, env, silence, tool_silence, wall, post_result, grace, \
         max_running, hold, life, memory_max, cpu_quota, tasks_max, retry, events, errors"
    );
}

#[test]
fn what_waits_and_is_tried_again_is_read_and_a_provider_has_its_own_word() {
    let config = read(
        "[projects]
        max_running = 3
        [queue]
        max = 7
        [holds]
        first = \"2h\"
        [retry]
        on = [\"overloaded\"]
        [providers.claude]
        max_running = 1
        hold = false
        retry = { on = [\"rate_limited\", \"overloaded\"], max = 5 }
        ",
    );
    assert_eq!(
        (config.queue.max, config.queue.project_max_running),
        (7, Some(3))
    );
    let two_hours = Duration::from_secs(7200);
    assert_eq!(config.queue.hold_for.first, two_hours);
    assert_eq!(config.queue.hold_for.most, two_hours);
    assert_eq!(config.queue.retry.on, [Outcome::Overloaded]);
    assert_eq!(config.queue.retry.max, 3);
    let claude = &config.providers["claude"].queue;
    assert_eq!((claude.max_running, claude.holds), (Some(1), Some(false)));
    assert_eq!(claude.retry.as_ref().map(|retry| retry.max), Some(5));
    assert_eq!(
        complaint("[retry]\non = [\"cancelled\"]\n"),
        "2: `retry.on`: `cancelled` is what a person wanted"
    );
    assert!(
        complaint("[retry]\non = [\"tired\"]\n")
            .contains("`tired` is not an outcome; there are failed,")
    );
    assert_eq!(
        complaint("[holds]\nfirst = \"5m\"\nmost = \"1m\"\n"),
        "3: `holds.most`: must not be shorter than `first`"
    );
}

#[test]
fn what_is_secret_besides_is_checked_before_anything_starts() {
    assert_eq!(
        complaint("[redaction]\npatterns = [\"a\", \"(\"]\n"),
        "2: `redaction.patterns`: `(` is no regular expression: unclosed group"
    );
    assert_eq!(
        complaint("[redaction]\npatterns = [\"x*\"]\n"),
        "2: `redaction.patterns`: `x*` matches an empty text, so everything"
    );
    assert_eq!(
        complaint("[redaction]\nvariables = [\"*\"]\n"),
        "2: `redaction.variables`: `*` is no variable's name; write it like \"FOO_KEY\" or \
         \"FOO_*\""
    );
}

#[test]
fn an_unknown_kind_lists_the_kinds() {
    assert_eq!(
        complaint("[providers.mytool]\ncommand = \"mytool\"\n"),
        "1: `providers.mytool.kind`: not set, and by its name: unknown provider kind \
         `mytool`; known: claude, codex, gemini, opencode, jsonl, command"
    );
    assert_eq!(
        complaint("[providers.x]\nkind = \"claud\"\n"),
        "2: `providers.x.kind`: unknown provider kind `claud`; known: claude, codex, gemini, \
         opencode, jsonl, command"
    );
}

#[test]
fn a_value_that_makes_no_sense_is_refused_with_the_reason() {
    for (text, reason) in [
        (
            "[daemon]\nmax_running = 0\n",
            "2: `daemon.max_running`: must be a whole number from 1 to 10000",
        ),
        (
            "[daemon]\nmax_running = \"2\"\n",
            "2: `daemon.max_running`: must be a whole number from 1 to 10000, not string",
        ),
        (
            "[daemon]\nlauncher = \"docker\"\n",
            "2: `daemon.launcher`: unknown value `docker`; there are auto, fork, systemd",
        ),
        (
            "[daemon]\nsocket = \"run/sock\"\n",
            "2: `daemon.socket`: `run/sock` is relative; write the whole path, from /",
        ),
        ("daemon = 3\n", "1: `daemon`: must be a table, not integer"),
        (
            "[limits]\nwall = \"0s\"\n",
            "2: `limits.wall`: must be longer than nothing; \"\" is no limit",
        ),
        (
            "[limits]\ngrace = \"\"\n",
            "2: `limits.grace`: there is always a grace; \"0s\" kills at once",
        ),
        (
            "[gateway]\nlisten = \"0.0.0.0:80\"\n",
            "2: `gateway.listen`: `0.0.0.0:80` is reachable from outside; use 127.0.0.1 or [::1]",
        ),
        (
            "[gateway]\nauth = \"none\"\ncontrol = true\n",
            "3: `gateway.control`: control is never open without a token; set gateway.auth = \"token\"",
        ),
        (
            "[gateway]\nauth = \"none\"\nallowed_hosts = [\"a\"]\n",
            "3: `gateway.allowed_hosts`: further names are never served without a token; set gateway.auth = \"token\"",
        ),
        (
            "[providers.claude]\nenv = [\"*\"]\n",
            "2: `providers.claude.env`: `*` is no variable's name; write it like \"FOO_KEY\" or \"FOO_*\"",
        ),
    ] {
        assert_eq!(complaint(text), reason);
    }
}

#[test]
fn a_broken_file_names_the_line() {
    assert!(complaint("[daemon]\nmax_running = \n").starts_with("2: not valid TOML: "));
}

#[test]
fn a_file_that_was_named_must_exist() {
    let error = resolve("", |flags| flags.config = Some("/nowhere/x.toml".into())).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot read configuration file /nowhere/x.toml"
    );
}

#[test]
fn a_lone_word_that_is_no_level_is_refused() {
    let error = resolve("", |flags| flags.log_level = Some("verbose".into())).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("--log-level: unknown level `verbose`; there are error,")
    );
}

#[test]
fn without_a_home_the_paths_must_be_given() {
    let mut flags = Flags::default();
    assert!(matches!(
        Config::resolve(&flags, None),
        Err(ConfigError::NoHome)
    ));
    flags.state_dir = Some("/srv/steroids".into());
    let config = Config::resolve(&flags, None).unwrap();
    assert_eq!(config.socket, Path::new("/srv/steroids/run/steroidsd.sock"));
}

mod keys;
