//! A user's channels page by page, joined and invited ones together: what a backend reads.

use super::{UserChannel, load};
use crate::{
    ctx::Ctx,
    entities::user,
    error::Result,
    input::UserRef,
    paging::{self, Key, Page, PageRequest},
    query::{self, Asked, Listing},
    sid::ChannelSid,
    sql::Sql,
    users,
};

/// The tables in which a user has a place in a channel; never in both for the same channel.
pub(crate) const PLACES: [&str; 2] = ["members", "invites"];

/// The channels that a user has joined or is invited to, by the age of the channels: an answered invite changes no
/// entry's place.
///
/// # Errors
/// 20404 when there is no such user; 20006 when a user asks for another's; 20001 when the page token is unknown.
pub async fn list(
    ctx: &Ctx,
    user: &UserRef,
    request: &PageRequest,
) -> Result<(user::Model, Page<UserChannel>)> {
    let owner = users::own(ctx, user).await?;
    let behind = request.behind()?.map(ChannelSid);
    let (beyond, direction) = if request.is_backward() {
        (" < ", " DESC")
    } else {
        (" > ", " ASC")
    };
    let most = i64::try_from(request.size + 1).unwrap_or(i64::MAX);
    let mut sql = Sql::new("");
    for (number, places) in PLACES.into_iter().enumerate() {
        if number > 0 {
            sql.push(" UNION ALL ");
        }
        // Cut by itself, so that an index leads to the first rows however many the user's channels are.
        sql.push("SELECT channel_id FROM (SELECT p.channel_id FROM ")
            .push(places);
        sql.push(
            " p JOIN channels c ON c.service_id = p.service_id AND c.id = p.channel_id \
             WHERE c.deleted_at IS NULL AND p.service_id = ",
        );
        sql.bind(ctx.scope())
            .push(" AND p.identity = ")
            .bind(&*owner.identity);
        if let Some(behind) = behind {
            // Said of both tables: Postgres may walk along either.
            sql.push(" AND p.channel_id").push(beyond).bind(behind);
            sql.push(" AND c.id").push(beyond).bind(behind);
        }
        sql.push(" ORDER BY p.channel_id").push(direction).push(" LIMIT ");
        sql.bind(most).push(") ").push(places);
    }
    sql.push(" ORDER BY channel_id").push(direction).push(" LIMIT ");
    sql.bind(most);
    let rows = sql.all(ctx.reader()).await?;
    let ids = rows
        .iter()
        .map(|row| row.try_get("", "channel_id"))
        .collect::<Result<Vec<ChannelSid>, _>>()?;
    let Page {
        items: ids,
        next,
        previous,
    } = paging::cut(request, ids, |id| Key::Uuid(id.0));
    let items = load(ctx, &owner.identity, &ids).await?;
    let page = Page {
        items,
        next,
        previous,
    };
    Ok((owner, page))
}

/// The same as they are asked for.
///
/// # Errors
/// As [`list`] and [`query::user_channels`].
pub async fn search(
    ctx: &Ctx,
    user: &UserRef,
    asked: &Asked,
    request: &PageRequest,
) -> Result<(user::Model, Listing<UserChannel>)> {
    if asked.is_nothing() {
        let (owner, page) = list(ctx, user, request).await?;
        return Ok((owner, page.into()));
    }
    let owner = users::own(ctx, user).await?;
    let listing = query::user_channels(ctx, &owner.identity, asked, request).await?;
    Ok((owner, listing))
}
