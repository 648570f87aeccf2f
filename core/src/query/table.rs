//! The resources whose lists take filters, and their rows as filters see them.

use std::cmp::Ordering;

use sea_orm::FromQueryResult;
use serde_json::Value;
use uuid::Uuid;

use crate::{
    attribute_indexes::Indexed,
    attributes::{self, Scalar, SortKey},
    entities::{channel, member, message, user},
    filter::{self, Direction, Document, OwnField, Sort, Subject},
    timestamp::Timestamp,
};

/// A resource's table.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) name: &'static str,
    pub(super) subject: &'static Subject,
    /// The column that is null as long as the row is there to be seen.
    pub(super) gone: Option<&'static str>,
    /// The column in whose order the list is without `Sort`; the last of its key.
    pub(super) tie: &'static str,
}

/// A row that lists with filters have.
pub(crate) trait Listed: Indexed + FromQueryResult + Send + Sync {
    /// Where its rows are.
    #[expect(private_interfaces, reason = "only this module reads tables")]
    const TABLE: &'static Table;

    /// The field of its own.
    fn own(&self, name: &str) -> Option<Scalar>;

    /// Its place in the list without `Sort`.
    #[expect(private_interfaces, reason = "only this module sorts")]
    fn tie(&self) -> Tie {
        Tie::Id(self.item().id)
    }
}

/// The place of an item in the list without `Sort`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Tie {
    Id(Uuid),
    Index(i64),
}

impl From<Tie> for sea_orm::Value {
    fn from(tie: Tie) -> Self {
        match tie {
            Tie::Id(id) => id.into(),
            Tie::Index(index) => index.into(),
        }
    }
}

/// A row with its attributes read, and its place in the order that was asked for.
pub(super) struct Row<T> {
    pub(super) model: T,
    attributes: Value,
    pub(super) place: Place,
}

/// A place in the order that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) keys: Vec<SortKey>,
    pub(super) tie: Tie,
    pub(super) id: Uuid,
}

impl<T: Listed> Row<T> {
    pub(super) fn new(model: T, sort: &Sort) -> Self {
        let item = model.item();
        let place = Place {
            keys: Vec::new(),
            tie: model.tie(),
            id: item.id,
        };
        let mut row = Self {
            attributes: attributes::read(item.attributes),
            place,
            model,
        };
        row.place.keys = sort.place(&row);
        row
    }
}

impl<T: Listed> Document for Row<T> {
    fn own(&self, field: &OwnField) -> Option<Scalar> {
        self.model.own(field.name)
    }

    fn attributes(&self) -> &Value {
        &self.attributes
    }
}

impl Place {
    /// The order of two places. What is missing is last; with `backward` the whole order is turned.
    pub(super) fn compare(&self, other: &Self, sort: &Sort, backward: bool) -> Ordering {
        let keys = self.keys.iter().zip(&other.keys).zip(&sort.0);
        let by_keys = keys.fold(Ordering::Equal, |order, ((own, other), by)| {
            order.then_with(|| match (own.is_placed(), other.is_placed()) {
                (true, true) if by.direction == Direction::Descending => other.cmp(own),
                (true, true) => own.cmp(other),
                (own, other) => other.cmp(&own),
            })
        });
        let order = by_keys.then(self.tie.cmp(&other.tie));
        if backward { order.reverse() } else { order }
    }
}

fn text(text: &str) -> Option<Scalar> {
    Some(Scalar::Text(text.to_owned()))
}

fn optional(value: Option<&String>) -> Option<Scalar> {
    value.map(|value| Scalar::Text(value.clone()))
}

/// A time as answers show it.
fn date(moment: Timestamp) -> Option<Scalar> {
    Some(Scalar::Instant(Timestamp::from_unix_seconds(
        moment.unix_seconds(),
    )))
}

#[expect(private_interfaces, reason = "as in the trait")]
impl Listed for channel::Model {
    const TABLE: &'static Table = &Table {
        name: "channels",
        subject: &filter::CHANNELS,
        gone: Some("deleted_at"),
        tie: "id",
    };

    fn own(&self, name: &str) -> Option<Scalar> {
        match name {
            "sid" => text(&self.id.to_string()),
            "unique_name" => optional(self.unique_name.as_ref()),
            "friendly_name" => optional(self.friendly_name.as_ref()),
            "type" => text(&self.kind),
            "created_by" => text(&self.created_by),
            "members_count" => Some(i64::from(self.members_count).into()),
            "messages_count" => Some(i64::from(self.messages_count).into()),
            "date_created" => date(self.date_created),
            "date_updated" => date(self.date_updated),
            "state" => optional(self.case_state.as_ref()),
            "assignee" => optional(self.assignee.as_ref()),
            "pool_sid" => self.pool_id.and_then(|pool| text(&pool.to_string())),
            "date_snoozed_until" => self.snoozed_until.and_then(date),
            "last_message_at" => self.last_message_at.and_then(date),
            "unread_messages_count" => {
                Some((self.next_index - 1 - self.pool_read_index.unwrap_or(-1)).into())
            }
            _ => None,
        }
    }
}

#[expect(private_interfaces, reason = "as in the trait")]
impl Listed for member::Model {
    const TABLE: &'static Table = &Table {
        name: "members",
        subject: &filter::MEMBERS,
        gone: None,
        tie: "id",
    };

    fn own(&self, name: &str) -> Option<Scalar> {
        match name {
            "sid" => text(&self.id.to_string()),
            "identity" => text(&self.identity),
            "role_sid" => text(&self.role_id.to_string()),
            "last_consumed_message_index" => self.last_consumed_message_index.map(Scalar::from),
            "last_consumption_timestamp" => self.last_consumption_timestamp.and_then(date),
            "date_created" => date(self.date_created),
            "date_updated" => date(self.date_updated),
            _ => None,
        }
    }
}

#[expect(private_interfaces, reason = "as in the trait")]
impl Listed for user::Model {
    const TABLE: &'static Table = &Table {
        name: "users",
        subject: &filter::USERS,
        gone: None,
        tie: "id",
    };

    fn own(&self, name: &str) -> Option<Scalar> {
        match name {
            "sid" => text(&self.id.to_string()),
            "identity" => text(&self.identity),
            "friendly_name" => optional(self.friendly_name.as_ref()),
            "role_sid" => text(&self.role_id.to_string()),
            "joined_channels_count" => Some(i64::from(self.joined_channels_count).into()),
            "date_created" => date(self.date_created),
            "date_updated" => date(self.date_updated),
            _ => None,
        }
    }
}

#[expect(private_interfaces, reason = "as in the trait")]
impl Listed for message::Model {
    const TABLE: &'static Table = &Table {
        name: "messages",
        subject: &filter::MESSAGES,
        gone: Some("removed_at"),
        tie: "idx",
    };

    fn own(&self, name: &str) -> Option<Scalar> {
        match name {
            "sid" => text(&self.id.to_string()),
            "index" => Some(self.idx.into()),
            "from" => text(&self.author),
            "body" => optional(self.body.as_ref()),
            "type" => text("text"),
            "last_updated_by" => optional(self.last_updated_by.as_ref()),
            "was_edited" => Some(Scalar::Bool(self.was_edited)),
            "date_created" => date(self.date_created),
            "date_updated" => date(self.date_updated),
            _ => None,
        }
    }

    fn tie(&self) -> Tie {
        Tie::Index(self.idx)
    }
}
