//! The manual: a page for each program and each of `steroidsctl`'s commands, made from what the
//! programs themselves print on `--help`, and one for the settings; and the completions of the programs
//! that have no answer of their own to a shell.

mod configuration;
mod page;
mod programs;
mod sections;

use std::fs;
use std::io::Write as _;
use std::path::Path;

use clap_complete::{Shell, generate};

pub use page::{Page, pages};
pub use programs::programs;

/// Every page there is.
pub fn manual() -> Vec<Page> {
    let mut all: Vec<Page> = programs().into_iter().flat_map(pages).collect();
    all.push(configuration::page());
    all
}

/// Writes the manual to `man/` and completions to `bash/`, `zsh/` and `fish/` below `folder`, under
/// the names that shells and `man` look for.
///
/// # Errors
/// What the file system says.
pub fn write(folder: &Path) -> anyhow::Result<()> {
    let man = folder.join("man");
    fs::create_dir_all(&man)?;
    for page in manual() {
        fs::write(man.join(page.file()), &page.text)?;
    }
    // What else there is asks a running program: `steroidsctl completions`.
    for mut program in [programs::daemon(), programs::gateway()] {
        let name = program.get_name().to_owned();
        for (shell, file) in [
            (Shell::Bash, name.clone()),
            (Shell::Zsh, format!("_{name}")),
            (Shell::Fish, format!("{name}.fish")),
        ] {
            let folder = folder.join(shell.to_string());
            fs::create_dir_all(&folder)?;
            let mut script = Vec::new();
            generate(shell, &mut program, &name, &mut script);
            fs::File::create(folder.join(file))?.write_all(&script)?;
        }
    }
    Ok(())
}
