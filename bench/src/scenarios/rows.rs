//! `rows`: what fetching, listing and making a channel costs among as many as there are.

use std::time::Instant;

use crate::{
    Bench, board::Board, histogram::Histogram, meter::Meter, options::RowsOptions, report::Report,
    rest::Backend,
};

pub(crate) async fn run(bench: &Bench, options: &RowsOptions) -> anyhow::Result<Report> {
    let mut backend = Backend::connect(&bench.target).await?;
    let mut report = Report::new("rows")
        .setting("channels", options.channels)
        .setting("requests", options.requests);
    let channels = format!("/v2/Services/{}/Channels", options.service);
    // A multiplier that shares no factor with any power of ten: every room comes in turn, in no order.
    let room = |number: u64| number.wrapping_mul(7_919) % options.channels;
    let first = format!("{channels}?PageSize=50");
    for (name, each) in [("fetch", "fetch"), ("list", "list"), ("create", "create")] {
        let (answers, board) = (Histogram::new(), Board::new());
        let before = Meter::read(bench, &board).await?;
        for number in 0..options.requests {
            let began = Instant::now();
            match name {
                "fetch" => {
                    let path = format!("{channels}/room-{}", room(number));
                    backend.get_raw(&path).await?;
                }
                "list" => {
                    backend.get_raw(&first).await?;
                }
                _ => {
                    let name = format!("made-{}-{number}", options.channels);
                    backend.create_channel(&options.service, &name).await?;
                }
            }
            answers.record(began.elapsed());
        }
        let measured = Meter::read(bench, &board).await?.since(&before);
        report.latency(name, &answers);
        report.cost(each, options.requests, &measured);
    }
    Ok(report)
}
