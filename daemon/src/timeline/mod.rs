//! A task's story, sampled here so that nobody ships whole logs to show a page.
//!
//! Per invocation, in the order of their ids, which is that of their starts: that it started, if it
//! was; of its log every `tool`, and of all lines those whose number divides by the sample; that it
//! ended, and how. A log that is missing costs only itself, and so does a line that is no JSON object.
//!
//! A [`Telling`] is asked for one entry after the other and holds a bounded number of them; who
//! stops asking stops it. Logs are read on a thread that may block, some megabytes at a time.

mod entry;
mod excerpt;

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use crate::domain::Invocation;
use crate::projects::{Project, ProjectError};
use entry::{completed, started};
use excerpt::Excerpt;

/// Rows fetched at once.
const ROWS: u32 = 64;

/// One task's story, told entry by entry.
pub struct Telling {
    project: Arc<Project>,
    task: String,
    sample: u64,
    rows: VecDeque<Invocation>,
    // Every row up to this id was fetched.
    high: i64,
    more_rows: bool,
    // The invocation whose log is being read.
    reading: Option<(Invocation, Excerpt)>,
    entries: VecDeque<Bytes>,
}

/// Begins the story of a task; that of one that does not exist is empty.
pub async fn of_task(
    project: &Arc<Project>,
    task: &str,
    sample: u32,
) -> Result<Telling, ProjectError> {
    let mut telling = Telling {
        project: Arc::clone(project),
        task: task.to_owned(),
        sample: u64::from(sample.max(1)),
        rows: VecDeque::new(),
        high: 0,
        more_rows: true,
        reading: None,
        entries: VecDeque::new(),
    };
    telling.fetch().await?;
    Ok(telling)
}

impl Telling {
    /// The next entry, a JSON object without a newline; `None` at the end. Who drops the wait must
    /// begin anew.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ProjectError> {
        loop {
            if let Some(entry) = self.entries.pop_front() {
                return Ok(Some(entry));
            }
            if let Some((row, excerpt)) = self.reading.take() {
                self.read(row, excerpt).await?;
                continue;
            }
            if self.rows.is_empty() && self.more_rows {
                self.fetch().await?;
            }
            let Some(row) = self.rows.pop_front() else {
                return Ok(None);
            };
            self.entries.extend(started(&row));
            let excerpt = Excerpt::new(self.project.logs(), row.id, self.sample);
            self.reading = Some((row, excerpt));
        }
    }

    async fn read(&mut self, row: Invocation, mut excerpt: Excerpt) -> Result<(), ProjectError> {
        let read = tokio::task::spawn_blocking(move || {
            let mut entries = VecDeque::new();
            let is_over = excerpt.read(&mut entries);
            (excerpt, entries, is_over)
        });
        let (excerpt, entries, is_over) = read.await.map_err(|_| ProjectError::Closed)?;
        self.entries = entries;
        if is_over {
            self.entries.extend(completed(&row));
        } else {
            self.reading = Some((row, excerpt));
        }
        Ok(())
    }

    async fn fetch(&mut self) -> Result<(), ProjectError> {
        let rows = self
            .project
            .store
            .of_task_after(&self.task, self.high, ROWS)
            .await?;
        self.more_rows = rows.len() >= ROWS as usize;
        self.high = rows.last().map_or(self.high, |row| row.id.get());
        self.rows = rows.into();
        Ok(())
    }
}

#[cfg(test)]
mod tests;
