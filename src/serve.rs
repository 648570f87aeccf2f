//! `hubbub serve`: the roles of this process on one port.

use std::{io::Write as _, net::TcpListener, sync::Arc, time::Duration};

use actix_server::Server;
use actix_web::{App, web};
use anyhow::Context as _;
use hubbub_api::{ApiState, Metrics};
use hubbub_broker::{InProcess, Options, RabbitMq, Start};
use hubbub_core::{BaseUrl, Core, Settings, broker::Broker, query::Limits};
use hubbub_gateway::{Gateway, GatewayConfig, engine_io};
use hubbub_workers::{
    Workers,
    outbound::{Client, Policy, vet_url},
};
use tokio::signal::unix::{SignalKind, signal};
use uuid::Uuid;

use crate::{config::Config, first_start, store::Store};

/// How long a start waits for the broker.
const BROKER_PATIENCE: Duration = Duration::from_secs(5);
/// How often it looks.
const BROKER_PACE: Duration = Duration::from_millis(10);
/// How long sockets may take to hear that they must come back elsewhere, which they hear one after the other.
const DRAIN_SOCKETS: Duration = Duration::from_secs(5);
/// How long requests in flight may take to end.
const DRAIN_REQUESTS: u64 = 3;
/// How long jobs in hand may take to end; what is left is leased to another process later.
const DRAIN_JOBS: Duration = Duration::from_secs(3);

