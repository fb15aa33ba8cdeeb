//! `retort judge`.

use std::fs::File;
use std::io::{self, BufRead, BufReader, stdin};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use retort_formats::judgements::Rows;
use retort_model::bounds::IDS_LISTED;
use retort_service::io_reason;
use retort_web::wire::Judged;

use super::{FOUND, Failure, print};
use crate::args::DryRunArgs;
use crate::changing::{NOTHING_CHANGED, print_dry};
use crate::client::Client;
use crate::config::StoreArgs;
use crate::display::{one_line, several};

/// Bytes of rows that go to a server at once.
const BATCH_BYTES: usize = 1 << 20;

/// Add ratings, labels and comments to conversations and runs.
///
/// The files are CSV, JSON Lines or JSON lists with the columns `id` (or `request_id`, `conversation_id`; `ID#2` is the second
/// answer of a conversation) and any of `ground_truth`, `score`, `label`, `comment`, `corrected_answer` and `author`; the
/// names that `--for` gives these columns work as well. A label `preferred` or `rejected` decides whether an answer is trained on. A corrected
/// answer is added as an alternative to the original one. If that was the last answer, the conversation ends with the corrected
/// one from then on.
/// Rows about unknown ids are refused and counted.
#[derive(Args)]
pub struct Judge {
    /// Files with judgements; `-` is standard input.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    #[command(flatten)]
    dry: DryRunArgs,

    /// Print the counts as JSON.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    keeping: StoreArgs,
}

impl Judge {
    pub fn run(self) -> Result<ExitCode, Failure> {
        let client = self.keeping.client()?;
        let mut all = Judged::default();
        for path in &self.files {
            let input: Box<dyn BufRead> = match path == Path::new("-") {
                true => Box::new(stdin().lock()),
                false => Box::new(BufReader::new(File::open(path).map_err(|why| {
                    format!("cannot read `{}`: {}", path.display(), io_reason(&why))
                })?)),
            };
            judge(&client, self.dry.dry_run, (path, input), &mut all)?;
        }
        if self.json && self.dry.dry_run {
            print_dry(&all)?;
        } else if self.json {
            print(serde_json::to_string(&all)?)?;
        } else {
            if self.dry.dry_run {
                eprintln!("{NOTHING_CHANGED}");
            }
            for why in &all.first {
                eprintln!("refused: {}", one_line(why, 240));
            }
            eprintln!(
                "{}: {} new, {} already stored, {} with unknown ids, {} refused",
                several(all.read, "judgement"),
                all.changed,
                all.same,
                all.unknown,
                all.refused
            );
        }
        let is_mostly_refused = (all.unknown + all.refused) * 2 > all.read;
        Ok(if is_mostly_refused { ExitCode::from(FOUND) } else { ExitCode::SUCCESS })
    }
}

fn told(path: &Path, why: &io::Error) -> Failure {
    let why = io_reason(why);
    format!("cannot read `{}`: {why}", path.display()).into()
}

/// Sends the rows of a file, some at a time.
fn judge(
    client: &Client,
    is_dry: bool,
    (path, input): (&Path, impl BufRead),
    all: &mut Judged,
) -> Result<(), Failure> {
    let mut batch = Vec::new();
    let mut send = |batch: &mut Vec<u8>| -> Result<(), Failure> {
        let came = client.judge(std::mem::take(batch), is_dry)?;
        all.read += came.read;
        all.changed += came.changed;
        all.same += came.same;
        all.unknown += came.unknown;
        all.refused += came.refused;
        all.first.extend(came.first);
        all.first.truncate(IDS_LISTED);
        Ok(())
    };
    for row in Rows::open(input).map_err(|why| told(path, &why))? {
        // A row of a JSON file may have line breaks between its fields.
        let row = row.map_err(|why| told(path, &why))?;
        batch.extend_from_slice(row.replace(['\n', '\r'], " ").as_bytes());
        batch.push(b'\n');
        if batch.len() >= BATCH_BYTES {
            send(&mut batch)?;
        }
    }
    if batch.is_empty() { Ok(()) } else { send(&mut batch) }
}
