//! The blocks that are marked for it are run, page by page, each in a project of its own, with one
//! daemon and two gateways for all. The agents are replays of recorded runs.

use std::io::Write;
use std::process::Command;
use std::sync::Arc;

use serde_json::json;
use steroids_tests::docs::{Block, Page, Shell, fits, pages};
use steroids_tests::{Browser, Daemon, Gateway, Home, binaries, old_database};
use tokio::task::JoinSet;

/// Which recorded run stands for which CLI.
const AGENTS: [(&str, &str); 4] = [
    ("claude", "tools"),
    ("codex", "tools"),
    ("gemini", "tools"),
    ("opencode", "tools"),
];

/// Everything that the pages share.
struct World {
    home: Arc<Home>,
    daemon: Daemon,
    gateway: Gateway,
    open_gateway: Gateway,
    browser: Browser,
    // What a block may want, by its mark, and this machine has not.
    missing: Vec<&'static str>,
}

#[tokio::test]
async fn what_the_documentation_shows_happens() {
    let home = Home::new();
    // The agents are those on the PATH. Pages that run beside one another do not wait for places.
    home.configure_exactly("[daemon]\nmax_running = 100\n[gateway]\ncontrol = true\n");
    stand_ins(&home);
    let daemon = Daemon::start(&home).await;
    // It reads this alone; what it answers must not depend on the other's settings.
    let settings = home.path("open.toml");
    std::fs::write(&settings, "").unwrap();
    let settings = settings.to_str().unwrap();
    let open_gateway = Gateway::start_with(&home, &["--auth", "none", "--config", settings]).await;
    let world = Arc::new(World {
        gateway: Gateway::start(&home).await,
        open_gateway,
        browser: Browser::shared().await,
        missing: missing(&home),
        daemon,
        home,
    });
    let mut running = JoinSet::new();
    for page in pages() {
        let blocks: Vec<Block> = page.blocks().into_iter().filter(is_run).collect();
        if !blocks.is_empty() {
            running.spawn(try_page(Arc::clone(&world), page, blocks));
        }
    }
    let outcomes = running.join_all().await;
    let world = Arc::into_inner(world).expect("the pages have ended");
    // Before the gateways: what its pages still read would break off, and it would complain.
    world.browser.end().await;
    let (mut tried, mut differ) = (0, Vec::new());
    for outcome in outcomes {
        match outcome {
            Ok(blocks) => tried += blocks,
            Err(differs) => differ.push(differs),
        }
    }
    assert!(differ.is_empty(), "{}", differ.join("\n"));
    assert!(tried > 10, "only {tried} blocks");
}

fn is_run(block: &Block) -> bool {
    match block.language.as_str() {
        "console" => true,
        "sh" | "js" => block.is_marked("run"),
        _ => false,
    }
}

/// Runs a page's blocks in their order, and tells how many there were, or what did not happen.
async fn try_page(world: Arc<World>, page: Page, blocks: Vec<Block>) -> Result<usize, String> {
    let name = page.name.replace('/', "-").replace(".md", "");
    let gateways = [&world.gateway, &world.open_gateway];
    let mut shell = Shell::new(&world.home, &name, &gateways);
    if page.name == "docs/moving-from-typescript.md" {
        let project = world.home.folder(&format!("{name}/app"));
        // Closed at once, as nobody else has it open.
        drop(old_database::at_009(&project, 2));
    }
    let mut tried = 0;
    for block in &blocks {
        if world.missing.iter().any(|mark| block.is_marked(mark)) {
            continue;
        }
        match block.language.as_str() {
            "console" => try_console(&world, &mut shell, &page, block).await?,
            "js" => try_script(&world, &shell, &page, block).await?,
            _ => try_commands(&mut shell, &page, block).await?,
        }
        tried += 1;
    }
    Ok(tried)
}

async fn try_commands(shell: &mut Shell, page: &Page, block: &Block) -> Result<(), String> {
    let ran = shell.run(&block.text, true).await;
    match ran.code {
        Some(0) => Ok(()),
        _ => Err(format!("{}:{}: {ran:#?}", page.name, block.line)),
    }
}

async fn try_console(
    world: &World,
    shell: &mut Shell,
    page: &Page,
    block: &Block,
) -> Result<(), String> {
    for step in block.steps() {
        settled(world, shell).await;
        let ran = shell.run(&step.command, false).await;
        fits(&step.prints, &ran.printed).map_err(|differs| {
            format!("{}:{}: {}\n{differs}", page.name, step.line, step.command)
        })?;
    }
    Ok(())
}

