//! `retort formats`.

use std::io::Write;
use std::process::ExitCode;

use clap::Args;
use retort_formats::schemas::FILES;
use retort_formats::{data, file, import};
use serde_json::{Value, json};

use super::Failure;
use crate::display::table;

/// List the import, data and file formats.
#[derive(Args)]
pub struct Formats {
    /// Print JSON.
    #[arg(long)]
    json: bool,

    /// Print a JSON Schema: of the rows that a data format writes with the default options, or of another file that Retort reads
    /// or writes, such as `manifest` or `mapping`.
    #[arg(long, value_name = "NAME", conflicts_with = "json", value_parser = with_schema)]
    schema: Option<String>,
}

/// Everything that has a JSON Schema: its name, what it is, and the schema. Rows of data formats come first, then other files.
pub fn schemas() -> Vec<(&'static str, &'static str, Value)> {
    let rows = data::FORMATS
        .iter()
        .filter_map(|format| Some((format.name(), format.about(), data::json_schema(*format)?)));
    let files = [FILES, retort_service::ENGINE_FILE_SCHEMAS, retort_service::FILE_SCHEMAS];
    let files = files.into_iter().flatten().chain([&crate::config::SCHEMA]);
    rows.chain(files.map(|file| (file.name, file.about, file.schema()))).collect()
}

fn with_schema(name: &str) -> Result<String, String> {
    let all = schemas();
    match all.iter().find(|(known, ..)| *known == name) {
        Some((.., schema)) => Ok(format!("{schema:#}\n")),
        None => {
            let names: Vec<_> = all.iter().map(|(name, ..)| *name).collect();
            Err(format!("no schema for `{name}`; use one of {}", names.join(", ")))
        }
    }
}

impl Formats {
    pub fn run(self) -> Result<ExitCode, Failure> {
        let mut out = std::io::stdout().lock();
        if let Some(schema) = self.schema {
            write!(out, "{schema}")?;
            return Ok(ExitCode::SUCCESS);
        }
        if self.json {
            let import: Vec<_> = import::FORMATS
                .iter()
                .map(|f| json!({"name": f.name(), "about": f.about()}))
                .collect();
            let data: Vec<_> = data::FORMATS
                .iter()
                .map(|f| {
                    json!({
                        "name": f.name(),
                        "about": f.about(),
                        "file_formats": f.file_formats(),
                        "items": f.items().iter().map(|kind| kind.as_str()).collect::<Vec<_>>(),
                        "purposes": f.purposes().iter().map(|one| one.as_str()).collect::<Vec<_>>(),
                    })
                })
                .collect();
            let file: Vec<_> = file::FORMATS
                .iter()
                .map(
                    |f| json!({"name": f.name(), "about": f.about(), "media_type": f.media_type()}),
                )
                .collect();
            let whole =
                json!({"import_formats": import, "data_formats": data, "file_formats": file});
            writeln!(out, "{}", serde_json::to_string_pretty(&whole)?)?;
            return Ok(ExitCode::SUCCESS);
        }
        let lists: [(&str, Vec<[String; 2]>); 3] = [
            (
                "import formats (--from)",
                import::FORMATS.iter().map(|f| [f.name().into(), f.about().into()]).collect(),
            ),
            (
                "data formats (--data-format)",
                data::FORMATS
                    .iter()
                    .map(|f| {
                        [
                            f.name().into(),
                            format!("{} ({})", f.about(), f.file_formats().join(", ")),
                        ]
                    })
                    .collect(),
            ),
            (
                "file formats (--file-format)",
                file::FORMATS.iter().map(|f| [f.name().into(), f.about().into()]).collect(),
            ),
        ];
        for (index, (title, rows)) in lists.into_iter().enumerate() {
            if index > 0 {
                writeln!(out)?;
            }
            let mut table = table(&[title, ""]);
            for row in rows {
                table.add_row(row);
            }
            writeln!(out, "{}", table.trim_fmt())?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use super::*;

    const WIDTH: usize = 120;

    /// The part of the docs on import formats, as their list has it.
    fn import_formats() -> String {
        let mut part = String::from("| format | where it comes from |\n|---|---|\n");
        for format in import::FORMATS {
            writeln!(part, "| `{}` | {} |", format.name(), format.about()).unwrap();
        }
        for format in import::FORMATS {
            writeln!(part, "\n### `{}`\n", format.name()).unwrap();
            format.notes().lines().for_each(|line| wrap(line, &mut part));
        }
        part
    }

    /// Breaks a line between its words.
    fn wrap(line: &str, into: &mut String) {
        let indent = if line.starts_with("- ") { "  " } else { "" };
        let mut width = 0;
        for word in line.split(' ') {
            let length = word.chars().count();
            if width > 0 && width + 1 + length > WIDTH {
                into.push('\n');
                into.push_str(indent);
                width = indent.len();
            } else if width > 0 {
                into.push(' ');
                width += 1;
            }
            into.push_str(word);
            width += length;
        }
        into.push('\n');
    }

    #[test]
    fn the_docs_have_every_import_format() {
        crate::docs::check_part("formats.md", "import formats", &import_formats());
    }

    #[test]
    fn the_page_on_formats_names_every_format_as_the_lists_do() {
        let page = include_str!("../../../../docs/formats.md");
        let data = data::FORMATS.iter().map(|f| {
            format!("| `{}` | {} | {} |", f.name(), f.about(), f.file_formats().join(", "))
        });
        let file = file::FORMATS.iter().map(|f| format!("| `{}` | {} |", f.name(), f.about()));
        for row in data.chain(file) {
            assert!(page.lines().any(|line| line == row), "docs/formats.md lacks: {row}");
        }
    }

    #[test]
    fn the_page_on_formats_names_every_finding() {
        use retort_model::{Reason, Repair};
        let page = include_str!("../../../../docs/formats.md");
        let repairs = Repair::ALL.iter().map(|one| one.as_str());
        let reasons = Reason::ALL.iter().map(|one| one.as_str());
        for name in repairs.chain(reasons) {
            assert!(page.contains(&format!("`{name}`")), "docs/formats.md lacks `{name}`");
        }
    }

    #[test]
    fn the_page_on_formats_says_of_every_repair_whether_reject_leaves_the_record_out() {
        use retort_model::Repair;
        let page = include_str!("../../../../docs/formats.md");
        for repair in Repair::ALL {
            let rows: Vec<_> =
                page.lines().filter(|line| line.contains(&format!("| `{repair}` |"))).collect();
            assert!(!rows.is_empty(), "docs/formats.md has no row of `{repair}`");
            let does =
                if repair.is_needed_by_trainers() { "leaves it out" } else { "does the same" };
            for row in rows {
                assert!(row.ends_with(&format!("| {does} |")), "`{repair}`: {row}");
            }
        }
    }
}
