//! The rows of declared indexes: what resources have at the indexed paths.

use std::collections::{BTreeSet, HashMap};

use sea_orm::{ConnectionTrait, Value};
use uuid::Uuid;

use super::{Covered, Declared};
use crate::{
    attributes::{self, Found, Scalar, SortKey},
    entities::{channel, member, message, user},
    error::Result,
    sid::{AttributeIndexSid, ServiceSid},
    sql::Sql,
};

/// The most rows that one statement writes: both databases bound the number of its values.
const ROWS: usize = 1000;

/// A resource as its indexes see it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Item<'a> {
    pub(crate) service: ServiceSid,
    /// What lists of it are confined to: its channel, or its service.
    pub(crate) scope: Uuid,
    pub(crate) id: Uuid,
    /// JSON text.
    pub(crate) attributes: &'a str,
}

/// A row whose attributes can be indexed.
pub(crate) trait Indexed {
    /// The kind of resource that it is.
    const COVERED: Covered;

    /// The row as its indexes see it.
    fn item(&self) -> Item<'_>;
}

macro_rules! indexed {
    ($($model:ty: $covered:ident in $scope:ident;)*) => {$(
        impl Indexed for $model {
            const COVERED: Covered = Covered::$covered;

            fn item(&self) -> Item<'_> {
                Item {
                    service: self.service_id,
                    scope: self.$scope.0,
                    id: self.id.0,
                    attributes: &self.attributes,
                }
            }
        }
    )*};
}

indexed! {
    channel::Model: Channels in service_id;
    member::Model: Members in channel_id;
    user::Model: Users in service_id;
    message::Model: Messages in channel_id;
}

/// The key of an entry: service, index, scope, resource.
type Place = (ServiceSid, AttributeIndexSid, Uuid, Uuid);

/// What some resources have in some indexes, in the order of the tables' keys: whoever writes several rows locks them
/// in this order.
pub(super) struct Entries {
    entries: Vec<(Place, SortKey, bool)>,
    elements: Vec<(Place, i32, SortKey)>,
}

impl Entries {
    /// Reads the items' attributes, each once, at the paths of their services' indexes.
    pub(super) fn read<'a>(
        items: impl IntoIterator<Item = Item<'a>>,
        indexes: &HashMap<ServiceSid, Vec<Declared>>,
    ) -> Self {
        let (mut entries, mut elements) = (Vec::new(), Vec::new());
        for item in items {
            let Some(declared) = indexes.get(&item.service).filter(|list| !list.is_empty()) else {
                continue;
            };
            let attributes = attributes::read(item.attributes);
            for index in declared {
                let place = (item.service, index.id, item.scope, item.id);
                let found = index.path.find(&attributes, index.instants);
                entries.push((place, SortKey::of(&found), found != Found::Missing));
                let distinct = distinct_elements(&found, index.instants);
                elements.extend((0..).zip(distinct).map(|(ordinal, key)| (place, ordinal, key)));
            }
        }
        entries.sort_unstable_by_key(|(place, ..)| *place);
        elements.sort_unstable_by_key(|(place, ordinal, _)| (*place, *ordinal));
        Self { entries, elements }
    }

    /// Writes them for resources that nobody has written entries of.
    pub(super) async fn insert(&self, db: &impl ConnectionTrait) -> Result<()> {
        for rows in self.entries.chunks(ROWS) {
            insert_entries(rows).execute(db).await?;
        }
        insert_elements(db, &self.elements).await
    }

    /// Writes them in place of what is there.
    pub(super) async fn replace(&self, db: &impl ConnectionTrait) -> Result<()> {
        for rows in self.entries.chunks(ROWS) {
            let mut sql = insert_entries(rows);
            sql.push(
                " ON CONFLICT (service_id, index_id, scope_id, item_id) DO UPDATE \
                 SET key = excluded.key, rest = excluded.rest, present = excluded.present \
                 WHERE attribute_entries.key <> excluded.key OR attribute_entries.rest <> excluded.rest \
                 OR attribute_entries.present <> excluded.present",
            );
            sql.execute(db).await?;
        }
        for rows in self.entries.chunks(ROWS) {
            let mut sql = Sql::new(
                "DELETE FROM attribute_elements WHERE (service_id, index_id, scope_id, item_id) IN ",
            );
            sql.values(rows.iter().map(|(place, ..)| place_values(*place)));
            sql.execute(db).await?;
        }
        insert_elements(db, &self.elements).await
    }

    /// Writes those that are missing. An entry that is there was made by somebody who knew at least as much.
    pub(super) async fn insert_missing(mut self, db: &impl ConnectionTrait) -> Result<()> {
        let mut written: BTreeSet<(Uuid, Uuid)> = BTreeSet::new();
        for rows in self.entries.chunks(ROWS) {
            let mut sql = insert_entries(rows);
            sql.push(" ON CONFLICT (service_id, index_id, scope_id, item_id) DO NOTHING");
            if self.elements.is_empty() {
                sql.execute(db).await?;
                continue;
            }
            sql.push(" RETURNING scope_id, item_id");
            for row in sql.all(db).await? {
                written.insert((row.try_get("", "scope_id")?, row.try_get("", "item_id")?));
            }
        }
        self.elements
            .retain(|((_, _, scope, item), ..)| written.contains(&(*scope, *item)));
        insert_elements(db, &self.elements).await
    }
}

