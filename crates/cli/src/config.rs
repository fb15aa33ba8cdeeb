//! How Retort is set up: a file, environment variables and flags, each weighing more than the one before.

use std::collections::BTreeMap;
use std::fs;
use std::hash::{BuildHasher, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};
use retort_formats::schemas::{FileSchema, of_type};
use retort_model::{Time, bounds};
use retort_service::{
    Caller, Clock, DestinationSettings, EngineError, Project, Quotas, RecogniserProgram, Retention,
    Service, Settings, threads,
};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::client::{Client, Opened, Reached, check_address};
use crate::commands::{Failure, misuse};

/// Requests of one caller in a minute, unless said otherwise.
pub const REQUESTS_PER_MINUTE: u32 = 3_000;

/// Where the server listens, unless said otherwise.
pub const LISTEN: &str = "127.0.0.1:8610";

/// Which store, server and project a command uses. `REMOTE`: whether it can also run through a server. `IN_PROJECT`:
/// whether it is about one project.
#[derive(Args, Clone, Default)]
#[command(next_help_heading = "Store")]
pub struct StoreArgs<const REMOTE: bool = true, const IN_PROJECT: bool = true> {
    /// Configuration file [default: retort/config.toml in your configuration folder].
    #[arg(long, global = true, value_name = "FILE", env = "RETORT_CONFIG")]
    config: Option<PathBuf>,

    /// Store: a file, or `postgres://…` [default: retort.sqlite in the data folder].
    #[arg(long, global = true, value_name = "STORE", env = "RETORT_STORE", hide_env_values = true)]
    store: Option<String>,

    /// Where datasets are stored: a folder, or `s3://…`, `gs://…`, `az://…` [default: objects in the data folder].
    #[arg(long, global = true, value_name = "PLACE", env = "RETORT_OBJECTS")]
    objects: Option<String>,

    /// Folder for the store and the datasets, unless they are given [default: retort in your data folder].
    #[arg(long, global = true, value_name = "FOLDER", env = "RETORT_DATA")]
    data: Option<PathBuf>,

    #[command(flatten)]
    project: ProjectArgs<IN_PROJECT>,

    #[command(flatten)]
    reaching: ServerArgs<REMOTE>,
}

/// The project, if the command is about one; otherwise there is no such option.
#[derive(Clone, Default)]
struct ProjectArgs<const SHOWN: bool>(Option<String>);

