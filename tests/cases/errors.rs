//! Mistakes a person makes, each answered by what is wrong and what to do.

use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use steroids_tests::{Ctl, Daemon, Gateway, Home, SmallDisk, binaries, log, within};

#[tokio::test]
async fn without_a_daemon_the_client_says_how_to_start_one() {
    let home = Home::new();
    let ctl = Ctl::new(&home, &home.folder("app"));
    std::fs::create_dir(ctl.folder().join(".steroids")).unwrap();
    for args in [["list"], ["status"], ["init"]] {
        ctl.run(args).await.exits(69).says("steroidsd");
    }
}

#[tokio::test]
async fn a_folder_that_is_no_project_is_told_to_become_one() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.ctl(&home.folder("plain"));
    ctl.run(["list"]).await.exits(3).says("steroidsctl init");
    let args = ["start", "--task", "T", "--", "true"];
    ctl.run(args).await.exits(3).says("steroidsctl init");
}

#[tokio::test]
async fn a_project_that_the_daemon_does_not_know_is_registered_by_its_first_command() {
    let home = Home::new();
    let mut daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    for args in [
        vec!["list"],
        vec!["start", "--task", "T", "--", "true"],
        vec!["stream", "--task", "T", "--no-follow"],
    ] {
        assert_eq!(daemon.term().await, 0);
        std::fs::remove_dir_all(home.state_dir()).unwrap();
        daemon.start_again().await;
        ctl.run(args).await.says("registered").ok();
        let known = ctl.run(["--json", "projects"]).await.json();
        assert_eq!(known["projects"][0]["path"], ctl.project());
    }
}

#[tokio::test]
async fn init_may_be_repeated() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    ctl.run(["init"]).await.ok();
    let readme = ctl.folder().join(".steroids/invocations/README.txt");
    assert_eq!(std::fs::read_to_string(readme).unwrap().lines().count(), 1);
}

#[tokio::test]
async fn an_unknown_provider_is_named_beside_those_that_exist() {
    let home = Home::with_config("[providers.mytool]\nkind = \"command\"\ncommand = \"true\"");
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let args = [
        "start",
        "--task",
        "T",
        "--provider",
        "claud",
        "--prompt",
        "p",
    ];
    let output = ctl
        .run(args)
        .await
        .says("claud")
        .says("codex")
        .says("mytool");
    assert_ne!(output.code, 0);
}

#[tokio::test]
async fn an_unknown_key_of_the_configuration_ends_the_daemon_by_name() {
    let home = Home::new();
    home.configure_exactly("[limits]\nsilense = \"5m\"\n");
    let refused = Daemon::try_start(&home, &[]).await.unwrap_err();
    assert_eq!(refused.code, 78, "{refused:?}");
    for word in ["config.toml", "silense", "tool_silence"] {
        assert!(
            refused.stderr.contains(word),
            "{word} is not in {}",
            refused.stderr
        );
    }
}

#[tokio::test]
async fn a_second_daemon_on_the_same_state_names_the_first_and_goes() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let other = home.path("run/other.sock");
    let arguments = ["--socket", other.to_str().unwrap()];
    let refused = Daemon::try_start(&home, &arguments).await.unwrap_err();
    assert_ne!(refused.code, 0);
    let holder = daemon.pid().to_string();
    assert!(refused.stderr.contains(&holder), "{}", refused.stderr);
    // Under the same socket, too: that one is not taken away from the first.
    let mut same = Daemon::launch(&home, Vec::new());
    assert_ne!(same.ended().await, 0);
    ctl.run(["list"]).await.ok();
}

#[tokio::test]
async fn a_socket_path_too_long_for_the_kernel_is_refused_with_the_limit() {
    let home = Home::new();
    let path = home.path(&"x".repeat(120));
    let path = path.to_str().unwrap();
    let refused = Daemon::try_start(&home, &["--socket", path])
        .await
        .unwrap_err();
    assert_eq!(refused.code, 78, "{refused:?}");
    assert!(refused.stderr.contains("107"), "{}", refused.stderr);
    let ctl = Ctl::new(&home, &home.folder("app"));
    let output = ctl.run(["--socket", path, "status"]).await.exits(78);
    output.says("107").says("--socket");
}

#[tokio::test]
async fn a_prompt_of_5_mb_is_refused_and_one_of_2_mb_arrives_whole() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let file = home.path("tmp/prompt");
    let start = |file: &str| {
        let words = ["start", "--task", "T", "--provider", "claude", "--env"];
        let fake = r#"FAKE_PROVIDER=["echo-stdin","--count-only"]"#;
        let mut words: Vec<String> = words.map(str::to_owned).to_vec();
        words.extend([fake.to_owned(), "--prompt-file".to_owned(), file.to_owned()]);
        words
    };
    std::fs::write(&file, "p".repeat(5_000_000)).unwrap();
    let output = ctl.run(start(file.to_str().unwrap())).await.says("3 MiB");
    assert_ne!(output.code, 0);
    let listed = ctl.run(["--json", "list"]).await.json();
    assert_eq!(listed["invocations"].as_array().unwrap().len(), 0);

    std::fs::write(&file, "p".repeat(2_000_000)).unwrap();
    let id = ctl.run(start(file.to_str().unwrap())).await.ok();
    let id: i64 = id.trim().parse().unwrap();
    daemon.rpc().await.ended(&ctl.project(), id).await;
    let text = std::fs::read_to_string(ctl.log_path(id)).unwrap();
    assert!(text.contains("stdin 2000000 bytes"), "{text}");
    log::assert_whole(&log::parse(&text));
}

#[tokio::test]
async fn a_program_that_cannot_start_says_so_by_its_exit_code_also_where_nobody_reads_why() {
    let home = Home::new();
    home.configure_exactly("[daemon]\ncolour = \"red\"\n[gateway]\ncolour = \"red\"\n");
    for program in [binaries::steroidsd(), binaries::steroids_gateway()] {
        let (unread, stderr) = std::io::pipe().unwrap();
        drop(unread);
        let mut command = tokio::process::Command::from(home.command(&program));
        command
            .stdout(Stdio::null())
            .stderr(stderr)
            .kill_on_drop(true);
        let ended = within("its end", command.status()).await.unwrap();
        assert_eq!(ended.code(), Some(78), "{}", program.display());
    }
}

#[tokio::test]
async fn a_gateway_that_has_no_token_yet_is_not_refused_by_a_full_disk_for_good() {
    let home = Home::new();
    let Some(disk) = SmallDisk::mount(&home, "state/steroids/gateway", "64k") else {
        return;
    };
    std::fs::set_permissions(disk.path(), PermissionsExt::from_mode(0o700)).unwrap();
    disk.fill();
    let declined = Gateway::try_start(&home, &[]).await.unwrap_err();
    // Neither of the codes after which the service manager does not try again.
    assert_eq!(declined.code, 1, "{declined:?}");
    assert!(declined.stderr.contains("No space left"), "{declined:?}");
    disk.free();
    Gateway::start(&home).await;
}
