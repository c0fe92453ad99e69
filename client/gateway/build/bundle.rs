//! Makes one module of a module and all that it imports, so that a browser asks once instead of once for each.
//!
//! Each imported module becomes a function that is called once, in the order in which a browser would run them, and
//! whose exports are a constant:
//!
//! ```text
//! // row.js                                      const $row = (() => {
//! import { h, set as put } from './dom.js';  →   const { h, set: put } = $dom;
//! export class Row { … }                         class Row { … }
//!                                                return { Row };
//!                                                })();
//! ```
//!
//! It is no parser: a statement is one whose first word begins a line. What is written in another way than below is
//! refused, by its file and line, and never guessed at:
//!
//! - `import { a, b as c } from './x.js';` or `import * as x from './x.js';`, over several lines if need be;
//! - `export` before a `const`, `class`, `function` or `async function` (an export that is given another value later
//!   would not be seen);
//! - no circle of imports, and none of a name that is not exported;
//! - the module that is begun with exports nothing. It alone may `await` outside of a function, which browsers see to.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

/// The module `entry` and all that it imports, as one that imports nothing; `read` gives a module's text by its name.
///
/// # Errors
///
/// Names the file, the line and what is not understood there; or what `read` says.
pub(crate) fn bundle(
    entry: &str,
    read: &dyn Fn(&str) -> Result<String, String>,
) -> Result<String, String> {
    let mut bundle = Bundle {
        read,
        done: BTreeMap::new(),
        open: Vec::new(),
        text: String::new(),
    };
    let module = bundle.take(entry)?;
    if let Some(name) = module.exports.first() {
        return Err(format!("{entry}: exports {name}, which nothing imports"));
    }
    bundle.append(entry, &module.text);
    Ok(bundle.text)
}

struct Bundle<'a> {
    read: &'a dyn Fn(&str) -> Result<String, String>,
    /// Modules that are in the text, and what each exports.
    done: BTreeMap<String, Vec<String>>,
    /// Modules on the way from the entry to the present one.
    open: Vec<String>,
    text: String,
}

/// A module with constants in the place of its imports, and without the word `export`.
#[derive(Default)]
struct Module {
    text: String,
    exports: Vec<String>,
}

impl Bundle<'_> {
    /// Reads a module, and appends what it imports.
    fn take(&mut self, name: &str) -> Result<Module, String> {
        let source = (self.read)(name)?;
        self.open.push(name.to_owned());
        let mut module = Module::default();
        let mut lines = source.lines().enumerate();
        while let Some((at, line)) = lines.next() {
            let refuse = |what: &str| format!("{name}:{}: {what}: {line}", at + 1);
            match line.split(|c: char| !is_of_a_name(c)).next() {
                Some("import") => {
                    let mut statement = line.trim_end().to_owned();
                    while !statement.ends_with(';') {
                        let (_, more) = lines.next().ok_or_else(|| refuse("never ends"))?;
                        statement.push(' ');
                        statement.push_str(more.trim());
                    }
                    let (names, from) = import(&statement)
                        .ok_or_else(|| refuse("this form of import is not understood"))?;
                    if self.open.iter().any(|open| open == from) {
                        return Err(refuse("imports in a circle"));
                    }
                    let exports = self.append_once(from)?;
                    if let Some(name) = names.missing_in(exports) {
                        return Err(refuse(&format!("{from} exports no {name}")));
                    }
                    let _ = writeln!(module.text, "const {names} = {};", constant(from));
                }
                Some("export") => {
                    let (declaration, exported) = export(line)
                        .ok_or_else(|| refuse("this form of export is not understood"))?;
                    module.exports.push(exported.to_owned());
                    let _ = writeln!(module.text, "{declaration}");
                }
                _ => {
                    let _ = writeln!(module.text, "{line}");
                }
            }
        }
        self.open.pop();
        Ok(module)
    }

    /// Appends a module where it is not there yet, and tells what it exports.
    fn append_once(&mut self, name: &str) -> Result<&[String], String> {
        if !self.done.contains_key(name) {
            let Module { text, exports } = self.take(name)?;
            let (constant, all) = (constant(name), exports.join(", "));
            self.append(
                name,
                &format!("const {constant} = (() => {{\n{text}return {{ {all} }};\n}})();\n"),
            );
            self.done.insert(name.to_owned(), exports);
        }
        Ok(&self.done[name])
    }

    fn append(&mut self, name: &str, text: &str) {
        let _ = writeln!(self.text, "// {name}\n{text}");
    }
}

/// What a module's exports are called: `$axis_paint` for `axis-paint.js`.
fn constant(name: &str) -> String {
    let stem = name.strip_suffix(".js").unwrap_or(name);
    format!("${}", stem.replace('-', "_"))
}

/// What an import takes of a module.
enum Names<'a> {
    /// All of it, under this name.
    All(&'a str),
    /// Each as it is called there and here.
    Each(Vec<(&'a str, &'a str)>),
}

impl Names<'_> {
    /// One of those that are not among a module's exports.
    fn missing_in(&self, exports: &[String]) -> Option<&str> {
        let Names::Each(names) = self else {
            return None;
        };
        let mut theirs = names.iter().map(|(theirs, _)| *theirs);
        theirs.find(|name| exports.iter().all(|exported| exported != name))
    }
}

/// As the pattern of a constant.
impl fmt::Display for Names<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Names::All(name) => f.write_str(name),
            Names::Each(names) => {
                let each = names.iter().map(|(theirs, ours)| match theirs == ours {
                    true => (*ours).to_owned(),
                    false => format!("{theirs}: {ours}"),
                });
                write!(f, "{{ {} }}", each.collect::<Vec<_>>().join(", "))
            }
        }
    }
}

