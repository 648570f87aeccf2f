//! A user's channels as they are asked for. They are not many: what declared indexes leave of them is read, and put in
//! order in memory.

use serde_json::Value;

use super::{
    ATTEMPTS, Asked, Listing, declared,
    explain::{Explain, Gap},
    ground::Ground,
    parsed,
    place::{self, Question},
    served::Served,
    still_ready,
    table::{Listed, Place, Tie},
    term::Term,
};
use crate::{
    attribute_indexes::{Covered, Declared},
    attributes::{self, Scalar},
    ctx::Ctx,
    entities::channel,
    error::{Error, Result},
    filter::{Document, Field, Filter, OwnField, Sort, USER_CHANNELS},
    paging::{self, Key, PageRequest},
    sid::{AttributeIndexSid, ChannelSid},
    sql::Sql,
    user_channels::{PLACES, UserChannel, load, places},
};

/// How many are read at a time.
const PORTION: usize = 500;

struct Row {
    channel: UserChannel,
    attributes: Value,
    place: Place,
}

impl Row {
    fn new(channel: UserChannel, sort: &Sort) -> Self {
        let id = channel.channel.id.0;
        let mut row = Self {
            attributes: attributes::read(&channel.channel.attributes),
            place: Place {
                keys: Vec::new(),
                tie: Tie::Id(id),
                id,
            },
            channel,
        };
        row.place.keys = sort.place(&row);
        row
    }
}

impl Document for Row {
    fn own(&self, field: &OwnField) -> Option<Scalar> {
        let channel = &self.channel;
        match field.name {
            "channel_sid" => Some(Scalar::Text(channel.channel.id.to_string())),
            "member_sid" => channel.member().map(|member| Scalar::Text(member.id.to_string())),
            "status" => Some(Scalar::Text(channel.status().to_owned())),
            "notification_level" => Some(Scalar::Text(channel.notification_level().to_owned())),
            "last_consumed_message_index" => channel.last_consumed_message_index().map(Scalar::from),
            "unread_messages_count" => channel.unread.map(Scalar::from),
            _ => None,
        }
    }

    fn attributes(&self) -> &Value {
        &self.attributes
    }
}

/// One page of the channels that the user has joined or is invited to.
///
/// # Errors
/// As [`super::run`].
pub(crate) async fn user_channels(
    ctx: &Ctx,
    identity: &str,
    asked: &Asked,
    request: &PageRequest,
) -> Result<Listing<UserChannel>> {
    for _ in 0..ATTEMPTS {
        let (mut filter, mut sort) = parsed(asked, &USER_CHANNELS)?;
        let declared = declared(ctx.reader(), ctx.scope(), Covered::Channels, &filter, &sort).await?;
        filter.settle(&declared);
        sort.settle(&declared);
        let question = Question::of(
            USER_CHANNELS.name,
            asked.filter.as_deref(),
            asked.sort.as_deref(),
            &sort,
        );
        let attempt = Attempt {
            ctx,
            identity,
            filter: &filter,
            sort: &sort,
            declared: &declared,
        };
        let gap = Gap::in_filter(&filter, &declared).or(Gap::in_sort(&sort, &declared));
        let (ids, used) = attempt.candidates(gap.as_ref()).await?;
        let read = ids.len();
        let rows = attempt.rows(ids, question, request).await?;
        if !still_ready(ctx.reader(), ctx.scope(), Covered::Channels, &used).await? {
            continue;
        }
        let place = |row: &Row| Key::Place(place::encode(question, &row.place));
        let page = paging::cut(request, rows, place).map(|row| row.channel);
        let budget = ctx.core.settings.lists.scan_budget;
        let explain = Explain::of_user_channels(used, gap.as_ref(), read, budget);
        return Ok(Listing {
            page: paging::Page {
                items: attempt.with_unread(page.items).await?,
                next: page.next,
                previous: page.previous,
            },
            explain: asked.explain.then_some(explain),
        });
    }
    Err(Error::unavailable("declared indexes come and go too fast"))
}

struct Attempt<'a> {
    ctx: &'a Ctx,
    identity: &'a str,
    filter: &'a Filter,
    sort: &'a Sort,
    declared: &'a [Declared],
}

