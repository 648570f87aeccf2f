//! The run itself: who is there, what happens to them, and what they have to say in the end.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use serde::Deserialize;
use tokio::{task::JoinHandle, time::sleep};

use super::{
    checker::{Account, Evidence, Kept},
    cluster::Cluster,
    faults,
    ground::Ground,
    ledger::{Ledger, Pen},
    options::ChaosOptions,
    people::{Doors, Line, Voice},
    receiver::Receiver,
};
use crate::{
    report::{Report, milliseconds},
    rest::Backend,
};

/// How long senders may take to get their last message acknowledged.
const LAST_WORDS: Duration = Duration::from_secs(60);
/// How long listeners may take to hear the rest, and webhooks to be told: their retries are half a minute apart.
const CATCHING_UP: Duration = Duration::from_secs(90);
/// How often a condition is looked at that nobody gives notice of.
const LOOK: Duration = Duration::from_millis(50);

/// A user whose events are held against history.
struct Witness {
    who: String,
    room: usize,
    talks: bool,
    pen: Pen,
}

/// Everything that the faults work on.
pub(crate) struct World<'a> {
    pub(crate) options: &'a ChaosOptions,
    pub(crate) ground: &'a Ground,
    pub(crate) cluster: Cluster,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) chance: StdRng,
    pub(crate) report: Report,
    doors: Doors,
    rooms: Vec<String>,
    witnesses: Vec<Witness>,
    receiver: Arc<Receiver>,
    senders: Vec<JoinHandle<Option<Line>>>,
    listeners: Vec<JoinHandle<()>>,
    stop: Arc<AtomicBool>,
}

pub(crate) async fn run(options: &ChaosOptions, ground: &Ground) -> anyhow::Result<Report> {
    let began = Instant::now();
    let services = ground.services.as_ref();
    let cluster = Cluster::start(options, &ground.folder, services, ground.faketime.as_ref()).await?;
    let mut world = World::populate(options, ground, cluster).await?;
    faults::all(&mut world).await?;
    world.quiet().await;
    world.judge().await?;
    if let Err(error) = world.cluster.stop().await {
        world.report.fault(format!("{error:#}"));
    }
    world.report.figure("took_s", began.elapsed().as_secs_f64());
    Ok(world.report)
}

