//! The file, table by table: which keys there are, and what each may hold.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr as _;
use std::time::Duration;

use steroids_provider::args;
use steroids_provider::kind::Kind;
use steroids_provider::redact;
use toml::de::{DeTable, DeValue};
use tracing_subscriber::EnvFilter;

use super::error::ConfigError;
use super::section::{Section, Source, choice, number, path, text, texts, word, yes};
use super::{
    Auth, Flags, Gateway, Launcher, Places, budget, flagged, hooks, life, mapping, otlp, prices,
    queue, resources, retention, units,
};
use crate::domain::{Limits, Prices, StartResources};
use crate::hooks::HookSettings;
use crate::supervise::{
    Budgets, DefaultLimits, ProviderQueue, ProviderSettings, QueueSettings, RedactionSettings,
};

/// What a file of ours may weigh; a larger one is something else.
const FILE_MAX: u64 = 1 << 20;

/// What the file says.
pub(super) struct Read {
    pub(super) daemon: Daemon,
    pub(super) queue: QueueSettings,
    pub(super) limits: DefaultLimits,
    pub(super) retention: crate::retention::Settings,
    pub(super) redaction: RedactionSettings,
    pub(super) prices: Prices,
    pub(super) budgets: Budgets,
    pub(super) resources: StartResources,
    pub(super) providers: BTreeMap<String, ProviderSettings>,
    pub(super) hooks: Vec<HookSettings>,
    pub(super) otlp: Option<crate::otlp::Settings>,
    pub(super) gateway: Gateway,
}

/// The table `[daemon]`.
#[derive(Default)]
pub(super) struct Daemon {
    pub(super) socket: Option<PathBuf>,
    pub(super) state_dir: Option<PathBuf>,
    pub(super) log_level: Option<String>,
    pub(super) wakeup_interval: Option<Option<Duration>>,
    pub(super) max_running: Option<usize>,
    pub(super) min_free: Option<Option<u64>>,
    pub(super) max_connections: Option<usize>,
    pub(super) max_streams: Option<u32>,
    pub(super) launcher: Option<Launcher>,
    pub(super) shim: Option<PathBuf>,
    pub(super) allow_root: bool,
}

/// Reads the file that was named, or the user's where there is one: its path, its text, and what it
/// says.
pub(super) fn read(
    flags: &Flags,
    places: Option<&Places>,
) -> Result<(Option<PathBuf>, String, Read), Vec<ConfigError>> {
    let named = flagged("--config (STEROIDS_CONFIG)", flags.config.as_deref());
    let named = named.map_err(|problem| vec![problem])?;
    let is_named = named.is_some();
    let file = named.or_else(|| places?.config_file());
    let name = file.as_deref().unwrap_or("config.toml".as_ref());
    let found = match file.as_deref().map(content) {
        Some(Ok(text)) => Some(text),
        None => None,
        Some(Err(error)) if error.kind() == io::ErrorKind::NotFound && !is_named => None,
        Some(Err(source)) => {
            let file = name.to_owned();
            return Err(vec![ConfigError::Read { file, source }]);
        }
    };
    let is_there = found.is_some();
    let text = found.unwrap_or_default();
    let read = parse(Source::new(name, &text))?;
    Ok((file.filter(|_| is_there), text, read))
}

pub(super) fn content(file: &std::path::Path) -> io::Result<String> {
    let size = std::fs::metadata(file)?.len();
    if size > FILE_MAX {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            "larger than 1 MiB",
        ));
    }
    std::fs::read_to_string(file)
}

fn parse(source: Source<'_>) -> Result<Read, Vec<ConfigError>> {
    let text = source.text();
    let table = DeTable::parse(text).map_err(|error| {
        vec![ConfigError::Syntax {
            file: source.file().to_owned(),
            line: error.span().map_or(1, |span| source.line(span.start)),
            reason: error.message().to_owned(),
        }]
    })?;
    let read = tables(&Section::root(&source, table.get_ref()));
    let problems = source.into_problems();
    match problems.is_empty() {
        true => Ok(read),
        false => Err(problems),
    }
}

fn tables(root: &Section<'_>) -> Read {
    let providers = providers(root);
    Read {
        otlp: otlp::read(root, &providers),
        daemon: daemon(root),
        queue: queue::read(root),
        limits: default_limits(root),
        retention: retention::read(root),
        redaction: redaction(root),
        prices: prices::read(root),
        budgets: budget::read(root),
        resources: resources::read(root),
        providers,
        hooks: hooks::read(root),
        gateway: gateway(root),
    }
}

