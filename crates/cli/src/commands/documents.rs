//! `retort documents`.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use retort_model::DocumentFilter;
use retort_service::{Cursor, DocumentOrder, EngineError, NewOriginal, io_reason};
use retort_web::wire;
use serde_json::json;

use super::export::ExportOf;
use super::{Failure, confirm, print_json};
use crate::args::{order, page_length};
use crate::changing::tell_dry;
use crate::config::StoreArgs;
use crate::display::{bytes, count, fitted, moment_of, one_line, several, table};
use crate::filters::FilterArgs;

/// List, show, export or purge documents, and get their files.
#[derive(Args)]
pub struct Documents {
    #[command(subcommand)]
    command: DocumentsCommand,
}

#[derive(Subcommand)]
enum DocumentsCommand {
    /// List documents.
    List(List),
    /// Show a document with its chunks.
    Show(Show),
    /// Download the original file of a document, or store one.
    Original(Original),
    /// Export documents from the store as a dataset.
    Export(Box<ExportOf<FilterArgs<DocumentFilter, true>>>),
    /// Permanently delete documents. Datasets that contain them stay.
    #[command(alias = "delete")]
    Purge(Purge),
}

#[derive(Args)]
struct List {
    /// Print one JSON object: the documents, the number of matches, and the cursor of the next page.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    filtering: FilterArgs<DocumentFilter>,

    /// Sort order [default: newest].
    #[arg(long, value_name = "ORDER", value_parser = order::<DocumentOrder>(), help_heading = "Page")]
    sort: Option<DocumentOrder>,

    /// Documents per page.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = page_length("documents"), help_heading = "Page")]
    limit: usize,

    /// Show the page after this cursor, which the previous page gives.
    #[arg(long, value_name = "CURSOR", help_heading = "Page")]
    after: Option<Cursor>,

    #[command(flatten)]
    keeping: StoreArgs,
}

#[derive(Args)]
struct Show {
    /// Id of the document.
    #[arg(value_name = "ID")]
    id: String,

    /// Import format of the document, if documents of several formats have this id.
    #[arg(long, value_name = "FORMAT")]
    source: Option<String>,

    /// Print one JSON object: the document with all its chunks.
    #[arg(long)]
    json: bool,

    /// Include the numbers of the embeddings.
    #[arg(long, requires = "json")]
    embeddings: bool,

    #[command(flatten)]
    keeping: StoreArgs,
}

#[derive(Args)]
struct Original {
    /// Id of the document.
    #[arg(value_name = "ID")]
    id: String,

    /// Import format of the document, if documents of several formats have this id.
    #[arg(long, value_name = "FORMAT")]
    source: Option<String>,

    /// Where to write the file; `-` is standard output [default: the file's name].
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Store this file as the original.
    #[arg(long, value_name = "FILE", conflicts_with = "output")]
    keep: Option<PathBuf>,

    #[command(flatten)]
    keeping: StoreArgs,
}

#[derive(Args)]
struct Purge {
    /// Ids of the documents.
    #[arg(value_name = "ID", required = true)]
    documents: Vec<String>,

    /// Only show what would be deleted.
    #[arg(long)]
    dry_run: bool,

    /// Do not ask for confirmation.
    #[arg(short, long)]
    yes: bool,

    /// Print the count as JSON.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    keeping: StoreArgs,
}

impl Documents {
    pub fn run(self) -> Result<ExitCode, Failure> {
        match self.command {
            DocumentsCommand::List(list) => list.run(),
            DocumentsCommand::Show(show) => show.run(),
            DocumentsCommand::Original(original) => original.run(),
            DocumentsCommand::Export(export) => export.run(),
            DocumentsCommand::Purge(purge) => purge.run(),
        }
    }
}

fn name_of(document: &wire::Document) -> &str {
    let names = [&document.readable_filename, &document.s3_path, &document.url];
    let found = names.into_iter().flatten().find(|name| !name.is_empty());
    found.map_or(&document.id, String::as_str)
}

