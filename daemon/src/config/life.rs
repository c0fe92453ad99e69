//! The key `life` of `[limits]` and of a provider: what else than output shows that an agent is not
//! stuck.

use steroids_shim::spec::Life;
use toml::de::DeValue;

use super::section::{Section, texts};

const WORDS: &str = "tool, cpu, disk";

/// What counts, where the section says so.
pub(super) fn read(section: &Section<'_>) -> Option<Life> {
    section.get("life", life)
}

fn life(value: &DeValue<'_>) -> Result<Life, String> {
    let mut life = Life {
        tool: false,
        cpu: false,
        disk: false,
    };
    for word in texts(value)? {
        match &*word {
            "tool" => life.tool = true,
            "cpu" => life.cpu = true,
            "disk" => life.disk = true,
            _ => return Err(format!("unknown value `{word}`; there are {WORDS}")),
        }
    }
    Ok(life)
}
