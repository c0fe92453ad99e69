//! The files of each released protocol, as a daemon of that release and a shim left them: they stay
//! readable.

use std::path::Path;

use steroids_provider::activity::Stream;
use steroids_provider::kind::{Format, Kind};
use steroids_shim::exit::{End, ExitRecord, Reason};
use steroids_shim::paths::InvDir;
use steroids_shim::spec::{Life, Spec};
use steroids_shim::spool::{Control, Payload, Reader};
use steroids_shim::state::State;

fn golden(proto: &str) -> InvDir {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    InvDir::at(tests.join("golden").join(proto))
}

#[test]
fn protocol_1_is_readable() {
    let dir = golden("proto-1");
    let spec = Spec::load(&dir).unwrap();
    assert_eq!(
        (spec.proto, spec.kind, spec.format),
        (1, Kind::Claude, Format::Json)
    );
    assert_eq!(spec.prompt, "Say häh.\n");
    assert_eq!(spec.limits.silence_ms, Some(900_000));
    assert_eq!(spec.limits.life, Life::default());

    let state = State::load(&dir).unwrap().unwrap();
    assert_eq!((state.shim_pid, state.agent_pid), (4100, Some(4101)));

    let record = ExitRecord::load(&dir).unwrap().unwrap();
    assert_eq!(
        record.end,
        End::Ran {
            code: None,
            signal: Some(15),
            ended_by: Some(Reason::Silence),
            duration_ms: 1234,
            leftovers: 2,
        }
    );

    let mut reader = Reader::open(&dir.spool()).unwrap();
    let first = reader.next().unwrap().unwrap();
    assert_eq!(
        (first.at.wall_ms, first.at.mono_ms, first.at.raw),
        (1000, 10, 28)
    );
    assert_eq!(
        first.payload,
        Payload::Output {
            stream: Stream::Stdout,
            bytes: b"{\"type\":\"system\"}\n"
        }
    );
    let second = reader.next().unwrap().unwrap();
    assert_eq!(
        second.payload,
        Payload::Output {
            stream: Stream::Stderr,
            bytes: b"warn\xff"
        }
    );
    assert_eq!(
        reader.next().unwrap().unwrap().payload,
        Payload::Control(Control::Stop {
            by: Reason::Silence,
            why: None
        })
    );
    assert_eq!(reader.next().unwrap(), None);
    assert_eq!(reader.position(), record.spool_length);
}