fn daemon(root: &Section<'_>) -> Daemon {
    let Some(section) = root.section("daemon") else {
        return Daemon::default();
    };
    let usize_of = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
    Daemon {
        socket: section.get("socket", path),
        state_dir: section.get("state_dir", path),
        log_level: section.get("log_level", |value| log_level(&word(value)?)),
        wakeup_interval: section.get("wakeup_interval", between_passes),
        max_running: section.get("max_running", number(1, 10_000)).map(usize_of),
        min_free: section.get("min_free", |value| units::bytes(&text(value)?)),
        max_connections: section
            .get("max_connections", number(1, 10_000))
            .map(usize_of),
        max_streams: section.get("max_streams", number(1, 10_000)),
        launcher: section.get("launcher", launcher),
        shim: section.get("shim", path),
        allow_root: section.get("allow_root", yes).unwrap_or_default(),
    }
}

fn launcher(value: &DeValue<'_>) -> Result<Launcher, String> {
    let launchers =
        [Launcher::Auto, Launcher::Fork, Launcher::Systemd].map(|each| (each.as_str(), each));
    choice(&launchers)(value)
}

fn default_limits(root: &Section<'_>) -> DefaultLimits {
    let defaults = DefaultLimits::default();
    let Some(section) = root.section("limits") else {
        return defaults;
    };
    let set = limits(&section);
    DefaultLimits {
        silence: set.silence.unwrap_or(defaults.silence),
        tool_silence: set.tool_silence.unwrap_or(defaults.tool_silence),
        wall: set.wall.unwrap_or(defaults.wall),
        post_result: set.post_result.unwrap_or(defaults.post_result),
        grace: set.grace.unwrap_or(defaults.grace),
        life: life::read(&section).unwrap_or(defaults.life),
    }
}

fn limits(section: &Section<'_>) -> Limits {
    let grace = |value: &DeValue<'_>| match units::duration(&text(value)?)? {
        None => Err("there is always a grace; \"0s\" kills at once".to_owned()),
        // A stop waits for it, and no request waits for ever.
        Some(grace) if grace > Duration::from_secs(3600) => {
            Err("must not be over an hour".to_owned())
        }
        Some(grace) => Ok(grace),
    };
    Limits {
        silence: section.get("silence", limit),
        tool_silence: section.get("tool_silence", limit),
        wall: section.get("wall", limit),
        post_result: section.get("post_result", limit),
        grace: section.get("grace", grace),
    }
}

/// A pass looks at every project and every state folder, and is a load if it never rests.
fn between_passes(value: &DeValue<'_>) -> Result<Option<Duration>, String> {
    match limit(value)? {
        Some(interval) if interval < Duration::from_secs(1) => {
            Err("must be a second at least; \"\" makes passes on request only".to_owned())
        }
        interval => Ok(interval),
    }
}

/// A duration that is longer than nothing, or none.
pub(super) fn limit(value: &DeValue<'_>) -> Result<Option<Duration>, String> {
    match units::duration(&text(value)?)? {
        Some(Duration::ZERO) => Err("must be longer than nothing; \"\" is no limit".to_owned()),
        duration => Ok(duration),
    }
}

fn redaction(root: &Section<'_>) -> RedactionSettings {
    let mut redaction = RedactionSettings::default();
    let Some(section) = root.section("redaction") else {
        return redaction;
    };
    redaction.enabled = section.get("enabled", yes).unwrap_or(redaction.enabled);
    redaction.variables = section.get("variables", names).unwrap_or_default();
    redaction.patterns = section.get("patterns", patterns).unwrap_or_default();
    redaction
}

fn patterns(value: &DeValue<'_>) -> Result<Vec<String>, String> {
    let patterns = texts(value)?;
    for pattern in &patterns {
        redact::check_pattern(pattern)?;
    }
    Ok(patterns)
}

fn providers(root: &Section<'_>) -> BTreeMap<String, ProviderSettings> {
    let mut providers: BTreeMap<String, ProviderSettings> = Kind::BUILTIN
        .into_iter()
        .map(|kind| (kind.as_str().to_owned(), builtin(kind)))
        .collect();
    for (name, at, section) in root.sections("providers") {
        if let Some(provider) = section.keep(provider(&name, at, &section)) {
            providers.insert(name, provider);
        }
    }
    providers
}

