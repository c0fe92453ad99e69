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