impl Attempt<'_> {
    /// The user's channels that may be meant, as far as declared indexes tell, and these indexes.
    async fn candidates(&self, gap: Option<&Gap>) -> Result<(Vec<ChannelSid>, Vec<AttributeIndexSid>)> {
        let ctx = self.ctx;
        let term = Served::of_attributes(self.filter, self.declared).term;
        let mut used = Vec::new();
        if let Some(term) = &term {
            term.indexes(&mut used);
        }
        used.sort_unstable();
        used.dedup();
        let budget = ctx.core.settings.lists.scan_budget;
        let mut sql = self.places(term.as_ref());
        if gap.is_some() {
            sql.push(&format!(" LIMIT {}", budget.saturating_add(1)));
        }
        let rows = sql.all(ctx.reader()).await?;
        match gap {
            Some(gap) if rows.len() > budget => {
                let table = channel::Model::TABLE;
                Err(gap
                    .refusal(ctx, table, self.filter, self.declared, budget)
                    .await?)
            }
            _ => {
                let ids = rows.iter().map(|row| row.try_get("", "channel_id"));
                Ok((ids.collect::<Result<_, _>>()?, used))
            }
        }
    }

    fn places(&self, term: Option<&Term>) -> Sql {
        let ground = Ground {
            table: channel::Model::TABLE,
            backend: self.ctx.core.db.backend(),
            service: self.ctx.scope(),
            channel: None,
        };
        let mut sql = Sql::new("");
        for (number, places) in PLACES.into_iter().enumerate() {
            if number > 0 {
                sql.push(" UNION ALL ");
            }
            sql.push("SELECT p.channel_id FROM ").push(places);
            sql.push(
                " p JOIN channels c ON c.service_id = p.service_id AND c.id = p.channel_id \
                 WHERE c.deleted_at IS NULL AND p.service_id = ",
            );
            sql.bind(self.ctx.scope())
                .push(" AND p.identity = ")
                .bind(self.identity);
            if let Some(term) = term {
                sql.push(" AND ");
                ground.whole(&mut sql, term, "c.id", None);
            }
        }
        sql
    }

    /// The first of those that are meant, one more than the page has.
    async fn rows(
        &self,
        ids: Vec<ChannelSid>,
        question: Question,
        request: &PageRequest,
    ) -> Result<Vec<Row>> {
        let behind = match place::marked(question, self.sort, request)? {
            None => None,
            Some(marked) => Some(match marked.whole() {
                Some(place) => place,
                None => {
                    let now = self.read(&[ChannelSid(marked.id)]).await?.pop();
                    marked.resolve(now.map(|row| row.place))?
                }
            }),
        };
        let most = usize::try_from(request.size)
            .unwrap_or(usize::MAX)
            .saturating_add(1);
        let compare = |one: &Place, other: &Place| one.compare(other, self.sort, request.is_backward());
        let mut rows: Vec<Row> = Vec::new();
        for portion in ids.chunks(PORTION) {
            rows.extend(self.read(portion).await?.into_iter().filter(|row| {
                let ahead = behind
                    .as_ref()
                    .is_none_or(|place| compare(&row.place, place).is_gt());
                ahead && self.filter.matches(row)
            }));
            rows.sort_by(|one, other| compare(&one.place, &other.place));
            rows.truncate(most);
        }
        Ok(rows)
    }

    async fn read(&self, ids: &[ChannelSid]) -> Result<Vec<Row>> {
        let found = if self.asks_for_unread() {
            load(self.ctx, self.identity, ids).await?
        } else {
            places(self.ctx, self.identity, ids).await?
        };
        Ok(found
            .into_iter()
            .map(|channel| Row::new(channel, self.sort))
            .collect())
    }

    fn asks_for_unread(&self) -> bool {
        let is_unread =
            |field: &Field| matches!(field, Field::Own(own) if own.name == "unread_messages_count");
        let mut asked = self.sort.0.iter().any(|by| is_unread(&by.field));
        self.filter
            .conditions(&mut |condition| asked |= is_unread(&condition.field));
        asked
    }

    /// The page's channels with what is unread, where that was not asked for before.
    async fn with_unread(&self, channels: Vec<UserChannel>) -> Result<Vec<UserChannel>> {
        if self.asks_for_unread() {
            return Ok(channels);
        }
        let ids: Vec<ChannelSid> = channels.iter().map(|place| place.channel.id).collect();
        load(self.ctx, self.identity, &ids).await
    }
}
