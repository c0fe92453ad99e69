//! `retry`: what is asked of the daemon for each.

use steroids_proto::v1;

use crate::fake::{Fake, invocation};
use crate::harness::{command, finish, run};

fn ended(fake: &Fake) {
    fake.world(|world| {
        let ended = [1, 2, 3].map(|id| invocation(id, v1::State::Failed));
        world.invocations = ended.into();
    });
}

#[test]
fn each_is_asked_for_once_and_its_next_attempt_is_what_a_script_reads() {
    let fake = Fake::start();
    ended(&fake);
    let ran = run(&fake, &["retry", "3", "1", "3", "99"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (3, "4\n5\n"));
    assert!(ran.stderr.contains("99"), "{}", ran.stderr);
    let retries = fake.world(|world| std::mem::take(&mut world.retries));
    let ids: Vec<_> = retries.iter().map(|retry| retry.id).collect();
    assert_eq!(ids, [3, 1]);
    assert_ne!(retries[0].request_id, retries[1].request_id);
    for retry in &retries {
        assert!(!retry.request_id.is_empty() && !retry.anew);
        assert_eq!(
            (retry.limits, &retry.budget, &retry.retry),
            (None, &None, &None)
        );
        assert!(retry.env.is_empty() && retry.project.ends_with("/app"));
    }
}

/// What would be started after that, nobody would know the ids of either.
#[test]
fn where_nobody_reads_the_ids_the_first_is_told_of_and_no_other_is_started() {
    let fake = Fake::start();
    ended(&fake);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut retrying = command(&fake, &["retry", "1", "2"]);
    retrying.stdout(writer);
    let ran = finish(&fake, retrying);
    assert_eq!(ran.code, 4, "{ran:?}");
    let said = "invocation 4 was started, and nobody reads";
    assert!(ran.stderr.contains(said), "{ran:?}");
    assert_eq!(fake.world(|world| world.retries.len()), 1);
}

#[test]
fn of_several_attempts_of_the_same_one_is_started_and_none_where_one_succeeded() {
    let fake = Fake::start();
    ended(&fake);
    fake.world(|world| {
        // 1 and 2 are attempts of one; of 3 a later one succeeded.
        world.invocations[0].retried_by = Some(2);
        let mut good = invocation(4, v1::State::Completed);
        good.outcome = "success".to_owned();
        world.invocations[2].retried_by = Some(4);
        world.invocations.push(good);
    });
    let ran = run(&fake, &["retry", "3", "2", "1"]);
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (0, "5\n"),
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.contains("and 4 succeeded"), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("1 is an attempt of what"),
        "{}",
        ran.stderr
    );
    let retries = fake.world(|world| std::mem::take(&mut world.retries));
    assert_eq!(retries.iter().map(|it| it.id).collect::<Vec<_>>(), [2]);
}

#[test]
fn what_is_said_goes_along_and_so_does_the_environment_of_now() {
    let fake = Fake::start();
    ended(&fake);
    let words = "retry 2 --anew --model m --request-id r --env A=b --wall 2h --silence none --retry failed \
                 --retry-max 1 --budget-usd 2.5 --memory-max 1GiB --no-queue --json";
    let words: Vec<&str> = words.split_whitespace().collect();
    let mut retrying = command(&fake, &words);
    retrying.env("LC_ALL", "C.UTF-8").env("SECRET_OF_MINE", "x");
    let ran = finish(&fake, retrying);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let told: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((&told["id"], &told["retryOf"]), (&4.into(), &2.into()));
    let sent = fake.world(|world| world.retries.pop().unwrap());
    assert!(sent.anew && sent.no_queue);
    assert_eq!((sent.model.as_str(), sent.request_id.as_str()), ("m", "r"));
    assert_eq!(sent.env["A"], "b");
    assert_eq!(sent.caller_env["LC_ALL"], "C.UTF-8");
    assert!(!sent.caller_env.contains_key("SECRET_OF_MINE"));
    let limits = sent.limits.unwrap();
    assert_eq!(limits.wall.unwrap().seconds, 7200);
    assert_eq!(limits.silence.unwrap().seconds, 0);
    assert_eq!(limits.grace, None);
    let retry = sent.retry.unwrap();
    assert_eq!((retry.on, retry.max), (vec!["failed".to_owned()], Some(1)));
    assert_eq!(sent.budget.unwrap().usd, Some(2.5));
    assert_eq!(sent.memory_max_bytes, Some(1 << 30));
}

#[test]
fn what_is_for_one_is_refused_for_several() {
    let fake = Fake::start();
    ended(&fake);
    for flag in [&["--follow"][..], &["--request-id", "r"]] {
        let ran = run(&fake, &[&["retry", "1", "2"], flag].concat());
        assert_eq!(ran.code, 2, "{}", ran.stderr);
        assert!(
            ran.stderr.contains("is for one invocation"),
            "{}",
            ran.stderr
        );
    }
    assert!(fake.world(|world| world.retries.is_empty()));
}
