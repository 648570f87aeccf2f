//! `webhooks`: a backend sends, and a receiver in this process is told of it. With a backlog, what has waited for a
//! paused endpoint is delivered as fast as it goes; with a slow neighbour, another tenant's receiver takes its time.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::PATIENCE;
use crate::{
    Bench,
    board::Board,
    crowd::{Sent, collect},
    meter::Meter,
    options::WebhooksOptions,
    receiver::Receiver,
    report::Report,
    rest::Backend,
    stage::Stage,
};

/// How many messages one request of a backlog sends.
const BATCH: u32 = 50;

pub(crate) async fn run(bench: &Bench, options: &WebhooksOptions) -> anyhow::Result<Report> {
    let stage = Arc::new(Stage::set(bench, options.rooms, 0).await?);
    let board = Board::new();
    let receiver = Receiver::listen(Some(Arc::clone(&board)), Duration::ZERO).await?;
    let mut backend = Backend::connect(&bench.target).await?;
    let endpoint = backend.create_endpoint(&stage.service, &receiver.url).await?;
    let mut report = Report::new("webhooks")
        .setting("rooms", options.rooms)
        .setting("body", options.load.body);
    if let Some(backlog) = options.backlog {
        drain(
            bench,
            options,
            &stage,
            &board,
            &receiver,
            &endpoint,
            backlog,
            &mut report,
        )
        .await?;
    } else {
        let slow = neighbour(bench, options).await?;
        let measured = load(bench, options, &stage, &board, slow.as_ref()).await?;
        let told = board
            .until(PATIENCE, || receiver.messages() >= board.sends())
            .await;
        report = report
            .setting("connections", options.connections)
            .setting("slow neighbour", slow.is_some())
            .setting("seconds", options.load.seconds);
        report.rate("deliveries", "delivery", measured.deliveries, &measured);
        report.figure("sends_per_s", measured.sends as f64 / measured.seconds);
        report.latency("answer", &board.acks);
        report.latency("receipt", &board.arrivals);
        report.load(&measured);
        report.none_of("requests were refused", board.refusals());
        report.none_of(
            "messages were not told",
            u64::from(!told) * (board.sends() - receiver.messages()),
        );
        if let Some(slow) = slow {
            slow.clear().await?;
        }
    }
    report.figure("calls_repeated", receiver.again() as f64);
    stage.clear().await?;
    Ok(report)
}

/// Lets deliveries gather, then has them delivered.
#[expect(clippy::too_many_arguments, reason = "they are what the scenario is made of")]
async fn drain(
    bench: &Bench,
    options: &WebhooksOptions,
    stage: &Stage,
    board: &Arc<Board>,
    receiver: &Receiver,
    endpoint: &str,
    backlog: u32,
    report: &mut Report,
) -> anyhow::Result<()> {
    let mut backend = Backend::connect(&bench.target).await?;
    backend.set_endpoint(endpoint, "Status=paused").await?;
    // Whoever works on it knows within a second or two.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let each = backlog.div_ceil(options.rooms).div_ceil(BATCH);
    stage
        .announce_batches(each, BATCH, &board.body(Instant::now(), options.load.body))
        .await?;
    let expected = u64::from(each) * u64::from(BATCH) * u64::from(options.rooms);
    backend.set_endpoint(endpoint, "Status=enabled").await?;
    // A paused endpoint is looked at every few seconds only.
    board.until(PATIENCE, || receiver.messages() > 0).await;
    let before = Meter::read(bench, board).await?;
    let told = board
        .until(Duration::from_secs(600), || receiver.messages() >= expected)
        .await;
    let measured = Meter::read(bench, board).await?.since(&before);
    report.figure("backlog", expected as f64);
    report.rate("deliveries", "delivery", measured.deliveries, &measured);
    report.load(&measured);
    report.none_of(
        "messages were not told",
        u64::from(!told) * (expected - receiver.messages()),
    );
    Ok(())
}

/// Another tenant, as busy, whose receiver answers late.
async fn neighbour(bench: &Bench, options: &WebhooksOptions) -> anyhow::Result<Option<Arc<Stage>>> {
    let Some(pause) = options.slow else {
        return Ok(None);
    };
    let stage = Stage::set(bench, options.rooms, 0).await?;
    let receiver = Receiver::listen(None, Duration::from_millis(pause)).await?;
    Backend::connect(&bench.target)
        .await?
        .create_endpoint(&stage.service, &receiver.url)
        .await?;
    Ok(Some(Arc::new(stage)))
}

async fn load(
    bench: &Bench,
    options: &WebhooksOptions,
    stage: &Arc<Stage>,
    board: &Arc<Board>,
    slow: Option<&Arc<Stage>>,
) -> anyhow::Result<crate::meter::Measured> {
    let unheard = Board::new();
    let mut hands = Vec::new();
    for (stage, board) in [(stage, board)]
        .into_iter()
        .chain(slow.map(|slow| (slow, &unheard)))
    {
        for connection in 0..options.connections {
            let hand = Hand {
                backend: Backend::connect(&bench.target).await?,
                stage: Arc::clone(stage),
                board: Arc::clone(board),
                body: options.load.body,
                every: options
                    .rate
                    .map(|rate| Duration::from_secs(1) * options.connections / rate),
            };
            hands.push(tokio::spawn(hand.work(connection as usize)));
        }
    }
    let measured = Meter::observe(bench, board, &options.load).await?;
    board.end();
    unheard.end();
    collect(hands, PATIENCE).await;
    Ok(measured)
}

/// One connection of the backend.
struct Hand {
    backend: Backend,
    stage: Arc<Stage>,
    board: Arc<Board>,
    body: u32,
    /// How often it sends; without it as soon as it may.
    every: Option<Duration>,
}

impl Hand {
    async fn work(mut self, first: usize) -> Vec<Sent> {
        let stage = Arc::clone(&self.stage);
        let rooms = stage.rooms.iter().cycle().skip(first % stage.rooms.len());
        let mut due = Instant::now();
        for room in rooms {
            if let Some(every) = self.every {
                due += every;
                tokio::time::sleep_until(due.into()).await;
            }
            if self.board.is_over() {
                break;
            }
            let began = Instant::now();
            let body = self.board.body(began, self.body);
            let sent = self.backend.send(&stage.service, room, &body).await;
            self.board.answered(began.elapsed(), sent.is_ok());
            if let Err(error) = sent {
                eprintln!("a request was refused: {error:#}");
                break;
            }
        }
        Vec::new()
    }
}
