//! How it starts, or says why not, and how it ends.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use rustix::process::Signal;

use crate::gateway::{Gateway, refused};

#[test]
fn what_must_not_be_is_refused_before_anything_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config.toml");
    std::fs::write(&config, "[gateway]\nport = 1\n").unwrap();
    let config = config.to_str().unwrap();
    for (flags, word) in [
        (vec!["--listen", "0.0.0.0:0"], "reachable from outside"),
        (vec!["--listen", "[::]:0"], "reachable from outside"),
        (vec!["--listen", "192.0.2.1:0"], "reachable from outside"),
        (
            vec!["--auth", "none", "--control"],
            "never open without a token",
        ),
        (
            vec!["--config", config],
            "config.toml:2: `gateway.port`: unknown key",
        ),
        (vec!["--config", "/nonexistent"], "/nonexistent"),
    ] {
        let (code, said) = refused(folder.path(), &flags);
        assert_eq!(code, 78, "{flags:?}: {said}");
        assert!(said.contains(word), "{said}");
    }
    assert!(!folder.path().join("state").exists());
}

#[test]
fn a_taken_port_is_named_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (code, said) = refused(folder.path(), &["--listen", &address]);
    assert_eq!(code, 4);
    assert!(
        said.contains(&format!("cannot listen on {address}")),
        "{said}"
    );
    assert!(said.contains("--listen"), "{said}");
    assert!(!folder.path().join("state/gateway/address").exists());
}

#[test]
fn a_second_one_that_would_go_on_honouring_a_replaced_token_is_refused() {
    let first = Gateway::start(&[]);
    let (code, said) = first.beside(&["--listen", "127.0.0.1:0"]);
    assert_eq!(code, 4, "{said}");
    assert!(
        said.contains("another gateway is running here: pid "),
        "{said}"
    );
    assert!(said.contains("--state-dir"), "{said}");
    let address = std::fs::read_to_string(first.file("address")).unwrap();
    assert_eq!(address, format!("http://{}\n", first.host));
    let (_, folder, _) = first.stop();
    drop(Gateway::start_in(folder, &[]));
}

#[test]
fn it_says_where_it_is_for_as_long_as_it_is() {
    let gateway = Gateway::start(&[]);
    let address = std::fs::read_to_string(gateway.file("address")).unwrap();
    assert_eq!(address, format!("http://{}\n", gateway.host));
    let file = gateway.file("address");
    let (code, _folder, _) = gateway.stop();
    assert_eq!(code, Some(0));
    assert!(!file.exists());
}

#[test]
fn an_address_that_another_wrote_is_left() {
    let gateway = Gateway::start(&[]);
    let file = gateway.file("address");
    std::fs::write(&file, "http://127.0.0.1:9\n").unwrap();
    let (_, _folder, _) = gateway.stop();
    assert!(file.exists());
}

#[test]
fn one_that_finds_no_room_on_the_disk_serves_and_says_what_does_not_work() {
    let (_, folder, _) = Gateway::start(&[]).stop();
    let gateway = Gateway::start_without_room(folder, &[]);
    assert_eq!(gateway.call("GET /api/status", "").status, 200);
    assert!(!gateway.file("address").exists());
    let (code, said) = gateway.beside(&["--listen", "127.0.0.1:0"]);
    assert_eq!(code, 4, "{said}");
    assert!(said.contains("a process that does not say which"), "{said}");
    let (code, _folder, log) = gateway.stop();
    assert_eq!(code, Some(0));
    let warned = "steroidsctl web does not find it; make room";
    assert!(log.contains(warned), "{log}");
}

#[test]
fn what_stands_in_the_place_of_its_address_keeps_it_from_nothing_else() {
    let (_, folder, _) = Gateway::start(&[]).stop();
    std::fs::create_dir(folder.path().join("state/gateway/address")).unwrap();
    let gateway = Gateway::start_in(folder, &[]);
    assert_eq!(gateway.call("GET /api/status", "").status, 200);
    let drafts = std::fs::read_dir(gateway.file("")).unwrap();
    assert_eq!(drafts.count(), 3, "address, lock and token");
}

#[test]
fn one_without_a_token_beside_it_takes_nothing_of_its_place() {
    let first = Gateway::start(&[]);
    let text = |name: &str| std::fs::read_to_string(first.file(name)).ok();
    let open = first.start_beside(&["--auth", "none"]);
    let address = Some(format!("http://{}\n", first.host));
    assert_eq!(text("address"), address);
    assert_eq!(
        text("address.open"),
        Some(format!("http://{}\n", open.host))
    );
    assert_eq!(open.stop().0, Some(0));
    assert_eq!(text("address"), address);
    assert_eq!(text("address.open"), None);
}

#[test]
fn told_to_end_it_lets_go_of_those_who_only_wait() {
    for signal in [Signal::TERM, Signal::INT] {
        let gateway = Gateway::start(&[]);
        let mut silent = gateway.connect();
        let mut idle = gateway.connect();
        let page = format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", gateway.host);
        idle.write_all(page.as_bytes()).unwrap();
        let mut first = [0; 12];
        idle.read_exact(&mut first).unwrap();
        gateway.signal(signal);
        let mut rest = Vec::new();
        silent.read_to_end(&mut rest).unwrap();
        assert!(rest.is_empty());
        idle.read_to_end(&mut rest).unwrap();
        let (code, _folder, log) = gateway.stop();
        assert_eq!(code, Some(0));
        assert!(!log.contains("connections are cut"), "{log}");
    }
}
