//! Which crates are linked into what ships: those that a shipped program needs to run, and not what only
//! builds or tests it, nor macros, of which no code is left.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use anyhow::Context as _;
use serde_json::Value;

const SHIPPED: [&str; 4] = [
    "steroidsd",
    "steroids-shim",
    "steroidsctl",
    "steroids-gateway",
];

/// Somebody else's, as its manifest tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Crate {
    pub(super) name: String,
    pub(super) version: String,
    /// An SPDX expression.
    pub(super) licence: String,
    pub(super) authors: Vec<String>,
    pub(super) folder: PathBuf,
}

impl Crate {
    /// Whether the MIT licence alone is enough.
    pub(super) fn offers_mit(&self) -> bool {
        self.licence.split(" OR ").any(|it| it == "MIT")
    }
}

/// The crates that are not of the workspace, in order of name and version.
pub(super) fn linked(metadata: &Value) -> anyhow::Result<Vec<Crate>> {
    let packages = by_id(&metadata["packages"]);
    let nodes = by_id(&metadata["resolve"]["nodes"]);
    let mut ahead: Vec<&str> = texts(&metadata["workspace_members"])
        .filter(|id| packages.get(id).is_some_and(|it| is_shipped(it)))
        .collect();
    let mut found = BTreeMap::new();
    let mut seen: Vec<&str> = Vec::new();
    while let Some(id) = ahead.pop() {
        if seen.contains(&id) {
            continue;
        }
        seen.push(id);
        let package = packages
            .get(id)
            .with_context(|| format!("no package {id}"))?;
        if is_macro(package) {
            continue;
        }
        if !package["source"].is_null() {
            let it = read(package).with_context(|| format!("what is said of {id}"))?;
            found.insert((it.name.clone(), it.version.clone()), it);
        }
        let node = nodes.get(id).with_context(|| format!("no node {id}"))?;
        ahead.extend(needed_to_run(node));
    }
    Ok(found.into_values().collect())
}

fn is_shipped(package: &Value) -> bool {
    SHIPPED.iter().any(|name| package["name"] == *name)
}

fn is_macro(package: &Value) -> bool {
    let targets = package["targets"].as_array().into_iter().flatten();
    targets
        .flat_map(|target| texts(&target["kind"]))
        .any(|kind| kind == "proc-macro")
}

fn needed_to_run(node: &Value) -> impl Iterator<Item = &str> {
    let all = node["deps"].as_array().into_iter().flatten();
    all.filter(|it| {
        let mut kinds = it["dep_kinds"].as_array().into_iter().flatten();
        kinds.any(|kind| kind["kind"].is_null())
    })
    .filter_map(|it| it["pkg"].as_str())
}

fn read(package: &Value) -> Option<Crate> {
    let manifest = PathBuf::from(package["manifest_path"].as_str()?);
    Some(Crate {
        name: package["name"].as_str()?.to_owned(),
        version: package["version"].as_str()?.to_owned(),
        // As it was written before SPDX expressions.
        licence: package["license"]
            .as_str()?
            .replace(" / ", "/")
            .replace('/', " OR "),
        authors: texts(&package["authors"]).map(str::to_owned).collect(),
        folder: manifest.parent()?.to_owned(),
    })
}

fn by_id(list: &Value) -> HashMap<&str, &Value> {
    let list = list.as_array().into_iter().flatten();
    list.filter_map(|it| Some((it["id"].as_str()?, it)))
        .collect()
}

fn texts(list: &Value) -> impl Iterator<Item = &str> {
    let list = list.as_array().into_iter().flatten();
    list.filter_map(Value::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn package(id: &str, kind: &str) -> Value {
        let source = (!SHIPPED.contains(&id)).then_some("registry");
        json!({
            "id": id, "name": id, "version": "1.0.0", "license": "MIT/Apache-2.0", "authors": ["A"],
            "source": source, "manifest_path": format!("/src/{id}/Cargo.toml"),
            "targets": [{ "kind": [kind] }],
        })
    }

    #[test]
    fn what_builds_tests_or_expands_is_not_linked_and_neither_is_what_that_needs() {
        let dep = |pkg: &str, kind: Value| json!({ "pkg": pkg, "dep_kinds": [{ "kind": kind }] });
        let none = Value::Null;
        let metadata = json!({
            "workspace_members": ["steroidsd", "other"],
            "packages": [
                package("steroidsd", "bin"), package("other", "lib"), package("a", "lib"),
                package("b", "lib"), package("macro", "proc-macro"), package("of-macro", "lib"),
                package("build", "lib"), package("of-other", "lib"),
            ],
            "resolve": { "nodes": [
                { "id": "steroidsd", "deps": [
                    dep("b", none.clone()), dep("macro", none.clone()), dep("build", json!("build")),
                ] },
                { "id": "other", "deps": [dep("of-other", none.clone())] },
                { "id": "macro", "deps": [dep("of-macro", none.clone())] },
                { "id": "b", "deps": [dep("a", none.clone()), dep("b", json!("dev"))] },
                { "id": "a", "deps": [dep("b", none)] },
            ] },
        });
        let linked = linked(&metadata).unwrap();
        let names: Vec<&str> = linked.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(names, ["a", "b"]);
        assert_eq!(linked[0].licence, "MIT OR Apache-2.0");
        assert_eq!(linked[0].folder, PathBuf::from("/src/a"));
    }
}