/// A log is complete a moment before its row is: nobody types so fast that it shows.
async fn settled(world: &World, shell: &Shell) {
    let project = shell.real("/home/me/app");
    let logs = std::fs::read_dir(format!("{project}/.steroids/invocations"));
    let rpc = world.daemon.rpc().await;
    for log in logs.into_iter().flatten().flatten() {
        let name = log.file_name().to_string_lossy().into_owned();
        let id = name.strip_suffix(".log").and_then(|id| id.parse().ok());
        let text = std::fs::read_to_string(log.path()).unwrap_or_default();
        let last = text.lines().next_back().unwrap_or_default();
        let is_last = ["complete", "error"].map(|it| last.contains(&format!("\"type\":\"{it}\"")));
        if let Some(id) = id.filter(|_| is_last.contains(&true)) {
            rpc.ended(&project, id).await;
        }
    }
}

/// On a page of the gateway that the block names; `TOKEN` is the gateway's.
async fn try_script(
    world: &World,
    shell: &Shell,
    page: &Page,
    block: &Block,
) -> Result<(), String> {
    let gateway = match block.text.contains("127.0.0.1:3502") {
        true => &world.open_gateway,
        false => &world.gateway,
    };
    let tab = world.browser.page().await;
    // The page itself asks without a token how things are. What a script asks for, it looks at.
    tab.expect_failed_requests();
    tab.goto(&gateway.origin()).await;
    let script = format!(
        "(async () => {{
           const said = [], TOKEN = {token};
           const console = {{log: (...words) => said.push(words.join(' '))}};
           {text}
           return said.map((line) => line + '\\n').join('');
         }})()",
        token = json!(world.gateway.token()),
        text = shell.real(&block.text)
    );
    let said = tab.eval(&script).await;
    let said = shell.shown(said.as_str().expect("it returns a text"));
    tab.close().await;
    fits(&block.prints("//> "), &said)
        .map_err(|differs| format!("{}:{}: {differs}", page.name, block.line))
}

/// What a reader has and a test has not: the agents, and a cargo that may build.
fn stand_ins(home: &Home) {
    let fake = binaries::fake_provider();
    let fake = fake.display();
    for (agent, scenario) in AGENTS {
        let recording = crate::recording(agent, scenario);
        let text = format!(
            "#!/bin/sh\n[ \"$1\" = --version ] && echo 1.0.0 && exit\n\
             exec {fake} replay {recording} --speed 0 \"$@\"\n"
        );
        home.script(agent, &text);
    }
    // The examples were built with the tests.
    home.script(
        "cargo",
        "#!/bin/sh\nwhile [ \"$1\" != --example ]; do shift; done\nname=$2\n\
         while [ \"$1\" != -- ]; do shift; done\nshift\nexec \"$DOCS_EXAMPLES/$name\" \"$@\"\n",
    );
}

/// What is not there, told past what libtest keeps of a test that passes. CI has to have it.
fn missing(home: &Home) -> Vec<&'static str> {
    let mut missing = Vec::new();
    match python() {
        Some(python) => {
            home.script("python3", &format!("#!/bin/sh\nexec {python} -B \"$@\"\n"));
        }
        None => missing.push("needs-python"),
    }
    let curl = Command::new("curl").arg("--version").output();
    if !curl.is_ok_and(|output| output.status.success()) {
        missing.push("needs-curl");
    }
    for mark in &missing {
        let line = format!(
            "SKIPPED: blocks of docs/ marked {mark} are NOT shown to work; see tests/docs.sh\n"
        );
        assert!(std::env::var_os("CI").is_none(), "{line}");
        // Nobody may be listening.
        let _ = std::io::stderr().write_all(line.as_bytes());
    }
    missing
}

/// The one of several Pythons that knows gRPC, by its whole path: a stand-in takes its name.
fn python() -> Option<String> {
    let candidates = ["python3", "/usr/bin/python3"];
    candidates.into_iter().find_map(|python| {
        let mut asked = Command::new(python);
        asked.args([
            "-c",
            "import grpc, google.protobuf, sys; print(sys.executable)",
        ]);
        let output = asked
            .output()
            .ok()
            .filter(|output| output.status.success())?;
        let path = String::from_utf8(output.stdout).ok()?;
        Some(path.trim_end().to_owned())
    })
}
