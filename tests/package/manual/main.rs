//! `steroids-manual FOLDER`: writes manual pages and completions there, for `make install` and the
//! packages.

use std::path::PathBuf;

use anyhow::Context as _;

fn main() -> anyhow::Result<()> {
    let folder = std::env::args_os().nth(1).map(PathBuf::from);
    let folder = folder.context("usage: steroids-manual FOLDER")?;
    steroids_package::write(&folder).with_context(|| format!("cannot write {}", folder.display()))
}
