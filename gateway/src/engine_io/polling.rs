//! HTTP long-polling.

use std::{pin::pin, sync::Arc};

use actix_web::{
    HttpRequest, HttpResponse,
    http::{Method, StatusCode, header},
    rt,
    web::{Buf as _, BytesMut, Payload},
};
use bytestring::ByteString;
use futures_util::{
    StreamExt as _,
    future::{Either, select},
};
use tokio::time::timeout;

use super::{
    close::CloseReason,
    config::EngineConfig,
    cors, payload,
    registry::Registry,
    request::{Query, Refusal, RequestedTransport},
    session::{OutputHold, SMALL_INPUT, Session},
};

/// So many packets of one body are taken before others get their turn.
const MOST_IN_A_TURN: usize = 128;

const PACKETS: &str = "text/plain; charset=UTF-8";

/// A reply, before the headers that all of them get.
struct Reply {
    content_type: &'static str,
    body: String,
}

/// Serves one request.
pub(super) async fn serve(request: HttpRequest, body: Payload, registry: Arc<Registry>) -> HttpResponse {
    let origins = &registry.config().origins;
    if *request.method() == Method::OPTIONS {
        let mut response = HttpResponse::NoContent();
        cors::allow(origins, request.headers(), &mut response);
        cors::allow_preflight(request.headers(), &mut response);
        return response.finish();
    }
    let mut response = HttpResponse::build(StatusCode::OK);
    let reply = match answer(&request, body, &registry).await {
        Ok(reply) => reply,
        Err(refusal) => {
            response.status(refusal.status());
            if let Some(seconds) = refusal.retry_after() {
                response.insert_header((header::RETRY_AFTER, seconds));
            }
            Reply {
                content_type: "application/json",
                body: refusal.body(),
            }
        }
    };
    cors::allow(origins, request.headers(), &mut response);
    response
        .insert_header((header::CONTENT_TYPE, reply.content_type))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .body(reply.body)
}

async fn answer(request: &HttpRequest, body: Payload, registry: &Arc<Registry>) -> Result<Reply, Refusal> {
    let query = Query::of(request.head());
    if query.transport()? == RequestedTransport::WebSocket {
        // A real one does not come here: see `listen`.
        return Err(Refusal::BadRequest);
    }
    let Some(sid) = query.sid()? else {
        return open(request, &query, registry);
    };
    let session = registry.get(sid).ok_or(Refusal::UnknownSid)?;
    if !query.is_version_4() {
        return Err(Refusal::BadRequest);
    }
    match *request.method() {
        Method::GET => Ok(Reply {
            content_type: PACKETS,
            body: session.poll().await?,
        }),
        Method::POST => {
            let hold = post(request, body, &session).await?;
            // This task goes on to write the answer before its thread comes to the next one.
            rt::spawn(async { drop(hold) });
            Ok(Reply {
                content_type: "text/html",
                body: "ok".into(),
            })
        }
        _ => Err(Refusal::BadRequest),
    }
}

fn open(request: &HttpRequest, query: &Query<'_>, registry: &Arc<Registry>) -> Result<Reply, Refusal> {
    if *request.method() != Method::GET {
        return Err(Refusal::BadHandshakeMethod);
    }
    if !query.is_version_4() {
        return Err(Refusal::UnsupportedVersion);
    }
    let session = registry.open(request.head(), RequestedTransport::Polling)?;
    let body = registry.open_packet(&session, RequestedTransport::Polling);
    Ok(Reply {
        content_type: PACKETS,
        body: body.to_string(),
    })
}

async fn post(
    request: &HttpRequest,
    body: Payload,
    session: &Arc<Session>,
) -> Result<Option<OutputHold>, Refusal> {
    let _guard = session.begin_post()?;
    let content_type = request.headers().get(header::CONTENT_TYPE);
    if content_type.is_some_and(|value| value.as_bytes().starts_with(b"application/octet-stream")) {
        return Err(violated(session));
    }
    let EngineConfig {
        max_payload,
        ping_interval,
        ping_timeout,
        ..
    } = *session.config();
    // Slower than this the session has died meanwhile.
    let reading = pin!(read(request, body, session, max_payload));
    let body = match timeout(ping_interval + ping_timeout, select(reading, session.over())).await {
        Ok(Either::Left((body, _))) => body?,
        Ok(Either::Right(_)) => return Err(Refusal::UnknownSid),
        Err(_) => return Err(Refusal::BadRequest),
    };
    let body = ByteString::try_from(body.freeze()).map_err(|_| violated(session))?;
    if !session.is_open() {
        // Another request ended it while this one was arriving.
        return Err(Refusal::UnknownSid);
    }
    let mut hold = Some(session.hold_output());
    for (place, packet) in payload::decode(&body).enumerate() {
        let received = packet
            .map_err(|_| CloseReason::ProtocolError)
            .and_then(|packet| session.receive(packet));
        if received.is_err() {
            return Err(violated(session));
        }
        if place % MOST_IN_A_TURN == MOST_IN_A_TURN - 1 {
            rest(session, &mut hold).await;
        }
    }
    settle(session, &mut hold).await;
    Ok(hold)
}

/// Lets others have their turn, and the handlers work off what is over the limit: one body holds thousands of packets.
async fn rest(session: &Session, hold: &mut Option<OutputHold>) {
    tokio::task::yield_now().await;
    let limit = session.config().backlog_limit;
    if session.handler().is_some_and(|handler| handler.backlog() > limit) {
        settle(session, hold).await;
    }
}

fn violated(session: &Session) -> Refusal {
    session.close(CloseReason::ProtocolError);
    Refusal::BadRequest
}

async fn read(
    request: &HttpRequest,
    mut body: Payload,
    session: &Session,
    limit: usize,
) -> Result<BytesMut, Refusal> {
    let announced = request
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok());
    if announced
        .and_then(|text| text.parse::<usize>().ok())
        .is_some_and(|length| length > limit)
    {
        return Err(Refusal::TooLarge);
    }
    let mut bytes = BytesMut::new();
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(|_| Refusal::BadRequest)?;
        if bytes.len() + chunk.remaining() > limit {
            return Err(Refusal::TooLarge);
        }
        bytes.extend_from_slice(&chunk);
        if bytes.len() >= SMALL_INPUT {
            session.hold_input(bytes.capacity());
        }
    }
    Ok(bytes)
}

/// Holds the answer until the handlers are done, so that a GET sent after it finds their output, or until a
/// GET waits for some already; not for long, unless so much waits that the client has to be slowed down. Then
/// its GETs are not kept waiting as well.
async fn settle(session: &Session, hold: &mut Option<OutputHold>) {
    let EngineConfig {
        post_wait,
        backlog_limit,
        ..
    } = *session.config();
    while let Some(handler) = session.handler() {
        let settled = Arc::clone(&handler).settled();
        let is_settled = if hold.is_some() {
            let settled_or_wanted = select(settled, session.output_wanted());
            matches!(timeout(post_wait, settled_or_wanted).await, Ok(Either::Left(_)))
        } else {
            timeout(post_wait, settled).await.is_ok()
        };
        if is_settled || handler.backlog() <= backlog_limit {
            break;
        }
        *hold = None;
    }
}
