//! What the entries must be, computed anew from the resources themselves.

use std::collections::{BTreeMap, BTreeSet};

use hubbub_core::{
    attribute_indexes::DATETIME,
    attributes::{self, AttributePath, Found, Scalar, SortKey},
    entities::{
        attribute_element, attribute_entry, attribute_index, attribute_leftover, channel, member, message,
        user,
    },
};
use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter};
use uuid::Uuid;

use crate::stage::Stage;

/// Key, rest, presence, elements.
type Entry = (Vec<u8>, Vec<u8>, bool, BTreeSet<(Vec<u8>, Vec<u8>)>);
type Entries = BTreeMap<(Uuid, Uuid), Entry>;

impl Stage {
    /// Every index has exactly the entries that it must have.
    pub(crate) async fn entries_are_true(&self) {
        let indexes = attribute_index::Entity::find()
            .filter(attribute_index::Column::ServiceId.eq(self.ctx.scope()))
            .all(self.core.db.writer())
            .await
            .unwrap();
        for index in indexes {
            let (kept, due) = (self.kept(&index).await, self.due(&index).await);
            assert_eq!(
                kept.keys().collect::<Vec<_>>(),
                due.keys().collect::<Vec<_>>(),
                "{} {}: other resources than there are",
                index.resource,
                index.path
            );
            for (place, entry) in &due {
                assert_eq!(&kept[place], entry, "{} {} {place:?}", index.resource, index.path);
            }
        }
    }

    /// How many entries, elements and leftovers the service has.
    pub(crate) async fn traces(&self) -> (u64, u64, u64) {
        let (db, service) = (self.core.db.writer(), self.ctx.scope());
        let entries = attribute_entry::Entity::find().filter(attribute_entry::Column::ServiceId.eq(service));
        let elements =
            attribute_element::Entity::find().filter(attribute_element::Column::ServiceId.eq(service));
        let leftovers =
            attribute_leftover::Entity::find().filter(attribute_leftover::Column::ServiceId.eq(service));
        (
            entries.count(db).await.unwrap(),
            elements.count(db).await.unwrap(),
            leftovers.count(db).await.unwrap(),
        )
    }

    async fn kept(&self, index: &attribute_index::Model) -> Entries {
        let db = self.core.db.writer();
        let mut kept: Entries = attribute_entry::Entity::find()
            .filter(attribute_entry::Column::ServiceId.eq(index.service_id))
            .filter(attribute_entry::Column::IndexId.eq(index.id))
            .all(db)
            .await
            .unwrap()
            .into_iter()
            .map(|row| {
                (
                    (row.scope_id, row.item_id),
                    (row.key, row.rest, row.present, BTreeSet::new()),
                )
            })
            .collect();
        let elements = attribute_element::Entity::find()
            .filter(attribute_element::Column::ServiceId.eq(index.service_id))
            .filter(attribute_element::Column::IndexId.eq(index.id))
            .all(db)
            .await
            .unwrap();
        for row in elements {
            let entry = kept
                .get_mut(&(row.scope_id, row.item_id))
                .unwrap_or_else(|| panic!("an element without an entry: {row:?}"));
            assert!(
                entry.3.insert((row.key.clone(), row.rest.clone())),
                "an element is there twice: {row:?}"
            );
        }
        kept
    }

    async fn due(&self, index: &attribute_index::Model) -> Entries {
        let path: AttributePath = index.path.parse().unwrap();
        let instants = index.kind == DATETIME;
        self.resources(&index.resource)
            .await
            .into_iter()
            .map(|(scope, id, text)| {
                let attributes = attributes::read(&text);
                let found = path.find(&attributes, instants);
                let key = SortKey::of(&found);
                let elements = match &found {
                    Found::Composite(value) => value.as_array().map_or_else(BTreeSet::new, |list| {
                        list.iter()
                            .filter_map(|element| Scalar::of(element, instants))
                            .map(|scalar| SortKey::from(&scalar))
                            .map(|key| (key.key, key.rest))
                            .collect()
                    }),
                    _ => BTreeSet::new(),
                };
                (
                    (scope, id),
                    (key.key, key.rest, found != Found::Missing, elements),
                )
            })
            .collect()
    }

    /// Scope, id and attributes of every resource that can be reached.
    async fn resources(&self, resource: &str) -> Vec<(Uuid, Uuid, String)> {
        let (db, service) = (self.core.db.writer(), self.ctx.scope());
        let channels = channel::Entity::find()
            .filter(channel::Column::ServiceId.eq(service))
            .filter(channel::Column::DeletedAt.is_null())
            .all(db)
            .await
            .unwrap();
        let living: BTreeSet<Uuid> = channels.iter().map(|channel| channel.id.0).collect();
        let rows: Vec<(Uuid, Uuid, String)> = match resource {
            "channels" => channels
                .into_iter()
                .map(|row| (service.0, row.id.0, row.attributes))
                .collect(),
            "users" => user::Entity::find()
                .filter(user::Column::ServiceId.eq(service))
                .all(db)
                .await
                .unwrap()
                .into_iter()
                .map(|row| (service.0, row.id.0, row.attributes))
                .collect(),
            "members" => member::Entity::find()
                .filter(member::Column::ServiceId.eq(service))
                .all(db)
                .await
                .unwrap()
                .into_iter()
                .map(|row| (row.channel_id.0, row.id.0, row.attributes))
                .collect(),
            _ => message::Entity::find()
                .filter(message::Column::ServiceId.eq(service))
                .filter(message::Column::RemovedAt.is_null())
                .all(db)
                .await
                .unwrap()
                .into_iter()
                .map(|row| (row.channel_id.0, row.id.0, row.attributes))
                .collect(),
        };
        rows.into_iter()
            .filter(|(scope, ..)| *scope == service.0 || living.contains(scope))
            .collect()
    }
}
