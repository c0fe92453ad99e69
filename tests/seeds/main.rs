//! Writes what fuzzing begins with into a folder, one below it for each fuzz target.

use std::fs;
use std::path::PathBuf;

use anyhow::Context;
use steroids_tests::oracle::{self, seeds};

fn main() -> anyhow::Result<()> {
    let folder = std::env::args_os().nth(1).context("which folder?")?;
    for (target, _) in oracle::ALL {
        let folder = PathBuf::from(&folder).join(target);
        fs::create_dir_all(&folder)?;
        for (name, seed) in seeds::of(target)? {
            fs::write(folder.join(format!("seed-{name}")), seed)?;
        }
    }
    Ok(())
}
