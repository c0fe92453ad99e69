//! What a stop ends that names an attempt.

#![expect(clippy::unwrap_used, reason = "a test that fails here says where")]

#[expect(dead_code, reason = "the other tests use the rest")]
mod fake;

use std::collections::BTreeSet;

use fake::{Fake, invocation};
use steroids_client::{connect, v1};

#[tokio::test]
async fn what_was_stopped_and_started_again_by_hand_is_not_what_a_lost_stop_meant() {
    let fake = Fake::start();
    let stopped = v1::Invocation {
        outcome: "cancelled".to_owned(),
        retried_by: Some(2),
        ..invocation(1, v1::State::Failed)
    };
    fake.world(|world| {
        world.invocations = vec![stopped, invocation(2, v1::State::Running)];
    });
    let client = connect(fake.socket()).await.unwrap();
    for (is_again, ended) in [(true, 1), (false, 2)] {
        let request = v1::StopRequest {
            project: "/home/dev/app".to_owned(),
            id: 1,
            ..v1::StopRequest::default()
        };
        let answer = client
            .stop_attempts(request, &BTreeSet::new(), is_again)
            .await;
        assert_eq!(answer.unwrap().invocation.unwrap().id, ended);
        let runs = fake.world(|world| world.find(2).unwrap().state);
        assert_eq!(runs == i32::from(v1::State::Running), is_again);
    }
}
