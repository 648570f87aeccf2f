//! `campaign`: a message goes to many users, each in a channel of its own. When others chat meanwhile, they chat alone
//! first, so that both can be compared.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use serde::Deserialize;

use super::{
    PATIENCE, SETTLE,
    sender::{Pace, Sender},
};
use crate::{
    Bench,
    board::Board,
    crowd::{Crowd, GENTLY, Sent, collect, judge},
    meter::{Measured, Meter},
    options::CampaignOptions,
    report::Report,
    rest::Backend,
    stage::Stage,
    tally::Verdict,
};

/// How often the campaign is asked how far it is.
const LOOK: Duration = Duration::from_millis(250);
/// How long it may take for each recipient, before it counts as stuck.
const MOST_EACH: Duration = Duration::from_millis(5);
/// The stretch in which it must go on: the slowest of these is told.
const STRETCH: Duration = Duration::from_secs(3);
/// How many recipients are looked at in the end.
const LOOKED_AT: usize = 100;

pub(crate) async fn run(bench: &Bench, options: &CampaignOptions) -> anyhow::Result<Report> {
    let rooms = options.live.map_or(0, |_| options.rooms);
    let stage = Arc::new(Stage::set(bench, rooms, options.members).await?);
    let mut backend = Backend::connect(&bench.target).await?;
    let began = Instant::now();
    let identities = (0..options.recipients).map(|number| format!("recipient-{number:08}"));
    let audience = backend.upload_audience(&stage.service, identities).await?;
    let uploading = began.elapsed();
    let form = format!(
        "FriendlyName=bench&Mode=individual&From=bench&AudienceSid={audience}\
         &ChannelUniqueName=bench:%7B%7Buser.identity%7D%7D&Body=Good%20day,%20%7B%7Buser.attributes.name%7D%7D!"
    );
    let campaign = backend.create_campaign(&stage.service, &form).await?;

    let mut report = Report::new("campaign").setting("recipients", options.recipients);
    let mut verdict = Verdict::default();
    if let Some(rate) = options.live {
        report = report
            .setting("live", format_args!("{rate}/s"))
            .setting("rooms", options.rooms)
            .setting("members", options.members)
            .setting("seconds", options.load.seconds);
        let alone = Talk::begin(&stage, options, rate).await?;
        Meter::observe(bench, &alone.board, &options.load).await?;
        verdict += alone.end("alone", &stage, options, &mut report).await?;
        let among = Talk::begin(&stage, options, rate).await?;
        tokio::time::sleep(Duration::from_secs(options.load.warmup)).await;
        among.board.measure(true);
        let run = Run::watch(bench, &mut backend, &campaign, options).await?;
        among.board.measure(false);
        verdict += among.end("among", &stage, options, &mut report).await?;
        run.tell(options, &mut report);
        report.verdict(verdict);
    } else {
        tokio::time::sleep(SETTLE).await;
        Run::watch(bench, &mut backend, &campaign, options)
            .await?
            .tell(options, &mut report);
    }
    report.figure("upload_s", uploading.as_secs_f64());
    look_at_some(&mut backend, &stage.service, &campaign, &mut report).await?;
    stage.clear().await?;
    Ok(report)
}

/// Others, who chat at an even pace.
struct Talk {
    board: Arc<Board>,
    crowd: Crowd,
    senders: Vec<tokio::task::JoinHandle<Vec<Sent>>>,
}

impl Talk {
    async fn begin(stage: &Arc<Stage>, options: &CampaignOptions, rate: u32) -> anyhow::Result<Self> {
        let board = Board::new();
        let crowd = Crowd::gather(stage, &board, GENTLY).await?;
        let apart = Duration::from_secs(1) / rate;
        let first = Instant::now();
        let senders = (0..options.rooms)
            .map(|room| {
                let pace = Pace::Steady {
                    first: first + apart * room,
                    every: apart * options.rooms,
                };
                let place = std::iter::once((room * options.members) as usize);
                Sender::new(stage, &crowd, &board, place, pace, options.load.body).start()
            })
            .collect();
        Ok(Self {
            board,
            crowd,
            senders,
        })
    }

    async fn end(
        self,
        when: &str,
        stage: &Stage,
        options: &CampaignOptions,
        report: &mut Report,
    ) -> anyhow::Result<Verdict> {
        let board = self.board;
        board.end();
        let (sent, lost) = collect(self.senders, PATIENCE).await;
        let due = sent.len() as u64 * u64::from(options.members - 1);
        board.until(PATIENCE, || board.deliveries() >= due).await;
        let ears = self.crowd.drop_transports().await?;
        report.latency(&format!("{when}_ack"), &board.acks);
        report.latency(&format!("{when}_delivery"), &board.arrivals);
        report.none_of("sends were refused", board.refusals());
        report.none_of("senders did not come back", lost);
        Ok(judge(stage, &sent, &[], &ears))
    }
}

/// How far a campaign is.
#[derive(Deserialize)]
struct Progress {
    status: String,
    counts: Counts,
}

