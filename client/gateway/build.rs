//! Makes one script of the page's modules and one of its worker's, a module that tells the page's build, and a table
//! of all the page's files, with their bytes and a tag that changes with these.

#[path = "build/bundle.rs"]
mod bundle;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hasher as _};
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// What is made of which module and all that it imports: what the page and its worker ask for.
const BUNDLES: [(&str, &str); 2] = [("page.js", "main.js"), ("worker.js", "share-worker.js")];

/// A module that says of which build the page is: a tag that changes with any of its files.
const BUILD: &str = "build.js";

fn main() -> io::Result<()> {
    let root = env::var("CARGO_MANIFEST_DIR").map_err(io::Error::other)?;
    let out = PathBuf::from(env::var("OUT_DIR").map_err(io::Error::other)?);
    let web = Path::new(&root).join("web");
    println!("cargo::rerun-if-changed=web");
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(&web)? {
        let entry = entry?;
        let name = entry.file_name().into_string().unwrap_or_default();
        if entry.file_type()?.is_file() && !name.is_empty() && !name.starts_with('.') {
            files.insert(name, entry.path());
        }
    }
    let mut hasher = DefaultHasher::new();
    for path in files.values() {
        hasher.write(&fs::read(path)?);
    }
    let build = format!("export const BUILD = '{:016x}';\n", hasher.finish());
    let read = |name: &str| match name {
        BUILD => Ok(build.clone()),
        _ => fs::read_to_string(web.join(name))
            .map_err(|e| format!("{}: {e}", web.join(name).display())),
    };
    let mut made = vec![(BUILD, build.clone())];
    for (name, entry) in BUNDLES {
        made.push((
            name,
            bundle::bundle(entry, &read).map_err(io::Error::other)?,
        ));
    }
    for (name, text) in made {
        let path = out.join(name);
        fs::write(&path, text)?;
        if files.insert(name.to_owned(), path).is_some() {
            return Err(io::Error::other(format!(
                "web/{name}: this name is taken by what is made"
            )));
        }
    }
    let mut table = String::from("/// The page's files.\nstatic FILES: &[File] = &[\n");
    for (name, path) in files {
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
    fs::write(out.join("web.rs"), table)
}