impl<'a> World<'a> {
    /// Makes the rooms and has everybody begin.
    async fn populate(
        options: &'a ChaosOptions,
        ground: &'a Ground,
        cluster: Cluster,
    ) -> anyhow::Result<Self> {
        let target = cluster.target.clone();
        let mut backend = Backend::connect(&target).await?;
        let service = backend.create_service().await?;
        let receiver = Receiver::listen().await?;
        let path = format!("/v2/Services/{service}");
        let secret = backend.get(&path).await?["webhook_secret"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        receiver.expect_secret(&secret)?;
        let form = format!(
            "PostWebhookUrl={}&WebhookFilters=onMessageSent&PostWebhookRetryCount=3",
            receiver.url
        );
        backend.set_endpoint(&path, &form).await?;
        let rooms = options.rooms as usize;
        let ledger = Ledger::new(3 * rooms);
        let doors = Doors {
            rest: target.rest,
            gateways: target.gateways,
            authorization: target.authorization,
            service: service.clone(),
            ledger: Arc::clone(&ledger),
            every: Duration::from_millis(options.every),
        };
        let mut world = Self {
            options,
            ground,
            cluster,
            ledger,
            chance: StdRng::seed_from_u64(options.seed),
            report: Report::new("chaos").with_verdict(),
            doors,
            rooms: Vec::new(),
            witnesses: Vec::new(),
            receiver,
            senders: Vec::new(),
            listeners: Vec::new(),
            stop: Arc::default(),
        };
        for room in 0..rooms {
            let channel = backend.create_channel(&service, &format!("room-{room}")).await?;
            world.rooms.push(channel.clone());
            let mut lines = Vec::new();
            for (seat, who) in ["talker-a", "talker-b", "listener", "rover"].iter().enumerate() {
                let identity = format!("{who}-{room}");
                backend.add_member(&service, &channel, &identity).await?;
                let token = backend.mint_token(&service, &identity).await?;
                let mut line = Line::new(&world.doors, &identity, token, room + seat);
                line.comes().await;
                world.witnesses.push(Witness {
                    who: identity,
                    room,
                    talks: seat < 2,
                    pen: line.pen.clone(),
                });
                lines.push(line);
            }
            let [first, second, listener, rover] =
                lines.try_into().map_err(|_| anyhow::anyhow!("four seats"))?;
            let restless = StdRng::seed_from_u64(world.chance.random());
            let stop = || Arc::clone(&world.stop);
            world.listeners.push(tokio::spawn(listener.listens(stop(), None)));
            world
                .listeners
                .push(tokio::spawn(rover.listens(stop(), Some(restless))));
            let voice = |number: usize, who: &str| Voice {
                doors: world.doors.clone(),
                sender: 3 * room + number,
                identity: format!("{who}-{room}"),
                channel: channel.clone(),
            };
            world
                .senders
                .push(tokio::spawn(voice(0, "talker-a").talks(first)));
            world
                .senders
                .push(tokio::spawn(voice(1, "talker-b").talks(second)));
            world.senders.push(tokio::spawn(voice(2, "backend").posts()));
        }
        Ok(world)
    }

    /// The service that all this happens in.
    pub(crate) fn service(&self) -> &str {
        &self.doors.service
    }

    /// Waits until everybody who listens has heard of everything that is acknowledged by now.
    pub(crate) async fn caught_up(&self, within: Duration) -> Option<Duration> {
        let due = self.ledger.all();
        let began = Instant::now();
        let has_all = |witness: &Witness| {
            let heard = witness.pen.messages();
            let room = &self.rooms[witness.room];
            due.iter()
                .flatten()
                .filter(|acked| acked.channel == *room && acked.from != witness.who)
                .all(|acked| heard.contains(&acked.sid))
        };
        while !self.witnesses.iter().all(has_all) {
            if began.elapsed() > within {
                return None;
            }
            sleep(LOOK).await;
        }
        Some(began.elapsed())
    }

    /// Has everybody come to an end: senders with their last acknowledgement, the others once they have heard it all.
    async fn quiet(&mut self) {
        self.ledger.end();
        let deadline = tokio::time::Instant::now() + LAST_WORDS;
        let mut speechless = 0;
        for mut sender in self.senders.drain(..) {
            match tokio::time::timeout_at(deadline, &mut sender).await {
                Ok(Ok(Some(line))) => {
                    let listening = line.listens(Arc::clone(&self.stop), None);
                    self.listeners.push(tokio::spawn(listening));
                }
                Ok(Ok(None)) => {}
                Ok(Err(_)) | Err(_) => {
                    sender.abort();
                    speechless += 1;
                }
            }
        }
        self.report
            .none_of("senders never got their last message acknowledged", speechless);
        let heard = self.caught_up(CATCHING_UP).await;
        self.stop.store(true, Ordering::Relaxed);
        for listener in self.listeners.drain(..) {
            let _ = listener.await;
        }
        if heard.is_none() {
            self.report.fault(format!(
                "listeners had not heard everything {CATCHING_UP:?} after the last send"
            ));
        }
        let due = self.ledger.all().iter().map(Vec::len).sum::<usize>();
        let began = Instant::now();
        while self.receiver.calls().told.len() < due && began.elapsed() < CATCHING_UP {
            sleep(LOOK).await;
        }
    }

    async fn judge(&mut self) -> anyhow::Result<()> {
        let mut history = BTreeMap::new();
        for room in &self.rooms {
            history.insert(room.clone(), self.read_history(room).await?);
        }
        let (mut events, mut gaps, mut unreadable, mut resumed) = (0, 0, 0, 0);
        let accounts = self.witnesses.iter().map(|witness| {
            let diary = witness.pen.diary();
            events += diary.events.len();
            gaps += diary.gaps;
            unreadable += diary.unreadable;
            resumed += diary.synced;
            Account {
                who: witness.who.clone(),
                channel: self.rooms[witness.room].clone(),
                events: diary.events.clone(),
                talks: witness.talks,
            }
        });
        let accounts = accounts.collect();
        let (told, unsigned, nameless) = {
            let calls = self.receiver.calls();
            (calls.told.clone(), calls.unsigned, calls.nameless)
        };
        let calls: u64 = told.values().flat_map(|told| told.ids.values()).sum();
        let evidence = Evidence {
            acked: self.ledger.all(),
            history,
            accounts,
            told,
        };
        let (unanswered, cut_off) = self.ledger.troubles();
        let acked: usize = evidence.acked.iter().map(Vec::len).sum();
        let kept: usize = evidence.history.values().map(Vec::len).sum();
        for (name, value) in [
            ("acknowledged", acked as u64),
            ("in_history", kept as u64),
            ("events_heard", events as u64),
            ("resumed", resumed),
            ("sockets_cut_off", cut_off),
            ("unanswered", unanswered),
            ("webhook_calls", calls),
            ("webhook_calls_repeated", calls - evidence.told.len() as u64),
        ] {
            self.report.figure(name, value as f64);
        }
        if !self.ledger.refusals().is_empty() {
            let slowest = milliseconds(self.ledger.slowest_refusal());
            self.report.figure("refusal_max_ms", slowest);
        }
        for ((status, code), count) in self.ledger.refusals() {
            self.report
                .figure(format!("refused_{status}_{code}"), count as f64);
        }
        for (what, count) in self.ledger.wrongs() {
            self.report.fault(format!("{count} x {what}"));
        }
        self.report.none_of("sockets were told of a gap", gaps);
        self.report.none_of("events could not be read", unreadable);
        self.report.none_of("webhooks were not signed well", unsigned);
        self.report.none_of("webhooks had no id or no message", nameless);
        for line in evidence.judge().lines() {
            self.report.fault(line);
        }
        Ok(())
    }

    async fn read_history(&self, channel: &str) -> anyhow::Result<Vec<Kept>> {
        #[derive(Deserialize)]
        struct Page {
            messages: Vec<Message>,
            meta: Meta,
        }
        #[derive(Deserialize)]
        struct Meta {
            next_page_url: Option<String>,
        }
        #[derive(Deserialize)]
        struct Message {
            sid: String,
            index: i64,
            from: String,
            body: String,
        }
        let mut backend = Backend::connect(&self.cluster.target).await?;
        let mut path = format!(
            "/v2/Services/{}/Channels/{channel}/Messages?PageSize=100",
            self.doors.service
        );
        let mut kept = Vec::new();
        loop {
            let page: Page = serde_json::from_slice(&backend.get_raw(&path).await?)?;
            kept.extend(page.messages.into_iter().map(|message| Kept {
                sid: message.sid,
                index: message.index,
                from: message.from,
                body: message.body,
            }));
            let Some(next) = page.meta.next_page_url else {
                return Ok(kept);
            };
            let next = url::Url::parse(&next)?;
            path = format!("{}?{}", next.path(), next.query().unwrap_or_default());
        }
    }
}
