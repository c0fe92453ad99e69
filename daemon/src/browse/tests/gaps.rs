//! Cursors that cannot be honoured, and logs that are not what they were.

use super::*;
use crate::domain::cursor::CursorError;
use crate::projects::Projects;
use crate::store::{Begun, NewInvocation, Rebuild};

#[test]
fn a_cursor_is_refused_as_malformed_or_as_of_a_log_that_is_gone() {
    let written = Written::ours();
    written.write(&lines(0..3));
    let refused = |written: &Written, cursor: &str| {
        let after = cursor.to_owned();
        let query = ReadQuery {
            after: after.clone(),
            limit: 1,
            ..ReadQuery::default()
        };
        let error = written.try_read(query).unwrap_err();
        let query = OutlineQuery {
            until: after,
            max_places: 1,
            ..OutlineQuery::default()
        };
        let other = written.try_outline(query).unwrap_err();
        assert_eq!(
            std::mem::discriminant(&error),
            std::mem::discriminant(&other)
        );
        error
    };
    for malformed in ["nonsense", "8:0:0", "7:0:3"] {
        let error = refused(&written, malformed);
        assert!(
            matches!(error, BrowseError::CursorOutOfRange { .. }),
            "{malformed}: {error:?}"
        );
    }
    for gone in ["7:1:52", "7:0:99999", "7:a-b:52"] {
        let error = refused(&written, gone);
        assert!(
            matches!(error, BrowseError::Gap { .. }),
            "{gone}: {error:?}"
        );
    }
    let inside = refused(&written, "7:0:3");
    assert!(matches!(
        inside,
        BrowseError::CursorOutOfRange {
            source: CursorError::InsideLine { .. },
            ..
        }
    ));
    fs::remove_file(written.log.logs.path(written.log.id)).unwrap();
    assert!(matches!(
        refused(&written, "7:0:52"),
        BrowseError::Gap { .. }
    ));
}

#[test]
fn a_foreign_log_written_anew_voids_its_cursors() {
    let written = Written::foreign();
    written.write(&lines(0..3));
    let outline = written.outline("", "", 100);
    let path = written.log.logs.path(written.log.id);
    fs::write(&path, lines(5..9)).unwrap();
    let after = outline.places[1].cursor.clone();
    let query = ReadQuery {
        after,
        limit: 1,
        ..ReadQuery::default()
    };
    let error = written.try_read(query).unwrap_err();
    assert!(matches!(error, BrowseError::Gap { .. }), "{error:?}");
}

#[test]
fn a_foreign_log_written_anew_while_it_is_read_is_told() {
    let written = Written::foreign();
    written.write(&lines(0..3));
    let mut open = written.log.open(None, None).unwrap().unwrap();
    let path = written.log.logs.path(written.log.id);
    fs::write(&path, lines(5..9)).unwrap();
    open.walk(u64::MAX, |_| lines::Go::On).unwrap();
    assert!(open.verify().is_err());
}

/// A row of ours in a project of its own.
struct Rowed {
    _dir: TempDir,
    project: std::sync::Arc<Project>,
    id: InvocationId,
}

impl Rowed {
    async fn new() -> Rowed {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let (state, folder) = (root.join("state"), root.join("project"));
        fs::create_dir(&state).unwrap();
        fs::create_dir(&folder).unwrap();
        let projects = Projects::open(&state, "us".to_owned()).await.unwrap();
        let (project, _) = projects.register(&folder, true).await.unwrap();
        let begun = project.store.begin(new(&folder), None).await.unwrap();
        let Begun::New(row) = begun else {
            panic!("a first request is a new one");
        };
        let id = row.id;
        Rowed {
            _dir: dir,
            project,
            id,
        }
    }

    async fn counts(&self, rebuild: Rebuild) {
        let store = &self.project.store;
        store.count_generation(self.id, rebuild).await.unwrap();
    }

    async fn reads(&self, after: &str) -> Result<Passage, BrowseError> {
        let query = ReadQuery {
            after: after.to_owned(),
            limit: 1,
            ..ReadQuery::default()
        };
        read(&self.project, self.id, query).await
    }

    /// Reads a log that is rebuilt the first so many times that it is looked at; how often it was.
    async fn unsettled(&self, times: u32, is_from_start: bool) -> Result<u32, BrowseError> {
        let looks = std::cell::Cell::new(0);
        let look = async || {
            looks.set(looks.get() + 1);
            if looks.get() <= times {
                self.counts(Rebuild::Published).await;
            }
            Ok(looks.get())
        };
        settled(&self.project, self.id, is_from_start, |_| look()).await
    }
}

#[tokio::test]
async fn one_rebuilt_while_it_is_read_voids_cursors_and_is_read_again_from_the_start() {
    let rowed = Rowed::new().await;
    assert_eq!(rowed.unsettled(0, true).await.unwrap(), 1);
    assert_eq!(rowed.unsettled(1, true).await.unwrap(), 2);
    let error = rowed.unsettled(1, false).await.unwrap_err();
    assert!(matches!(error, BrowseError::Gap { .. }), "{error:?}");
    let error = rowed.unsettled(u32::MAX, true).await.unwrap_err();
    assert!(matches!(error, BrowseError::Unsettled), "{error:?}");
}

#[tokio::test]
async fn one_that_is_being_published_is_not_read() {
    let rowed = Rowed::new().await;
    rowed.reads("").await.unwrap();
    rowed.counts(Rebuild::Written).await;
    let error = rowed.reads("").await.unwrap_err();
    assert!(matches!(error, BrowseError::Unsettled), "{error:?}");
    let cursor = format!("{}:1:0", rowed.id);
    let error = rowed.reads(&cursor).await.unwrap_err();
    assert!(matches!(error, BrowseError::Gap { .. }), "{error:?}");
    rowed.counts(Rebuild::Published).await;
    rowed.reads("").await.unwrap();
}

fn new(folder: &std::path::Path) -> NewInvocation {
    NewInvocation {
        task: "T".to_owned(),
        role: "coder".to_owned(),
        provider: "command".to_owned(),
        request_id: "r".to_owned(),
        uuid: "u".to_owned(),
        cwd: folder.to_owned(),
        limits_json: "{}".to_owned(),
        created_ms: 1_700_000_000_123,
        ..NewInvocation::default()
    }
}
