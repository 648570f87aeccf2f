//! What a stretch of time cost: CPU of everybody who takes part, transactions of the group commit, writes to sockets.

use std::time::{Duration, Instant};

use crate::{Bench, board::Board, options::Load, processes::Cpu, rest};

/// The server's counters of the group commit, and of what it writes to WebSockets.
const COUNTERS: [&str; 4] = [
    "hubbub_messages_stored_total",
    "hubbub_message_commits_total",
    "hubbub_gateway_messages_written_total",
    "hubbub_gateway_writes_total",
];

/// The state of all counters at one moment.
pub(crate) struct Meter {
    at: Instant,
    cpu: Cpu,
    counters: [Option<f64>; 4],
    sends: u64,
    deliveries: u64,
}

/// What happened between two moments.
pub(crate) struct Measured {
    pub(crate) seconds: f64,
    pub(crate) cpu: Cpu,
    /// Messages stored for each transaction, when the server tells.
    pub(crate) messages_per_commit: Option<f64>,
    /// Messages to a client for each call into the kernel, when the server tells.
    pub(crate) messages_per_write: Option<f64>,
    pub(crate) sends: u64,
    pub(crate) deliveries: u64,
}

impl Meter {
    /// Reads everything.
    pub(crate) async fn read(bench: &Bench, board: &Board) -> anyhow::Result<Self> {
        let counters = rest::metrics(&bench.target, COUNTERS).await?;
        Ok(Self {
            at: Instant::now(),
            cpu: bench.processes.cpu()?,
            counters,
            sends: board.sends(),
            deliveries: board.deliveries(),
        })
    }

    /// Lets the load run for so long before it is measured, and for so long while it is.
    pub(crate) async fn observe(bench: &Bench, board: &Board, load: &Load) -> anyhow::Result<Measured> {
        let pause = |seconds| tokio::time::sleep(Duration::from_secs(seconds));
        pause(load.warmup).await;
        let before = Self::read(bench, board).await?;
        board.measure(true);
        pause(load.seconds).await;
        board.measure(false);
        Ok(Self::read(bench, board).await?.since(&before))
    }

    pub(crate) fn since(&self, before: &Self) -> Measured {
        let [stored, commits, written, writes] =
            [0, 1, 2, 3].map(|at| Some(self.counters[at]? - before.counters[at]?));
        let ratio = |of: Option<f64>, to: Option<f64>| match (of, to) {
            (Some(of), Some(to)) if to > 0.0 => Some(of / to),
            _ => None,
        };
        Measured {
            seconds: self.at.duration_since(before.at).as_secs_f64(),
            cpu: self.cpu.since(before.cpu),
            messages_per_commit: ratio(stored, commits),
            messages_per_write: ratio(written, writes),
            sends: self.sends - before.sends,
            deliveries: self.deliveries - before.deliveries,
        }
    }
}
