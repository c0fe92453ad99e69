//! What works and is likely not what was meant: told by `--check-config`, and never in the way of a
//! start.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::Duration;

use steroids_keys::{Kind, Origin};
use steroids_provider::kind::Kind as ProviderKind;

use super::{Auth, Config};
use crate::domain::Budget;
use crate::hooks::{Action, NO_NETWORK, is_kept_from_network};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A socket's path may have so many bytes.
const SOCKET_MAX: usize = 107;

impl Config {
    /// What is likely wrong with it, a line each.
    pub fn doubts(&self) -> Vec<String> {
        let mut doubts = Vec::new();
        self.of_places(&mut doubts);
        self.of_numbers(&mut doubts);
        self.of_providers(&mut doubts);
        self.of_hooks(&mut doubts);
        self.of_gateway(&mut doubts);
        doubts.extend(self.of_network(is_kept_from_network()));
        doubts
    }

    /// What of it has this process do what it may not do, a line each: true of nobody else.
    pub fn hindered(&self) -> Vec<String> {
        self.of_network(is_kept_from_network())
            .into_iter()
            .collect()
    }

    fn of_network(&self, is_kept_from_it: bool) -> Option<String> {
        let posts = |action: &Action| matches!(action, Action::Post(_));
        let hooks = self.hooks.iter().filter(|hook| posts(&hook.action));
        let mut names: Vec<String> = hooks.map(|hook| format!("hook {}", hook.name)).collect();
        names.extend(self.otlp.as_ref().map(|_| "otlp".to_owned()));
        let is_hindered = is_kept_from_it && !names.is_empty();
        is_hindered.then(|| format!("{} cannot post: {NO_NETWORK}", names.join(", ")))
    }

    fn of_places(&self, doubts: &mut Vec<String>) {
        let length = self.socket.as_os_str().len();
        if length > SOCKET_MAX {
            doubts.push(format!(
                "{}: the path has {length} bytes, and a socket's may have {SOCKET_MAX}; steroidsd will not start",
                self.source("daemon.socket")
            ));
        }
        if let Some(shim) = self.shim.as_deref().filter(|shim| !is_program(shim)) {
            let shim = shim.display();
            doubts.push(format!(
                "{}: {shim} is no program",
                self.source("daemon.shim")
            ));
        }
        if rustix::process::geteuid().is_root() && !self.allow_root {
            doubts.push(
                "as root steroidsd will not start; say that it is meant: --allow-root".to_owned(),
            );
        }
        if let Some(file) = &self.file
            && self.has_secrets()
            && fs::metadata(file).is_ok_and(|found| found.mode() & 0o077 != 0)
        {
            doubts.push(format!(
                "{}: holds secrets, and others may read it; chmod 600",
                file.display()
            ));
        }
    }

    fn has_secrets(&self) -> bool {
        let mut kinds = self.listing.entries.iter().filter_map(|entry| {
            entry.value.as_ref()?;
            Some(entry.row?.kind).filter(|_| entry.origin != Origin::Default)
        });
        kinds.any(|kind| matches!(kind, Kind::Secret | Kind::Secrets))
    }

    fn of_numbers(&self, doubts: &mut Vec<String>) {
        let whole = self.max_running;
        let mut beyond = |key: &str, max: Option<usize>| {
            if max.is_some_and(|max| max > whole) {
                let source = self.source(key);
                doubts.push(format!(
                    "{source}: is more than daemon.max_running ({whole}), and bounds nothing"
                ));
            }
        };
        beyond("projects.max_running", self.queue.project_max_running);
        for (name, provider) in &self.providers {
            let key = format!("providers.{name}.max_running");
            beyond(&key, provider.queue.max_running);
        }
        if let (Some(wall), Some(silence)) = (self.limits.wall, self.limits.silence)
            && wall <= silence
        {
            doubts.push(format!(
                "{}: is reached before limits.silence is",
                self.source("limits.wall")
            ));
        }
        let kept = self.retention.log_days.map(|days| DAY * days);
        if let (Some(kept), Some(after)) = (kept, self.retention.compress_after)
            && kept <= after
        {
            doubts.push(format!(
                "{}: is no sooner than retention.log_days deletes the log",
                self.source("retention.compress_after")
            ));
        }
        let tasks = &self.budgets.task;
        let each = &self.budgets.invocation;
        let day = &self.budgets.day;
        let wider = |key: &str, smaller: Option<u64>, larger: Option<u64>| {
            let is_wider = smaller.zip(larger).is_some_and(|(a, b)| a > b);
            is_wider.then(|| {
                format!(
                    "{}: is more than a whole day may use",
                    self.source(&format!("budget.{key}"))
                )
            })
        };
        doubts.extend(wider("invocation_usd", each.micro_usd, day.micro_usd));
        doubts.extend(wider("invocation_tokens", each.tokens, day.tokens));
        doubts.extend(wider("task_usd", tasks.micro_usd, day.micro_usd));
        doubts.extend(wider("task_tokens", tasks.tokens, day.tokens));
    }

