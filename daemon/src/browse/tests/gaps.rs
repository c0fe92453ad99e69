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

#[tokio::test]
async fn one_rebuilt_while_it_is_read_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap();
    let (state, folder) = (root.join("state"), root.join("project"));
    fs::create_dir(&state).unwrap();
    fs::create_dir(&folder).unwrap();
    let projects = Projects::open(&state, "us".to_owned()).await.unwrap();
    let (project, _) = projects.register(&folder, true).await.unwrap();
    let begun = project.store.begin(new(&folder), None).await.unwrap();
    let Begun::New(before) = begun else {
        panic!("a first request is a new one");
    };
    let query = ReadQuery {
        limit: 1,
        ..ReadQuery::default()
    };
    read(&project, before.id, query).await.unwrap();
    still(&project, &before).await.unwrap();
    let store = &project.store;
    let counted = store.count_generation(before.id, Rebuild::Published).await;
    assert_eq!(counted.unwrap(), 2);
    let error = still(&project, &before).await.unwrap_err();
    assert!(matches!(error, BrowseError::Gap { .. }), "{error:?}");
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
