//! `steroids-licences WORKSPACE TARGET FOLDER`: under what terms the programs may be handed on.
//!
//! Writes `THIRD-PARTY`, the licences of everything that is linked into them, word for word, and
//! `copyright`, the same as stanzas of a Debian copyright file. Both are made from the lock file and
//! the sources that cargo keeps, so that they are those of what was built, and need no network. The same
//! input gives the same bytes. For the packages; who builds from source has the sources.

mod graph;
mod stanzas;
mod texts;

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail};

use graph::Crate;

fn main() -> anyhow::Result<()> {
    let words: Vec<_> = std::env::args_os().skip(1).collect();
    let [workspace, target, folder] = &words[..] else {
        bail!("usage: steroids-licences WORKSPACE TARGET FOLDER");
    };
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let asked = Command::new(cargo)
        .args(["metadata", "--locked", "--format-version", "1"])
        .arg("--filter-platform")
        .arg(target)
        .current_dir(workspace)
        .output()
        .context("cannot run cargo")?;
    if !asked.status.success() {
        bail!("cargo metadata: {}", String::from_utf8_lossy(&asked.stderr));
    }
    let metadata = serde_json::from_slice(&asked.stdout).context("cargo metadata")?;
    let crates = graph::linked(&metadata)?;
    write(&crates, Path::new(folder))
}

fn write(crates: &[Crate], folder: &Path) -> anyhow::Result<()> {
    let mut files = Vec::with_capacity(crates.len());
    for it in crates {
        let found =
            texts::of(it).with_context(|| format!("cannot read {}", it.folder.display()))?;
        files.push((it, found));
    }
    std::fs::write(folder.join("THIRD-PARTY"), texts::page(&files))?;
    std::fs::write(folder.join("copyright"), stanzas::page(&files))?;
    Ok(())
}
