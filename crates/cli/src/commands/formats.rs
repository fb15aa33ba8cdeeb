//! `retort formats`.

use std::io::Write;
use std::process::ExitCode;

use clap::Args;
use retort_formats::{data, file, import};
use serde_json::json;

use super::Failure;
use crate::words::table;

/// List the import, data and file formats.
#[derive(Args)]
pub struct Formats {
    /// As JSON.
    #[arg(long)]
    json: bool,
}

impl Formats {
    pub fn run(self) -> Result<ExitCode, Failure> {
        let mut out = std::io::stdout().lock();
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
    use super::*;

    #[test]
    fn the_page_on_formats_names_every_format_as_the_lists_do() {
        let page = include_str!("../../../../docs/formats.md");
        let import = import::FORMATS.iter().map(|f| format!("| `{}` | {} |", f.name(), f.about()));
        let data = data::FORMATS.iter().map(|f| {
            format!("| `{}` | {} | {} |", f.name(), f.about(), f.file_formats().join(", "))
        });
        let file = file::FORMATS.iter().map(|f| format!("| `{}` | {} |", f.name(), f.about()));
        for row in import.chain(data).chain(file) {
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
