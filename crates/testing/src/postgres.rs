//! A PostgreSQL server of the test's own: begun with the first database that is asked for, on a socket in a
//! temporary folder, and gone with the process.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

const USER: &str = "retort";

/// What ends the server, and once more if it was only just beginning.
const LEASH: &str = "cat; cd /
    for second in 1 2 3 4 5; do $3 \"$1\" -D \"$2/data\" -m immediate stop && break; sleep 1; done
    rm -rf \"$2\"";

pub struct Server {
    programs: PathBuf,
    /// Where its socket is.
    pub folder: PathBuf,
    options: String,
    /// Its end ends the server.
    _leash: ChildStdin,
}

static SERVER: OnceLock<Option<Server>> = OnceLock::new();

/// The URL of a new, empty database; none where PostgreSQL is not installed.
pub fn new_database() -> Option<String> {
    static MADE: AtomicUsize = AtomicUsize::new(0);
    let on_its_socket_alone = "-c listen_addresses=''";
    let server = SERVER.get_or_init(|| Server::start(on_its_socket_alone)).as_ref()?;
    Some(server.new_database(&format!("test_{}", MADE.fetch_add(1, Ordering::Relaxed))))
}

impl Server {
    /// Starts one with these options.
    pub fn start(options: &str) -> Option<Self> {
        let Some(programs) = programs() else {
            eprintln!("PostgreSQL is not installed: its half of these tests is passed over");
            return None;
        };
        let folder = tempfile::tempdir().expect("a temporary folder").keep();
        // Whatever ends this process also closes the pipe; then the server is stopped and its folder removed.
        let leash = Command::new("sh")
            .args(["-c", LEASH, "sh"])
            .arg(programs.join("pg_ctl"))
            .arg(&folder)
            .arg(if is_root() { "runuser -u postgres --" } else { "" })
            // A group of its own: what ends this one leaves it alone.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a shell")
            .stdin
            .expect("a pipe");
        if is_root() {
            succeed(Command::new("chown").arg("postgres").arg(&folder));
        }
        let data = folder.join("data");
        succeed(
            as_server(&programs.join("initdb"))
                .arg("-D")
                .arg(&data)
                .args(["-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"])
                .current_dir(&folder),
        );
        let options = format!(
            "-k {} {options} -c fsync=off -c full_page_writes=off -c max_connections=200",
            folder.display()
        );
        let server = Self { programs, folder, options, _leash: leash };
        server.go_on();
        Some(server)
    }

    /// Starts it, at first or after [`Server::stop`].
    pub fn go_on(&self) {
        let log = self.folder.join("log");
        let mut start = self.control();
        succeed(start.arg("-l").arg(log).args(["-w", "-o", &self.options, "start"]));
    }

    /// Ends it as a crash would, with all connections.
    pub fn stop(&self) {
        succeed(self.control().args(["-w", "-m", "immediate", "stop"]));
    }

    fn control(&self) -> Command {
        let mut control = as_server(&self.programs.join("pg_ctl"));
        control.arg("-D").arg(self.folder.join("data")).current_dir(&self.folder);
        control
    }

    /// A client of its own that does SQL at a URL.
    pub fn psql(&self, url: &str) -> Command {
        let mut psql = Command::new(self.programs.join("psql"));
        psql.arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        psql
    }

    /// The URL of a new, empty database of that name.
    pub fn new_database(&self, name: &str) -> String {
        let mut create = Command::new(self.programs.join("createdb"));
        succeed(create.arg("-h").arg(&self.folder).args(["-U", USER, name]));
        let folder = self.folder.to_str().expect("a plain path").replace('/', "%2F");
        format!("postgres://{USER}@{folder}/{name}")
    }
}

/// Where the server's programs are: Debian keeps them off the path.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = versions.map(|version| version.path().join("bin")).collect();
    folders.sort();
    folders.reverse();
    if let Some(path) = std::env::var_os("PATH") {
        folders.extend(std::env::split_paths(&path));
    }
    let whole = |folder: &PathBuf| {
        ["initdb", "pg_ctl", "postgres", "createdb"].iter().all(|name| folder.join(name).is_file())
    };
    folders.into_iter().find(whole)
}

pub fn is_root() -> bool {
    let told = Command::new("id").arg("-u").output().expect("`id` tells who runs this");
    told.stdout.trim_ascii() == b"0"
}

/// The program as someone whom PostgreSQL does not refuse.
fn as_server(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("runuser");
    command.args(["-u", "postgres", "--"]).arg(program);
    command
}

pub fn succeed(command: &mut Command) {
    // The server would hold a pipe open for as long as it lives.
    let said = tempfile::NamedTempFile::new().expect("a temporary file");
    let end = || said.reopen().expect("a temporary file");
    let status = command.stdin(Stdio::null()).stdout(end()).stderr(end()).status();
    let text = std::fs::read_to_string(said.path()).unwrap_or_default();
    assert!(status.is_ok_and(|status| status.success()), "{command:?}: {text}");
}
