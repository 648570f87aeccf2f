//! `rest`: a backend sends messages, or makes or fetches channels, over connections that it keeps.

use std::{fmt::Write as _, sync::Arc, time::Instant};

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
    let attributes = declare(bench, &stage, options).await?;
    let board = Board::new();
    let mut senders = Vec::new();
    for connection in 0..options.connections {
        let backend = Backend::connect(&bench.target).await?;
        let hand = Hand {
            backend,
            stage: Arc::clone(&stage),
            board: Arc::clone(&board),
            action: options.action,
            body: options.load.body,
            attributes: attributes.clone(),
        };
        senders.push(tokio::spawn(hand.work(connection as usize)));
    }
    let measured = Meter::observe(bench, &board, &options.load).await?;
    board.end();
    let (_, lost) = collect(senders, PATIENCE).await;
    stage.clear().await?;

    let mut report = Report::new("rest")
        .setting("connections", options.connections)
        .setting("rooms", options.rooms)
        .setting("indexes", options.indexes.unwrap_or(0))
        .setting("seconds", options.load.seconds);
    match options.action {
        RestAction::Send => report.rate("sends", "send", measured.sends, &measured),
        RestAction::Create => report.rate("channels", "channel", measured.sends, &measured),
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

/// Declares the indexes; answers the attributes that everything gets, as a parameter behind others.
async fn declare(bench: &Bench, stage: &Stage, options: &RestOptions) -> anyhow::Result<String> {
    let Some(indexes) = options.indexes else {
        return Ok(String::new());
    };
    let resource = match options.action {
        RestAction::Send => "messages",
        RestAction::Create | RestAction::Fetch => "channels",
    };
    let mut backend = Backend::connect(&bench.target).await?;
    for number in 0..indexes {
        let path = format!("p{number}");
        backend.declare_index(&stage.service, resource, &path).await?;
    }
    // {"p0":"v0","p1":"v1",…}: the same whatever the number of indexes.
    let mut attributes = "&Attributes=%7B".to_owned();
    for number in 0..8 {
        let comma = if number == 0 { "" } else { "%2C" };
        write!(attributes, "{comma}%22p{number}%22%3A%22v{number}%22")?;
    }
    attributes.push_str("%7D");
    Ok(attributes)
}

/// One connection of the backend.
struct Hand {
    backend: Backend,
    stage: Arc<Stage>,
    board: Arc<Board>,
    action: RestAction,
    body: u32,
    attributes: String,
}

impl Hand {
    /// Asks about one room after the other, beginning with a room of its own.
    async fn work(mut self, first: usize) -> Vec<Sent> {
        let stage = Arc::clone(&self.stage);
        let rooms = stage.rooms.iter().cycle().skip(first % stage.rooms.len());
        for (number, room) in rooms.enumerate() {
            if self.board.is_over() {
                break;
            }
            let began = Instant::now();
            let answered = self.ask(room, began, format!("made-{first}-{number}")).await;
            self.board.answered(began.elapsed(), answered.is_ok());
            if let Err(error) = answered {
                eprintln!("a request was refused: {error:#}");
                break;
            }
        }
        Vec::new()
    }

    async fn ask(&mut self, room: &str, began: Instant, name: String) -> anyhow::Result<()> {
        let service = &self.stage.service;
        match self.action {
            RestAction::Send => {
                let body = self.board.body(began, self.body) + &self.attributes;
                self.backend.send(service, room, &body).await?;
            }
            RestAction::Create => {
                let name = name + &self.attributes;
                self.backend.create_channel(service, &name).await?;
            }
            RestAction::Fetch => self.backend.fetch_channel(service, room).await?,
        }
        Ok(())
    }
}
