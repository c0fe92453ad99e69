//! Messages that are too large, cut, packed in an unknown way, or no messages at all.

use std::fs;

use prost::Message as _;
use steroids_proto::v1;
use steroids_tests::faults::held;
use steroids_tests::wire::framed;
use steroids_tests::{Daemon, Home, Wire};
use tonic::Code;

#[tokio::test]
async fn each_is_told_what_is_wrong_with_it_and_costs_nothing() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let project = daemon.project("app").await.project();
    let mut wire = Wire::connect(&home.socket()).await;
    let good = v1::GetRequest {
        project: project.clone(),
        id: 7,
        terms: false,
    };
    let good = good.encode_to_vec();
    let before = most_mapped(daemon.pid());

    let too_large = v1::StartRequest {
        project,
        task_id: "T1".to_owned(),
        prompt: "p".repeat(4 << 20),
        ..v1::StartRequest::default()
    };
    let too_large = framed(0, &too_large.encode_to_vec());
    assert!(too_large.len() > (4 << 20) + 1);
    // Of a field 15 that no request has: a number, then some bytes.
    let unknown = [&good, &[15 << 3, 1, 15 << 3 | 2, 3, 0xff, 0xfe, 0xfd][..]].concat();
    let mut cut = framed(0, &good);
    cut.truncate(cut.len() - 3);
    let not_text = [&[1 << 3 | 2, 2], &b"\xff\xfe"[..]].concat();
    let gibibyte = [&[0, 0x40, 0, 0, 0], &good[..]].concat();
    let gibibyte_packed = [&[1, 0x40, 0, 0, 0], &good[..]].concat();

    use Code::{Internal, NotFound, ResourceExhausted, Unimplemented};
    let wrong = [
        (
            "over 4 MiB",
            "Start",
            "identity",
            too_large,
            ResourceExhausted,
        ),
        (
            "1 GiB announced",
            "Get",
            "identity",
            gibibyte,
            ResourceExhausted,
        ),
        (
            "1 GiB announced, packed",
            "Get",
            "gzip",
            gibibyte_packed,
            Unimplemented,
        ),
        (
            "packed, not said how",
            "Get",
            "identity",
            framed(1, &good),
            Internal,
        ),
        (
            "packed as we do not",
            "Get",
            "gzip",
            framed(1, &good),
            Unimplemented,
        ),
        ("flag 7", "Get", "identity", framed(7, &good), Internal),
        (
            "not UTF-8",
            "Get",
            "identity",
            framed(0, &not_text),
            Internal,
        ),
        (
            "no message",
            "Get",
            "identity",
            framed(0, b"\xff\xff\xff"),
            Internal,
        ),
        ("cut", "Get", "identity", cut, Internal),
        (
            "cut in its length",
            "Get",
            "identity",
            vec![0, 0, 0],
            Internal,
        ),
        ("nothing", "Get", "identity", Vec::new(), Internal),
        // A field of tomorrow is no error; that there is no invocation 7 is.
        (
            "unknown fields",
            "Get",
            "identity",
            framed(0, &unknown),
            NotFound,
        ),
    ];
    let mut seen = Vec::new();
    for (what, method, encoding, body, code) in wrong {
        let method = format!("Invocations/{method}");
        let answered = wire.call(&method, encoding, body).await;
        assert_eq!(answered.code, code, "{what}: {answered:?}");
        assert!(!answered.message.is_empty(), "{what}");
        seen.push(format!("{what}: {code:?}"));
    }

    let grown = most_mapped(daemon.pid()).saturating_sub(before);
    assert!(grown < 512 << 20, "{grown} bytes more were mapped");
    // The same connection goes on.
    let answered = wire
        .call("Invocations/Get", "identity", framed(0, &good))
        .await;
    assert_eq!(answered.code, NotFound, "{answered:?}");
    held(51, seen.join(", "));
}

/// The most address space that a process ever had, touched or not.
fn most_mapped(pid: i32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmPeak:"));
    let kib = line.unwrap().trim().trim_end_matches(" kB");
    kib.parse::<u64>().unwrap() * 1024
}
