//! `retort keep`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use retort_service::keep::{Archive, Pass, Watched, agents};
use retort_service::{EngineError, ImportPlan, Input, ReadOptions};
use serde_json::json;

use super::{Failure, misuse, stop_flag};
use crate::changing::{as_dry, tell_would};
use crate::client::Opened;
use crate::config::StoreArgs;
use crate::display::{bytes, count, several};
use crate::progress::Bar;

/// How often a pause looks whether it is to end.
const LOOK: Duration = Duration::from_millis(500);

/// Keep the sessions of coding agents before they are deleted.
///
/// Every line that was in a file stays in the archive, even after the file is rotated, shortened or deleted. The archive is a
/// folder that `retort convert`, `retort import` and the other commands read.
#[derive(Args)]
pub struct Keep {
    /// Folders with sessions or other histories.
    #[arg(value_name = "FOLDER", required_unless_present = "agents")]
    folders: Vec<PathBuf>,

    /// Keep the sessions of all known coding agents on this machine.
    #[arg(long)]
    agents: bool,

    /// Folder for the archive [default: kept in the data folder].
    #[arg(long, value_name = "FOLDER")]
    archive: Option<PathBuf>,

    /// Check once and exit, for cron.
    #[arg(long)]
    once: bool,

    /// Check once, and only show what would be kept.
    #[arg(long, conflicts_with = "import")]
    dry_run: bool,

    /// Seconds between checks for new lines.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400), conflicts_with_all = ["once", "dry_run"])]
    every: u64,

    /// Also import what is new into the local store.
    #[arg(long)]
    import: bool,

    /// Print only errors.
    #[arg(short, long)]
    quiet: bool,

    /// Print what was kept as JSON, one line per check that found something.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    keeping: StoreArgs<false>,
}

impl Keep {
    pub fn run(self) -> Result<ExitCode, Failure> {
        let folder = match &self.archive {
            Some(folder) => folder.clone(),
            None => self.keeping.data_folder()?.join("kept"),
        };
        let named: Vec<_> = self
            .folders
            .iter()
            .map(|folder| Watched::folder(folder).map_err(|error| EngineError::read(folder, error)))
            .collect::<Result<_, _>>()?;
        if self.import && self.keeping.server()?.is_some() {
            return Err(misuse(
                "`--import` works with a local store only; for a server, run `retort import` with the archive",
            ));
        }
        let opened = if self.import { Some(self.keeping.open_or_new()?) } else { None };
        let stopped = stop_flag()?;
        let once = self.once || self.dry_run;
        let mut archive = match self.dry_run {
            true => Archive::open_to_look(&folder)?,
            false => Archive::open(&folder)?,
        };
        loop {
            let mut watched = named.clone();
            if self.agents {
                watched.extend(self.found_agents());
            }
            if watched.is_empty() && once {
                return Err("no sessions of coding agents were found below the home folder; name their folders".into());
            }
            let pass = archive.pass(&watched, &stopped)?;
            for failure in &pass.failures {
                eprintln!("not kept: {failure}");
            }
            if pass.changed > 0 || once {
                self.tell(&pass, &archive)?;
            }
            if let Some(opened) = opened.as_ref().filter(|_| pass.changed > 0) {
                let imported = import(opened, &archive, &pass, &stopped);
                match imported {
                    Ok(words) if !self.quiet => eprintln!("imported   {words}"),
                    Ok(_) => {}
                    Err(error) if self.once => return Err(error),
                    Err(error) => eprintln!("not imported: {error}"),
                }
            }
            if once {
                let failed = pass.failed > 0;
                return Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS });
            }
            if pause(Duration::from_secs(self.every), &stopped) {
                return Ok(ExitCode::SUCCESS);
            }
        }
    }

    /// The folders of agents, which may appear at any time.
    fn found_agents(&self) -> Vec<Watched> {
        let variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
        let home = variable("HOME").or_else(|| variable("USERPROFILE"));
        home.map(|home| agents(&home, variable)).unwrap_or_default()
    }

    fn tell(&self, pass: &Pass, archive: &Archive) -> Result<(), Failure> {
        let (size, files) = archive.size()?;
        if self.json {
            let told = json!({"archive": archive.folder(), "archive_bytes": size, "archive_files": files, "pass": pass});
            println!("{}", if self.dry_run { as_dry(&told)? } else { told });
        } else if self.dry_run {
            let new = several(pass.new_lines, "new line");
            let (changed, files) = (count(pass.changed), several(pass.files, "file"));
            let archive = archive.folder().display();
            tell_would(&format!("keep {new} in {changed} of {files}, in the archive {archive}"));
        } else if !self.quiet {
            let new = several(pass.new_lines, "new line");
            println!("kept       {new} in {} of {}", pass.changed, several(pass.files, "file"));
            println!(
                "archive    {} ({} in {}; the files there now have {})",
                archive.folder().display(),
                bytes(size),
                several(files, "file"),
                bytes(pass.bytes)
            );
        }
        Ok(())
    }
}

/// Imports the folders of the archive that have something new, and says what became of it.
fn import(
    opened: &Opened,
    archive: &Archive,
    pass: &Pass,
    stopped: &AtomicBool,
) -> Result<String, Failure> {
    let plan = ImportPlan {
        inputs: pass.names.iter().map(|name| Input::Path(archive.folder().join(name))).collect(),
        from: None,
        owner: None,
        adopts: false,
        namespace: None,
        replace: false,
        keeps_files: false,
        threads: opened.settings.threads,
        dry_run: false,
        names: false,
        reading: ReadOptions::default(),
    };
    let bar = Bar::new(true);
    let report =
        opened.service.import(&opened.caller, &plan, &bar, stopped, &mut std::io::sink())?;
    let refused = report.refused_count();
    let refused =
        if refused > 0 { format!(", {} refused", several(refused, "item")) } else { String::new() };
    Ok(format!("{} new, {} updated{refused}", report.new, report.updated))
}

/// Waits; true if it was told to stop.
fn pause(length: Duration, stopped: &AtomicBool) -> bool {
    #[allow(clippy::disallowed_methods, reason = "the door reads the clock")]
    let began = Instant::now();
    while began.elapsed() < length {
        if stopped.load(Ordering::Relaxed) {
            return true;
        }
        std::thread::sleep(LOOK.min(length));
    }
    stopped.load(Ordering::Relaxed)
}
