//! The event stream: for backends that cannot receive webhooks, or have lost some.

use actix_web::{get, web::Json};
use hubbub_core::{
    Ctx,
    events::{
        EventView,
        stream::{self, Reading, StreamPage},
    },
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{call::Call, refusal::Result, routes::Register};

pub(crate) fn routes(to: &mut impl Register) {
    to.add(read);
}

/// Which events.
#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "PascalCase")]
#[into_params(parameter_in = Query)]
struct ReadEvents {
    /// Those behind this position: the `after` of an earlier answer, or `now`; without it from the oldest that is kept.
    after: Option<String>,
    /// At most so many, 1 to 500.
    #[param(value_type = Option<i64>, default = 100, minimum = 1, maximum = 500)]
    limit: Option<i64>,
    /// For how many seconds to wait when there is none yet, 0 to 60.
    #[param(value_type = Option<i64>, default = 0, minimum = 0, maximum = 60)]
    wait: Option<i64>,
}

/// A piece of the stream.
#[derive(Serialize, ToSchema)]
struct EventPage {
    /// In the order of the stream, in which each channel's are in the order of their `seq`.
    events: Vec<EventView>,
    /// The position to go on from.
    after: String,
    /// False when the position that was given is older than what is kept: events before these may be missing.
    complete: bool,
    /// Whether there are more already.
    has_more: bool,
}

/// Read the service's durable events in order, from a position on.
///
/// Every reader gets the same events in the same order, whenever it reads. A call with the `after` of the one before
/// goes on where that ended: nothing is left out and nothing comes twice. With `Wait` it is answered when there is
/// something, or when the time is over.
#[utoipa::path(
    tag = "Event",
    operation_id = "ListEvent",
    params(ReadEvents),
    responses((status = 200, description = "OK", body = EventPage))
)]
#[get("/v2/Services/{ServiceSid}/Events")]
async fn read(call: Call<Ctx>) -> Result<Json<EventPage>> {
    let query: ReadEvents = call.query()?;
    let reading = Reading::new(query.after, query.limit, query.wait)?;
    let StreamPage {
        events,
        after,
        complete,
        has_more,
    } = stream::read(&call.ctx, &reading).await?;
    let events = events
        .iter()
        .map(|event| event.view(&call.base, event.kind))
        .collect();
    Ok(Json(EventPage {
        events,
        after,
        complete,
        has_more,
    }))
}