    fn of_providers(&self, doubts: &mut Vec<String>) {
        for (name, provider) in &self.providers {
            let settings = &provider.settings;
            // A CLI that nobody configured need not be there.
            let is_configured = self.is_set(&format!("providers.{name}."));
            if is_configured
                && settings.kind != ProviderKind::Command
                && !self.finds(&settings.command)
            {
                doubts.push(format!(
                    "{}: there is no program `{}` here",
                    self.source(&format!("providers.{name}.command")),
                    settings.command
                ));
            }
            if let Some(flag) = settings.missing_flag() {
                let key = match settings.args {
                    Some(_) => "args",
                    None => "extra_args",
                };
                doubts.push(format!(
                    "{}: without `{flag}` what it prints is read as plain text, which tells little of tools, tokens and session",
                    self.source(&format!("providers.{name}.{key}"))
                ));
            }
        }
        let budgets = [self.budgets.task, self.budgets.day, self.budgets.invocation];
        let is_money_alone =
            |budget: &Budget| budget.micro_usd.is_some() && budget.tokens.is_none();
        if budgets.iter().any(is_money_alone) {
            self.of_costs(doubts);
        }
    }

    /// Of the CLIs that are here, whose costs a budget sees too late, or never.
    fn of_costs(&self, doubts: &mut Vec<String>) {
        let (mut late, mut never) = (Vec::new(), Vec::new());
        for (name, provider) in &self.providers {
            let settings = &provider.settings;
            let silent = match settings.kind {
                ProviderKind::Claude => &mut late,
                ProviderKind::Codex | ProviderKind::Gemini => &mut never,
                // It tells the cost of each step; the others, what their mappings find.
                ProviderKind::Opencode | ProviderKind::Jsonl | ProviderKind::Command => continue,
            };
            let model = settings.model.as_deref().unwrap_or_default();
            // Where none or an alias (`opus`) is asked for, these two name it by one that says whose it is.
            let maker = settings.kind.as_str();
            let names_it = settings.kind != ProviderKind::Codex && !model.contains(maker);
            let is_priced =
                self.prices.of(model, None).is_some() || names_it && self.prices.speak_of(maker);
            if !is_priced && self.finds(&settings.command) {
                silent.push(name.as_str());
            }
        }
        if !late.is_empty() {
            let names = late.join(", ");
            doubts.push(format!(
                "budget: is in US dollars alone, and what these cost is told only when they end: {names}; give [prices] that fit their models, or bound tokens too"
            ));
        }
        if !never.is_empty() {
            let names = never.join(", ");
            doubts.push(format!(
                "budget: is in US dollars alone, and what these cost is never told: {names}; give [prices] that fit their models, or bound tokens too; either is noticed only when they end"
            ));
        }
    }

    fn of_hooks(&self, doubts: &mut Vec<String>) {
        for (at, hook) in self.hooks.iter().enumerate() {
            match &hook.action {
                Action::Command { argv, .. } => {
                    let program = argv.first().map(String::as_str).unwrap_or_default();
                    if !self.finds(program) {
                        let source = self.source(&format!("hooks[{at}].command"));
                        doubts.push(format!("{source}: there is no program `{program}` here"));
                    }
                }
                Action::Post(endpoint) => {
                    let is_plain = endpoint.uri.scheme_str() == Some("http");
                    let host = endpoint.uri.host().unwrap_or_default();
                    let is_here = matches!(host, "localhost" | "127.0.0.1" | "[::1]");
                    if is_plain && !is_here {
                        let source = self.source(&format!("hooks[{at}].url"));
                        doubts.push(format!(
                            "{source}: is not encrypted; whoever is between may read it"
                        ));
                    }
                }
                Action::Notify => {}
            }
        }
    }

    fn of_gateway(&self, doubts: &mut Vec<String>) {
        let gateway = &self.gateway;
        if gateway.auth == Auth::None {
            let source = self.source("gateway.auth");
            doubts.push(format!(
                "{source}: whoever has a process on this machine may read everything"
            ));
        }
        let port = gateway.listen.port();
        if (1..1024).contains(&port) && !rustix::process::geteuid().is_root() {
            let source = self.source("gateway.listen");
            doubts.push(format!("{source}: port {port} is root's, as a rule"));
        }
    }

    /// Where a key was set, for a person: `config.toml:3: daemon.socket`.
    fn source(&self, key: &str) -> String {
        match self.listing.get(key).map(|entry| &entry.origin) {
            Some(Origin::File(line)) => {
                let file = self.file.as_deref().unwrap_or(Path::new("config.toml"));
                format!("{}:{line}: `{key}`", file.display())
            }
            Some(Origin::Flag(flag)) => format!("{flag}: `{key}`"),
            Some(Origin::Variable(name)) => format!("{name}: `{key}`"),
            Some(Origin::Default) | None => format!("`{key}`"),
        }
    }

    fn is_set(&self, beginning: &str) -> bool {
        let mut entries = self.listing.entries.iter();
        entries.any(|entry| entry.path.starts_with(beginning))
    }

    fn finds(&self, program: &str) -> bool {
        match program.contains('/') {
            true => is_program(Path::new(program)),
            false => self
                .search_path
                .iter()
                .any(|folder| is_program(&folder.join(program))),
        }
    }
}

