//! Requests that want to become a WebSocket.

use std::{io, sync::Arc};

use actix_codec::Framed;
use actix_http::{Request, Response, StatusCode, body::BodySize, h1, header, ws};
use actix_web::rt::{self, net::TcpStream};
use bytes::Bytes;
use futures_util::SinkExt as _;

use super::{Link, serve, serve_upgrade};
use crate::engine_io::{
    config::EngineConfig,
    registry::Registry,
    request::{Query, Refusal, RequestedTransport, origin},
    session::Session,
};

/// What the kernel may hold for one client. Little, so that slowness shows in our own queue, which is limited.
const SEND_BUFFER: usize = 64 * 1024;

/// Answers the request and, if it is welcome, leaves a task behind that serves the WebSocket. The HTTP
/// dispatcher and its buffers end here.
pub(in crate::engine_io) async fn accept(
    request: Request,
    mut framed: Framed<TcpStream, h1::Codec>,
    registry: &Arc<Registry>,
) -> io::Result<()> {
    let (session, is_new, base64) = match admit(&request, registry) {
        Ok(admitted) => admitted,
        Err(refusal) => return refuse(&mut framed, &refusal).await,
    };
    let response = ws::handshake_response(request.head()).finish().drop_body();
    // Gives the parsed headers back to the pool.
    drop(request);
    if let Err(error) = framed.send(h1::Message::Item((response, BodySize::None))).await {
        if is_new {
            session.websocket_gone();
        }
        return Err(error);
    }
    let parts = framed.into_parts();
    if let Err(error) = socket2::SockRef::from(&parts.io).set_send_buffer_size(SEND_BUFFER) {
        tracing::debug!(%error, "the send buffer could not be limited");
    }
    let link = Link::new(parts.io, &parts.read_buf, session.config().max_payload);
    if is_new {
        session.set_binary_as_text(base64);
        rt::spawn(serve(link, session));
    } else {
        rt::spawn(serve_upgrade(link, session, base64));
    }
    Ok(())
}

fn admit(request: &Request, registry: &Arc<Registry>) -> Result<(Arc<Session>, bool, bool), Refusal> {
    let head = request.head();
    let EngineConfig { origins, .. } = registry.config();
    let query = Query::of(head);
    if query.transport()? != RequestedTransport::WebSocket {
        return Err(Refusal::BadRequest);
    }
    if !origins.allow(origin(head)) {
        return Err(Refusal::Forbidden("Origin not allowed".into()));
    }
    if let Some(sid) = query.sid()? {
        let session = registry.get(sid).ok_or(Refusal::UnknownSid)?;
        session.check_deadlines();
        check_handshake(request, &query)?;
        return Ok((session, false, query.base64));
    }
    check_handshake(request, &query)?;
    Ok((
        registry.open(head, RequestedTransport::WebSocket)?,
        true,
        query.base64,
    ))
}

fn check_handshake(request: &Request, query: &Query<'_>) -> Result<(), Refusal> {
    if !query.is_version_4() {
        return Err(Refusal::UnsupportedVersion);
    }
    ws::verify_handshake(request.head()).map_err(|error| match error {
        ws::HandshakeError::GetMethodRequired => Refusal::BadHandshakeMethod,
        _ => Refusal::BadRequest,
    })
}

async fn refuse(framed: &mut Framed<TcpStream, h1::Codec>, refusal: &Refusal) -> io::Result<()> {
    let retry_after = refusal.retry_after();
    answer(framed, refusal.status(), retry_after, refusal.body().into()).await
}

/// The answer to a WebSocket request for a path where there is none.
pub(in crate::engine_io) async fn not_found(mut framed: Framed<TcpStream, h1::Codec>) -> io::Result<()> {
    answer(
        &mut framed,
        StatusCode::NOT_FOUND,
        None,
        Bytes::from_static(b"{\"message\":\"Not found\"}"),
    )
    .await
}

async fn answer(
    framed: &mut Framed<TcpStream, h1::Codec>,
    status: StatusCode,
    retry_after: Option<u32>,
    body: Bytes,
) -> io::Result<()> {
    let mut response = Response::build(status);
    response
        .insert_header((header::CONTENT_TYPE, "application/json"))
        .force_close();
    if let Some(seconds) = retry_after {
        response.insert_header((header::RETRY_AFTER, seconds));
    }
    let head = response.finish().drop_body();
    framed
        .feed(h1::Message::Item((head, BodySize::Sized(body.len() as u64))))
        .await?;
    framed.feed(h1::Message::Chunk(Some(body))).await?;
    framed.send(h1::Message::Chunk(None)).await
}