fn provider(name: &str, at: usize, section: &Section<'_>) -> Result<ProviderSettings, ConfigError> {
    if !is_name(name) {
        let reason = "a provider's name has 1 to 64 of the characters a-z A-Z 0-9 . _ -";
        return Err(section.refuse("", at, reason.to_owned()));
    }
    // All are read before any is refused for the others.
    let word_of_kind = section.get("kind", |value| kind(&word(value)?));
    let command = section.get("command", word);
    let model = section.get("model", word);
    let args = section.get("args", texts);
    let extra_args = section.get("extra_args", texts);
    let env = section.get("env", names);
    let (limits, life) = (limits(section), life::read(section));
    let queue = queue::of_provider(section);
    let resources = resources::of_section(section);
    let kind = match word_of_kind {
        Some(kind) => kind,
        None => kind(name).map_err(|reason| {
            section.refuse("kind", at, format!("not set, and by its name: {reason}"))
        })?,
    };
    let builtin = args::Settings::builtin(kind);
    if kind == Kind::Jsonl && command.is_none() {
        let reason = "not set; kind `jsonl` has no program of its own";
        return Err(section.refuse("command", at, reason.to_owned()));
    }
    let settings = args::Settings {
        kind,
        command: command.unwrap_or(builtin.command),
        model,
        args,
        extra_args: extra_args.unwrap_or_default(),
        env: env.unwrap_or(builtin.env),
        mapping: mapping::read(section, kind, at)?,
    };
    Ok(ProviderSettings {
        settings,
        limits,
        queue,
        life,
        resources,
    })
}

/// A provider as it comes.
fn builtin(kind: Kind) -> ProviderSettings {
    ProviderSettings {
        settings: args::Settings::builtin(kind),
        limits: Limits::default(),
        queue: ProviderQueue::default(),
        life: None,
        resources: StartResources::default(),
    }
}

fn kind(word: &str) -> Result<Kind, String> {
    Kind::from_str(word).map_err(|error| error.to_string())
}

pub(super) fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=64).contains(&name.len()) && name.bytes().all(allowed)
}

/// Names of variables, each perhaps with a `*` at its end.
pub(super) fn names(value: &DeValue<'_>) -> Result<Vec<String>, String> {
    let names = texts(value)?;
    for name in &names {
        let bare = name.strip_suffix('*').unwrap_or(name);
        if bare.is_empty() || bare.contains(['*', '=']) {
            return Err(format!(
                "`{name}` is no variable's name; write it like \"FOO_KEY\" or \"FOO_*\""
            ));
        }
    }
    Ok(names)
}

fn gateway(root: &Section<'_>) -> Gateway {
    let mut gateway = Gateway {
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 3501)),
        auth: Auth::Token,
        control: false,
        max_streams: 1000,
        allowed_hosts: Vec::new(),
    };
    let Some(section) = root.section("gateway") else {
        return gateway;
    };
    if let Some(listen) = section.get("listen", loopback) {
        gateway.listen = listen;
    }
    let auth = [("token", Auth::Token), ("none", Auth::None)];
    if let Some(auth) = section.get("auth", choice(&auth)) {
        gateway.auth = auth;
    }
    gateway.control = section.get("control", yes).unwrap_or(gateway.control);
    gateway.max_streams = section
        .get("max_streams", number(1, 100_000))
        .unwrap_or(gateway.max_streams);
    gateway.allowed_hosts = section.get("allowed_hosts", texts).unwrap_or_default();
    section.keep(never_open(&gateway, &section));
    gateway
}

/// Refuses what is not served without a token.
fn never_open(gateway: &Gateway, section: &Section<'_>) -> Result<(), ConfigError> {
    let refuse = |key, reason: &str| Err(section.refuse(key, 0, reason.to_owned()));
    if gateway.control && gateway.auth == Auth::None {
        let reason = "control is never open without a token; set gateway.auth = \"token\"";
        return refuse("control", reason);
    }
    if !gateway.allowed_hosts.is_empty() && gateway.auth == Auth::None {
        let reason = "further names are never served without a token; set gateway.auth = \"token\"";
        return refuse("allowed_hosts", reason);
    }
    Ok(())
}

fn loopback(value: &DeValue<'_>) -> Result<SocketAddr, String> {
    let text = word(value)?;
    let address: SocketAddr = text
        .parse()
        .map_err(|_| format!("`{text}` is no address; write it like \"127.0.0.1:3501\""))?;
    if address.ip().is_loopback() {
        Ok(address)
    } else {
        Err(format!(
            "`{text}` is reachable from outside; use 127.0.0.1 or [::1]"
        ))
    }
}

/// A level, or directives that the logger takes.
pub(super) fn log_level(text: &str) -> Result<String, String> {
    const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];
    // A lone word that is no level would silence everything but a target of that name.
    let is_level = LEVELS.contains(&text);
    if is_level || (text.contains('=') && EnvFilter::builder().parse(text).is_ok()) {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "unknown level `{text}`; there are {}, or directives such as steroidsd=debug,h2=warn",
            LEVELS.join(", ")
        ))
    }
}