/// Runs until SIGTERM or SIGINT, then drains.
pub(crate) async fn run(config: Config) -> anyhow::Result<()> {
    // Every socket is a descriptor. Where the limit cannot be raised, the kernel's stays.
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;

    let listener = TcpListener::bind(config.listen)
        .with_context(|| format!("HUBBUB_LISTEN: cannot listen on {}", config.listen))?;
    let address = listener.local_addr()?;
    let store = Store::open(&config).await?;
    first_start::ensure_account(&config, &store).await?;
    let core = start_core(&config, store).await?;
    let fallback = BaseUrl::new(&format!("http://{address}"));

    let gateway = if config.roles.gateway {
        let gateway_config = GatewayConfig {
            socket_queue: config.socket_queue,
            socket_queue_total: config.socket_queue_total,
            socket_limits: config.socket_limits,
            socket_rate: config.socket_rate,
            typing_channel_limit: config.typing_channel_limit,
        };
        Some(
            Gateway::start(Arc::clone(&core), gateway_config)
                .await
                .context("HUBBUB_AMQP_URL")?,
        )
    } else {
        None
    };
    let workers = if config.roles.workers {
        let client = Client::new(policy(&config))?;
        Some(
            Workers::start(Arc::clone(&core), client)
                .await
                .context("HUBBUB_AMQP_URL")?,
        )
    } else {
        None
    };
    let server = listen(&config, listener, &core, gateway.as_ref(), fallback)?;
    let handle = server.handle();
    let serving = tokio::spawn(server);

    wait_for_broker(&core).await;
    announce(address)?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    core.draining.announce();
    if let Some(delay) = config.drain_delay {
        tracing::info!("leaving in {} s, or at the next signal", delay.as_secs());
        tokio::select! {
            () = tokio::time::sleep(delay) => {}
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    }
    tracing::info!("draining");
    core.draining.begin();
    // Clients first, so that none of them starts something new; then what is in flight, and the workers.
    if let Some(gateway) = &gateway {
        gateway.shutdown(DRAIN_SOCKETS).await;
    }
    let jobs = async {
        if let Some(workers) = workers
            && tokio::time::timeout(DRAIN_JOBS, workers.stop()).await.is_err()
        {
            tracing::warn!("jobs in hand did not end in time; they are done again later");
        }
    };
    tokio::join!(handle.stop(true), jobs);
    serving.await??;
    core.db.clone().close().await;
    Ok(())
}

/// Gives the links to the broker a moment to come up, so that a process that says it is ready is. A broker that is
/// away does not keep it from serving.
async fn wait_for_broker(core: &Core) {
    let connected = async {
        while !core.bus.is_connected() {
            tokio::time::sleep(BROKER_PACE).await;
        }
    };
    if tokio::time::timeout(BROKER_PATIENCE, connected).await.is_err() {
        tracing::warn!(
            "the broker is away: sends are accepted and told to this process's sockets; the rest follows when it is back"
        );
    }
}

#[expect(clippy::print_stdout, reason = "the ready line is a contract")]
fn announce(address: std::net::SocketAddr) -> anyhow::Result<()> {
    println!("hubbub listening on http://{address}");
    std::io::stdout().flush()?;
    Ok(())
}

fn policy(config: &Config) -> Policy {
    Policy {
        allow_private: config.webhook_allow_private,
    }
}

async fn start_core(config: &Config, store: Store) -> anyhow::Result<Arc<Core>> {
    let node = Uuid::new_v4();
    let broker: Broker = match &config.amqp_url {
        None => Arc::new(InProcess::new()).into(),
        Some(url) => {
            // A node may start while the broker is away: sends are accepted, and it joins when the broker is back.
            let options = Options {
                start: Start::Lazy,
                ..Options::default()
            };
            let broker = RabbitMq::connect(url, node, options)
                .await
                .context("HUBBUB_AMQP_URL")?;
            Arc::new(broker).into()
        }
    };
    let policy = policy(config);
    let settings = Settings {
        public_url: config.public_url.clone(),
        event_retention: config.event_retention,
        audit_retention: config.audit_retention,
        webhooks: config.webhooks.clone(),
        limit_ceiling: config.limit_ceiling,
        presence_channel_limit: config.presence_channel_limit,
        lists: Limits {
            scan_budget: config.scan_budget,
            ..Limits::default()
        },
        vet_url: Arc::new(move |url| vet_url(url, policy).map_err(|refused| refused.to_string())),
    };
    Ok(Core::start(node, store.db, store.vault, broker, settings))
}

/// Puts the roles on the port: operations always, REST and the gateway by role.
fn listen(
    config: &Config,
    listener: TcpListener,
    core: &Arc<Core>,
    gateway: Option<&Gateway>,
    fallback: BaseUrl,
) -> anyhow::Result<Server> {
    let state = ApiState::new(
        Arc::clone(core),
        fallback,
        metrics(core, gateway),
        config.rate_limits,
        config.demo,
    );
    let serves_api = config.roles.api;
    let mounted = gateway.cloned();
    let app = move || {
        let (state, gateway) = (state.clone(), mounted.clone());
        App::new().configure(|services: &mut web::ServiceConfig| {
            if let Some(gateway) = &gateway {
                gateway.configure(services);
            }
            if serves_api {
                hubbub_api::configure(services, state);
            } else {
                hubbub_api::configure_operations(services, state);
            }
        })
    };
    let builder = Server::build()
        .workers(std::thread::available_parallelism().map_or(2, usize::from))
        .backlog(4096)
        .max_concurrent_connections(100_000)
        .shutdown_timeout(DRAIN_REQUESTS)
        .disable_signals();
    let endpoints = gateway.map(Gateway::endpoint).into_iter().collect::<Vec<_>>();
    Ok(engine_io::listen(builder, listener, &endpoints, app)?.run())
}

/// The figures that other crates know.
fn metrics(core: &Arc<Core>, gateway: Option<&Gateway>) -> Metrics {
    let gauge = |figure: usize| i64::try_from(figure).unwrap_or(i64::MAX);
    let (stored, commits) = (core.writer.clone(), core.writer.clone());
    let readers = core.readers.clone();
    let metrics = Metrics::new()
        .with_counter(
            "messages_stored",
            "Messages stored by the group commit",
            move || stored.stored(),
        )
        .with_counter("message_commits", "Transactions of the group commit", move || {
            commits.commits()
        })
        .with_gauge(
            "event_stream_readers",
            "Calls that wait for the next event of a service",
            move || gauge(readers.waiting()),
        );
    match gateway.cloned() {
        None => metrics,
        Some(gateway) => {
            let (sessions, waiting, cut_off) = (gateway.clone(), gateway.clone(), gateway.clone());
            let (written, writes) = (gateway.clone(), gateway.clone());
            metrics
                .with_gauge("gateway_sessions", "Open sessions of the gateway", move || {
                    gauge(sessions.sessions())
                })
                .with_gauge(
                    "gateway_waiting_bytes",
                    "Memory that waits for clients to read, or to finish what they say",
                    move || gauge(waiting.waiting_bytes()),
                )
                .with_counter(
                    "gateway_cut_off",
                    "Sessions that were cut off because their clients did not read",
                    move || cut_off.cut_off(),
                )
                .with_counter(
                    "gateway_messages_written",
                    "Messages that were written to WebSockets",
                    move || written.messages_written(),
                )
                .with_counter(
                    "gateway_writes",
                    "Calls into the kernel that wrote them; one takes many messages under load",
                    move || writes.writes(),
                )
                .with_gauge("gateway_sockets", "Sockets that have been let in", move || {
                    gauge(gateway.clients())
                })
        }
    }
}
