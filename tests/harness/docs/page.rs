//! A page, cut into its blocks of code.

use std::fs;
use std::path::{Path, PathBuf};

use crate::binaries::workspace;

/// A file of the documentation.
#[derive(Debug, Clone)]
pub struct Page {
    /// Its path below the workspace.
    pub name: String,
    /// All of it.
    pub text: String,
}

/// A fenced block of code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// The line of the page with its first line.
    pub line: usize,
    /// The word behind the fence; empty where there is none.
    pub language: String,
    /// Further words there.
    pub marks: Vec<String>,
    /// What stands in it.
    pub text: String,
}

/// A command of a `console` block and what it prints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The line of the page.
    pub line: usize,
    /// What is typed, continued lines included.
    pub command: String,
    /// What is shown for it.
    pub prints: String,
}

/// Every page that readers are shown: those of the workspace's root and all below `docs/`.
pub fn pages() -> Vec<Page> {
    let root = workspace();
    let mut files = Vec::new();
    for name in ["README.md", "ARCHITECTURE.md", "CHANGELOG.md"] {
        files.push(root.join(name));
    }
    collect(&root.join("docs"), &mut files);
    files.sort();
    let page = |file: PathBuf| Page {
        text: fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display())),
        name: file
            .strip_prefix(root)
            .expect("it was found below the root")
            .to_string_lossy()
            .into_owned(),
    };
    files.into_iter().map(page).collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    for entry in entries {
        let path = entry.expect("a folder that can be read").path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|it| it == "md") {
            files.push(path);
        }
    }
}

impl Page {
    /// Its blocks, in order. Panics where one is not closed.
    pub fn blocks(&self) -> Vec<Block> {
        let mut blocks = Vec::new();
        let mut open: Option<Block> = None;
        for (index, line) in self.text.lines().enumerate() {
            let fence = line.trim_start().strip_prefix("```");
            match (&mut open, fence) {
                (Some(_), Some(_)) => blocks.extend(open.take()),
                (Some(block), None) => {
                    block.text.push_str(line);
                    block.text.push('\n');
                }
                (None, Some(info)) => open = Some(Block::opened(info, index + 2)),
                (None, None) => {}
            }
        }
        assert!(open.is_none(), "{}: a block is not closed", self.name);
        blocks
    }

    /// Its text without blocks of code, line by line with their numbers.
    pub fn prose(&self) -> Vec<(usize, &str)> {
        let mut in_block = false;
        let mut prose = Vec::new();
        for (index, line) in self.text.lines().enumerate() {
            let is_fence = line.trim_start().starts_with("```");
            if !is_fence && !in_block {
                prose.push((index + 1, line));
            }
            in_block ^= is_fence;
        }
        prose
    }
}

impl Block {
    fn opened(info: &str, line: usize) -> Block {
        let mut words = info.split_whitespace().map(str::to_owned);
        Block {
            line,
            language: words.next().unwrap_or_default(),
            marks: words.collect(),
            text: String::new(),
        }
    }

    /// Whether a word stands behind its language.
    pub fn is_marked(&self, word: &str) -> bool {
        self.marks.iter().any(|mark| mark == word)
    }

    /// The commands of a `console` block.
    pub fn steps(&self) -> Vec<Step> {
        let mut steps: Vec<Step> = Vec::new();
        let mut goes_on = false;
        for (index, line) in self.text.lines().enumerate() {
            if let Some(command) = line.strip_prefix("$ ") {
                steps.push(Step {
                    line: self.line + index,
                    command: format!("{command}\n"),
                    prints: String::new(),
                });
                goes_on = command.ends_with('\\');
                continue;
            }
            let step = steps
                .last_mut()
                .unwrap_or_else(|| panic!("line {}: a console begins with `$ `", self.line));
            let part = match goes_on {
                true => &mut step.command,
                false => &mut step.prints,
            };
            part.push_str(line);
            part.push('\n');
            goes_on &= line.ends_with('\\');
        }
        steps
    }

    /// What a block says that it prints, in comments that begin with `mark`.
    pub fn prints(&self, mark: &str) -> String {
        let lines = self.text.lines().map(str::trim_start);
        let said = lines.filter_map(|line| line.strip_prefix(mark));
        said.map(|line| format!("{}\n", line.trim_start()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(text: &str) -> Page {
        Page {
            name: "docs/x.md".to_owned(),
            text: text.to_owned(),
        }
    }

    #[test]
    fn a_page_is_cut_into_blocks_and_prose() {
        let page = page("# A\n```sh run\nls\n```\ntext\n```\nplain\n```\n");
        let blocks = page.blocks();
        assert_eq!(blocks.len(), 2);
        assert_eq!((blocks[0].line, blocks[0].language.as_str()), (3, "sh"));
        assert!(blocks[0].is_marked("run") && blocks[1].language.is_empty());
        assert_eq!(page.prose(), [(1, "# A"), (5, "text")]);
    }

    #[test]
    fn a_console_is_commands_and_what_each_prints() {
        let page = page("```console\n$ a \\\n    b\n1\n2\n$ c\n```\n");
        let steps = page.blocks()[0].steps();
        assert_eq!(steps[0].command, "a \\\n    b\n");
        assert_eq!(steps[0].prints, "1\n2\n");
        assert_eq!((steps[1].line, steps[1].prints.as_str()), (6, ""));
    }
}
