//! What a list can be asked beside its page: `Filter`, `Sort` and `Explain`.

use hubbub_core::query::Asked;
use serde::Deserialize;
use utoipa::IntoParams;

/// What a list is asked.
#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "PascalCase")]
#[into_params(parameter_in = Query)]
pub(crate) struct AskedParams {
    /// Which items: a JSON object of conditions on fields and on `attributes.…`, all of which must hold, such as
    /// `{"attributes.ticket.priority": {"$gte": 3}, "type": "private"}`. Operators: `$eq` (or the value itself), `$ne`,
    /// `$gt`, `$gte`, `$lt`, `$lte`, `$in`, `$nin`, `$exists`, `$contains` (arrays), `$prefix` (texts), `$not`; `$and`
    /// and `$or` take lists of such objects. Declare an index (`AttributeIndexes`) over paths that large lists are
    /// asked for.
    #[param(value_type = Option<String>, example = r#"{"attributes.ticket.priority": {"$gte": 3}}"#)]
    filter: Option<String>,
    /// In which order: a JSON list of up to three fields with 1 or -1, such as
    /// `[{"attributes.ticket.priority": -1}, {"date_updated": -1}]`.
    #[param(value_type = Option<String>, example = r#"[{"attributes.ticket.priority": -1}]"#)]
    sort: Option<String>,
    /// `true` tells in `explain` how the items were found.
    explain: Option<bool>,
}

impl From<AskedParams> for Asked {
    fn from(given: AskedParams) -> Self {
        Self {
            filter: given.filter,
            sort: given.sort,
            explain: given.explain.unwrap_or_default(),
        }
    }
}
