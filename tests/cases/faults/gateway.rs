//! The gateway, asked from where nobody should reach it.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde_json::json;
use steroids_tests::faults::held;
use steroids_tests::{Home, binaries, eventually, patience, served_with};

const OURS: &str = "10.99.0.1";
const THEIRS: &str = "10.99.0.2";

/// A process, ended with its handle.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A host of its own, as far as the network goes. It is there as long as its only process.
struct Host {
    holder: Ended,
}

impl Host {
    /// `None` where we may not make one.
    async fn new() -> Option<Host> {
        let mut command = Command::new("unshare");
        command.args(["--net", "--", "sleep", "infinity"]);
        let silent = command.stdin(Stdio::null()).stderr(Stdio::null());
        let host = Host {
            holder: Ended(silent.spawn().ok()?),
        };
        let mine = std::fs::read_link("/proc/self/ns/net").ok()?;
        let mut host = host;
        eventually("a network namespace, or a refusal", async || {
            if host.holder.0.try_wait().ok()?.is_some() {
                return Some(None);
            }
            let its = std::fs::read_link(host.namespace()).ok()?;
            (its != mine).then_some(Some(()))
        })
        .await?;
        Some(host)
    }

    fn namespace(&self) -> PathBuf {
        format!("/proc/{}/ns/net", self.holder.0.id()).into()
    }

    /// A command that runs there.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        let namespace = self.namespace();
        command.arg(format!("--net={}", namespace.display()));
        command.arg("--").arg(program);
        command
    }

    /// Runs `ip`; false where that is not possible.
    fn ip(&self, words: &str) -> bool {
        let mut command = self.command("ip");
        let done = command
            .args(words.split(' '))
            .stderr(Stdio::null())
            .status();
        done.is_ok_and(|status| status.success())
    }

    /// Does something there, on a thread that does nothing else.
    fn within<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let namespace = File::open(self.namespace()).unwrap();
        let there = std::thread::spawn(move || {
            let network = Some(LinkNameSpaceType::Network);
            move_into_link_name_space(std::os::fd::AsFd::as_fd(&namespace), network).unwrap();
            work()
        });
        there.join().unwrap()
    }

    fn connect(&self, to: SocketAddr) -> std::io::Result<TcpStream> {
        self.within(move || TcpStream::connect_timeout(&to, patience()))
    }
}

/// Two hosts with a cable between them.
async fn hosts() -> Option<(Host, Host)> {
    let (ours, theirs) = (Host::new().await?, Host::new().await?);
    let pid = theirs.holder.0.id();
    let steps = [
        ours.ip("link set lo up"),
        theirs.ip("link set lo up"),
        ours.ip(&format!(
            "link add cable type veth peer name cable netns {pid}"
        )),
        ours.ip(&format!("addr add {OURS}/24 dev cable")),
        theirs.ip(&format!("addr add {THEIRS}/24 dev cable")),
        ours.ip("link set cable up"),
        theirs.ip("link set cable up"),
    ];
    steps.iter().all(|done| *done).then_some((ours, theirs))
}

#[tokio::test]
async fn from_another_host_it_cannot_be_reached() {
    let Some((ours, theirs)) = hosts().await else {
        eprintln!("no network namespaces, or no `ip`: needs root and iproute2");
        held(60, "not shown: needs root and iproute2");
        return;
    };
    let home = Home::new();
    let program = binaries::steroids_gateway();
    let launch = |listen: &str| {
        let mut command = ours.command(program.to_str().unwrap());
        command.env_clear().envs(home.environment());
        command.args(["--listen", listen]);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command
    };
    for listen in [&format!("{OURS}:0"), "0.0.0.0:0", "[::]:0"] {
        let declined = launch(listen).output().unwrap();
        assert_eq!(declined.status.code(), Some(78), "{listen}: {declined:?}");
    }
    let log = File::create(home.path("gateway.log")).unwrap();
    let _gateway = Ended(launch("127.0.0.1:0").stderr(log).spawn().unwrap());
    let file = home.state_dir().join("gateway/address");
    let local = eventually("the gateway to serve", async || {
        let text = std::fs::read_to_string(&file).ok()?;
        let address: SocketAddr = text.trim().strip_prefix("http://")?.parse().ok()?;
        ours.connect(address).ok().map(|_| address)
    })
    .await;
    let mut good = ours.connect(local).unwrap();
    let answer = ours.within(move || {
        good.set_read_timeout(Some(patience())).unwrap();
        write!(
            good,
            "GET /healthz HTTP/1.1\r\nHost: {local}\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        good.read_to_string(&mut answer).unwrap();
        answer
    });
    assert!(answer.starts_with("HTTP/1.1 "), "{answer}");

    let outside: IpAddr = OURS.parse().unwrap();
    // The cable works: whoever listens to it is reached.
    let open = ours.within(move || TcpListener::bind((outside, 0)).unwrap());
    let reached = theirs.connect(open.local_addr().unwrap());
    assert!(reached.is_ok(), "{reached:?}");
    let refused = theirs.connect((outside, local.port()).into()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    let seen = "answers within its host, connection refused over a veth pair (where another port is \
         reached); --listen of the host's own address, 0.0.0.0 and [::]: exit code 78";
    held(60, seen);
}

#[tokio::test]
async fn what_makes_no_sense_is_a_400_that_repeats_nothing() {
    let served = served_with("[gateway]\ncontrol = true\n").await;
    let (_home, _daemon, gateway, ctl) = served;
    let bodies = [
        json!({"project": ctl.project(), "prompt": {"sesame": "sesame"}}),
        json!({"project": ctl.project(), "env": "sesame, expected sesame"}),
        json!({"project": ["sesame"]}),
        json!({"project": ctl.project(), "sesame": 1}),
    ];
    for body in bodies {
        let answer = gateway
            .post("/api/tasks/T1/invocations", &body)
            .send()
            .await;
        assert_eq!(answer.status, 400, "{body}: {}", answer.text());
        assert!(
            !answer.text().contains("sesame"),
            "{body}: {}",
            answer.text()
        );
    }
    for target in [
        "/api/tasks/T1/stream?project=app",
        "/api/tasks/T1/events?project=./app",
        "/api/projects/stream?project=app/../app",
    ] {
        let answer = gateway.get(target).send().await;
        assert_eq!(answer.status, 400, "{target}: {}", answer.text());
        assert!(answer.text().contains("absolute"), "{}", answer.text());
    }
    let seen = "400 for 4 bodies and 3 streams, none of which is repeated";
    held(203, seen);
}