#[derive(Deserialize)]
struct Counts {
    total: u64,
    pending: u64,
    sent: u64,
    delivered: u64,
    read: u64,
    replied: u64,
    failed: u64,
    skipped: u64,
}

/// What was seen of a campaign from its start to its end.
struct Run {
    measured: Measured,
    /// From the request to start to the first message seen.
    beginning: Duration,
    /// How many were done at which moment.
    seen: Vec<(Instant, u64)>,
    memory: u64,
    peak: u64,
    end: Counts,
}

impl Run {
    async fn watch(
        bench: &Bench,
        backend: &mut Backend,
        campaign: &str,
        options: &CampaignOptions,
    ) -> anyhow::Result<Self> {
        let nobody = Board::new();
        let memory = bench.processes.server_memory()?;
        let before = Meter::read(bench, &nobody).await?;
        let began = Instant::now();
        let most = PATIENCE + MOST_EACH * options.recipients;
        backend.set_campaign(campaign, "Status=running").await?;
        let mut seen = vec![(began, 0)];
        let mut beginning = None;
        let mut peak = memory;
        loop {
            let Progress { status, counts } = serde_json::from_value(backend.get(campaign).await?)?;
            let now = Instant::now();
            let done = counts.total - counts.pending;
            let sum = counts.pending
                + counts.sent
                + counts.delivered
                + counts.read
                + counts.replied
                + counts.failed
                + counts.skipped;
            ensure!(
                sum == counts.total,
                "the counts of {campaign} add up to {sum}, not {}",
                counts.total
            );
            if done > 0 {
                beginning.get_or_insert(now.duration_since(began));
            }
            seen.push((now, done));
            peak = peak.max(bench.processes.server_memory()?);
            match status.as_str() {
                "completed" => {
                    let measured = Meter::read(bench, &nobody).await?.since(&before);
                    return Ok(Self {
                        measured,
                        beginning: beginning.unwrap_or_default(),
                        seen,
                        memory,
                        peak,
                        end: counts,
                    });
                }
                "running" => {}
                other => bail!("{campaign} is {other}"),
            }
            ensure!(
                began.elapsed() < most,
                "{campaign} is stuck at {done} of {}",
                counts.total
            );
            tokio::time::sleep(LOOK).await;
        }
    }

    fn tell(&self, options: &CampaignOptions, report: &mut Report) {
        let expected = u64::from(options.recipients);
        report.rate("recipients", "recipient", expected, &self.measured);
        if let Some(slowest) = self.slowest() {
            report.figure("slowest_stretch_per_s", slowest);
        }
        report.figure("first_sent_after_s", self.beginning.as_secs_f64());
        let mebibytes = |bytes: u64| bytes as f64 / (1024.0 * 1024.0);
        report.figure("server_before_mib", mebibytes(self.memory));
        report.figure("server_peak_mib", mebibytes(self.peak));
        report.load(&self.measured);
        let Counts { sent, total, .. } = self.end;
        report.none_of("recipients are not there", expected.abs_diff(total));
        report.none_of("recipients were not sent to", total - sent);
    }

    /// The fewest recipients a second over a whole stretch between the first message and the last.
    fn slowest(&self) -> Option<f64> {
        let first = self.seen.iter().position(|(_, done)| *done > 0)?;
        let seen = &self.seen[first..];
        let rates = seen.iter().filter_map(|(from, before)| {
            let (to, after) = seen.iter().find(|(to, _)| *to >= *from + STRETCH)?;
            Some((after - before) as f64 / to.duration_since(*from).as_secs_f64())
        });
        rates.reduce(f64::min)
    }
}

#[derive(Deserialize)]
struct Recipients {
    recipients: Vec<Recipient>,
}

#[derive(Deserialize)]
struct Recipient {
    identity: String,
    channel_sid: Option<String>,
    message_sid: Option<String>,
}

#[derive(Deserialize)]
struct Channel {
    members_count: u64,
    messages_count: u64,
}

/// Looks whether recipients have a channel with one member and one message.
async fn look_at_some(
    backend: &mut Backend,
    service: &str,
    campaign: &str,
    report: &mut Report,
) -> anyhow::Result<()> {
    let path = format!("{campaign}/Recipients?PageSize={LOOKED_AT}");
    let Recipients { recipients } = serde_json::from_value(backend.get(&path).await?)?;
    ensure!(!recipients.is_empty(), "{path} is empty");
    let mut wrong = 0;
    for recipient in recipients {
        let channel = recipient
            .channel_sid
            .with_context(|| format!("{} has no channel", recipient.identity))?;
        let path = format!("/v2/Services/{service}/Channels/{channel}");
        let Channel {
            members_count,
            messages_count,
        } = serde_json::from_value(backend.get(&path).await?)?;
        if (members_count, messages_count) != (1, 1) || recipient.message_sid.is_none() {
            wrong += 1;
        }
    }
    report.none_of("recipients have not one member and one message", wrong);
    Ok(())
}
