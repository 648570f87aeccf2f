//! Keyset pages: stable while rows come and go.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, QueryOrder,
    QuerySelect, Select, Value, sea_query::ColumnType,
};
use uuid::Uuid;

use crate::error::{Error, Result};

/// The page size when none is asked for.
pub const DEFAULT_SIZE: u64 = 50;

/// The direction in which a list reads its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// Oldest first.
    #[default]
    Ascending,
    /// Newest first.
    Descending,
}

/// Where a page begins. Opaque outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageToken {
    backward: bool,
    key: Key,
}

/// A value of the column by which a list is ordered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    /// A SID's UUID.
    Uuid(Uuid),
    /// An index.
    Index(i64),
    /// A place in an order that was asked for, as `query` writes it.
    Place(Vec<u8>),
}

impl Key {
    /// Whether a column of this type has such values.
    fn fits(&self, column: &ColumnType) -> bool {
        matches!(
            (self, column),
            (Self::Uuid(_), ColumnType::Uuid)
                | (Self::Index(_), ColumnType::BigInteger | ColumnType::Integer)
        )
    }
}

pub(crate) fn unknown_token() -> Error {
    Error::parameter(
        "PageToken",
        "is unknown: take it from next_page_url or previous_page_url",
    )
}

impl From<Key> for Value {
    fn from(key: Key) -> Self {
        match key {
            Key::Uuid(uuid) => uuid.into(),
            Key::Index(index) => index.into(),
            Key::Place(bytes) => bytes.into(),
        }
    }
}

impl PageToken {
    /// The place in an order that was asked for, if it is one.
    pub(crate) fn place(&self) -> Option<&[u8]> {
        match &self.key {
            Key::Place(place) => Some(place),
            Key::Uuid(_) | Key::Index(_) => None,
        }
    }

    /// The text in URLs.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut bytes = vec![if self.backward { b'p' } else { b'n' }];
        match &self.key {
            Key::Uuid(uuid) => {
                bytes.push(b'u');
                bytes.extend_from_slice(uuid.as_bytes());
            }
            Key::Index(index) => {
                bytes.push(b'i');
                bytes.extend_from_slice(&index.to_be_bytes());
            }
            Key::Place(place) => {
                bytes.push(b'q');
                bytes.extend_from_slice(place);
            }
        }
        format!("PT{}", BASE64_URL_SAFE_NO_PAD.encode(bytes))
    }

    /// Reads the text in URLs.
    ///
    /// # Errors
    /// 20001 naming `PageToken`.
    pub fn decode(text: &str) -> Result<Self> {
        Self::try_decode(text).ok_or_else(unknown_token)
    }

    fn try_decode(text: &str) -> Option<Self> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text.strip_prefix("PT")?).ok()?;
        let (&[direction, kind], key) = bytes.split_first_chunk::<2>()?;
        let backward = match direction {
            b'n' => false,
            b'p' => true,
            _ => return None,
        };
        let key = match kind {
            b'u' => Key::Uuid(Uuid::from_slice(key).ok()?),
            b'i' => Key::Index(i64::from_be_bytes(key.try_into().ok()?)),
            b'q' => Key::Place(key.to_vec()),
            _ => return None,
        };
        Some(Self { backward, key })
    }
}

/// What is asked for.
#[derive(Debug, Clone, Default)]
pub struct PageRequest {
    /// The most items; clamped by the caller.
    pub size: u64,
    /// Where to begin; `None` for the start.
    pub token: Option<PageToken>,
}

impl PageRequest {
    /// The first page, of this size.
    #[must_use]
    pub fn first(size: u64) -> Self {
        Self { size, token: None }
    }

    /// Whether the list is read against its order, to the page before.
    pub(crate) fn is_backward(&self) -> bool {
        self.token.as_ref().is_some_and(|token| token.backward)
    }

    /// The key behind which a list by SID is read; `None` for the start.
    ///
    /// # Errors
    /// 20001 when the token is of another kind of list.
    pub(crate) fn behind(&self) -> Result<Option<Uuid>> {
        match self.token.as_ref().map(|token| &token.key) {
            None => Ok(None),
            Some(Key::Uuid(uuid)) => Ok(Some(*uuid)),
            Some(Key::Index(_) | Key::Place(_)) => Err(unknown_token()),
        }
    }
}

/// A page.
#[derive(Debug, Clone)]
pub struct Page<T> {
    /// Its items, in the list's order.
    pub items: Vec<T>,
    /// Leads to the page behind it.
    pub next: Option<PageToken>,
    /// Leads to the page before it.
    pub previous: Option<PageToken>,
}

impl<T> Page<T> {
    /// The same page of something else.
    pub fn map<U>(self, convert: impl FnMut(T) -> U) -> Page<U> {
        Page {
            items: self.items.into_iter().map(convert).collect(),
            next: self.next,
            previous: self.previous,
        }
    }
}

/// Reads one page of `select`, ordered by `column`, whose value of an item `key` tells.
///
/// # Errors
/// 20001 when the token is of another list's kind; whatever the database refuses.
pub async fn fetch<E, M>(
    db: &impl ConnectionTrait,
    select: Select<E>,
    column: E::Column,
    order: Order,
    request: &PageRequest,
    key: impl Fn(&M) -> Key,
) -> Result<Page<M>>
where
    E: EntityTrait<Model = M>,
    M: FromQueryResult + sea_orm::ModelTrait<Entity = E> + Send + Sync,
{
    let ascending = (order == Order::Ascending) != request.is_backward();
    let mut select = if ascending {
        select.order_by_asc(column)
    } else {
        select.order_by_desc(column)
    };
    if let Some(token) = &request.token {
        if !token.key.fits(column.def().get_column_type()) {
            return Err(unknown_token());
        }
        let value = Value::from(token.key.clone());
        let beyond = if ascending {
            column.gt(value)
        } else {
            column.lt(value)
        };
        select = select.filter(Condition::all().add(beyond));
    }
    Ok(cut(request, select.limit(request.size + 1).all(db).await?, key))
}

/// The page of `items`, which were read from where `request` says, in its direction, one more than it asks for when
/// there are as many.
pub(crate) fn cut<M>(request: &PageRequest, mut items: Vec<M>, key: impl Fn(&M) -> Key) -> Page<M> {
    let backward = request.is_backward();
    let more = items.len() as u64 > request.size;
    if more {
        items.pop();
    }
    if backward {
        items.reverse();
    }
    let (has_next, has_previous) = if backward {
        (true, more)
    } else {
        (more, request.token.is_some())
    };
    let token = |backward: bool, item: Option<&M>| {
        item.map(|item| PageToken {
            backward,
            key: key(item),
        })
    };
    Page {
        next: if has_next {
            token(false, items.last())
        } else {
            None
        },
        previous: if has_previous {
            token(true, items.first())
        } else {
            None
        },
        items,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_survive_the_round_and_nonsense_is_refused() {
        for token in [
            PageToken {
                backward: false,
                key: Key::Uuid(Uuid::now_v7()),
            },
            PageToken {
                backward: true,
                key: Key::Index(-7),
            },
            PageToken {
                backward: false,
                key: Key::Place(vec![0, 255, 7]),
            },
        ] {
            assert_eq!(PageToken::decode(&token.encode()).unwrap(), token);
        }
        for text in ["", "PT", "PTbnU", "nonsense", "PT!!"] {
            assert_eq!(
                PageToken::decode(text).unwrap_err().code().code(),
                20001,
                "{text}"
            );
        }
    }
}
