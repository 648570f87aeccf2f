//! Serving an application and its WebSockets from one listener.

use std::{fmt, io, net::TcpListener, sync::Arc, time::Duration};

use actix_codec::Framed;
use actix_http::{HttpService, Request, Response, body::MessageBody, h1};
use actix_server::ServerBuilder;
use actix_service::{
    IntoServiceFactory, Service, ServiceFactory, ServiceFactoryExt as _, fn_service, map_config,
};
use actix_web::{Error, dev::AppConfig, rt::net::TcpStream};

use super::{server::EngineServer, websocket::accept};

/// Longer than the pause between two polls, so that a client keeps its connection.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// For a request's head to arrive.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// For a client to take the rest of an answer when the connection is being closed.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// For sent bytes to be acknowledged. The kernel then ends the connection, also when nobody here is watching it.
const UNACKNOWLEDGED_TIMEOUT: Duration = Duration::from_secs(60);

/// Adds a listener that serves the application and, on the same port, the WebSockets of the endpoints.
///
/// It takes the place of `HttpServer::listen`. That one keeps a WebSocket inside its HTTP dispatcher, with
/// 16 KiB of buffers that are of no use any more, and leaves no way to cut a slow reader off. Here the
/// dispatcher hands the connection over and ends. And it notices when a client hangs up on a parked GET.
///
/// # Errors
/// The listener cannot be registered.
pub fn listen<F, I, S, B>(
    builder: ServerBuilder,
    listener: TcpListener,
    endpoints: &[EngineServer],
    app: F,
) -> io::Result<ServerBuilder>
where
    F: Fn() -> I + Send + Clone + 'static,
    I: IntoServiceFactory<S, Request>,
    S: ServiceFactory<Request, Config = AppConfig> + 'static,
    S::Error: Into<Error> + 'static,
    S::InitError: fmt::Debug,
    S::Response: Into<Response<B>> + 'static,
    <S::Service as Service<Request>>::Future: 'static,
    S::Service: 'static,
    B: MessageBody + 'static,
{
    let address = listener.local_addr()?;
    let endpoints: Arc<[EngineServer]> = endpoints.into();
    let draining = builder.graceful_shutdown_signal();
    builder.listen(format!("http-{address}"), listener, move || {
        let endpoints = Arc::clone(&endpoints);
        let draining = draining.clone();
        let app = app()
            .into_factory()
            .map_err(|error| error.into().error_response());
        HttpService::build()
            .keep_alive(KEEP_ALIVE)
            .client_request_timeout(REQUEST_TIMEOUT)
            .client_disconnect_timeout(DISCONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .h1_allow_half_closed(false)
            .local_addr(address)
            .graceful_shutdown_signal(move || {
                let draining = draining.clone();
                async move { draining.notified().await }
            })
            .on_connect_ext(|io: &TcpStream, _: &mut _| limit_unacknowledged(io))
            .upgrade(fn_service(move |(request, framed)| {
                upgrade(request, framed, Arc::clone(&endpoints))
            }))
            .finish(map_config(app, |()| AppConfig::default()))
            .tcp()
    })
}

async fn upgrade(
    request: Request,
    framed: Framed<TcpStream, h1::Codec>,
    endpoints: Arc<[EngineServer]>,
) -> Result<(), actix_http::Error> {
    let answered = match endpoints.iter().find(|endpoint| endpoint.serves(request.path())) {
        Some(endpoint) => accept::accept(request, framed, endpoint.registry()).await,
        None => accept::not_found(framed).await,
    };
    if let Err(error) = answered {
        tracing::debug!(%error, "a client left before its WebSocket was open");
    }
    Ok(())
}

fn limit_unacknowledged(io: &TcpStream) {
    #[cfg(target_os = "linux")]
    if let Err(error) = socket2::SockRef::from(io).set_tcp_user_timeout(Some(UNACKNOWLEDGED_TIMEOUT)) {
        tracing::debug!(%error, "the time to acknowledge could not be limited");
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (io, UNACKNOWLEDGED_TIMEOUT);
}
