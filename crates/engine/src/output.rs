//! The output of an export on disk, and what its name says about the form and the format.

use std::path::{Path, PathBuf};

use retort_formats::file;

use crate::compression::Compression;
use crate::error::Error;
use crate::export_options::ExportOptions;
use crate::plan::DatasetPlan;
use crate::source::Input;

/// What is written. The ending of the output's name decides.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum OutputForm {
    /// A package as a folder.
    Folder,
    /// A package as one archive: `.zip`.
    Archive,
    /// The data file alone, without a receipt: `.jsonl`, `.csv`, `.parquet`, also compressed.
    DataFile,
}

impl OutputForm {
    /// The form of an output.
    pub fn of(output: &Path) -> Self {
        if output.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("zip")) {
            Self::Archive
        } else if formats_of(output).is_some() {
            Self::DataFile
        } else {
            Self::Folder
        }
    }
}

/// The name of the output without the ending for its form.
pub fn output_stem(output: &Path) -> Option<PathBuf> {
    let stem = output.file_stem().map(PathBuf::from);
    match (OutputForm::of(output), formats_of(output)) {
        (OutputForm::Folder, _) => output.file_name().map(PathBuf::from),
        (_, Some((_, compression))) if compression != Compression::None => {
            stem.and_then(|stem| stem.file_stem().map(PathBuf::from))
        }
        _ => stem,
    }
}

/// Refuses to replace an existing data file that is one of the inputs or inside one: it may be a history.
///
/// # Errors
/// [`Error::Choice`] with the file.
pub fn check_no_input(output: &Path, inputs: &[Input]) -> Result<(), Error> {
    let (OutputForm::DataFile, Ok(there)) = (OutputForm::of(output), output.canonicalize()) else {
        return Ok(());
    };
    let holds = |input: &Input| match input {
        Input::Path(path) | Input::Named(path, _) => {
            path.canonicalize().is_ok_and(|path| there.starts_with(path))
        }
        Input::Stdin | Input::Bytes(..) | Input::Fetched(_) => false,
    };
    if inputs.iter().any(holds) {
        return Err(Error::Choice(format!(
            "`{}` is among the inputs, which are never replaced; name another output",
            output.display()
        )));
    }
    Ok(())
}

/// The file format and the compression that the name of a data file asks for.
fn formats_of(output: &Path) -> Option<(&'static str, Compression)> {
    let name = output.file_name()?.to_str()?.to_ascii_lowercase();
    file::FORMATS.iter().find_map(|format| {
        let compressions = if format.is_text() { Compression::ALL } else { &[Compression::None] };
        let compression = compressions.iter().copied().find(|compression| {
            let ending = format!(".{}{}", format.name(), compression.ending());
            name.len() > ending.len() && name.ends_with(&ending)
        })?;
        Some((format.name(), compression))
    })
}

impl ExportOptions {
    /// With the file format and the compression from the name of the output, where nothing else is asked for.
    ///
    /// # Errors
    /// None for any name: the formats are those of the table.
    pub fn for_output(self, output: &Path) -> Result<Self, String> {
        let Some((format, compression)) = formats_of(output) else { return Ok(self) };
        let said = Self::default().with("file_format", format)?;
        let said = match compression {
            Compression::None => said,
            compression => said.with("compress", compression.as_str())?,
        };
        Ok(said.and(self))
    }
}

impl DatasetPlan {
    /// Whether the dataset can be written to the output.
    ///
    /// # Errors
    /// [`Error::Choice`] if the output is a data file and the dataset has several or is of another format.
    pub fn check_output(&self, output: &Path) -> Result<(), Error> {
        let Some((format, compression)) = formats_of(output) else { return Ok(()) };
        let ending = self.ending();
        if format != self.file_format.name() || compression != self.compression {
            return Err(Error::Choice(format!(
                "`{}` would hold `{ending}`; give it that ending, or leave out `--file-format` and `--compress`",
                output.display()
            )));
        }
        if self.data_format.writes_files(&self.shape_options) {
            return Err(Error::Choice(format!(
                "`{}` writes files beside the rows, and `{}` is one file; name a folder or a `.zip`",
                self.data_format.name(),
                output.display()
            )));
        }
        if self.split.is_split() {
            return Err(Error::Choice(format!(
                "`--split` writes several data files, and `{}` is one; name a folder or a `.zip`",
                output.display()
            )));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ending_of_a_name_says_the_form_the_format_and_the_compression() {
        let gzip = ("csv", Compression::Gzip);
        for (name, form, formats, stem) in [
            ("a/set", OutputForm::Folder, None, "set"),
            ("a/set.v2", OutputForm::Folder, None, "set.v2"),
            ("a/set.ZIP", OutputForm::Archive, None, "set"),
            ("a/set.jsonl", OutputForm::DataFile, Some(("jsonl", Compression::None)), "set"),
            ("set.v2.csv.gz", OutputForm::DataFile, Some(gzip), "set.v2"),
            ("Set.Parquet", OutputForm::DataFile, Some(("parquet", Compression::None)), "Set"),
            // Parquet is compressed within.
            ("set.parquet.gz", OutputForm::Folder, None, "set.parquet.gz"),
            (".jsonl", OutputForm::Folder, None, ".jsonl"),
        ] {
            let path = Path::new(name);
            assert_eq!(OutputForm::of(path), form, "{name}");
            assert_eq!(formats_of(path), formats, "{name}");
            assert_eq!(output_stem(path).unwrap(), Path::new(stem), "{name}");
        }
    }

    #[test]
    fn what_is_asked_for_comes_before_what_the_name_says() {
        let asked = ExportOptions::default().with("file_format", "csv").unwrap();
        let options = asked.for_output(Path::new("x.jsonl.zst")).unwrap();
        let plan = options.resolve("x".parse().unwrap(), None).unwrap();
        assert_eq!(plan.ending(), "csv.zst");
        let refused = plan.check_output(Path::new("x.jsonl.zst")).unwrap_err().to_string();
        assert!(refused.contains("would hold `csv.zst`"), "{refused}");
        plan.check_output(Path::new("x.csv.zst")).unwrap();
        plan.check_output(Path::new("x")).unwrap();
    }
}
