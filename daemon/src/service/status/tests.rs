use std::time::Duration;

use steroids_shim::durable::FileError;
use tonic_types::StatusExt as _;

use super::*;
use crate::domain::InvocationId;

fn reason(status: &Status) -> String {
    let details = status.get_error_details();
    details
        .error_info()
        .map(|info| info.reason.clone())
        .unwrap_or_default()
}

fn todo(status: &Status) -> String {
    let details = status.get_error_details();
    details
        .help()
        .map(|help| help.links[0].description.clone())
        .unwrap_or_default()
}

#[test]
fn what_wraps_another_error_is_told_as_that_one() {
    let path = || "/p/.steroids/steroids.db".into();
    let old = || StoreError::NeedsMigration {
        path: path(),
        version: 9,
    };
    let direct = store(old());
    let wrapped = start(StartError::Project(ProjectError::Store(old())));
    assert_eq!(
        (direct.code(), direct.message()),
        (wrapped.code(), wrapped.message())
    );
    assert_eq!(direct.code(), Code::FailedPrecondition);
    assert_eq!(reason(&wrapped), "NEEDS_MIGRATION");
    assert!(todo(&wrapped).contains("steroidsctl migrate"));
}

#[test]
fn causes_are_told_once_each() {
    let source = io::Error::from_raw_os_error(13);
    let status = project(ProjectError::Io {
        path: "/p".into(),
        source,
    });
    assert_eq!(status.code(), Code::Internal);
    assert_eq!(
        status.message(),
        "cannot use /p: Permission denied (os error 13)"
    );
    let inner = StoreError::Full {
        path: "/p/db".into(),
    };
    let status = project(ProjectError::Store(inner));
    assert_eq!(status.message(), "the disk of /p/db is full");
}

#[test]
fn what_can_only_be_read_is_no_fault_and_told_with_its_cure() {
    let read_only = ProjectError::Io {
        path: "/srv/p/.steroids".into(),
        source: io::Error::from_raw_os_error(nix::libc::EROFS),
    };
    let database = StoreError::ReadOnly {
        path: "/srv/p/.steroids/steroids.db".into(),
    };
    for status in [project(read_only), store(database)] {
        assert_eq!(status.code(), Code::FailedPrecondition);
        assert_eq!(reason(&status), "READ_ONLY");
        assert!(todo(&status).contains("ReadWritePaths="), "{status:?}");
    }
}

#[test]
fn what_the_system_has_no_more_of_is_exhausted_and_not_broken() {
    for (number, word) in [
        (nix::libc::EMFILE, "NO_DESCRIPTORS"),
        (nix::libc::EAGAIN, "NO_PROCESSES_OR_MEMORY"),
    ] {
        let status = start(StartError::Launch {
            id: InvocationId::new(4).unwrap(),
            source: crate::launch::LaunchError::Spawn {
                program: "/bin/steroids-shim".into(),
                source: io::Error::from_raw_os_error(number),
            },
        });
        assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
        assert_eq!(reason(&status), word);
    }
}

#[test]
fn a_start_that_a_full_disk_did_not_take_may_be_made_again() {
    for (number, code, word) in [
        (nix::libc::ENOSPC, Code::ResourceExhausted, "DISK_FULL"),
        (nix::libc::EDQUOT, Code::ResourceExhausted, "DISK_FULL"),
        (nix::libc::EIO, Code::Internal, "STATE_DIR"),
    ] {
        let status = start(StartError::StateDir {
            path: "/s/inv/u".into(),
            source: io::Error::from_raw_os_error(number),
        });
        assert_eq!((status.code(), &*reason(&status)), (code, word), "{status}");
    }
}

#[test]
fn a_message_that_a_full_disk_did_not_take_is_sent_again() {
    for (number, code, word) in [
        (nix::libc::ENOSPC, Code::ResourceExhausted, "DISK_FULL"),
        (nix::libc::EDQUOT, Code::ResourceExhausted, "DISK_FULL"),
        (nix::libc::EIO, Code::Internal, "STATE_DIR"),
    ] {
        let path = std::path::PathBuf::from("/s/inv/u/input/m.tmp");
        let source = io::Error::from_raw_os_error(number);
        let action = "write";
        let status = input(InputError::StateDir {
            path: "/s/inv/u".into(),
            source: Box::new(FileError::Io {
                action,
                path,
                source,
            }),
        });
        assert_eq!((status.code(), &*reason(&status)), (code, word), "{status}");
    }
}

