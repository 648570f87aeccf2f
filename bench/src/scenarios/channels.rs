//! `channels`: a user of very many channels connects, and asks for the first page of its list.

use std::{sync::Arc, time::Instant};

use super::upkeep;
use crate::{
    Bench,
    board::Board,
    crowd::{Crowd, GENTLY},
    histogram::Histogram,
    meter::Meter,
    options::ChannelsOptions,
    report::Report,
    stage::Stage,
};

pub(crate) async fn run(bench: &Bench, options: &ChannelsOptions) -> anyhow::Result<Report> {
    let mut stage = Stage::set(bench, options.channels, 0).await?;
    stage.seat_in_all("reader").await?;
    stage.announce(&["hello".to_owned()]).await?;
    let stage = Arc::new(stage);

    upkeep(options.before_asking.as_deref())?;

    let board = Board::new();
    let began = Instant::now();
    let crowd = Crowd::gather(&stage, &board, GENTLY).await?;
    let connecting = began.elapsed();
    let argument = format!("{{\"limit\":{}}}", options.page);
    let page = options.page.min(options.channels) as usize;
    let answers = Histogram::new();
    // The first ones read what later ones find in memory.
    let warmup = options.rounds / 5;
    let mut before = Meter::read(bench, &board).await?;
    let mut wrong = 0;
    for round in 0..warmup + options.rounds {
        if round == warmup {
            before = Meter::read(bench, &board).await?;
        }
        let began = Instant::now();
        let ack = crowd.sockets[0].call("getChannels", &argument).await?;
        if round >= warmup {
            answers.record(began.elapsed());
        }
        let json = ack.json();
        let unread = json.count("\"unread_messages_count\":");
        if !json.is_ok() || unread != page || json.count("\"last_message\":{") != page {
            wrong += 1;
        }
    }
    let measured = Meter::read(bench, &board).await?.since(&before);
    crowd.drop_transports().await?;
    stage.clear().await?;

    let mut report = Report::new("channels")
        .setting("channels", options.channels)
        .setting("page", options.page)
        .setting("rounds", options.rounds);
    report.figure("connecting_ms", connecting.as_secs_f64() * 1000.0);
    report.latency("first_page", &answers);
    report.cost("page", u64::from(options.rounds), &measured);
    report.none_of("pages were not whole", wrong);
    Ok(report)
}
