//! Links within the documentation: to files, folders, and headings of pages.

use std::collections::HashMap;
use std::path::Path;

use super::Page;
use crate::binaries::workspace;

/// Every relative link of `pages` that leads nowhere, as `page:line: target`.
pub fn broken(pages: &[Page]) -> Vec<String> {
    let mut anchors = HashMap::new();
    for page in pages {
        anchors.insert(page.name.clone(), anchors_of(page));
    }
    let mut broken = Vec::new();
    for page in pages {
        for (line, text) in page.prose() {
            for target in targets(text) {
                if !leads_somewhere(page, target, &anchors) {
                    broken.push(format!("{}:{line}: {target}", page.name));
                }
            }
        }
    }
    broken
}

fn leads_somewhere(page: &Page, target: &str, anchors: &HashMap<String, Vec<String>>) -> bool {
    if target.contains("://") || target.starts_with("mailto:") {
        return true;
    }
    let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
    let name = match path {
        "" => page.name.clone(),
        path => match below(&page.name, path) {
            Some(name) => name,
            None => return false,
        },
    };
    if !anchors.contains_key(&name) && !workspace().join(&name).exists() {
        return false;
    }
    let has = |headings: &Vec<String>| headings.iter().any(|it| it == anchor);
    anchor.is_empty() || anchors.get(&name).is_some_and(has)
}

/// `target` as seen from `page`, below the workspace; `None` if it leads out of it.
fn below(page: &str, target: &str) -> Option<String> {
    let folder = Path::new(page).parent().unwrap_or(Path::new(""));
    let mut parts: Vec<&str> = folder.iter().filter_map(|part| part.to_str()).collect();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// The targets of a line's links, without what stands in code.
fn targets(line: &str) -> Vec<&str> {
    let mut targets = Vec::new();
    for (index, piece) in line.split('`').enumerate() {
        // The text of a link may be code: its target then begins the piece behind that.
        let starts = if index % 2 == 0 { piece } else { continue };
        for part in starts.split("](").skip(1) {
            targets.extend(part.split_once(')').map(|(target, _)| target));
        }
    }
    targets
}

/// The anchors of a page's headings, as GitHub makes them.
fn anchors_of(page: &Page) -> Vec<String> {
    let mut anchors: Vec<String> = Vec::new();
    for (_, line) in page.prose() {
        let Some(heading) = line.strip_prefix('#') else {
            continue;
        };
        let slug = slug(heading.trim_start_matches('#').trim());
        let same = anchors.iter().filter(|it| **it == slug).count();
        anchors.push(match same {
            0 => slug,
            n => format!("{slug}-{n}"),
        });
    }
    anchors
}

fn slug(heading: &str) -> String {
    let kept = heading.chars().filter_map(|letter| match letter {
        ' ' => Some('-'),
        '-' | '_' => Some(letter),
        letter if letter.is_alphanumeric() => Some(letter),
        _ => None,
    });
    kept.flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(name: &str, text: &str) -> Page {
        Page {
            name: name.to_owned(),
            text: text.to_owned(),
        }
    }

    #[test]
    fn headings_have_the_anchors_of_github() {
        assert_eq!(slug("What is `not`, really?"), "what-is-not-really");
        let page = page("docs/x.md", "# A b\n## A b\n```\n# no heading\n```\n");
        assert_eq!(anchors_of(&page), ["a-b", "a-b-1"]);
    }

    #[test]
    fn a_link_that_leads_nowhere_is_named_with_its_line() {
        let text = "[a](cli.md) [`b`](cli.md#json)\n[c](none.md) `[d](none.md)`\n[e](#there)\n\
                    [f](#not-there) [g](../README.md) [h](https://example.org/x)\n# There\n";
        let pages = [page("docs/x.md", text), page("docs/cli.md", "## JSON\n")];
        let found = broken(&pages);
        assert_eq!(found, ["docs/x.md:2: none.md", "docs/x.md:4: #not-there"]);
    }
}
