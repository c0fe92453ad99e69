//! `web`, before a gateway that answers what it is told.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::PathBuf;
use std::thread::JoinHandle;

use crate::fake::Fake;
use crate::harness::{command, finish, run};

/// Listens as a gateway would, gives these answers in turn, and tells what it was asked.
struct Gateway {
    state: PathBuf,
    asked: JoinHandle<Vec<String>>,
    address: String,
}

fn gateway(fake: &Fake, answers: &'static [(&'static str, &'static str)]) -> Gateway {
    gateway_in(fake, "address", answers)
}

/// The same, with its address in the file of that name.
fn gateway_in(
    fake: &Fake,
    name: &str,
    answers: &'static [(&'static str, &'static str)],
) -> Gateway {
    let state = fake.folder().join("state");
    let folder = state.join("gateway");
    std::fs::create_dir_all(&folder).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::fs::write(folder.join(name), format!("{address}\n")).unwrap();
    std::fs::write(folder.join("token"), "old\n").unwrap();
    let asked = std::thread::spawn(move || {
        let one = |(status, body): &(&str, &str)| {
            let (mut stream, _) = listener.accept().unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let head: Vec<String> = lines
                .map(Result::unwrap)
                .take_while(|line| !line.is_empty())
                .collect();
            let length = body.len();
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n{body}");
            stream.write_all(answer.as_bytes()).unwrap();
            head.join("\n")
        };
        answers.iter().map(one).collect()
    });
    Gateway {
        state,
        asked,
        address,
    }
}

fn web(fake: &Fake, gateway: &Gateway, flags: &[&str]) -> crate::harness::Ran {
    let mut arguments = vec!["web", "--state-dir", gateway.state.to_str().unwrap()];
    arguments.extend(flags);
    finish(fake, command(fake, &arguments))
}

const CODE: (&str, &str) = (
    "200 OK",
    r#"{"success":true,"code":"abc","expiresInSeconds":60}"#,
);

#[test]
fn the_url_has_a_code_and_never_the_token() {
    let fake = Fake::absent();
    let gateway = gateway(&fake, &[CODE]);
    let ran = web(&fake, &gateway, &[]);
    assert_eq!(ran.stdout, format!("{}/#code=abc\n", gateway.address));
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    let asked = gateway.asked.join().unwrap();
    assert!(asked[0].starts_with("POST /api/codes HTTP/1.1"));
    assert!(asked[0].contains("authorization: Bearer old"));
}

#[test]
fn a_new_token_is_used_at_once() {
    let fake = Fake::absent();
    let rotated = ("200 OK", r#"{"success":true,"token":"new"}"#);
    let gateway = gateway(&fake, Box::leak(Box::new([rotated, CODE])));
    let ran = web(&fake, &gateway, &["--rotate", "--json"]);
    let shape = format!(
        "{{\"auth\":\"token\",\"expiresInSeconds\":60,\"url\":\"{}/#code=abc\"}}\n",
        gateway.address
    );
    assert_eq!((ran.code, ran.stdout), (0, shape));
    let asked = gateway.asked.join().unwrap();
    assert!(asked[0].starts_with("POST /api/token/rotate HTTP/1.1"));
    assert!(asked[1].contains("authorization: Bearer new"));
}

const OPEN: (&str, &str) = ("403 Forbidden", r#"{"success":false,"error":"no"}"#);

#[test]
fn one_that_asks_for_no_token_needs_no_code_and_is_sent_none() {
    let fake = Fake::absent();
    let gateway = gateway_in(&fake, "address.open", &[OPEN]);
    let ran = web(&fake, &gateway, &[]);
    assert_eq!(
        (ran.code, ran.stdout),
        (0, format!("{}/\n", gateway.address))
    );
    let asked = gateway.asked.join().unwrap();
    assert!(!asked[0].contains("old"), "{asked:?}");
}

#[test]
fn the_one_with_a_token_comes_before_the_one_without_as_long_as_it_answers() {
    let fake = Fake::absent();
    let open = gateway_in(&fake, "address.open", &[OPEN]);
    let first = gateway(&fake, &[CODE]);
    let ran = web(&fake, &first, &[]);
    assert_eq!(ran.stdout, format!("{}/#code=abc\n", first.address));
    // Its address is left behind where it was killed.
    first.asked.join().unwrap();
    let ran = web(&fake, &open, &["--rotate"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (69, ""), "{}", ran.stderr);
    let ran = web(&fake, &open, &[]);
    assert_eq!((ran.code, ran.stdout), (0, format!("{}/\n", open.address)));
    open.asked.join().unwrap();
    let ran = run(&fake, &["web", "--state-dir", open.state.to_str().unwrap()]);
    assert_eq!(ran.code, 69);
    assert!(ran.stderr.contains(&first.address), "{}", ran.stderr);
}

#[test]
fn a_token_that_is_not_its_own_is_said() {
    let fake = Fake::absent();
    let wrong = ("401 Unauthorized", r#"{"success":false,"error":"who?"}"#);
    let gateway = gateway(&fake, Box::leak(Box::new([wrong])));
    let ran = web(&fake, &gateway, &[]);
    assert_eq!((ran.code, ran.stdout.as_str()), (4, ""));
    assert!(ran.stderr.contains("who?") && ran.stderr.contains("restart the gateway"));
}

#[test]
fn where_none_runs_it_says_how_to_start_one() {
    let fake = Fake::absent();
    let state = fake.folder().join("nothing");
    let state = state.to_str().unwrap();
    let ran = run(&fake, &["web", "--state-dir", state]);
    assert_eq!(ran.code, 69);
    let how = "start it with: setsid -f steroids-gateway --state-dir [FOLDER]/nothing";
    assert!(ran.stderr.contains(how), "{}", ran.stderr);

    // Its address is left behind where it was killed.
    let gateway = gateway(&fake, &[]);
    gateway.asked.join().unwrap();
    let state = gateway.state.to_str().unwrap();
    let ran = run(&fake, &["web", "--state-dir", state, "--json"]);
    assert_eq!(ran.code, 69);
    assert!(
        ran.stderr.contains(r#""code":"no_gateway""#),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_browser_that_cannot_be_opened_is_not_said_to_be_open() {
    use std::os::unix::fs::PermissionsExt as _;

    let fake = Fake::absent();
    let gateway = gateway(&fake, &[CODE, CODE]);
    let programs = fake.folder().join("bin");
    std::fs::create_dir(&programs).unwrap();
    let opens = |script: &str| {
        let program = programs.join("xdg-open");
        std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let state = gateway.state.to_str().unwrap();
        let mut web = command(&fake, &["web", "--open", "--state-dir", state]);
        web.env("PATH", &programs);
        finish(&fake, web)
    };
    let ran = opens("exit 3");
    assert_eq!(ran.code, 4, "{ran:?}");
    assert!(ran.stderr.contains("exit status: 3"), "{ran:?}");
    let ran = opens("exit 0");
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stderr.contains("opened in the browser"), "{ran:?}");
}