#[test]
fn what_goes_away_by_itself_may_be_tried_again() {
    let busy = store(StoreError::Busy {
        path: "/p/db".into(),
    });
    let closed = store(StoreError::Closed {
        path: "/p/db".into(),
    });
    let draining = start(StartError::Draining);
    for status in [busy, closed, draining] {
        assert_eq!(status.code(), Code::Unavailable, "{status}");
    }
    let full = start(StartError::TooManyRunning { max: 8 });
    assert_eq!(full.code(), Code::ResourceExhausted);
    assert!(todo(&full).contains("daemon.max_running"));
}

#[test]
fn what_is_only_being_renamed_may_be_tried_again_and_wants_for_nothing() {
    let busy = ProjectError::Busy { path: "/p".into() };
    let log = LogError::Busy { path: "/p".into() };
    for status in [project(busy), super::log(log)] {
        assert_eq!(status.code(), Code::Unavailable, "{status}");
        assert_eq!((&*reason(&status), &*todo(&status)), ("BUSY", RETRY));
    }
    let source = io::Error::from_raw_os_error(nix::libc::EMFILE);
    let short = project(ProjectError::Io {
        path: "/p".into(),
        source,
    });
    assert_eq!(short.code(), Code::ResourceExhausted);
}

#[test]
fn a_cursor_that_was_never_given_is_malformed_wherever_it_is_sent() {
    let malformed = || CursorError::Malformed;
    let followed = follow(FollowError::CursorOutOfRange(malformed()));
    let browsed = browse(BrowseError::CursorOutOfRange {
        field: "until",
        source: malformed(),
    });
    for status in [followed, browsed] {
        assert_eq!(status.code(), Code::OutOfRange);
        assert_eq!(reason(&status), "CURSOR_MALFORMED");
    }
}

#[test]
fn a_cursor_that_cannot_be_honoured_is_out_of_range() {
    let offset = crate::domain::Offset::new(9);
    let past = LogError::PastEnd {
        path: "/p/1.log".into(),
        offset,
        len: 3,
    };
    assert_eq!(follow(FollowError::Log(past)).code(), Code::OutOfRange);
    let id = InvocationId::new(4).unwrap();
    assert_eq!(
        follow(FollowError::NoInvocation { id }).code(),
        Code::NotFound
    );
}

#[test]
fn a_path_in_a_command_is_one_word() {
    let status = gone(Path::new("/home/ada/my app"), "it is not there.");
    let stop = "steroidsctl --project '/home/ada/my app' stop --all";
    assert!(todo(&status).contains(stop), "{status:?}");
}

#[test]
fn one_that_is_still_ending_is_told_with_what_comes_next() {
    let slow = |next| {
        stop(StopError::Slow {
            id: InvocationId::new(4).unwrap(),
            uuid: "u".to_owned(),
            next,
        })
    };
    let graced = slow(StillEnding::Graced(Duration::from_secs(200)));
    assert_eq!(graced.code(), Code::DeadlineExceeded);
    assert_eq!(reason(&graced), "STILL_ENDING");
    let said = "it has 4 min more to end by itself, then it is killed (SIGKILL)";
    assert!(graced.message().contains(said), "{graced}");
    assert!(
        todo(&graced).contains("steroidsctl stop 4 --grace 0"),
        "{graced:?}"
    );
    let killed = slow(StillEnding::Killed);
    assert!(killed.message().contains("is killed (SIGKILL)"), "{killed}");
    assert_eq!(todo(&killed), "");
}

#[test]
fn a_shim_that_is_not_there_is_unavailable_and_told_with_its_path() {
    let missing = || crate::launch::LaunchError::Spawn {
        program: "/opt/s/steroids-shim".into(),
        source: io::Error::from_raw_os_error(nix::libc::ENOENT),
    };
    let id = InvocationId::new(4).unwrap();
    let late = StartError::Launch {
        id,
        source: missing(),
    };
    for status in [start(StartError::NoShim(missing())), start(late)] {
        assert_eq!(status.code(), Code::Unavailable, "{status}");
        assert_eq!(reason(&status), "NO_SHIM");
        assert!(
            status
                .message()
                .contains("/opt/s/steroids-shim: No such file"),
            "{status}"
        );
        assert!(
            todo(&status).contains("install steroids anew"),
            "{status:?}"
        );
    }
}
