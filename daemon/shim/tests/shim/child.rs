//! What the provider's process is given, and what not.

use std::fs;

use crate::harness::Case;

#[test]
fn the_environment_is_what_was_specified_and_the_marker() {
    let mut case = Case::program(&["/usr/bin/env"]);
    case.spec.env.push(("WORD".to_owned(), "a b\nc".to_owned()));
    case.run();
    let out = case.folder.path().display();
    let mut lines: Vec<_> = case
        .stdout()
        .split_inclusive('\n')
        .map(str::to_owned)
        .collect();
    lines.sort();
    assert_eq!(
        lines.concat(),
        format!(
            "OUT={out}\nPATH=/usr/bin:/bin\nSTEROIDS_INVOCATION={}\nWORD=a b\nc\n",
            case.spec.uuid
        )
    );
}

#[test]
fn no_descriptor_but_the_three_is_inherited_from_shim_or_launcher() {
    let mut case = Case::program(&["/bin/ls", "/proc/self/fd"]);
    // A descriptor that a careless launcher leaks.
    let leak = fs::File::open("/dev/null").unwrap();
    let leaked = nix::unistd::dup(&leak).unwrap();
    nix::fcntl::fcntl(
        &leaked,
        nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::empty()),
    )
    .unwrap();
    case.run();
    // The fourth is that folder itself.
    assert_eq!(case.stdout(), "0\n1\n2\n3\n");
}

#[test]
fn the_process_inherits_no_mask_or_limit_and_is_its_own_sessions_leader() {
    let mut case = Case::script(
        "umask > $OUT/umask; ulimit -c > $OUT/core; pwd > $OUT/cwd
         cat /proc/$$/oom_score_adj > $OUT/oom; cat /proc/$$/stat > $OUT/stat
         exec grep Sig /proc/self/status > $OUT/signals",
    );
    case.run();
    let said = |name| fs::read_to_string(case.file(name)).unwrap();
    assert_eq!(said("umask"), "0077\n");
    assert_eq!(said("core"), "0\n");
    assert_eq!(
        fs::canonicalize(said("cwd").trim_end()).unwrap(),
        fs::canonicalize(case.folder.path()).unwrap()
    );
    let own: i32 = fs::read_to_string("/proc/self/oom_score_adj")
        .unwrap()
        .trim_end()
        .parse()
        .unwrap();
    assert_eq!(said("oom").trim_end(), (own + 300).min(1000).to_string());
    let stat = said("stat");
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    let pid = stat.split(' ').next().unwrap();
    assert_eq!((fields[2], fields[3]), (pid, pid));
    let signals = said("signals");
    assert_eq!(mask(&signals, "SigBlk"), 0);
    // The C library keeps two for itself, and lets nobody change what it inherited for them.
    assert_eq!(mask(&signals, "SigIgn") & !(0b11 << 31), 0);
}

fn mask(status: &str, name: &str) -> u64 {
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    u64::from_str_radix(line.split('\t').nth(1).unwrap(), 16).unwrap()
}

#[test]
fn a_prompt_of_a_megabyte_arrives_whole_and_then_the_end() {
    let mut case = Case::script("cat");
    case.spec.prompt = "größer als eine Röhre\n".repeat(50_000);
    case.run();
    assert!(case.stdout() == case.spec.prompt);
}

#[test]
fn a_provider_that_prints_before_it_reads_does_not_block() {
    let mut case = Case::script("head -c 3000000 /dev/zero; cat > /dev/null; echo end");
    case.spec.prompt = "x".repeat(1_000_000);
    assert_eq!(case.run().code, Some(0));
    assert_eq!(case.spooled().stdout.len(), 3_000_004);
}

#[test]
fn a_provider_that_does_not_read_its_prompt_is_none_the_worse() {
    let mut case = Case::script("exec < /dev/null; sleep 0.05; echo fine");
    case.spec.prompt = "x".repeat(1_000_000);
    assert_eq!(case.run().code, Some(0));
    assert_eq!(case.stdout(), "fine\n");
}

#[test]
fn without_a_prompt_standard_input_is_at_its_end() {
    let mut case = Case::script("cat; echo read");
    case.run();
    assert_eq!(case.stdout(), "read\n");
}

#[test]
fn bytes_are_kept_as_they_are_on_both_pipes() {
    let mut case = Case::script(r"printf '\377\000a\r\n\342\202'; printf '\303\050' >&2");
    case.run();
    let spooled = case.spooled();
    assert_eq!(spooled.stdout, b"\xff\0a\r\n\xe2\x82");
    assert_eq!(spooled.stderr, b"\xc3\x28");
}

#[test]
fn files_are_readable_by_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;

    let mut case = Case::script("echo hello");
    case.run();
    for path in [
        case.dir.spool(),
        case.dir.exit(),
        case.dir.state(),
        case.dir.lock(),
    ] {
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", path.display());
    }
}
