//! What is told of a query: its plan, or why it was refused.

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use serde::Serialize;
use utoipa::ToSchema;

use super::{finder::Trace, order::Order, served, statement::Spine, table::Table};
use crate::{
    attribute_indexes::{BUILDING, Declared},
    attributes::{AttributePath, Scalar},
    ctx::Ctx,
    entities::attribute_index,
    error::{Error, Result},
    filter::{Condition, Field, Filter, Sort, SortBy},
    sid::AttributeIndexSid,
    timestamp::Timestamp,
};

/// How a list was found (`Explain=true`).
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Explain)]
pub struct Explain {
    /// `index`: a declared index led to the items; `table`: their own table did; `scan`: rows had to be read and
    /// evaluated one by one, as many as the budget allows.
    plan: &'static str,
    /// The declared index that led to the items or told most about them.
    #[schema(value_type = Option<String>)]
    index: Option<AttributeIndexSid>,
    /// Every declared index that was asked.
    #[schema(value_type = Vec<String>)]
    indexes: Vec<AttributeIndexSid>,
    /// By what the items are in order.
    sort: String,
    /// How many rows were read and evaluated one by one.
    scanned: usize,
    /// How many may be.
    budget: usize,
    /// The same in words.
    note: String,
}

impl Explain {
    /// Items that the database found and put in order by itself.
    pub(super) fn exact(
        trace: &Trace,
        used: Vec<AttributeIndexSid>,
        order: &Order,
        table: &Table,
        budget: usize,
    ) -> Self {
        let index = trace.by.or(used.first().copied());
        let led = !matches!(trace.spine, Some(Spine::Own) | None) || trace.by.is_some();
        let (plan, note) = if led {
            (
                "index",
                "A declared index leads to the items; whatever else is asked is looked up for each.",
            )
        } else if used.is_empty() {
            (
                "table",
                "The items' own fields are enough; the database reads them in its own order or index.",
            )
        } else {
            (
                "table",
                "The items are read from their table; declared indexes tell whether each is meant.",
            )
        };
        Self {
            plan,
            index,
            indexes: used,
            sort: order.told(table),
            scanned: 0,
            budget,
            note: note.to_owned(),
        }
    }

    /// Items that were read and evaluated one by one.
    pub(super) fn scan(
        trace: &Trace,
        used: Vec<AttributeIndexSid>,
        missing: &str,
        sorted: bool,
        budget: usize,
    ) -> Self {
        Self {
            plan: "scan",
            index: trace.by.or(used.first().copied()),
            indexes: used,
            sort: if sorted { "memory" } else { "table" }.to_owned(),
            scanned: trace.scanned,
            budget,
            note: format!(
                "No index can tell {missing}: up to {budget} items are read and evaluated one by one; beyond that, \
                 declare an index with POST …/AttributeIndexes."
            ),
        }
    }
}

impl Explain {
    /// A user's channels, of which the indexes have told `read` that may be meant.
    pub(super) fn of_user_channels(
        used: Vec<AttributeIndexSid>,
        gap: Option<&Gap>,
        read: usize,
        budget: usize,
    ) -> Self {
        let (plan, note) = match gap {
            Some(gap) => ("scan", format!("No index can tell {}: the user's channels are read and evaluated one by one.", gap.name())),
            None => ("table", "The user's channels are read and put in order; declared indexes tell which of them are meant.".to_owned()),
        };
        Self {
            plan,
            index: used.first().copied(),
            indexes: used,
            sort: "memory".to_owned(),
            scanned: if gap.is_some() { read } else { 0 },
            budget,
            note,
        }
    }
}

/// What keeps the database from answering by itself.
pub(super) enum Gap {
    Condition(Condition),
    Sort(SortBy),
}

impl Gap {
    /// The first condition that no index tells.
    pub(super) fn in_filter(filter: &Filter, declared: &[Declared]) -> Option<Self> {
        let mut gap = None;
        filter.conditions(&mut |condition| {
            let own = matches!(condition.field, Field::Own(_));
            if gap.is_none() && !own && !served::is_told(condition, declared) {
                gap = Some(Self::Condition(condition.clone()));
            }
        });
        gap
    }

    /// The first attribute to sort by of which there is no index.
    pub(super) fn in_sort(sort: &Sort, declared: &[Declared]) -> Option<Self> {
        let is_gap = |by: &&SortBy| match &by.field {
            Field::Own(_) => false,
            Field::Attribute { path, .. } => served::ready(declared, path).is_none(),
        };
        sort.0.iter().find(is_gap).cloned().map(Self::Sort)
    }

    fn field(&self) -> &Field {
        match self {
            Self::Condition(condition) => &condition.field,
            Self::Sort(sort) => &sort.field,
        }
    }

    /// The field's name.
    pub(super) fn name(&self) -> String {
        self.field().name()
    }

    /// The refusal when more than `budget` items would have to be read: it says what to declare.
    pub(super) async fn refusal(
        &self,
        ctx: &Ctx,
        table: &Table,
        filter: &Filter,
        declared: &[Declared],
        budget: usize,
    ) -> Result<Error> {
        let parameter = match self {
            Self::Condition(_) => "Filter",
            Self::Sort(_) => "Sort",
        };
        let Field::Attribute { path, .. } = self.field() else {
            return Ok(Error::internal("a field of the items' own is no gap"));
        };
        let (service, name, resource) = (ctx.scope(), self.name(), table.name);
        let declare = || {
            let kind = guess(filter, path);
            format!(
                "declare it with POST /v2/Services/{service}/AttributeIndexes Resource={resource} Path={path} Type={kind}"
            )
        };
        let remedy = match declared.iter().find(|index| index.path == *path) {
            None => format!("no index is declared over it; {}", declare()),
            Some(index) => {
                let id = index.id;
                let at = format!("/v2/Services/{service}/AttributeIndexes/{id}");
                match status(ctx, id).await?.as_deref() {
                    Some(BUILDING) => {
                        format!("its index {id} is still building; ask again when GET {at} says ready")
                    }
                    Some(crate::attribute_indexes::READY) => format!(
                        "its index {id} (GET {at}) is of type datetime, which cannot tell $prefix; use $gte and $lt"
                    ),
                    _ => format!("its index {id} has failed; DELETE {at}, then {}", declare()),
                }
            }
        };
        Ok(Error::parameter(
            parameter,
            &format!("at {name}: more than {budget} {resource} would have to be read one by one; {remedy}"),
        ))
    }
}

async fn status(ctx: &Ctx, index: AttributeIndexSid) -> Result<Option<String>> {
    let row = attribute_index::Entity::find()
        .filter(attribute_index::Column::ServiceId.eq(ctx.scope()))
        .filter(attribute_index::Column::Id.eq(index))
        .one(ctx.reader())
        .await?;
    Ok(row.map(|row| row.status))
}

/// The type that an index over the path should probably have, by what the filter compares with.
fn guess(filter: &Filter, path: &AttributePath) -> &'static str {
    let (mut kinds, mut dates) = (Vec::new(), true);
    filter.conditions(&mut |condition| {
        if matches!(&condition.field, Field::Attribute { path: of, .. } if of == path) {
            for operand in condition.test.operands() {
                kinds.push(match operand {
                    Scalar::Bool(_) => "boolean",
                    Scalar::Number(_) => "number",
                    Scalar::Instant(_) => "datetime",
                    Scalar::Text(text) => {
                        dates &= Timestamp::parse(text).is_some();
                        "string"
                    }
                });
            }
        }
    });
    match kinds.first() {
        Some(&"string") if dates => "datetime",
        Some(kind) => kind,
        None => "string",
    }
}