impl<const SHOWN: bool> Args for ProjectArgs<SHOWN> {
    fn augment_args(command: Command) -> Command {
        if !SHOWN {
            return command;
        }
        let project = Arg::new("project").long("project").global(true).value_name("NAME");
        command.arg(project.env(PROJECT_VARIABLE).help("Name of the project"))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<const SHOWN: bool> FromArgMatches for ProjectArgs<SHOWN> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Ok(Self(if SHOWN { matches.get_one("project").cloned() } else { None }))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// The server that is asked instead of a store that lies here.
#[derive(Args, Clone, Default)]
#[command(next_help_heading = "Server")]
pub struct ServerArgs<const SHOWN: bool> {
    /// Use the server at this address instead of a local store; `''` means the local store.
    #[arg(long, global = true, hide = !SHOWN, value_name = "URL", env = "RETORT_SERVER")]
    server: Option<String>,

    /// Token for the server. Other users of this machine may see it; the variable `RETORT_TOKEN` is safer.
    #[arg(long, global = true, hide = !SHOWN, value_name = "TOKEN", conflicts_with = "token_file")]
    token: Option<String>,

    /// File that contains the token.
    #[arg(long, global = true, hide = !SHOWN, value_name = "FILE")]
    token_file: Option<PathBuf>,

    /// Allow sending the token and the conversations over the network unencrypted.
    #[arg(long, global = true, hide = !SHOWN)]
    insecure: bool,
}

/// [`ServerArgs`] given before the command, which apply to it as well.
#[derive(Args)]
pub struct Before {
    #[arg(long, global = true, hide = true)]
    server: Option<String>,

    #[arg(long, global = true, hide = true, conflicts_with = "token_file")]
    token: Option<String>,

    #[arg(long, global = true, hide = true)]
    token_file: Option<PathBuf>,

    #[arg(long, global = true, hide = true)]
    insecure: bool,
}

/// What the file may say. Every setting may be left out.
#[derive(Debug, Default, Deserialize, PartialEq, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    #[schema(value_type = Option<String>)]
    data: Option<PathBuf>,
    store: Option<String>,
    objects: Option<String>,
    project: Option<String>,
    server: Option<String>,
    threads: Option<usize>,
    part_megabytes: Option<u64>,
    lease_seconds: Option<u64>,
    patience_seconds: Option<u64>,
    job_days: Option<u64>,
    notice_days: Option<u64>,
    audit_days: Option<u64>,
    imports_per_person: Option<u64>,
    person_gigabytes: Option<u64>,
    project_gigabytes: Option<u64>,
    item_megabytes: Option<u64>,
    audit_entries_per_day: Option<u64>,
    trace_megabytes: Option<u64>,
    #[serde(default)]
    models: BTreeMap<String, String>,
    #[serde(default)]
    benchmarks: BTreeMap<String, String>,
    #[serde(default)]
    recognisers: BTreeMap<String, RecogniserConfig>,
    #[schema(value_type = Option<String>)]
    signing_key: Option<PathBuf>,
    #[serde(default)]
    destinations: BTreeMap<String, DestinationConfig>,
    #[serde(default)]
    serve: ServeConfig,
}

/// The settings of a destination of schedules.
#[derive(Debug, Default, Deserialize, PartialEq, ToSchema)]
#[serde(deny_unknown_fields)]
struct DestinationConfig {
    location: String,
    #[serde(default)]
    projects: Option<Vec<String>>,
    #[serde(default)]
    options: BTreeMap<String, String>,
}

/// The settings of a program that redaction rules may name.
#[derive(Debug, Default, Deserialize, PartialEq, ToSchema)]
#[serde(deny_unknown_fields)]
struct RecogniserConfig {
    program: Vec<String>,
    timeout_seconds: Option<u64>,
    processes: Option<usize>,
}

/// The settings of the server.
#[derive(Debug, Default, Deserialize, PartialEq, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ServeConfig {
    pub listen: Option<String>,
    pub url: Option<String>,
    #[schema(value_type = Option<String>)]
    pub tls_certificate: Option<PathBuf>,
    #[schema(value_type = Option<String>)]
    pub tls_key: Option<PathBuf>,
    pub behind_proxy: Option<bool>,
    pub proxies: Option<Vec<String>>,
    pub address_header: Option<String>,
    pub person_header: Option<String>,
    pub oidc_issuer: Option<String>,
    pub oidc_client: Option<String>,
    pub oidc_trust_email: Option<bool>,
    pub requests_per_minute: Option<u32>,
    pub request_seconds: Option<u64>,
    pub allow_private_webhooks: Option<bool>,
    pub traces: Option<bool>,
}

/// The JSON Schema of the configuration file.
pub const SCHEMA: FileSchema = FileSchema {
    name: "config",
    about: "config.toml: the configuration",
    schema: of_type::<Config>,
};

/// The project of a store that nobody told otherwise.
const PROJECT: &str = "default";

/// The variable that names the project.
const PROJECT_VARIABLE: &str = "RETORT_PROJECT";

/// How long a worker may be silent before another takes its job.
const LEASE_SECONDS: u64 = 30;

/// How long requests to the place of the datasets are repeated.
const PATIENCE_SECONDS: u64 = 60;

/// The machine's clock.
pub struct MachineClock;