/// The distinct scalars of an array; nothing else has elements.
fn distinct_elements(found: &Found<'_>, instants: bool) -> BTreeSet<SortKey> {
    match found {
        Found::Composite(serde_json::Value::Array(list)) => list
            .iter()
            .filter_map(|element| Scalar::of(element, instants))
            .map(|scalar| SortKey::from(&scalar))
            .collect(),
        _ => BTreeSet::new(),
    }
}

fn place_values((service, index, scope, item): Place) -> [Value; 4] {
    [service.into(), index.into(), scope.into(), item.into()]
}

fn insert_entries(rows: &[(Place, SortKey, bool)]) -> Sql {
    let mut sql = Sql::new(
        "INSERT INTO attribute_entries (service_id, index_id, scope_id, item_id, key, rest, present) VALUES ",
    );
    sql.rows(rows.iter().map(|(place, sort, present)| {
        let [service, index, scope, item] = place_values(*place);
        let (key, rest) = (sort.key.clone().into(), sort.rest.clone().into());
        [service, index, scope, item, key, rest, (*present).into()]
    }));
    sql
}

async fn insert_elements(db: &impl ConnectionTrait, elements: &[(Place, i32, SortKey)]) -> Result<()> {
    for rows in elements.chunks(ROWS) {
        let mut sql = Sql::new(
            "INSERT INTO attribute_elements (service_id, index_id, scope_id, item_id, ordinal, key, rest) VALUES ",
        );
        sql.rows(rows.iter().map(|(place, ordinal, sort)| {
            let [service, index, scope, item] = place_values(*place);
            let (key, rest) = (sort.key.clone().into(), sort.rest.clone().into());
            [service, index, scope, item, (*ordinal).into(), key, rest]
        }));
        sql.execute(db).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attributes::MISSING_KEY;

    fn read(attributes: &str, path: &str, instants: bool) -> Entries {
        let service = ServiceSid::generate();
        let index = Declared {
            id: AttributeIndexSid::generate(),
            path: path.parse().unwrap(),
            instants,
            ready: false,
        };
        let item = Item {
            service,
            scope: service.0,
            id: Uuid::now_v7(),
            attributes,
        };
        Entries::read([item], &HashMap::from([(service, vec![index])]))
    }

    fn text(text: &str) -> SortKey {
        SortKey::from(&Scalar::Text(text.to_owned()))
    }

    #[test]
    fn every_resource_has_one_entry_and_only_missing_values_are_absent() {
        for (attributes, present, placed) in [
            (r#"{"a": 1}"#, true, true),
            (r#"{"a": "x"}"#, true, true),
            (r#"{"a": false}"#, true, true),
            (r#"{"a": [1]}"#, true, false),
            (r#"{"a": {}}"#, true, false),
            (r#"{"a": null}"#, false, false),
            ("{}", false, false),
            ("[1]", false, false),
            ("no JSON", false, false),
        ] {
            let read = read(attributes, "a", false);
            let [(_, key, is_present)] = &read.entries[..] else {
                panic!("{attributes}: {} entries", read.entries.len());
            };
            assert_eq!((*is_present, key.is_placed()), (present, placed), "{attributes}");
            assert_eq!(key.key == MISSING_KEY, !placed, "{attributes}");
        }
    }

    #[test]
    fn the_elements_of_an_array_are_its_distinct_scalars() {
        let read = read(r#"{"a": ["x", "y", "x", null, [1], {}, 1, 1.0]}"#, "a", false);
        let found: Vec<(i32, &SortKey)> = read
            .elements
            .iter()
            .map(|(_, ordinal, key)| (*ordinal, key))
            .collect();
        let one = SortKey::from(&Scalar::number(1.0));
        assert_eq!(found, [(0, &one), (1, &text("x")), (2, &text("y"))]);
        let other = self::read(r#"{"a": {"b": 1}}"#, "a", false);
        assert!(other.elements.is_empty());
    }

    #[test]
    fn dates_are_instants_to_an_index_of_dates_also_inside_arrays() {
        let moments = r#"{"a": ["2026-01-01T01:00:00+01:00", "2026-01-01T00:00:00Z"]}"#;
        assert_eq!(read(moments, "a", true).elements.len(), 1);
        assert_eq!(read(moments, "a", false).elements.len(), 2);
    }
}
