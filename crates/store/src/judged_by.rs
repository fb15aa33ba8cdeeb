//! Which items of others a person said something about, in SQL.

use retort_model::ItemKind;
use retort_model::bounds::JUDGES;

use crate::columns::{PURGED, key_text};
use crate::dialect::Dialect;
use crate::features::push_elements;
use crate::items::table;
use crate::statement::Statement;

/// The kinds of items about which people say something.
pub(crate) const JUDGED: [ItemKind; 2] = [ItemKind::Conversation, ItemKind::Run];

/// Appends ` FROM … WHERE …` for the items (`c`) of one of these kinds that others hold and that a person judged or
/// corrected. Of an item with a full column of judges, only its body says whether the person is one: `or_maybe` says whether
/// it counts.
pub(crate) fn push_judged(
    statement: &mut Statement,
    dialect: Dialect,
    kind: ItemKind,
    (project, name): (i64, &str),
    or_maybe: bool,
) {
    statement.push(&format!(" FROM {} c WHERE c.project = ", table(kind))).int(project);
    statement.push(&format!(" AND c.status <> {PURGED} AND (c.holder IS NULL OR c.holder <> "));
    statement.key(name).push(")");
    statement.push(" AND c.judges IS NOT NULL AND ((c.judges IS NOT NULL");
    push_elements(statement, dialect, "c.judges", &[key_text(name).into_owned()]);
    statement.push(")");
    if or_maybe {
        let between = r#"length(replace(c.judges, '","', ''))"#;
        let most = 3 * (JUDGES - 1);
        statement.push(&format!(" OR length(c.judges) - {between} >= {most}"));
    }
    statement.push(")");
}