impl Clock for MachineClock {
    fn now(&self) -> Time {
        #[allow(clippy::disallowed_methods, reason = "the door reads the clock")]
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let micros = since.map_or(0, |since| since.as_micros());
        let micros = i64::try_from(micros).unwrap_or(i64::MAX);
        // A clock that is set to another age has no moment that can be written.
        Time::from_unix_micros(micros).or(Time::from_epoch_ms(0)).unwrap_or_else(|| {
            std::process::abort();
        })
    }
}

/// The days of a setting; 0 is for good.
fn days(set: Option<u64>, otherwise: Option<u64>) -> Option<u64> {
    set.map_or(otherwise, |days| Some(days).filter(|days| *days > 0))
}

fn gigabytes(number: u64) -> u64 {
    number.saturating_mul(1_000_000_000)
}

/// The bytes of the largest item, of what was set in megabytes.
pub fn item_bytes(megabytes: u64) -> usize {
    let bytes = usize::try_from(megabytes.saturating_mul(1_000_000)).unwrap_or(usize::MAX);
    bytes.min(bounds::ITEM_BYTES)
}

fn named_destination((name, one): (String, DestinationConfig)) -> (String, DestinationSettings) {
    let DestinationConfig { location, projects, options } = one;
    (name, DestinationSettings { location, projects, options })
}

fn named_recogniser(
    (name, one): (String, RecogniserConfig),
) -> Result<(String, RecogniserProgram), Failure> {
    let program = RecogniserProgram::new(one.program, one.timeout_seconds, one.processes);
    match program {
        Ok(program) => Ok((name, program)),
        Err(why) => Err(misuse(format!("the configuration, [recognisers.{name}]: {why}"))),
    }
}

/// A number that nobody else has.
fn chance() -> u64 {
    std::hash::RandomState::new().build_hasher().finish()
}

impl<const REMOTE: bool, const IN_PROJECT: bool> StoreArgs<REMOTE, IN_PROJECT> {
    fn file(&self) -> Result<Config, Failure> {
        let path = match &self.config {
            Some(path) => path.clone(),
            None => match home("XDG_CONFIG_HOME", ".config") {
                Some(folder) => folder.join("retort/config.toml"),
                None => return Ok(Config::default()),
            },
        };
        match fs::read_to_string(&path) {
            Ok(text) => Config::parse(&text, &path),
            Err(error) if self.config.is_none() && error.kind() == std::io::ErrorKind::NotFound => {
                Ok(Config::default())
            }
            Err(error) => Err(EngineError::read(&path, error).into()),
        }
    }

    /// What the file says of the server.
    pub fn serve_config(&self) -> Result<ServeConfig, Failure> {
        Ok(self.file()?.serve)
    }

    /// The folder for what has no place of its own.
    pub fn data_folder(&self) -> Result<PathBuf, Failure> {
        Ok(match self.data.clone().or(self.file()?.data) {
            Some(data) => data,
            None => home("XDG_DATA_HOME", ".local/share")
                .ok_or("there is no home folder; name the folder of the store with `--data`")?
                .join("retort"),
        })
    }

