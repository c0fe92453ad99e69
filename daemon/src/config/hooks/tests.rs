use super::super::tests::{complaint, read};
use super::*;

fn only(text: &str) -> HookSettings {
    let mut hooks = read(&format!("[[hooks]]\nname = \"a\"\n{text}")).hooks;
    assert_eq!(hooks.len(), 1);
    hooks.remove(0)
}

/// What is said of one hook, from its line on.
fn refused(text: &str) -> String {
    complaint(&format!("[[hooks]]\nname = \"a\"\n{text}"))
}

#[test]
fn the_documentation_names_every_key_and_its_examples_are_good() {
    let document = include_str!("../../../../docs/hooks.md");
    let examples: Vec<&str> = document
        .split("```toml\n")
        .skip(1)
        .map(|rest| rest.split_once("```").unwrap().0)
        .collect();
    assert!(!examples.is_empty());
    let examples = examples.join("\n");
    for key in steroids_keys::known("hooks[]") {
        assert!(examples.contains(&format!("{key} = ")), "{key}");
    }
    for event in EVENTS {
        assert!(document.contains(&format!("`{event}`")), "{event}");
    }
    // The key in it is an example, and its file is not there.
    let examples = examples.replace("secret_file = ", "# secret_file = ");
    assert!(read(&examples).hooks.len() > 1);
}

#[test]
fn what_is_not_said_of_a_hook_has_a_default() {
    let hook = only("on = [\"finished\"]\ncommand = [\"true\"]");
    assert_eq!(hook.on, ["finished"]);
    assert!(hook.outcome.is_empty());
    assert_eq!((hook.timeout, hook.retries), (Duration::from_secs(10), 8));
    assert_eq!(hook.retry_after, Duration::from_secs(1));
    assert_eq!(hook.max_age, Duration::from_secs(3600));
    assert_eq!(only("on = [\"any\"]\ncommand = [\"true\"]").on, EVENTS);
    let notify = only("notify = true");
    assert_eq!(notify.on, NOTIFIED);
    assert!(!notify.outcome.pass("success"));
    assert!(
        only("notify = true\noutcome = [\"success\"]")
            .outcome
            .pass("success")
    );
}

#[test]
fn a_hook_does_one_thing_with_the_keys_that_belong_to_it() {
    for (text, said) in [
        (
            "on = [\"any\"]",
            "1: `hooks[0].command`: not set; a hook has one of",
        ),
        (
            "command = [\"a\"]\nurl = \"http://h/\"\non = [\"any\"]",
            "4: `hooks[0].url`: has command and url",
        ),
        (
            "notify = true\nsecret = \"x\"",
            "4: `hooks[0].secret`: belongs to a hook with url",
        ),
        (
            "command = [\"a\"]",
            "1: `hooks[0].on`: not set; name the events",
        ),
        (
            "command = []\non = [\"any\"]",
            "3: `hooks[0].command`: names no program",
        ),
        (
            "command = [\"./a\"]\non = [\"any\"]",
            "3: `hooks[0].command`: `./a` is relative",
        ),
        (
            "notify = true\non = [\"finish\"]",
            "4: `hooks[0].on`: unknown event `finish`; there are any",
        ),
        (
            "notify = true\non = []",
            "4: `hooks[0].on`: must not be empty",
        ),
        (
            "notify = true\noutcome = [\"fail\"]",
            "4: `hooks[0].outcome`: unknown outcome `fail`; there are success",
        ),
        (
            "notify = true\non = [\"held\"]\noutcome = [\"failed\"]",
            "5: `hooks[0].outcome`: only `finished` has an outcome",
        ),
        (
            "notify = true\ntimeout = \"\"",
            "4: `hooks[0].timeout`: must be from 100ms to 5m",
        ),
        (
            "notify = true\nretrys = 1",
            "4: `hooks[0].retrys`: unknown key",
        ),
        (
            "notify = true\n[[hooks]]\nname = \"a\"\nnotify = true",
            "5: `hooks[1].name`: there is another hook",
        ),
    ] {
        let complaint = refused(text);
        assert!(complaint.starts_with(said), "{complaint}");
    }
    let complaint = complaint("[[hooks]]\nnotify = true");
    assert!(
        complaint.starts_with("1: `hooks[0].name`: not set"),
        "{complaint}"
    );
}

#[test]
fn an_address_is_checked_and_neither_it_nor_a_secret_is_ever_quoted() {
    let post = |rest: &str| refused(&format!("on = [\"any\"]\n{rest}"));
    for (text, said) in [
        (
            "url = \"ftp://h/S3CR3T\"",
            "4: `hooks[0].url`: must be the address",
        ),
        (
            "url = \"/S3CR3T\"",
            "4: `hooks[0].url`: must be the address",
        ),
        (
            "url = \"http://h/ S3CR3T\"",
            "4: `hooks[0].url`: must be the address",
        ),
        (
            "url = \"http://me:S3CR3T@h/\"",
            "4: `hooks[0].url`: must not have a name",
        ),
        (
            "url = \"http://h/S3CR3T\"\nsecret = \"whsec_S3CR3T!\"",
            "5: `hooks[0].secret`: what follows whsec_ is no base64",
        ),
        (
            "url = \"http://h/\"\nsecret = \"S3CR3T\"\nsecret_file = \"/x\"",
            "5: `hooks[0].secret`: there is a secret_file as well",
        ),
        (
            "url = \"http://h/\"\nsecret_file = \"/no/such\"",
            "5: `hooks[0].secret_file`: cannot read /no/such",
        ),
        (
            "url = \"http://h/\"\nheaders = { Authorization = \"S3CR3T\\n\" }",
            "5: `hooks[0].headers`: the value of `Authorization` cannot",
        ),
        (
            "url = \"http://h/\"\nheaders = { Webhook-Id = \"S3CR3T\" }",
            "5: `hooks[0].headers`: `Webhook-Id` is set by steroidsd itself",
        ),
    ] {
        let complaint = post(text);
        assert!(complaint.starts_with(said), "{complaint}");
        assert!(!complaint.contains("S3CR3T"), "{complaint}");
    }
    let hook = only(
        "on = [\"any\"]\nurl = \"https://h/S3CR3T\"\nsecret = \"S3CR3T\"\nheaders = { X-Key = \"S3CR3T\" }",
    );
    assert!(!format!("{hook:?}").contains("S3CR3T"), "{hook:?}");
}

#[test]
fn a_secret_comes_from_the_first_line_of_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("secret");
    std::fs::write(&file, "open sesame\n").unwrap();
    let hook = only(&format!(
        "on = [\"any\"]\nurl = \"http://h/\"\nsecret_file = {file:?}"
    ));
    let Action::Post(endpoint) = hook.action else {
        panic!("{hook:?}");
    };
    assert_eq!(endpoint.secret.unwrap().key, b"open sesame");
}
