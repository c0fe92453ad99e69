//! What a configuration that is read anew changes. Every setting is named here, and stands either
//! among those that a running daemon takes over or among those that it cannot: where it listens, where
//! its state is, how many it serves, and how agents are started.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::{Config, ConfigError};

/// What differs, by key or table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// Taken over.
    pub changed: Vec<String>,
    /// Kept as it was; a daemon started anew takes it over.
    pub pending: Vec<String>,
}

impl Changes {
    fn take<T: PartialEq>(&mut self, name: &str, old: &mut T, new: T) {
        if *old != new {
            *old = new;
            self.changed.push(name.to_owned());
        }
    }

    fn keep<T: PartialEq>(&mut self, name: &str, old: &T, new: &T) {
        if old != new {
            self.pending.push(name.to_owned());
        }
    }
}

impl Config {
    /// Reads everything again, as it was read for this one: also the file is looked for anew, where none
    /// was named.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn read_again(&self) -> Result<Config, ConfigError> {
        let (flags, places) = &self.origin;
        let variable = |name: &str| std::env::var_os(name);
        Config::read(flags, places.as_ref(), &variable).map_err(super::first)
    }

    /// Whether it was read in want of this file: from none, or from one that counts only where this is not.
    pub fn is_without(&self, file: &Path) -> bool {
        let Some(read) = self.file.as_deref().filter(|read| *read != file) else {
            return self.file.is_none();
        };
        let (_, places) = &self.origin;
        let mut candidates = places.iter().flat_map(super::Places::config_files);
        candidates.find(|it| it == read || it == file).as_deref() == Some(file)
    }

    /// Goes by a newer one from now on, as far as a running daemon can.
    pub fn take_over(&mut self, newer: Config) -> Changes {
        // Whole, so that a setting that is added has to be thought about here.
        let Config {
            file,
            socket,
            state_dir,
            runtime_dir: _,
            log_level,
            wakeup_interval,
            max_running,
            queue,
            min_free,
            max_connections,
            max_streams,
            launcher,
            shim,
            allow_root,
            limits,
            retention,
            prices,
            budgets,
            resources,
            redaction,
            providers,
            hooks,
            otlp,
            listing,
            // As it was started.
            flags: _,
            // The gateway's own affair, which reads the file when it starts.
            gateway: _,
            // Of the environment, which does not change.
            search_path: _,
            environment: _,
            older_tool: _,
            origin: _,
        } = newer;
        let mut changes = Changes::default();
        self.file = file;
        changes.take("daemon.log_level", &mut self.log_level, log_level);
        changes.take(
            "daemon.wakeup_interval",
            &mut self.wakeup_interval,
            wakeup_interval,
        );
        changes.take("daemon.max_running", &mut self.max_running, max_running);
        changes.take("daemon.min_free", &mut self.min_free, min_free);
        self.take_queue(queue, &mut changes);
        changes.take("limits", &mut self.limits, limits);
        changes.take("retention", &mut self.retention, retention);
        changes.take("prices", &mut self.prices, prices);
        changes.take("budget", &mut self.budgets, budgets);
        changes.take("resources", &mut self.resources, resources);
        changes.take("redaction", &mut self.redaction, redaction);
        for name in differing(&self.providers, &providers) {
            changes.changed.push(format!("providers.{name}"));
        }
        self.providers = providers;
        changes.keep("daemon.socket", &self.socket, &socket);
        changes.keep("daemon.state_dir", &self.state_dir, &state_dir);
        changes.keep(
            "daemon.max_connections",
            &self.max_connections,
            &max_connections,
        );
        changes.keep("daemon.max_streams", &self.max_streams, &max_streams);
        changes.keep("daemon.launcher", &self.launcher, &launcher);
        changes.keep("daemon.shim", &self.shim, &shim);
        changes.keep("daemon.allow_root", &self.allow_root, &allow_root);
        changes.keep("hooks", &self.hooks, &hooks);
        changes.keep("otlp", &self.otlp, &otlp);
        self.listing = self.listing.reloaded(listing);
        changes
    }

    fn take_queue(&mut self, newer: super::QueueSettings, changes: &mut Changes) {
        let old = &mut self.queue;
        let holds = (newer.holds, newer.hold_for);
        let mut old_holds = (old.holds, old.hold_for);
        let retry = (newer.retry, newer.retry_after);
        let mut old_retry = (old.retry.clone(), old.retry_after);
        changes.take(
            "projects.max_running",
            &mut old.project_max_running,
            newer.project_max_running,
        );
        changes.take("queue.max", &mut old.max, newer.max);
        changes.take("holds", &mut old_holds, holds);
        changes.take("retry", &mut old_retry, retry);
        (old.holds, old.hold_for) = old_holds;
        (old.retry, old.retry_after) = old_retry;
    }
}

