//! What counts of the configuration, for whoever asks: as it was read, and what the file says by now.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use steroids_keys::{Entry, Listing};
use steroids_proto::v1;
use tonic::Status;

use super::Service;
use super::daemon::epoch_ms;

/// Reads the file anew, with the flags of the start, and says which it was; else all that is wrong, a line
/// each.
pub type Reread = dyn Fn() -> Result<(Option<PathBuf>, Listing), Vec<String>> + Send + Sync;

/// The configuration that counts. Clones are of the same one.
#[derive(Clone)]
pub struct Configuration {
    loaded: Arc<Mutex<Loaded>>,
    reread: Arc<Reread>,
}

#[derive(Debug, Clone)]
struct Loaded {
    file: Option<PathBuf>,
    listing: Listing,
    at: SystemTime,
}

impl Configuration {
    /// One that was read just now from this file, or without any.
    pub fn new(file: Option<PathBuf>, listing: Listing, reread: Arc<Reread>) -> Configuration {
        let at = SystemTime::now();
        Configuration {
            loaded: Arc::new(Mutex::new(Loaded { file, listing, at })),
            reread,
        }
    }

    /// What counts from now on.
    pub fn replace(&self, file: Option<PathBuf>, listing: Listing) {
        let at = SystemTime::now();
        *self.lock() = Loaded { file, listing, at };
    }

    /// What counts now.
    pub fn listing(&self) -> Listing {
        self.lock().listing.clone()
    }

    // Never held across an await; a panic leaves a whole value.
    fn lock(&self) -> std::sync::MutexGuard<'_, Loaded> {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Service {
    /// Lists what counts, beside what the file says by now.
    pub(super) async fn configuration(&self) -> Result<v1::GetConfigResponse, Status> {
        let configuration = &self.configuration;
        let reread = Arc::clone(&configuration.reread);
        // A file on a disk that does not answer keeps this one call waiting, until its deadline.
        let now = tokio::task::spawn_blocking(move || reread())
            .await
            .map_err(|_stopping| Status::unavailable("the daemon is stopping"))?;
        let loaded = configuration.lock().clone();
        let (file_now, now, problems) = match now {
            Ok((file, now)) => (file, Some(now), Vec::new()),
            Err(problems) => (None, None, problems),
        };
        let file_now = file_now.filter(|file| loaded.file.as_ref() != Some(file));
        let text = |file: Option<PathBuf>| file.as_deref().map(super::convert::text);
        Ok(v1::GetConfigResponse {
            file_now: text(file_now).unwrap_or_default(),
            file: text(loaded.file).unwrap_or_default(),
            read_at_ms: epoch_ms(loaded.at),
            entries: entries(&loaded.listing, now.as_ref()),
            problems,
        })
    }
}

/// All that count, then those that the file has in addition by now.
fn entries(loaded: &Listing, now: Option<&Listing>) -> Vec<v1::ConfigEntry> {
    let differ = now.map_or_else(Vec::new, |now| loaded.differences(now));
    let mut told: Vec<v1::ConfigEntry> = loaded.entries.iter().map(shown).collect();
    for path in differ {
        let by_now = now.and_then(|now| now.get(&path));
        let by_now = by_now.and_then(Entry::shown);
        match told.iter_mut().find(|entry| entry.key == path) {
            Some(entry) => {
                entry.changed = true;
                entry.now = by_now;
            }
            None => told.push(v1::ConfigEntry {
                key: path,
                changed: true,
                now: by_now,
                ..v1::ConfigEntry::default()
            }),
        }
    }
    told
}

fn shown(entry: &Entry) -> v1::ConfigEntry {
    let (origin, line, name) = entry.origin.words();
    v1::ConfigEntry {
        key: entry.path.clone(),
        value: entry.shown(),
        origin: origin.to_owned(),
        line: i64::try_from(line).unwrap_or(i64::MAX),
        name: name.to_owned(),
        instead: entry.instead(),
        change: entry.row.map_or("", |row| row.change.words()).to_owned(),
        changed: false,
        now: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_file_says_by_now_stands_beside_what_counts() {
        let loaded = Listing::of("[daemon]\nmax_running = 2\n[hooks]\n", &[]);
        let now = Listing::of(
            "[daemon]\nmax_running = 3\n[[hooks]]\nname = \"a\"\nsecret = \"hush\"",
            &[],
        );
        let entries = entries(&loaded, Some(&now));
        let find = |key: &str| entries.iter().find(|entry| entry.key == key).unwrap();
        let running = find("daemon.max_running");
        assert_eq!(running.value.as_deref(), Some("2"));
        assert_eq!((&*running.origin, running.line), ("file", 2));
        assert_eq!((running.changed, running.now.as_deref()), (true, Some("3")));
        assert!(!find("daemon.max_streams").changed);
        assert_eq!(find("hooks[0].secret").now.as_deref(), Some("\"…\""));
        assert_eq!(find("daemon.socket").value, None);
        assert!(find("daemon.socket").instead.contains("XDG_RUNTIME_DIR"));
        let unread = super::entries(&loaded, None);
        assert!(unread.iter().all(|entry| !entry.changed));
    }
}
