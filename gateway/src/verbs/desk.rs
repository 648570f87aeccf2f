//! Verbs of operators about the channels of their pools.

use hubbub_core::{
    Error, Result, Timestamp,
    desk::{self, Case, CaseUpdate, CaseView, DeskAsked},
    paging::Page,
    query::Asked,
    sid::OperatorPoolSid,
};
use serde::Serialize;
use serde_json::{Value, json};

use super::{Answer, Args, Session, args::shorten, data};

/// The length of a page of the desk, unless asked for otherwise, and at most.
const CHANNELS: (u64, u64) = (50, 100);

/// What an operator who is no member is to a channel.
pub(super) const OPERATOR: &str = "operator";

impl Session {
    pub(super) async fn get_desk(&self, args: &Args) -> Answer {
        let pool = pool(args)?;
        let request = args.page(CHANNELS.0, CHANNELS.1)?;
        let asked = DeskAsked {
            state: args.owned_text("state")?,
            assignee: args.owned_text("assignee")?,
            asked: Asked {
                filter: args.json_text("filter")?,
                sort: args.json_text("sort")?,
                explain: false,
            },
        };
        let Page { items, next, .. } = desk::list(&self.fresh().await?, pool, &asked, &request)
            .await?
            .page;
        let entries: Vec<Value> = items.iter().map(|case| self.case(case)).collect();
        data(&json!({
            "channels": entries,
            "next_page_token": next.map(|token| token.encode()),
        }))
    }

    /// The channel in its REST JSON with what the desk says of it and, as in `getChannels`, once more as `channel`.
    pub(super) fn case(&self, case: &Case) -> Value {
        let (account, base) = (self.client.account, &self.client.base);
        json!(Entry {
            case: desk::view(case, account, base),
            channel: hubbub_core::channels::view(&case.channel, account, base),
            member: None,
            status: OPERATOR,
        })
    }
}

/// A channel of a desk.
#[derive(Serialize)]
struct Entry {
    #[serde(flatten)]
    case: CaseView,
    channel: hubbub_core::channels::ChannelView,
    member: Option<()>,
    status: &'static str,
}

/// `pool`: a SID.
fn pool(args: &Args) -> Result<OperatorPoolSid> {
    let text = args.required_text("pool")?;
    text.parse()
        .map_err(|_| Error::not_found(format_args!("/OperatorPools/{}", shorten(text))))
}

/// What is to change of a channel's case.
pub(super) fn case_update(args: &Args) -> Result<CaseUpdate> {
    let date = |text: &str| {
        let wrong = || {
            Error::parameter(
                "snooze_until",
                "must be an ISO 8601 date, such as 2030-12-16T22:18:37Z",
            )
        };
        match text {
            "" => Ok(None),
            text => Timestamp::parse(text).map(Some).ok_or_else(wrong),
        }
    };
    Ok(CaseUpdate {
        state: args.owned_text("state")?,
        assignee: args.owned_text("assignee")?,
        pool_sid: args.owned_text("pool_sid")?,
        snooze_until: args.text("snooze_until")?.map(date).transpose()?,
    })
}