fn is_program(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::super::tests::read;

    fn doubts(text: &str) -> Vec<String> {
        let mut config = read(text);
        config.allow_root = true;
        config.search_path = vec![PathBuf::from("/bin")];
        let doubts = config.doubts().into_iter();
        let cut = |line: String| match line.split_once("config.toml:") {
            Some((_, rest)) => rest.to_owned(),
            None => line,
        };
        doubts.map(cut).collect()
    }

    #[test]
    fn what_is_likely_wrong_is_told_with_its_line() {
        assert_eq!(doubts(""), [""; 0]);
        let cases = [
            (
                "[projects]\nmax_running = 9",
                "2: `projects.max_running`: is more than daemon.max_running (8), and bounds nothing",
            ),
            (
                "[limits]\nwall = \"5m\"",
                "2: `limits.wall`: is reached before limits.silence is",
            ),
            (
                "[providers.claude]\ncommand = \"no-such-claude\"",
                "2: `providers.claude.command`: there is no program `no-such-claude` here",
            ),
            (
                "[providers.own]\nkind = \"claude\"\ncommand = \"sh\"\nargs = [\"-p\", \"--verbose\"]",
                "4: `providers.own.args`: without `--output-format stream-json` what it prints is read as plain text, which tells little of tools, tokens and session",
            ),
            (
                "[providers.own]\nkind = \"opencode\"\ncommand = \"sh\"\nextra_args = [\"--format=default\"]",
                "4: `providers.own.extra_args`: without `--format json` what it prints is read as plain text, which tells little of tools, tokens and session",
            ),
            (
                "[[hooks]]\nname = \"a\"\non = [\"any\"]\nurl = \"http://example.org/x\"",
                "4: `hooks[0].url`: is not encrypted; whoever is between may read it",
            ),
            (
                "[[hooks]]\nname = \"a\"\non = [\"any\"]\ncommand = [\"/no/such\"]",
                "4: `hooks[0].command`: there is no program `/no/such` here",
            ),
            (
                "[gateway]\nauth = \"none\"",
                "2: `gateway.auth`: whoever has a process on this machine may read everything",
            ),
            (
                "[retention]\ncompress_after = \"7d\"",
                "2: `retention.compress_after`: is no sooner than retention.log_days deletes the log",
            ),
            (
                "[daemon]\nshim = \"/no/such\"",
                "2: `daemon.shim`: /no/such is no program",
            ),
        ];
        for (text, said) in cases {
            assert_eq!(doubts(text), [said], "{text}");
        }
    }

    #[test]
    fn who_posts_is_named_where_the_daemon_is_kept_from_the_network() {
        let posts = "[[hooks]]\nname = \"a\"\non = [\"any\"]\nurl = \"https://example.org/x\"\n\
                     [[hooks]]\nname = \"b\"\non = [\"any\"]\ncommand = [\"true\"]\n\
                     [otlp]\nendpoint = \"http://127.0.0.1:4318\"\n";
        let said = read(posts).of_network(true).unwrap();
        assert!(said.starts_with("hook a, otlp cannot post: "), "{said}");
        assert_eq!(read(posts).of_network(false), None);
        assert_eq!(read("").of_network(true), None);
    }

    #[test]
    fn a_budget_in_money_names_the_clis_that_tell_it_too_late() {
        let late = |names: &str| {
            format!(
                "budget: is in US dollars alone, and what these cost is told only when they end: {names}; give [prices] that fit their models, or bound tokens too"
            )
        };
        let never = |names: &str| {
            format!(
                "budget: is in US dollars alone, and what these cost is never told: {names}; give [prices] that fit their models, or bound tokens too; either is noticed only when they end"
            )
        };
        let price = |pattern: &str| format!("[prices.\"{pattern}\"]\ninput = 1\noutput = 1\n");
        let here = "[providers.claude]\ncommand = \"sh\"\n[providers.codex]\ncommand = \"sh\"\nmodel = \"gpt-5\"\n\
                    [providers.opencode]\ncommand = \"sh\"\n";
        let money = "[budget]\nday_usd = 1\n";
        let said = |more: &str| doubts(&format!("{here}{money}{more}"));
        assert_eq!(said(""), [late("claude"), never("codex")]);
        // It fits no model that is asked for.
        assert_eq!(said(&price("o9*")), [late("claude"), never("codex")]);
        assert_eq!(said(&price("gpt-*")), [late("claude")]);
        // It names its model itself, whatever it was asked for.
        assert_eq!(said(&price("claude-*")), [never("codex")]);
        let opus = format!(
            "{money}{}[providers.claude]\ncommand = \"sh\"\nmodel = \"claude-opus-4\"",
            price("claude-haiku-*")
        );
        assert_eq!(doubts(&opus), [late("claude")]);
        assert_eq!(said(&price("*")), [""; 0]);
        assert_eq!(said("day_tokens = 9"), [""; 0]);
        // None of these CLIs is here.
        assert_eq!(doubts(money), [""; 0]);
    }
}