/// What an import takes, and the module that it names.
fn import(statement: &str) -> Option<(Names<'_>, &str)> {
    let (what, from) = statement.strip_prefix("import ")?.rsplit_once(" from ")?;
    let from = from.strip_prefix("'./")?.strip_suffix("';")?;
    if let Some(all) = what.strip_prefix("* as ") {
        return Some((Names::All(whole_name(all)?), from));
    }
    let names = what.trim().strip_prefix('{')?.strip_suffix('}')?.split(',');
    // None is behind the last comma.
    let names = names.map(str::trim).filter(|one| !one.is_empty());
    let pairs = names.map(|one| one.split_once(" as ").unwrap_or((one, one)));
    let whole = pairs.map(|(theirs, ours)| Some((whole_name(theirs)?, whole_name(ours)?)));
    Some((Names::Each(whole.collect::<Option<_>>()?), from))
}

/// The declaration in an export, and what it declares.
fn export(line: &str) -> Option<(&str, &str)> {
    let declaration = line.strip_prefix("export ")?;
    let named = ["const ", "class ", "function ", "async function "]
        .iter()
        .find_map(|kind| declaration.strip_prefix(kind))?;
    let end = named.find(|c| !is_of_a_name(c)).unwrap_or(named.len());
    Some((declaration, whole_name(&named[..end])?))
}

fn whole_name(text: &str) -> Option<&str> {
    (!text.is_empty() && text.chars().all(is_of_a_name)).then_some(text)
}

fn is_of_a_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$'
}

#[cfg(test)]
mod tests {
    use super::bundle;

    /// The bundle of `main.js`, where these are all modules.
    fn of(modules: &[(&str, &str)]) -> Result<String, String> {
        bundle("main.js", &|name| {
            let found = modules.iter().find(|module| module.0 == name);
            found
                .map(|module| module.1.to_owned())
                .ok_or_else(|| format!("no {name}"))
        })
    }

    #[test]
    fn imports_are_constants_and_each_module_runs_once_before_who_imports_it() {
        let text = of(&[
            (
                "main.js",
                "import { b as mine, c } from './b-c.js';\nimport * as a from './a.js';\nawait a.one(mine, c);\n",
            ),
            (
                "b-c.js",
                "import {\n  one,\n} from './a.js';\nexport const b = one();\nexport class c {}\n",
            ),
            (
                "a.js",
                "export async function one() {}\nexport function two() {}\n",
            ),
        ]);
        let expected = "// a.js
const $a = (() => {
async function one() {}
function two() {}
return { one, two };
})();

// b-c.js
const $b_c = (() => {
const { one } = $a;
const b = one();
class c {}
return { b, c };
})();

// main.js
const { b: mine, c } = $b_c;
const a = $a;
await a.one(mine, c);

";
        assert_eq!(text.as_deref(), Ok(expected));
    }

    #[test]
    fn only_what_begins_a_line_is_a_statement() {
        let text = "// import is a word\n  import('./later.js');\nexported();\nimported();\n";
        let bundle = of(&[("main.js", text)]);
        assert_eq!(bundle, Ok(format!("// main.js\n{text}\n")));
    }

    #[test]
    fn what_is_not_understood_is_refused_by_its_place() {
        for (line, why) in [
            ("import './x.js';", "this form of import is not understood"),
            (
                "import x from './x.js';",
                "this form of import is not understood",
            ),
            (
                "import { x } from 'x';",
                "this form of import is not understood",
            ),
            (
                "import { x } from \"./x.js\";",
                "this form of import is not understood",
            ),
            (
                "import { x-y } from './x.js';",
                "this form of import is not understood",
            ),
            (
                "import('./x.js').then(go);",
                "this form of import is not understood",
            ),
            ("import { x", "never ends"),
            ("export default x;", "this form of export is not understood"),
            ("export { x };", "this form of export is not understood"),
            ("export let x = 1;", "this form of export is not understood"),
            (
                "export const { x } = y;",
                "this form of export is not understood",
            ),
            (
                "export function* x() {}",
                "this form of export is not understood",
            ),
            (
                "export * from './x.js';",
                "this form of export is not understood",
            ),
        ] {
            let text = format!("const before = 1;\n{line}");
            let refused = of(&[("main.js", &text), ("x.js", "export const x = 1;\n")]);
            assert_eq!(refused, Err(format!("main.js:2: {why}: {line}")));
        }
    }

    #[test]
    fn what_cannot_be_had_is_refused() {
        let circle = of(&[
            ("main.js", "import { a } from './a.js';\n"),
            ("a.js", "import { b } from './b.js';\nexport const a = 1;\n"),
            ("b.js", "import { a } from './a.js';\nexport const b = 1;\n"),
        ]);
        let line = "import { a } from './a.js';";
        assert_eq!(circle, Err(format!("b.js:1: imports in a circle: {line}")));
        let unknown = of(&[
            ("main.js", "import { a, c as b } from './a.js';\n"),
            ("a.js", "export const a = 1;\nconst c = 2;\n"),
        ]);
        let line = "import { a, c as b } from './a.js';";
        let refused = format!("main.js:1: a.js exports no c: {line}");
        assert_eq!(unknown, Err(refused));
        let missing = of(&[("main.js", "import { a } from './a.js';\n")]);
        assert_eq!(missing, Err("no a.js".to_owned()));
        let exporting = of(&[("main.js", "export const a = 1;\n")]);
        let refused = "main.js: exports a, which nothing imports";
        assert_eq!(exporting, Err(refused.to_owned()));
    }
}
