//! `rest`: a backend sends messages, or fetches channels, over connections that it keeps.

use std::{sync::Arc, time::Instant};

use super::PATIENCE;
use crate::{
    Bench,
    board::Board,
    crowd::{Sent, collect},
    meter::Meter,
    options::{RestAction, RestOptions},
    report::Report,
    rest::Backend,
    stage::Stage,
};

pub(crate) async fn run(bench: &Bench, options: &RestOptions) -> anyhow::Result<Report> {
    let stage = Arc::new(Stage::set(bench, options.rooms, 0).await?);
    let board = Board::new();
    let mut senders = Vec::new();
    for connection in 0..options.connections {
        let backend = Backend::connect(&bench.target).await?;
        let sending = work(
            backend,
            Arc::clone(&stage),
            Arc::clone(&board),
            connection as usize,
            options.action,
            options.load.body,
        );
        senders.push(tokio::spawn(sending));
    }
    let measured = Meter::observe(bench, &board, &options.load).await?;
    board.end();
    let (_, lost) = collect(senders, PATIENCE).await;
    stage.clear().await?;

    let mut report = Report::new("rest")
        .setting("connections", options.connections)
        .setting("rooms", options.rooms)
        .setting("seconds", options.load.seconds);
    match options.action {
        RestAction::Send => report.rate("sends", "send", measured.sends, &measured),
        RestAction::Fetch => report.rate("fetches", "fetch", measured.sends, &measured),
    }
    report.latency("answer", &board.acks);
    if let Some(messages) = measured.messages_per_commit {
        report.figure("messages_per_commit", messages);
    }
    report.load(&measured);
    report.none_of("requests were refused", board.refusals());
    report.none_of("connections did not come back", lost);
    Ok(report)
}

/// Asks about one room after the other, beginning with a room of its own.
async fn work(
    mut backend: Backend,
    stage: Arc<Stage>,
    board: Arc<Board>,
    first: usize,
    action: RestAction,
    body: u32,
) -> Vec<Sent> {
    let rooms = stage.rooms.iter().cycle().skip(first % stage.rooms.len());
    for room in rooms {
        if board.is_over() {
            break;
        }
        let began = Instant::now();
        let answered = match action {
            RestAction::Send => backend
                .send(&stage.service, room, &board.body(began, body))
                .await
                .map(|_| ()),
            RestAction::Fetch => backend.fetch_channel(&stage.service, room).await,
        };
        board.answered(began.elapsed(), answered.is_ok());
        if let Err(error) = answered {
            eprintln!("a request was refused: {error:#}");
            break;
        }
    }
    Vec::new()
}
