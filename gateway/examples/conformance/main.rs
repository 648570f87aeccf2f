//! The server that the public Engine.IO and Socket.IO conformance suites expect: echoes at `/engine.io/` and
//! `/socket.io/`, with timings short enough for a test. The first argument is the port, 3000 by default, the second the
//! number of worker threads, 2 by default.

mod echo;

use std::net::TcpListener;

use actix_web::App;
use hubbub_gateway::engine_io::listen;

#[actix_web::main]
async fn main() -> std::io::Result<()> {
    let argument = |place| std::env::args().nth(place);
    let port = argument(1).and_then(|port| port.parse().ok()).unwrap_or(3000);
    let workers = argument(2).and_then(|workers| workers.parse().ok()).unwrap_or(2);
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
    let builder = actix_server::Server::build().workers(workers);
    listen(builder, listener, &endpoints, app)?.run().await
}
