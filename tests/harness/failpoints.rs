//! Fail-points of the programs of a home, switched on and off while they run. What there is and
//! what a line may say stands in the crate `steroids-failpoint`.

use std::fs;
use std::path::PathBuf;

use crate::Home;
use crate::wait::eventually;

/// The points of one home. All are off until one is set.
#[derive(Debug, Clone)]
pub struct FailPoints {
    file: PathBuf,
}

impl FailPoints {
    /// Those of `home`'s programs, also of ones that run already.
    pub fn of(home: &Home) -> FailPoints {
        FailPoints {
            file: home.path("fail-points"),
        }
    }

    /// Sets these lines, such as `start.row kill`, and no others. What was hit before is forgotten.
    pub fn set(&self, lines: &[&str]) {
        let _ = fs::remove_file(self.hits_file());
        // In one step: a program may read it at any time.
        let new = self.file.with_extension("new");
        fs::write(&new, lines.join("\n")).expect("the home takes a file");
        fs::rename(&new, &self.file).expect("the home takes a file");
    }

    /// Switches all off.
    pub fn clear(&self) {
        self.set(&[]);
    }

    /// The pids of those that took an action at `name`, in order.
    pub fn hits(&self, name: &str) -> Vec<i32> {
        let text = fs::read_to_string(self.hits_file()).unwrap_or_default();
        text.lines()
            .filter_map(|line| line.split_once(' '))
            .filter(|(point, _)| *point == name)
            .filter_map(|(_, pid)| pid.parse().ok())
            .collect()
    }

    /// Waits until somebody has taken an action at `name`, and gives its pid.
    pub async fn hit(&self, name: &str) -> i32 {
        eventually(name, async || self.hits(name).first().copied()).await
    }

    fn hits_file(&self) -> PathBuf {
        self.file.with_extension("hits")
    }
}
