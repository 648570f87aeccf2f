//! `fanout`: a few members of one large room send, everybody else listens.

use std::sync::Arc;

use super::{
    PATIENCE,
    sender::{Pace, Sender},
};
use crate::{
    Bench,
    board::Board,
    crowd::{Crowd, GENTLY, collect, judge},
    meter::Meter,
    options::FanoutOptions,
    report::Report,
    stage::Stage,
};

pub(crate) async fn run(bench: &Bench, options: &FanoutOptions) -> anyhow::Result<Report> {
    let stage = Arc::new(Stage::set(bench, 1, options.members).await?);
    let board = Board::new();
    let crowd = Crowd::gather(&stage, &board, GENTLY).await?;

    let listeners = u64::from(options.members - 1);
    let pace = Pace::Delivered {
        each: listeners,
        most_missing: listeners * u64::from(options.in_flight - 1),
    };
    let senders = (0..options.senders.min(options.members) as usize)
        .map(|place| {
            Sender::new(
                &stage,
                &crowd,
                &board,
                std::iter::once(place),
                pace,
                options.load.body,
            )
            .start()
        })
        .collect();
    let measured = Meter::observe(bench, &board, &options.load).await?;
    board.end();
    let (sent, lost) = collect(senders, PATIENCE).await;
    let due = sent.len() as u64 * listeners;
    board.until(PATIENCE, || board.deliveries() >= due).await;
    let ears = crowd.drop_transports().await?;
    let verdict = judge(&stage, &sent, &[], &ears);
    stage.clear().await?;

    let mut report = Report::new("fanout")
        .setting("members", options.members)
        .setting("senders", options.senders)
        .setting("in flight", options.in_flight)
        .setting("seconds", options.load.seconds);
    report.rate("deliveries", "delivery", measured.deliveries, &measured);
    report.latency("delivery", &board.arrivals);
    report.figure("sends_per_s", measured.sends as f64 / measured.seconds);
    report.latency("ack", &board.acks);
    if let Some(messages) = measured.messages_per_write {
        report.figure("messages_per_write", messages);
    }
    report.load(&measured);
    report.verdict(verdict);
    report.none_of("sends were refused", board.refusals());
    report.none_of("senders did not come back", lost);
    Ok(report)
}
