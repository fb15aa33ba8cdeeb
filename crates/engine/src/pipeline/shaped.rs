//! Shapes an item into rows, and finds out beforehand whether it makes any.

use retort_formats::data::{GivenFiles, Outcome, ShapeContext, ToolCache};
use retort_formats::file::Rows;
use retort_model::{Item, SeenLengths};

use super::done::{BatchDone, Located};
use super::item::ReadItem;
use super::job::Source;
use super::measured::Measuring;
use super::redacting::Redacted;
use super::shaping::Shaping;

/// What an item is shaped with, beside the options.
pub(super) struct Shaper<'s> {
    pub(super) shaping: &'s Shaping<'s>,
    /// The name of the output, if there are several.
    pub(super) output: Option<&'s str>,
    /// The files beside the history.
    pub(super) given: Option<&'s dyn GivenFiles>,
    pub(super) tools: &'s mut ToolCache,
}

impl Shaper<'_> {
    /// Adds the records of an item to `rows`, and their lengths to `seen` if there is something to measure.
    pub(super) fn shape(
        self,
        item: &Item<'_>,
        rows: &mut dyn Rows,
        seen: &mut SeenLengths,
    ) -> Outcome {
        let Self { shaping, output, given, tools } = self;
        match &shaping.measure {
            Some(measure) => {
                Measuring { measure, shaping, output, given, tools }.shape(item, rows, seen)
            }
            None => {
                let options = &shaping.shape_options;
                let flat = !shaping.file_format.is_nested();
                let mut context = ShapeContext { options, flat, output, given, tools };
                shaping.data_format.shape(item, &mut context, rows)
            }
        }
    }
}

/// Shapes the items of a batch for a survey. The rows are dropped with it.
pub(super) struct Trial<'s> {
    shaping: &'s Shaping<'s>,
    source: &'s Source,
    rows: Box<dyn Rows>,
    tools: ToolCache,
}

impl<'s> Trial<'s> {
    pub(super) fn of(shaping: &'s Shaping<'_>, source: &'s Source) -> Self {
        let file = shaping.file_format;
        let schema = shaping.data_format.schema(&shaping.shape_options, !file.is_nested());
        let rows = file.rows(&schema, shaping.file_options);
        Self { shaping, source, rows, tools: ToolCache::default() }
    }

    /// Whether anything would be written of an item, if no other item stood in its way.
    pub(super) fn is_written(&mut self, one: &ReadItem<'_>) -> bool {
        let Self { shaping, source, rows, tools } = self;
        let (kind, id) = (one.item.kind(), one.item.id().decoded());
        let redacted = match &shaping.redactor {
            Some(redactor) => {
                let at = Located { kind, id: &id, source, span: &one.span };
                Redacted::of(redactor, (&one.item, at), 0, &mut BatchDone::default())
            }
            None => Redacted::Unchanged,
        };
        let Ok(item) = redacted.item(&one.item) else { return false };
        let beside = shaping.attached.as_ref().map(|all| all.beside(&source.name.label));
        let given = beside.as_ref().map(|beside| beside as &dyn GivenFiles);
        // The output only names folders of files, which are not written here.
        let shaper = Shaper { shaping, output: None, given, tools };
        !shaper.shape(&item, &mut **rows, &mut SeenLengths::default()).records.is_empty()
    }
}
