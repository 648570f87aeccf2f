//! The server that the public Engine.IO and Socket.IO conformance suites expect: echoes at `/engine.io/` and
//! `/socket.io/`, with timings short enough for a test. The first argument is the port, 3000 by default.

mod echo;

use std::net::TcpListener;

use actix_web::App;
use hubbub_gateway::engine_io::listen;

#[actix_web::main]
async fn main() -> std::io::Result<()> {
    let port = std::env::args()
        .nth(1)
        .and_then(|port| port.parse().ok())
        .unwrap_or(3000);
    let listener = TcpListener::bind(("127.0.0.1", port))?;
    let endpoints = [echo::engine_io(), echo::socket_io()];
    let app = {
        let endpoints = endpoints.clone();
        move || {
            endpoints.iter().fold(App::new(), |app, endpoint| {
                app.configure(|config| endpoint.configure(config))
            })
        }
    };
    let builder = actix_server::Server::build().workers(2);
    listen(builder, listener, &endpoints, app)?.run().await
}
