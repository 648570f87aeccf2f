//! Declared indexes over attributes: `POST /v2/Services/{IS}/AttributeIndexes`.
//!
//! Every resource that an index covers has one entry in it. Writers keep the entries up in the transactions of their
//! changes ([`upkeep`]); what was there before the declaration is entered by the workers ([`build`])
//! in their [`Rounds`], which also sweep what is left of indexes that were taken down.

mod actions;
mod border;
mod build;
mod entries;
mod rounds;
mod sweep;
pub(crate) mod upkeep;
mod view;

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};

pub(crate) use actions::take_down;
pub use actions::{NewIndex, create, delete, get, list};
pub(crate) use entries::Indexed;
pub use rounds::{Next, Rounds};
pub use view::{AttributeIndexView, view};

use crate::{
    attributes::AttributePath,
    entities::attribute_index,
    error::{Error, Result},
    sid::{AttributeIndexSid, ServiceSid},
};

/// The resources whose attributes can be indexed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Covered {
    /// The channels of a service.
    Channels,
    /// The members of each channel.
    Members,
    /// The users of a service.
    Users,
    /// The messages of each channel.
    Messages,
}

impl Covered {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Channels, Self::Members, Self::Users, Self::Messages];

    /// The name in requests and answers.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Channels => "channels",
            Self::Members => "members",
            Self::Users => "users",
            Self::Messages => "messages",
        }
    }

    /// The one of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|covered| covered.name() == name)
    }
}

/// The type of an index over dates; it alone changes how values compare.
pub const DATETIME: &str = "datetime";
/// The types of values that an index can be declared for.
pub const KINDS: [&str; 4] = ["string", "number", "boolean", DATETIME];
/// The status of an index that does not have all entries yet.
pub const BUILDING: &str = "building";
/// The status of an index that could not be built.
pub const FAILED: &str = "failed";
/// The status of an index that answers queries.
pub const READY: &str = "ready";
/// The status of an index that is being taken down: nobody sees it any more.
pub const DELETING: &str = "deleting";

/// A declared index, as writers and readers of attributes need it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declared {
    /// Its SID.
    pub id: AttributeIndexSid,
    /// What it covers.
    pub path: AttributePath,
    /// Whether texts that are dates are points in time to it (type `datetime`). That holds from its declaration on.
    pub instants: bool,
    /// Whether it answers queries. Writers keep an index up from its declaration on.
    pub ready: bool,
}

impl Declared {
    fn of(row: &attribute_index::Model) -> Result<Self> {
        Ok(Self {
            id: row.id,
            path: row.path.parse().map_err(Error::internal)?,
            instants: row.kind == DATETIME,
            ready: row.status == READY,
        })
    }
}

/// The indexes that the service has declared over this resource.
///
/// # Errors
/// Whatever the database refuses.
pub async fn declared(
    db: &impl ConnectionTrait,
    service: ServiceSid,
    resource: Covered,
) -> Result<Vec<Declared>> {
    let rows = attribute_index::Entity::find()
        .filter(attribute_index::Column::ServiceId.eq(service))
        .filter(attribute_index::Column::Resource.eq(resource.name()))
        .filter(attribute_index::Column::Status.ne(DELETING))
        .all(db)
        .await?;
    rows.iter().map(Declared::of).collect()
}
