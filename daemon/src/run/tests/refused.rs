//! What cannot be done is told with what to do.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_project_is_told_with_what_to_do() {
    let daemon = Daemon::start().await;
    let mut client = InvocationsClient::new(daemon.connect().await);
    let folder = daemon.home.path().canonicalize().unwrap();
    let asked = |project: &str| v1::StartRequest {
        project: project.to_owned(),
        task_id: "T1".to_owned(),
        ..v1::StartRequest::default()
    };
    let status = client
        .start(asked(folder.to_str().unwrap()))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    let (field, todo) = details(&status);
    assert_eq!(field, "project");
    assert!(todo.contains("steroidsctl init"), "{todo}");
    let status = client.start(asked("some/where")).await.unwrap_err();
    assert_eq!(
        (status.code(), details(&status).0.as_str()),
        (Code::InvalidArgument, "project")
    );
    daemon.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_whose_shim_fails_is_watched_listed_and_ended() {
    let daemon = Daemon::start().await;
    let project = daemon.project().await;
    let mut projects = ProjectsClient::new(daemon.connect().await);
    let everything = v1::WatchRequest {
        project: String::new(),
        after: Some(0),
        pulse: None,
        since_ms: None,
    };
    let mut watch = projects.watch(everything).await.unwrap().into_inner();
    let mut client = InvocationsClient::new(daemon.connect().await);
    let request = v1::StartRequest {
        project: project.clone(),
        task_id: "T1".to_owned(),
        provider: "command".to_owned(),
        argv: vec!["true".to_owned()],
        request_id: "one".to_owned(),
        ..v1::StartRequest::default()
    };
    // The shim is /bin/false: whatever the answer is, no running row may be left.
    let _ = client.start(request.clone()).await;
    let events = watch.message().await.unwrap().unwrap().events;
    assert_eq!(events[0].project, project);
    let listed = client.list(v1::ListRequest::default()).await.unwrap();
    let listed = listed.into_inner().invocations;
    assert_eq!(listed.len(), 1);
    assert_eq!(
        (listed[0].state(), listed[0].outcome.as_str()),
        (v1::State::Failed, "never_started")
    );
    assert_eq!(
        events.last().unwrap().invocation.as_ref().map(|row| row.id),
        Some(listed[0].id)
    );

    let again = client.start(request.clone()).await.unwrap().into_inner();
    assert!(again.existing);
    let other = v1::StartRequest {
        prompt: "another".to_owned(),
        ..request
    };
    let status = client.start(other).await.unwrap_err();
    assert_eq!(
        (status.code(), details(&status).0.as_str()),
        (Code::AlreadyExists, "request_id")
    );
    daemon.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_provider_is_told_with_those_there_are() {
    let daemon = Daemon::start().await;
    let project = daemon.project().await;
    let mut client = InvocationsClient::new(daemon.connect().await);
    let request = v1::StartRequest {
        project,
        task_id: "T1".to_owned(),
        provider: "clade".to_owned(),
        ..v1::StartRequest::default()
    };
    let status = client.start(request).await.unwrap_err();
    assert_eq!(
        (status.code(), details(&status).0.as_str()),
        (Code::InvalidArgument, "provider")
    );
    assert!(
        status
            .message()
            .contains("claude, codex, command, gemini, opencode"),
        "{status}"
    );
    daemon.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_not_found() {
    let daemon = Daemon::start().await;
    let project = daemon.project().await;
    let mut client = InvocationsClient::new(daemon.connect().await);
    let get = v1::GetRequest {
        project: project.clone(),
        id: 7,
        terms: false,
    };
    assert_eq!(client.get(get).await.unwrap_err().code(), Code::NotFound);
    let stop = v1::StopRequest {
        project: project.clone(),
        id: 7,
        ..Default::default()
    };
    assert_eq!(client.stop(stop).await.unwrap_err().code(), Code::NotFound);
    let none = v1::FollowRequest::default();
    assert_eq!(
        client.follow(none).await.unwrap_err().code(),
        Code::InvalidArgument
    );
    let list = client
        .list(v1::ListRequest::default())
        .await
        .unwrap()
        .into_inner();
    assert!(list.invocations.is_empty() && list.next_page_token.is_empty());
    let input = client
        .send_input(v1::SendInputRequest {
            project,
            id: 7,
            text: "go on".to_owned(),
            ..Default::default()
        })
        .await
        .unwrap_err();
    assert_eq!(input.code(), Code::NotFound);
    daemon.end().await;
}