    /// The settings that count.
    pub fn settings(&self) -> Result<(Settings, String), Failure> {
        let data = self.data_folder()?;
        let config = self.file()?;
        let below = |name: &str| data.join(name).to_string_lossy().into_owned();
        let machine = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let recognisers = config.recognisers.into_iter().map(named_recogniser);
        let recognisers = recognisers.collect::<Result<_, _>>()?;
        let settings = Settings {
            store: self.store.clone().or(config.store).unwrap_or_else(|| below("retort.sqlite")),
            objects: self.objects.clone().or(config.objects).unwrap_or_else(|| below("objects")),
            worker: format!("{}:{}:{:08x}", machine.trim(), std::process::id(), chance() as u32),
            identity: format!("{:016x}", chance()),
            lease: Duration::from_secs(
                number("RETORT_LEASE_SECONDS", config.lease_seconds)?
                    .unwrap_or(LEASE_SECONDS)
                    .max(1),
            ),
            patience: Duration::from_secs(
                number("RETORT_PATIENCE_SECONDS", config.patience_seconds)?
                    .unwrap_or(PATIENCE_SECONDS),
            ),
            threads: threads(
                number("RETORT_THREADS", config.threads.map(|threads| threads as u64))?
                    .map(|threads| usize::try_from(threads).unwrap_or(usize::MAX)),
            ),
            part_bytes: number("RETORT_PART_MEGABYTES", config.part_megabytes)?
                .map_or(bounds::PART_BYTES, |megabytes| megabytes.max(1) * 1_000_000),
            retention: Retention {
                job_days: days(config.job_days, Retention::default().job_days),
                notice_days: days(config.notice_days, Retention::default().notice_days),
                audit_days: days(config.audit_days, Retention::default().audit_days),
            },
            quotas: Quotas {
                imports_per_person: config
                    .imports_per_person
                    .unwrap_or(Quotas::default().imports_per_person),
                person_bytes: config.person_gigabytes.map(gigabytes),
                project_bytes: config.project_gigabytes.map(gigabytes),
                item_bytes: config
                    .item_megabytes
                    .map_or(Quotas::default().item_bytes, |megabytes| item_bytes(megabytes.max(1))),
                audit_per_day: config
                    .audit_entries_per_day
                    .unwrap_or(Quotas::default().audit_per_day),
                trace_bytes: config
                    .trace_megabytes
                    .map_or(bounds::TRACE_BYTES, |megabytes| megabytes.saturating_mul(1_000_000)),
            },
            models: config.models,
            benchmarks: config.benchmarks,
            recognisers,
            signing_key: config.signing_key,
            destinations: config.destinations.into_iter().map(named_destination).collect(),
        };
        let project = self.project.0.clone().or(config.project).unwrap_or_else(|| PROJECT.into());
        Ok((settings, project))
    }

    /// Where the server is that is to be asked, if one is.
    fn server_url(&self) -> Result<Option<String>, Failure> {
        let url = match self.reaching.server.clone() {
            Some(url) => Some(url),
            None => self.file()?.server,
        };
        Ok(url.filter(|url| !url.is_empty()))
    }

    /// The server that is to be asked, if one is.
    pub fn server(&self) -> Result<Option<Client>, Failure> {
        let Some(url) = self.server_url()? else { return Ok(None) };
        let project = self.project.0.clone().or(self.file()?.project);
        let insecure = self.reaching.insecure;
        check_address(&url, insecure)?;
        let token = self.reaching.token()?;
        Ok(Some(Client::new(Reached { url, token, project, insecure })?))
    }

    /// Refuses what is done with a store where it lies, if a server is to be asked.
    pub fn here(&self) -> Result<(), Failure> {
        match self.server_url()? {
            None => Ok(()),
            Some(url) => Err(misuse(format!(
                "this command works on the store itself, not on the server `{url}`: run it where the store is, without `--server` \
                 (`--server ''` if a variable or the configuration names one)"
            ))),
        }
    }

    /// The API of the server that is named, or else of the store that is there.
    pub fn client(&self) -> Result<Client, Failure> {
        match self.server()? {
            Some(client) => Ok(client),
            None => Client::local(self.open()?),
        }
    }

    /// What comes before the path of a link that people open: where the server is said to be, else where it listens
    /// unless told otherwise.
    pub fn public_url(&self) -> Result<String, Failure> {
        let serve = self.file()?.serve;
        let url = match self.server_url()? {
            Some(url) => Some(url),
            None => std::env::var("RETORT_URL").ok().or(serve.url),
        };
        let url = url.unwrap_or_else(|| {
            let listen = std::env::var("RETORT_LISTEN").ok().or(serve.listen);
            let listen = listen.as_deref().unwrap_or(LISTEN);
            let scheme = if serve.tls_certificate.is_some() { "https" } else { "http" };
            format!("{scheme}://{listen}")
        });
        Ok(url.trim_end_matches('/').to_owned())
    }

