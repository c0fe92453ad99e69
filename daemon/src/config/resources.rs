//! The table `[resources]`, and the same keys of a provider: what an invocation may use of the machine.

use toml::de::DeValue;

use super::section::{Section, number, text};
use super::units;
use crate::domain::StartResources;
use crate::supervise::check_resources;

/// What the file says for all.
pub(super) fn read(root: &Section<'_>) -> StartResources {
    let section = root.section("resources");
    section.as_ref().map(of_section).unwrap_or_default()
}

/// What a section says; an empty text is no bound.
pub(super) fn of_section(section: &Section<'_>) -> StartResources {
    StartResources {
        memory_max: section.get("memory_max", memory),
        cpu_quota: section.get("cpu_quota", quota),
        tasks_max: section.get("tasks_max", tasks),
    }
}

fn memory(value: &DeValue<'_>) -> Result<Option<u64>, String> {
    let bytes = units::bytes(&text(value)?)?;
    checked(StartResources {
        memory_max: Some(bytes),
        ..StartResources::default()
    })?;
    Ok(bytes)
}

fn quota(value: &DeValue<'_>) -> Result<Option<u32>, String> {
    let percent = units::percent(&text(value)?)?;
    checked(StartResources {
        cpu_quota: Some(percent),
        ..StartResources::default()
    })?;
    Ok(percent)
}

/// A number, or `""` for none.
fn tasks(value: &DeValue<'_>) -> Result<Option<u32>, String> {
    let tasks = match value.as_str() {
        Some("") => None,
        _ => Some(number(1, u32::MAX)(value)?),
    };
    checked(StartResources {
        tasks_max: Some(tasks),
        ..StartResources::default()
    })?;
    Ok(tasks)
}

fn checked(resources: StartResources) -> Result<(), String> {
    check_resources(&resources).map_err(|(_, reason)| reason.replace("0 is", "\"\" is"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, ConfigError, Flags, Launcher};

    fn read(text: &str) -> Result<Config, ConfigError> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.toml");
        std::fs::write(&file, text).unwrap();
        let flags = Flags {
            config: Some(file),
            state_dir: Some(folder.path().to_owned()),
            ..Flags::default()
        };
        Config::resolve(&flags, None)
    }

    #[test]
    fn bounds_are_read_for_all_and_for_a_provider_and_nothing_lifts_them() {
        let config = read(
            "[daemon]\nlauncher = \"systemd\"\n\
             [resources]\nmemory_max = \"4 GiB\"\ncpu_quota = \"150%\"\ntasks_max = 64\n\
             [providers.claude]\nmemory_max = \"\"\ntasks_max = \"\"\n",
        )
        .unwrap();
        assert_eq!(config.launcher, Launcher::Systemd);
        assert_eq!(
            config.resources,
            StartResources {
                memory_max: Some(Some(4 << 30)),
                cpu_quota: Some(Some(150)),
                tasks_max: Some(Some(64)),
            }
        );
        assert_eq!(
            config.providers["claude"].resources,
            StartResources {
                memory_max: Some(None),
                cpu_quota: None,
                tasks_max: Some(None),
            }
        );
        assert_eq!(
            config.providers["codex"].resources,
            StartResources::default()
        );
    }

    #[test]
    fn a_bound_that_makes_no_sense_is_named() {
        for (line, words) in [
            (
                "memory_max = \"1 MiB\"",
                "at least 16 MiB; \"\" is no bound",
            ),
            ("cpu_quota = \"150\"", "share of a processor"),
            ("cpu_quota = \"5%\"", "between 10"),
            ("tasks_max = 3", "at least 8"),
            ("tasks_max = \"many\"", "whole number"),
            ("memory = \"1 GiB\"", "memory"),
        ] {
            let error = read(&format!("[resources]\n{line}\n")).unwrap_err();
            let said = error.to_string();
            assert!(said.contains("resources"), "{line}: {said}");
            assert!(said.contains(words), "{line}: {said}");
        }
    }
}