/// Names of what is in one of the two only, or not the same in both.
fn differing<'a, T: PartialEq>(
    old: &'a BTreeMap<String, T>,
    new: &'a BTreeMap<String, T>,
) -> Vec<&'a String> {
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let differs = |name: &&String| old.get(*name) != new.get(*name);
    names.into_iter().filter(differs).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Flags, Places};

    fn read(folder: &Path, text: &str) -> Result<Config, ConfigError> {
        std::fs::write(folder.join("config.toml"), text).unwrap();
        let places = Places {
            config: vec![folder.to_owned()],
            state: "/state".into(),
            runtime: Some("/run/steroids".into()),
        };
        Config::resolve(&Flags::default(), Some(&places))
    }

    #[test]
    fn what_can_change_is_taken_and_what_cannot_is_kept_and_named() {
        let dir = tempfile::tempdir().unwrap();
        let mut config = read(dir.path(), "[daemon]\nmax_running = 2\n").unwrap();
        let text = "[daemon]\nmax_running = 3\nmax_streams = 9\nsocket = \"/elsewhere/s\"\n\
            [limits]\nwall = \"1h\"\n[retry]\nmax = 1\n[providers.claude]\nmodel = \"m\"\n\
            [providers.new]\nkind = \"command\"\ncommand = \"true\"\n";
        std::fs::write(dir.path().join("config.toml"), text).unwrap();
        let changes = config.take_over(config.read_again().unwrap());
        assert_eq!(
            changes.changed,
            [
                "daemon.max_running",
                "retry",
                "limits",
                "providers.claude",
                "providers.new"
            ]
        );
        assert_eq!(changes.pending, ["daemon.socket", "daemon.max_streams"]);
        assert_eq!((config.max_running, config.max_streams), (3, 64));
        assert_eq!(config.socket, Path::new("/run/steroids/steroidsd.sock"));
        assert!(config.providers.contains_key("new"));
        // The same file again: nothing is new, and what waits for a restart still does.
        let changes = config.take_over(config.read_again().unwrap());
        assert!(changes.changed.is_empty());
        assert_eq!(changes.pending, ["daemon.socket", "daemon.max_streams"]);
        // As it was: nothing waits any more.
        std::fs::write(dir.path().join("config.toml"), "").unwrap();
        let changes = config.take_over(config.read_again().unwrap());
        assert!(changes.pending.is_empty());
        assert!(!config.providers.contains_key("new"));
    }

    #[test]
    fn the_file_is_looked_for_anew_and_the_users_own_counts_more() {
        let dir = tempfile::tempdir().unwrap();
        let (own, of_system) = (dir.path().join("own"), dir.path().join("system"));
        let places = Places {
            config: vec![own.clone(), of_system.clone()],
            state: "/state".into(),
            runtime: None,
        };
        for folder in [&own, &of_system] {
            std::fs::create_dir(folder).unwrap();
        }
        let file = |folder: &Path| folder.join("config.toml");
        std::fs::write(file(&of_system), "[daemon]\nmax_running = 2\n").unwrap();
        let mut config = Config::resolve(&Flags::default(), Some(&places)).unwrap();
        assert_eq!(config.file, Some(file(&of_system)));

        std::fs::write(file(&own), "[daemon]\nmax_running = 3\n").unwrap();
        let newer = config.read_again().unwrap();
        assert!(!newer.is_without(&file(&of_system)));
        assert!(!newer.is_without(&file(&own)));
        assert_eq!(config.take_over(newer).changed, ["daemon.max_running"]);
        assert_eq!(config.file, Some(file(&own)));

        std::fs::remove_file(file(&own)).unwrap();
        assert!(config.read_again().unwrap().is_without(&file(&own)));
        std::fs::remove_file(file(&of_system)).unwrap();
        assert!(config.read_again().unwrap().is_without(&file(&own)));
    }

    #[test]
    fn a_file_that_is_no_good_is_told_with_its_line() {
        let dir = tempfile::tempdir().unwrap();
        let config = read(dir.path(), "").unwrap();
        std::fs::write(dir.path().join("config.toml"), "[daemon]\nmax_runing = 1\n").unwrap();
        let error = config.read_again().unwrap_err().to_string();
        assert!(
            error.contains("config.toml:2: `daemon.max_runing`"),
            "{error}"
        );
    }
}