    /// The store that is there.
    pub fn open(&self) -> Result<Opened, Failure> {
        self.open_with(false)
    }

    /// The store, made if it is not there.
    pub fn open_or_new(&self) -> Result<Opened, Failure> {
        self.here()?;
        self.open_with(true)
    }

    /// The store and the project for someone who only looks: where they are not there, empty ones that nobody keeps.
    pub fn open_to_look(&self) -> Result<Opened, Failure> {
        let (settings, project) = self.settings()?;
        if Service::has_store(&settings) {
            let service = Service::open(settings.clone(), Box::new(MachineClock), false)?;
            match service.project(&project) {
                Err(retort_service::Error::NotFound { .. }) => {}
                found => {
                    let caller = Caller::local(&found?);
                    return Ok(Opened { service: Arc::new(service), caller, settings });
                }
            }
        }
        let service = Service::open_scratch(settings.clone(), Box::new(MachineClock))?;
        let caller = Caller::local(&service.project_or_new(&project)?);
        Ok(Opened { service: Arc::new(service), caller, settings })
    }

    /// The store that is there, for what concerns all projects.
    pub fn service(&self) -> Result<Service, Failure> {
        self.here()?;
        Ok(Service::open(self.settings()?.0, Box::new(MachineClock), false)?)
    }

    /// The store, created if missing, for commands about all projects. If it is missing, a dry run uses a temporary empty
    /// store instead.
    pub fn service_or_new(&self, is_dry: bool) -> Result<Service, Failure> {
        self.here()?;
        let (settings, _) = self.settings()?;
        if is_dry && !Service::has_store(&settings) {
            return Ok(Service::open_scratch(settings, Box::new(MachineClock))?);
        }
        Ok(Service::open(settings, Box::new(MachineClock), !is_dry)?)
    }

    /// The project to add people to: the one that is `named`, else the one from the environment or the configuration. If
    /// none is named and the store has no projects, the project is created.
    pub fn project_to_join(
        &self,
        service: &Service,
        named: Option<&str>,
    ) -> Result<Project, Failure> {
        let variable = || std::env::var(PROJECT_VARIABLE).ok();
        let name = match named.map(str::to_owned).or_else(variable) {
            Some(name) => name,
            None => self.settings()?.1,
        };
        if named.is_none() && service.projects()?.is_empty() {
            return Ok(service.project_or_new(&name)?);
        }
        service.project(&name).map_err(|error| match error {
            missing @ retort_service::Error::NotFound { .. } => {
                format!("{missing}; `retort projects add` adds one").into()
            }
            error => error.into(),
        })
    }

    fn open_with(&self, create: bool) -> Result<Opened, Failure> {
        let (settings, project) = self.settings()?;
        let service = Service::open(settings.clone(), Box::new(MachineClock), create)?;
        let project = match service.project(&project) {
            Err(retort_service::Error::NotFound { .. }) if create => {
                if !service.projects()?.is_empty() {
                    eprintln!("created the project `{project}`");
                }
                service.project_or_new(&project)?
            }
            Err(missing @ retort_service::Error::NotFound { .. }) => {
                return Err(format!("{missing}; `retort projects` lists those that exist").into());
            }
            found => found?,
        };
        let caller = Caller::local(&project);
        Ok(Opened { service: Arc::new(service), caller, settings })
    }
}

impl<const SHOWN: bool> ServerArgs<SHOWN> {
    /// The token: of a flag, or else of the environment.
    fn token(&self) -> Result<String, Failure> {
        let token = match (&self.token, &self.token_file) {
            (Some(token), _) => token.clone(),
            (None, Some(path)) => {
                fs::read_to_string(path).map_err(|error| EngineError::read(path, error))?
            }
            (None, None) => std::env::var("RETORT_TOKEN").unwrap_or_default(),
        };
        match token.trim() {
            "" => Err(misuse(
                "a server needs a token: set `RETORT_TOKEN` or `--token-file`; the server's admin creates one with \
                 `retort tokens add`",
            )),
            token => Ok(token.to_owned()),
        }
    }
}