impl List {
    fn run(self) -> Result<ExitCode, Failure> {
        let client = self.keeping.client()?;
        let selection = self.filtering.0;
        let order = self.sort.unwrap_or_default();
        let page = client.documents(&selection, order, self.after, self.limit)?;
        let stats = client.document_stats(&selection)?;
        if self.json {
            let total = stats.documents;
            print_json(&json!({
                "documents": page.documents, "total": total, "embeddings": stats.embeddings, "next": page.next,
            }))?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut out = io::stdout().lock();
        let mut table =
            table(&["ID", "NAME", "ADDRESS", "CHUNKS", "DIMENSION", "ORIGINAL", "CREATED"]);
        for one in &page.documents {
            let embeddings = &one.embeddings;
            let dimension = match (embeddings.least_dimension, embeddings.most_dimension) {
                (0, 0) => String::new(),
                (least, most) if least == most => format!("{most} × {} bit", embeddings.width),
                (least, most) => format!("{least}–{most} × {} bit", embeddings.width),
            };
            table.add_row([
                one_line(&one.id, 40),
                one_line(name_of(one), 60),
                one_line(one.url.as_deref().unwrap_or_default(), 40),
                count(one.chunks),
                dimension,
                one.original.as_ref().map(|original| bytes(original.bytes)).unwrap_or_default(),
                moment_of(one.created_at.as_deref()),
            ]);
        }
        if !page.documents.is_empty() {
            writeln!(out, "{}", fitted(table))?;
        }
        match &page.next {
            _ if stats.documents == 0 => eprintln!("no document matches"),
            Some(next) => {
                let total = several(stats.documents, "document");
                eprintln!(
                    "{} of {total}; `--after {next}` shows the next page",
                    page.documents.len()
                );
            }
            None => eprintln!("{}", several(stats.documents, "document")),
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Show {
    fn run(self) -> Result<ExitCode, Failure> {
        let client = self.keeping.client()?;
        let document = client.document((&self.id, self.source.as_deref()))?;
        let mut out = io::BufWriter::new(io::stdout().lock());
        if self.json {
            let text = serde_json::to_string(&document)?;
            write!(out, "{{\"document\":{text},\"chunks\":[")?;
        } else {
            writeln!(out, "{}", one_line(name_of(&document), 200))?;
            for (name, value) in [
                ("address", &document.url),
                ("site", &document.base_url),
                ("path", &document.s3_path),
            ] {
                if let Some(value) = value.as_ref().filter(|value| !value.is_empty()) {
                    writeln!(out, "{name:8} {}", one_line(value, 200))?;
                }
            }
            let model = document.embeddings.model.as_deref().unwrap_or("an unnamed model");
            writeln!(
                out,
                "{}, {} with embeddings of {}",
                several(document.chunks, "chunk"),
                document.embeddings.embedded,
                one_line(model, 100)
            )?;
        }
        let mut after = 0;
        loop {
            let id = (&*self.id, self.source.as_deref());
            let chunks = client.chunks(id, after, self.embeddings)?;
            for (number, chunk) in (after + 1..).zip(&chunks.chunks) {
                if self.json {
                    let comma = if number > 1 { "," } else { "" };
                    write!(out, "{comma}\n{}", serde_json::to_string(chunk)?)?;
                } else {
                    let page = chunk.pagenumber.as_ref().filter(|page| page.as_str() != Some(""));
                    let page = page.map(|page| format!(", page {page}")).unwrap_or_default();
                    writeln!(
                        out,
                        "\n── {number}{page}\n{}",
                        crate::display::lines(&chunk.text, "")
                    )?;
                }
            }
            match chunks.next {
                Some(next) => after = next,
                None => break,
            }
        }
        if self.json {
            writeln!(out, "\n]}}")?;
        }
        out.flush()?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Original {
    fn run(self) -> Result<ExitCode, Failure> {
        let client = self.keeping.client()?;
        let id = (&*self.id, self.source.as_deref());
        if let Some(path) = &self.keep {
            let file = File::open(path).map_err(|error| EngineError::read(path, error))?;
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
            let kept = client.keep_original(id, &NewOriginal { name, media_type: None }, file)?;
            let original = kept.original.ok_or("the original was not kept")?;
            eprintln!("stored {} (SHA-256 {})", bytes(original.bytes), original.sha256);
            return Ok(ExitCode::SUCCESS);
        }
        let document = client.document((&self.id, self.source.as_deref()))?;
        let original = document
            .original
            .as_ref()
            .ok_or_else(|| format!("there is no original file of the document `{}`", self.id))?;
        let output = self.output.clone().unwrap_or_else(|| {
            let name = original.name.as_deref().unwrap_or_default();
            let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
            let name = if matches!(name, "" | "." | "..") { "original" } else { name };
            PathBuf::from(name)
        });
        if output.as_os_str() == "-" {
            client.original(id, &mut io::stdout().lock())?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut file = File::create_new(&output).map_err(|error| {
            format!("cannot write `{}`: {}", output.display(), io_reason(&error))
        })?;
        client.original(id, &mut file)?;
        eprintln!("{}", output.display());
        Ok(ExitCode::SUCCESS)
    }
}

impl Purge {
    fn run(self) -> Result<ExitCode, Failure> {
        let client = self.keeping.client()?;
        let selection = DocumentFilter {
            ids: self.documents.into_iter().collect(),
            ..DocumentFilter::default()
        };
        let meant = client.count_documents(&selection)?;
        if self.dry_run {
            return tell_dry("purge", meant, "document", self.json);
        }
        if meant > 0 {
            let question = format!(
                "{} will be permanently deleted; datasets made from them stay",
                several(meant, "document")
            );
            confirm(&question, self.yes)?;
        }
        let purged = client.purge_documents(&selection)?;
        if self.json {
            print_json(&wire::Purged { purged })?;
        } else {
            eprintln!("purged {}", several(purged, "document"));
        }
        Ok(ExitCode::SUCCESS)
    }
}
