//! Makes a table of the page's files, with their bytes and a tag that changes with these.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hasher as _};
use std::path::Path;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let root = env::var("CARGO_MANIFEST_DIR").map_err(io::Error::other)?;
    let out = env::var("OUT_DIR").map_err(io::Error::other)?;
    let web = Path::new(&root).join("web");
    println!("cargo::rerun-if-changed=web");
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(&web)? {
        let entry = entry?;
        let name = entry.file_name().into_string().unwrap_or_default();
        if entry.file_type()?.is_file() && !name.is_empty() && !name.starts_with('.') {
            names.insert(name);
        }
    }
    let mut table = String::from("/// The page's files.\nstatic FILES: &[File] = &[\n");
    for name in names {
        let path = web.join(&name);
        let mut hasher = DefaultHasher::new();
        hasher.write(&fs::read(&path)?);
        let tag = format!("\"{:016x}\"", hasher.finish());
        writeln!(
            table,
            "    File {{ name: {name:?}, bytes: include_bytes!({path:?}), etag: {tag:?} }},"
        )
        .map_err(io::Error::other)?;
    }
    table.push_str("];\n");
    fs::write(Path::new(&out).join("web.rs"), table)
}
