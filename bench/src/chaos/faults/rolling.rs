//! A rolling restart: each gateway is asked to end while a crowd is on both, and everybody goes over to the other.

use std::{
    net::SocketAddr,
    ops::ControlFlow,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{task::JoinHandle, time::sleep};

use super::World;
use crate::{
    Bench,
    board::{Board, Ear},
    crowd::judge,
    histogram::Histogram,
    packet::Json,
    processes::Processes,
    report::milliseconds,
    socket::{Hears, Socket},
    stage::Stage,
};

/// How many share a room.
const MEMBERS: u32 = 10;
/// Between two messages of a room.
const EVERY: Duration = Duration::from_secs(2);
/// How long it may take until all are there, and have caught up.
const PATIENCE: Duration = Duration::from_secs(120);
/// How many come at a time at first.
const GENTLY: usize = 64;
const PAUSE: Duration = Duration::from_millis(100);
/// How often a condition is looked at that nobody gives notice of.
const LOOK: Duration = Duration::from_millis(10);

/// What the crowd and its shepherd share.
struct Crowd {
    gateways: Vec<SocketAddr>,
    board: Arc<Board>,
    /// How many are let in now at each gateway.
    present: Vec<AtomicU64>,
    /// How often somebody had to come again.
    moves: AtomicU64,
    over: AtomicBool,
    gate: tokio::sync::Semaphore,
}

/// An ear that outlives a connection that fails.
#[derive(Clone)]
struct KeptEar(Arc<Mutex<Ear>>);

impl KeptEar {
    fn lock(&self) -> MutexGuard<'_, Ear> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hears for KeptEar {
    fn hear(&mut self, name: &[u8], json: Json<'_>, now: Instant) {
        self.lock().hear(name, json, now);
    }

    fn rest(&mut self) {
        self.lock().rest();
    }
}

pub(super) async fn run(world: &mut World<'_>) -> anyhow::Result<()> {
    let mut target = world.cluster.target.clone();
    target.gateways.clone_from(&world.cluster.gateways);
    let bench = Bench {
        target,
        processes: Processes {
            server: Vec::new(),
            database: None,
            broker: None,
        },
        keep: false,
    };
    let stage = Arc::new(Stage::set(&bench, world.options.sockets / MEMBERS, MEMBERS).await?);
    let sockets = stage.seats.len() as u64;
    let crowd = Arc::new(Crowd {
        gateways: stage.target.gateways.clone(),
        board: Board::new(),
        present: stage.target.gateways.iter().map(|_| AtomicU64::new(0)).collect(),
        moves: AtomicU64::new(0),
        over: AtomicBool::new(false),
        gate: tokio::sync::Semaphore::new(GENTLY),
    });
    let members: Vec<JoinHandle<anyhow::Result<KeptEar>>> = (0..stage.seats.len())
        .map(|place| tokio::spawn(stay(Arc::clone(&stage), Arc::clone(&crowd), place)))
        .collect();
    all_present(&crowd, sockets).await?;
    let (announced, waits) = tokio::try_join!(talk(&stage, &crowd), restart(world, &crowd, sockets))?;
    let messages: usize = announced.iter().map(Vec::len).sum();
    let due = messages as u64 * u64::from(MEMBERS);
    crowd
        .board
        .until(PATIENCE, || crowd.board.deliveries() >= due)
        .await;
    crowd.over.store(true, Ordering::Relaxed);
    let mut ears = Vec::with_capacity(members.len());
    for member in members {
        // Nobody else holds it by now.
        let kept = Arc::into_inner(member.await??.0).map(Mutex::into_inner);
        ears.extend(kept.map(|ear| ear.unwrap_or_else(PoisonError::into_inner)));
    }
    anyhow::ensure!(ears.len() as u64 == sockets, "an ear of the crowd is missing");
    let verdict = judge(&stage, &[], &announced, &ears);
    stage.clear().await?;
    let (_, incomplete) = crowd.board.synced();
    let report = &mut world.report;
    report.figure("rolling_sockets", sockets as f64);
    report.figure("rolling_moves", crowd.moves.load(Ordering::Relaxed) as f64);
    report.verdict(verdict);
    report.none_of("sockets of the crowd were told of a gap", incomplete);
    for (name, histogram) in [("drained", &waits.drained), ("all_synced", &waits.synced)] {
        if let Some(longest) = histogram.quantile(1.0) {
            report.figure(format!("rolling_{name}_max_ms"), milliseconds(longest));
        }
    }
    Ok(())
}

/// How long things took.
struct Waits {
    /// From the signal to the exit.
    drained: Histogram,
    /// From the signal until everybody had caught up at the other gateway.
    synced: Histogram,
}

/// Restarts one gateway after the other; then it is over.
async fn restart(world: &mut World<'_>, crowd: &Crowd, sockets: u64) -> anyhow::Result<Waits> {
    let waits = Waits {
        drained: Histogram::new(),
        synced: Histogram::new(),
    };
    for round in 0..world.options.rounds {
        for place in 0..world.cluster.nodes.len() {
            if !world.cluster.nodes[place].name.starts_with("gateway") {
                continue;
            }
            let node = &mut world.cluster.nodes[place];
            eprintln!("chaos: restarting {} in round {round}", node.name);
            let began = Instant::now();
            let status = node.stop().await?;
            waits.drained.record(began.elapsed());
            if !status.success() {
                world
                    .report
                    .fault(format!("a gateway ended with {status} when it was asked to"));
            }
            // All who were there have noticed.
            let address = node.address;
            while let Some(at) = crowd.gateways.iter().position(|gateway| *gateway == address)
                && crowd.present[at].load(Ordering::Relaxed) > 0
            {
                sleep(LOOK).await;
            }
            all_present(crowd, sockets).await?;
            let synced = || crowd.board.synced().0 >= crowd.moves.load(Ordering::Relaxed);
            if !crowd.board.until(PATIENCE, synced).await {
                world
                    .report
                    .fault("not everybody was synced after a restart".to_owned());
            }
            waits.synced.record(began.elapsed());
            let node = &mut world.cluster.nodes[place];
            node.start()?;
            node.ready().await?;
            world.busy().await;
        }
    }
    crowd.board.end();
    Ok(waits)
}

/// Waits until everybody is let in.
async fn all_present(crowd: &Crowd, sockets: u64) -> anyhow::Result<()> {
    let began = Instant::now();
    loop {
        let present: u64 = crowd.present.iter().map(|at| at.load(Ordering::Relaxed)).sum();
        if present >= sockets {
            return Ok(());
        }
        anyhow::ensure!(
            began.elapsed() < PATIENCE,
            "only {present} of {sockets} were let in within {PATIENCE:?}"
        );
        sleep(LOOK).await;
    }
}

/// One member: goes to the next gateway whenever it is cut off, with its cursor.
async fn stay(stage: Arc<Stage>, crowd: Arc<Crowd>, seat: usize) -> anyhow::Result<KeptEar> {
    let token = &stage.seats[seat].token;
    let ear = KeptEar(Arc::new(Mutex::new(Ear::with_cursors(&crowd.board))));
    // The gateway it is at.
    let mut place = seat % crowd.gateways.len();
    loop {
        let socket = loop {
            place = (place + 1) % crowd.gateways.len();
            let cursor = ear.lock().cursor.clone();
            let permit = crowd.gate.acquire().await?;
            if let Ok(socket) =
                Socket::connect(crowd.gateways[place], token, cursor.as_deref(), ear.clone()).await
            {
                break socket;
            }
            drop(permit);
            sleep(PAUSE).await;
        };
        crowd.present[place].fetch_add(1, Ordering::Relaxed);
        let mut socket = Some(socket);
        while let Some(open) = socket.take() {
            match open.ends(Duration::from_millis(500)).await? {
                ControlFlow::Break(_) => {}
                ControlFlow::Continue(open) if crowd.over.load(Ordering::Relaxed) => {
                    open.drop_transport().await?;
                    return Ok(ear);
                }
                ControlFlow::Continue(open) => socket = Some(open),
            }
        }
        crowd.present[place].fetch_sub(1, Ordering::Relaxed);
        crowd.moves.fetch_add(1, Ordering::Relaxed);
    }
}

/// Sends to every room until it is over; answers the indexes, room by room.
async fn talk(stage: &Stage, crowd: &Crowd) -> anyhow::Result<Vec<Vec<i64>>> {
    let mut indexes: Vec<Vec<i64>> = vec![Vec::new(); stage.rooms.len()];
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while !crowd.board.is_over() {
        ticks.tick().await;
        let body = crowd.board.body(Instant::now(), 32);
        for (room, new) in indexes.iter_mut().zip(stage.announce(&[body]).await?) {
            room.extend(new);
        }
    }
    Ok(indexes)
}
