//! `history`: users read pages at places all over a channel's history.

use std::{sync::Arc, time::Instant};

use super::{
    PATIENCE,
    sender::{Pace, Sender},
};
use crate::{
    Bench,
    board::Board,
    crowd::{Crowd, GENTLY, Sent, collect},
    meter::Meter,
    options::HistoryOptions,
    report::Report,
    socket::Socket,
    stage::Stage,
};

pub(crate) async fn run(bench: &Bench, options: &HistoryOptions) -> anyhow::Result<Report> {
    let stage = Arc::new(Stage::set(bench, 1, options.readers).await?);
    let board = Board::new();
    let crowd = Crowd::gather(&stage, &board, GENTLY).await?;
    let written = fill(&stage, &crowd, options).await?;

    let reading = Board::new();
    let readers = crowd
        .sockets
        .iter()
        .enumerate()
        .map(|(place, socket)| {
            let reader = Reader {
                socket: Arc::clone(socket),
                channel: stage.rooms[0].clone(),
                board: Arc::clone(&reading),
                page: options.page,
                written,
                random: place as u64 + 1,
            };
            tokio::spawn(reader.run())
        })
        .collect();
    let measured = Meter::observe(bench, &reading, &options.load).await?;
    reading.end();
    let (_, lost) = collect(readers, PATIENCE).await;
    crowd.drop_transports().await?;
    stage.clear().await?;

    let mut report = Report::new("history")
        .setting("readers", options.readers)
        .setting("messages", written)
        .setting("page", options.page)
        .setting("seconds", options.load.seconds);
    report.rate("pages", "page", measured.sends, &measured);
    report.latency("page", &reading.acks);
    report.load(&measured);
    report.none_of("pages were refused or not whole", reading.refusals());
    report.none_of("readers did not come back", lost);
    Ok(report)
}

/// Fills the channel, all members sending; answers how many messages there are.
async fn fill(stage: &Stage, crowd: &Crowd, options: &HistoryOptions) -> anyhow::Result<u64> {
    let board = Board::new();
    let each = options.messages.div_ceil(options.readers);
    let mut written = 0;
    let writers: Vec<_> = (0..options.readers as usize)
        .map(|place| {
            Sender::new(
                stage,
                crowd,
                &board,
                std::iter::once(place),
                Pace::Closed,
                options.load.body,
            )
            .start_some(each)
        })
        .collect();
    for writer in writers {
        written += writer.await?.len() as u64;
    }
    anyhow::ensure!(
        written >= u64::from(options.page),
        "only {written} messages could be written"
    );
    Ok(written)
}

/// A user who reads one page after the other.
struct Reader {
    socket: Arc<Socket>,
    channel: String,
    board: Arc<Board>,
    page: u32,
    written: u64,
    random: u64,
}

impl Reader {
    async fn run(mut self) -> Vec<Sent> {
        while !self.board.is_over() {
            let (anchor, channel, page) = (self.anchor(), &self.channel, self.page);
            let argument = format!("{{\"channel\":\"{channel}\",\"before\":{anchor},\"limit\":{page}}}");
            let began = Instant::now();
            let Ok(ack) = self.socket.call("getMessages", &argument).await else {
                break;
            };
            let whole = ack.json().is_ok() && ack.json().count("\"index\":") == self.page as usize;
            self.board.answered(began.elapsed(), whole);
        }
        Vec::new()
    }

    /// An index with a whole page before it.
    fn anchor(&mut self) -> u64 {
        // Xorshift: any spread will do.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let page = u64::from(self.page);
        page + self.random % (self.written - page + 1)
    }
}
