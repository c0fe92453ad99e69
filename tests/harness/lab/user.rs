//! A person in a lab, with a home, a runtime folder and a service manager.

use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::PathBuf;

use super::Lab;
use crate::ctl::Output;
use crate::wait::eventually;

/// Made in the lab; everything is run with what a login would set.
#[derive(Debug)]
pub struct User<'a> {
    lab: &'a Lab,
    name: String,
    uid: u32,
    runtime: String,
}

impl<'a> User<'a> {
    pub(super) async fn lingering(lab: &'a Lab, name: &str) -> User<'a> {
        let user = User::add(lab, name).await;
        lab.write(&format!("/var/lib/systemd/linger/{name}"), "");
        let unit = format!("user@{}.service", user.uid);
        lab.run(&["systemctl", "start", &unit]).await.ok();
        user.manager_is_up().await;
        user
    }

    pub(super) async fn logged_in(lab: &'a Lab, name: &str) -> User<'a> {
        let user = User::add(lab, name).await;
        let (unit, as_user) = (user.session(), format!("User={name}"));
        let session = ["systemd-run", "--quiet", "--unit", &unit, "-p", &as_user];
        let login = ["-p", "PAMName=login", "sleep", "infinity"];
        lab.run(&[&session[..], &login[..]].concat()).await.ok();
        user.manager_is_up().await;
        user
    }

    /// The runtime folder is the one that `steroidsd@.service` makes.
    pub(super) async fn without_manager(lab: &'a Lab, name: &str) -> User<'a> {
        let mut user = User::add(lab, name).await;
        user.runtime = format!("/run/steroidsd-{name}");
        user
    }

    async fn add(lab: &'a Lab, name: &str) -> User<'a> {
        let ids = ["-K", "UID_MIN=61000", "-K", "UID_MAX=61999"];
        let add = ["useradd", "--create-home", "--shell", "/bin/bash"];
        let path = ["env", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"];
        lab.run(&[&path[..], &add, &ids, &[name]].concat())
            .await
            .ok();
        let uid = lab.run(&["id", "-u", name]).await.ok();
        let uid = uid.trim().parse().expect("a uid is a number");
        User {
            lab,
            name: name.to_owned(),
            uid,
            runtime: format!("/run/user/{uid}"),
        }
    }

    async fn manager_is_up(&self) {
        let bus = self.lab.path(&format!("{}/bus", self.runtime()));
        eventually("the user's bus", async || bus.exists().then_some(())).await;
    }

    fn session(&self) -> String {
        format!("login-{}", self.name)
    }

    /// Ends the session of one who has logged in, and waits until the manager is gone.
    pub async fn log_out(&self) {
        let session = self.session();
        self.lab.run(&["systemctl", "stop", &session]).await.ok();
        let unit = format!("user@{}.service", self.uid);
        let is_active = ["systemctl", "is-active", &unit];
        eventually("the user's manager to end", async || {
            let state = self.lab.run(&is_active).await.stdout;
            matches!(state.trim(), "inactive" | "failed").then_some(())
        })
        .await;
    }

    /// The login name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The user id.
    pub fn uid(&self) -> u32 {
        self.uid
    }

    /// The home, as named inside.
    pub fn home(&self) -> String {
        format!("/home/{}", self.name)
    }

    /// `XDG_RUNTIME_DIR`, as named inside.
    pub fn runtime(&self) -> String {
        self.runtime.clone()
    }

    /// What stands below the home, as seen from here.
    pub fn path(&self, below: &str) -> PathBuf {
        self.lab.path(&format!("{}/{below}", self.home()))
    }

    /// Writes a file below the home, which is then the user's, as are the folders made for it.
    pub fn write(&self, below: &str, text: &str) {
        let home = self.path("");
        let mut folder = home.clone();
        let mut parts: Vec<&str> = below.split('/').collect();
        let name = parts.pop().expect("there is one part at least");
        for part in parts {
            folder.push(part);
            if !folder.is_dir() {
                std::fs::create_dir(&folder).expect("root may");
                self.own(&folder, 0o755);
            }
        }
        let file = folder.join(name);
        std::fs::write(&file, text).expect("root may");
        self.own(&file, 0o644);
    }

    fn own(&self, path: &std::path::Path, mode: u32) {
        chown(path, Some(self.uid), Some(self.uid)).expect("root may");
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(path, mode).expect("root may");
    }

    /// Reads a file below the home; empty if there is none.
    pub fn read(&self, below: &str) -> String {
        self.lab.read(&format!("{}/{below}", self.home()))
    }

    /// Runs a program in the home to its end.
    pub async fn run(&self, words: &[&str]) -> Output {
        self.run_in("", words).await
    }

    /// Runs a program in a folder below the home to its end.
    pub async fn run_in(&self, below: &str, words: &[&str]) -> Output {
        let folder = format!("{}/{below}", self.home());
        let (home, runtime) = (self.home(), self.runtime());
        let bus = format!("unix:path={runtime}/bus");
        let variables = [
            ("HOME", home.as_str()),
            ("USER", &self.name),
            ("LOGNAME", &self.name),
            ("SHELL", "/bin/bash"),
            ("XDG_RUNTIME_DIR", &runtime),
            ("DBUS_SESSION_BUS_ADDRESS", &bus),
        ];
        let become_user = ["setpriv", "--reuid", &self.name, "--regid", &self.name];
        let there = ["--init-groups", "--", "env", "-C", &folder, "--"];
        let words = [&become_user[..], &there, words].concat();
        self.lab.enter(&variables, &words).await
    }

    /// Runs a line of bash in the home.
    pub async fn shell(&self, line: &str) -> Output {
        self.run(&["bash", "-c", line]).await
    }

    /// Runs `systemctl --user`.
    pub async fn systemctl(&self, words: &[&str]) -> Output {
        self.run(&[&["systemctl", "--user"], words].concat()).await
    }

    /// One property of one of the user's units.
    pub async fn property(&self, unit: &str, name: &str) -> String {
        let value = self.systemctl(&["show", "--value", "-p", name, unit]).await;
        value.ok().trim().to_owned()
    }

    /// Runs `steroidsctl` in a folder below the home.
    pub async fn ctl(&self, below: &str, words: &[&str]) -> Output {
        self.run_in(below, &[&["steroidsctl"], words].concat())
            .await
    }
}
