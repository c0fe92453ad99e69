//! The daemon's program: where it is, and what it says of the configuration that it would read.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::ask::ask;
use crate::clean::clean_line;

/// It answers at once.
const WITHIN: Duration = Duration::from_secs(5);
/// How it ends when a setting is wrong.
const WRONG_SETTING: i32 = 78;

/// Its folder: that of the running one, else that of this program.
pub(crate) fn folder(pid: Option<i64>) -> Option<PathBuf> {
    let running = pid.and_then(|pid| std::fs::read_link(format!("/proc/{pid}/exe")).ok());
    let program = running.or_else(|| std::env::current_exe().ok())?;
    program.parent().map(Path::to_owned)
}

/// Has it read the configuration: each problem in a line, none where all is well; `None` where it cannot be
/// asked so.
pub(crate) async fn problems(folder: &Path) -> Option<Vec<String>> {
    let said = ask(folder.join("steroidsd"), &["--check-config"], WITHIN).await;
    let said = said.ok()?;
    match said.code {
        0 => Some(Vec::new()),
        WRONG_SETTING => {
            let lines = said.stderr.lines().map(clean_line);
            let problems = lines.filter_map(|line| {
                let line = line.trim_start_matches("steroidsd: ");
                (!line.is_empty() && !line.starts_with("warning: ")).then(|| line.to_owned())
            });
            Some(problems.collect())
        }
        _ => None,
    }
}