/// A number from the environment, or else from the file.
fn number(name: &str, config: Option<u64>) -> Result<Option<u64>, Failure> {
    match std::env::var(name) {
        Err(_) => Ok(config),
        Ok(text) => match text.trim().parse() {
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(misuse(format!("`{name}` must be a whole number, not `{text}`"))),
        },
    }
}

/// A folder of the person, by the variable that names it or else below their home.
fn home(variable: &str, below: &str) -> Option<PathBuf> {
    let named = std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    named.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(below)))
}

impl Config {
    fn parse(text: &str, path: &Path) -> Result<Self, Failure> {
        toml::from_str(text).map_err(|error| {
            // Only the place and what is wrong: the line itself may hold a password.
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            format!("`{}`, line {line}: {}", path.display(), error.message()).into()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_annotated_example_names_every_setting_with_its_default() {
        let example = include_str!("../../../docs/config.toml");
        // As it stands it sets nothing; with its settings taken in, they are the defaults.
        let path = Path::new("docs/config.toml");
        assert_eq!(Config::parse(example, path).unwrap(), Config::default());
        let settings: String = example
            .lines()
            .filter_map(|line| line.strip_prefix("#! "))
            .flat_map(|line| [line, "\n"])
            .collect();
        let config = Config::parse(&settings, path).unwrap();
        assert_eq!(config.project.as_deref(), Some(PROJECT));
        assert_eq!(config.lease_seconds, Some(LEASE_SECONDS));
        assert_eq!(config.patience_seconds, Some(PATIENCE_SECONDS));
        assert_eq!(config.part_megabytes.map(|mb| mb * 1_000_000), Some(bounds::PART_BYTES));
        assert!(config.threads.is_some() && config.data.is_some());
        assert!(config.store.is_some() && config.objects.is_some() && config.server.is_some());
        assert_eq!(config.models.keys().collect::<Vec<_>>(), ["qwen3"]);
        assert_eq!(config.benchmarks.keys().collect::<Vec<_>>(), ["gsm8k"]);
        assert_eq!(config.destinations.keys().collect::<Vec<_>>(), ["backup", "lake"]);
        let serve = config.serve;
        assert_eq!(serve.listen.as_deref(), Some(LISTEN));
        assert_eq!(serve.requests_per_minute, Some(REQUESTS_PER_MINUTE));
        assert_eq!((serve.behind_proxy, serve.allow_private_webhooks), (Some(false), Some(false)));
        assert_eq!(serve.traces, Some(false));
        assert_eq!(config.trace_megabytes.map(|mb| mb * 1_000_000), Some(bounds::TRACE_BYTES));
        assert!(serve.url.is_some() && serve.proxies.is_some() && serve.person_header.is_some());
        assert!(serve.tls_certificate.is_some() && serve.tls_key.is_some());
        assert!(serve.oidc_issuer.is_some() && serve.oidc_client.is_some());
    }

    #[test]
    fn a_setting_that_does_not_exist_is_named() {
        let error = Config::parse("treads = 3", Path::new("c.toml")).unwrap_err().to_string();
        assert!(error.contains("`c.toml`, line 1") && error.contains("treads"), "{error}");
    }

    #[test]
    fn a_line_that_is_wrong_is_not_repeated_as_it_may_hold_a_password() {
        for text in [
            "stroe = \"postgres://ann:secret@host/db\"",
            "\nstore = \"postgres://ann:secret@host/db",
            "store = [\"postgres://ann:secret@host/db\"]",
        ] {
            let error = Config::parse(text, Path::new("c.toml")).unwrap_err().to_string();
            assert!(error.contains("line") && !error.contains("secret"), "{error}");
        }
    }
}
