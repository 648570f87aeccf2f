//! `send`: users in many rooms send durable messages over the gateway and wait for each ack.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    PATIENCE,
    sender::{Pace, Sender},
};
use crate::{
    Bench,
    board::Board,
    crowd::{Crowd, GENTLY, collect, judge},
    meter::Meter,
    options::SendOptions,
    report::Report,
    stage::Stage,
};

pub(crate) async fn run(bench: &Bench, options: &SendOptions) -> anyhow::Result<Report> {
    let stage = Arc::new(Stage::set(bench, options.rooms, options.members).await?);
    let board = Board::new();
    let crowd = Crowd::gather(&stage, &board, GENTLY).await?;

    let began = Instant::now();
    let senders = (0..options.senders)
        .map(|sender| {
            let places = places(sender, options);
            let pace = pace(sender, options, began);
            Sender::new(&stage, &crowd, &board, places, pace, options.load.body)
                .with_client_ids(options.client_ids)
                .start()
        })
        .collect();
    let measured = Meter::observe(bench, &board, &options.load).await?;
    board.end();
    let (sent, lost) = collect(senders, PATIENCE).await;
    let due = sent.len() as u64 * u64::from(options.members - 1);
    board.until(PATIENCE, || board.deliveries() >= due).await;
    let ears = crowd.drop_transports().await?;
    let verdict = judge(&stage, &sent, &[], &ears);
    stage.clear().await?;

    let rate = options
        .rate
        .map_or_else(|| "closed loop".to_owned(), |rate| format!("{rate}/s"));
    let mut report = Report::new("send")
        .setting("senders", options.senders)
        .setting("rooms", options.rooms)
        .setting("members", options.members)
        .setting("pace", rate)
        .setting("client ids", options.client_ids)
        .setting("seconds", options.load.seconds);
    report.rate("sends", "send", measured.sends, &measured);
    report.latency("ack", &board.acks);
    report.figure("deliveries_per_s", measured.deliveries as f64 / measured.seconds);
    report.latency("delivery", &board.arrivals);
    if let Some(messages) = measured.messages_per_commit {
        report.figure("messages_per_commit", messages);
    }
    if let Some(messages) = measured.messages_per_write {
        report.figure("messages_per_write", messages);
    }
    report.load(&measured);
    report.verdict(verdict);
    report.none_of("sends were refused", board.refusals());
    report.none_of("senders did not come back", lost);
    Ok(report)
}

/// The seats that a sender speaks for: with fewer senders than rooms it goes round several rooms, otherwise it is
/// one of several members who send in one room.
fn places(sender: u32, options: &SendOptions) -> impl Iterator<Item = usize> {
    let SendOptions {
        senders,
        rooms,
        members,
        ..
    } = *options;
    let member = (sender / rooms) % members;
    (sender % rooms..rooms)
        .step_by(senders.min(rooms) as usize)
        .take(if senders < rooms { usize::MAX } else { 1 })
        .map(move |room| (room * members + member) as usize)
}

fn pace(sender: u32, options: &SendOptions, began: Instant) -> Pace {
    match options.rate {
        None => Pace::Closed,
        Some(rate) => {
            let apart = Duration::from_secs(1) / rate;
            Pace::Steady {
                first: began + apart * sender,
                every: apart * options.senders,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::options::{Options, Scenario};

    fn all_places(arguments: &str) -> Vec<Vec<usize>> {
        let line = format!("hubbub-bench send {arguments}");
        let Scenario::Send(options) = Options::parse_from(line.split(' ')).scenario else {
            panic!()
        };
        (0..options.senders)
            .map(|sender| places(sender, &options).collect())
            .collect()
    }

    #[test]
    fn few_senders_go_round_all_rooms() {
        let places = all_places("--senders 2 --rooms 5 --members 3");
        assert_eq!(places, [vec![0, 6, 12], vec![3, 9]]);
    }

    #[test]
    fn many_senders_share_the_rooms() {
        let places = all_places("--senders 5 --rooms 2 --members 3");
        assert_eq!(places, [[0], [3], [1], [4], [2]]);
    }
}
