//! What everybody does all day. Every answer is checked against what is known to be there.

use std::{sync::Arc, time::Instant};

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use super::{
    super::PATIENCE,
    ground::{Ground, drop_all},
    series::{Point, again_and_again},
};
use crate::{
    Bench,
    board::{Board, Ear},
    options::{CurvesOptions, Dimension},
    report::Report,
    rest::Backend,
    socket::Socket,
};

/// Messages and members of a page.
const PAGE: u64 = 30;
/// Channels of a page.
const CHANNELS: u64 = 50;
/// Messages that a client misses which comes back.
const MISSED: u64 = 5;

pub(super) async fn measure(
    bench: &Bench,
    options: &CurvesOptions,
    ground: &mut Ground,
    report: &mut Report,
) -> anyhow::Result<Vec<Point>> {
    let seconds = options.seconds;
    let mut points = Vec::new();
    let board = Board::new();
    let listeners = ground.listeners(&board).await?;
    let reader = ground.reader(None, Ear::new(&Board::new())).await?;
    let audience = Audience::new(&board, listeners);
    points.push(send(bench, seconds, "send", (ground, &audience), &reader, false).await?);
    audience.heard(points[0].done, report).await?;
    points.push(newest(bench, seconds, ground, &reader).await?);
    points.push(middle(bench, seconds, ground, &reader).await?);
    points.push(channel_list(bench, seconds, ground, &reader).await?);
    points.push(members(bench, seconds, ground, &reader).await?);
    points.push(read_horizon(bench, seconds, ground, &reader).await?);
    points.push(join(bench, seconds, ground).await?);
    counted(ground, &reader).await?;
    reader.drop_transport().await?;
    points.push(connect(bench, seconds, ground).await?);
    points.push(resume(bench, seconds, ground).await?);
    if ground.dimension == Dimension::Members {
        let size = ground.grown.min(u64::from(options.online));
        let board = Board::new();
        let crowd = Audience::new(&board, ground.crowd(size, &board).await?);
        let reader = ground.reader(None, Ear::new(&Board::new())).await?;
        let acks = send(
            bench,
            seconds,
            "send to many online",
            (ground, &crowd),
            &reader,
            false,
        )
        .await?;
        let all = send(
            bench,
            seconds,
            "until all have it",
            (ground, &crowd),
            &reader,
            true,
        )
        .await?;
        crowd.heard(acks.done + all.done, report).await?;
        points.extend([acks, all]);
        reader.drop_transport().await?;
    }
    Ok(points)
}

/// Asks, and answers what a good ack holds.
async fn ask(socket: &Socket, verb: &str, argument: &Value) -> anyhow::Result<Value> {
    let ack = socket.call(verb, &argument.to_string()).await?;
    let mut answer: Value = serde_json::from_slice(ack.json().0)?;
    let answer = answer[0].take();
    ensure!(answer["ok"] == true, "{verb} {argument} was answered {answer}");
    Ok(answer)
}

/// Members who are online and listen.
struct Audience {
    board: Arc<Board>,
    sockets: Vec<Socket>,
    /// What was delivered to them before.
    before: u64,
}

impl Audience {
    fn new(board: &Arc<Board>, sockets: Vec<Socket>) -> Self {
        Self {
            before: board.deliveries(),
            board: Arc::clone(board),
            sockets,
        }
    }

    /// Waits until everybody has so many messages.
    async fn has(&self, sent: u64) -> bool {
        let due = self.before + sent * self.sockets.len() as u64;
        self.board
            .until(PATIENCE, || self.board.deliveries() >= due)
            .await
    }

    /// Everybody got everything once and in order.
    async fn heard(self, sent: u64, report: &mut Report) -> anyhow::Result<()> {
        self.has(sent).await;
        let ears = drop_all(self.sockets).await?;
        let wrong = ears
            .iter()
            .filter(|ear| ear.tally.count != sent || ear.tally.disordered > 0)
            .count();
        report.none_of(
            "sockets did not get every message once and in order",
            wrong as u64,
        );
        Ok(())
    }
}

/// One after the other, each when everybody online has the one before. What counts is the ack, or when all have it.
async fn send(
    bench: &Bench,
    seconds: u64,
    what: &'static str,
    (ground, audience): (&mut Ground, &Audience),
    reader: &Socket,
    until_all: bool,
) -> anyhow::Result<Point> {
    let argument = json!({"channel": ground.channel, "body": "x".repeat(100)});
    let first = audience.board.deliveries();
    let each = audience.sockets.len() as u64;
    again_and_again(bench, what, seconds, async |round| {
        let began = Instant::now();
        let answer = ask(reader, "sendMessage", &argument).await?;
        let acknowledged = began.elapsed();
        let index = find(&answer, "index").and_then(Value::as_u64);
        ensure!(
            index == Some(ground.messages),
            "message {} was answered {answer}",
            ground.messages
        );
        ground.messages += 1;
        let due = first + (u64::from(round) + 1) * each;
        let board = &audience.board;
        let arrived = board.until(PATIENCE, || board.deliveries() >= due).await;
        ensure!(arrived, "of {due} deliveries {} have come", board.deliveries());
        Ok(if until_all { began.elapsed() } else { acknowledged })
    })
    .await
}

async fn newest(bench: &Bench, seconds: u64, ground: &Ground, reader: &Socket) -> anyhow::Result<Point> {
    let argument = json!({"channel": ground.channel, "limit": PAGE});
    page(
        bench,
        seconds,
        "newest page",
        (reader, &argument),
        ground.messages,
    )
    .await
}

async fn middle(bench: &Bench, seconds: u64, ground: &Ground, reader: &Socket) -> anyhow::Result<Point> {
    let before = ground.messages / 2;
    let argument = json!({"channel": ground.channel, "limit": PAGE, "before": before});
    page(bench, seconds, "page in the middle", (reader, &argument), before).await
}

/// A whole page of messages, the last one right before `end`.
async fn page(
    bench: &Bench,
    seconds: u64,
    what: &'static str,
    (reader, argument): (&Socket, &Value),
    end: u64,
) -> anyhow::Result<Point> {
    let due: Vec<u64> = (end.saturating_sub(PAGE)..end).collect();
    again_and_again(bench, what, seconds, async |_| {
        let began = Instant::now();
        let answer = ask(reader, "getMessages", argument).await?;
        let took = began.elapsed();
        let mut indexes: Vec<u64> = list(&answer, "messages")?
            .iter()
            .filter_map(|message| message["index"].as_u64())
            .collect();
        indexes.sort_unstable();
        ensure!(indexes == due, "a page before {end} has the indexes {indexes:?}");
        Ok(took)
    })
    .await
}

/// The channel that was spoken in last is the first one.
async fn channel_list(
    bench: &Bench,
    seconds: u64,
    ground: &Ground,
    reader: &Socket,
) -> anyhow::Result<Point> {
    let due = ground.channels.min(CHANNELS);
    let argument = json!({"limit": CHANNELS});
    again_and_again(bench, "channel list", seconds, async |_| {
        let began = Instant::now();
        let answer = ask(reader, "getChannels", &argument).await?;
        let took = began.elapsed();
        let channels = list(&answer, "channels")?;
        let first = &channels[0];
        ensure!(
            channels.len() as u64 == due
                && first["channel"]["sid"] == ground.channel.as_str()
                && first["channel"]["messages_count"] == ground.messages
                && first["channel"]["members_count"] == ground.members,
            "of {due} channels {} were told, first {first}",
            channels.len()
        );
        Ok(took)
    })
    .await
}

async fn members(bench: &Bench, seconds: u64, ground: &Ground, reader: &Socket) -> anyhow::Result<Point> {
    let due = ground.members.min(PAGE);
    let argument = json!({"channel": ground.channel, "limit": PAGE});
    again_and_again(bench, "page of members", seconds, async |_| {
        let began = Instant::now();
        let answer = ask(reader, "getMembers", &argument).await?;
        let took = began.elapsed();
        let members = list(&answer, "members")?;
        ensure!(
            members.len() as u64 == due,
            "of {due} members {} were told",
            members.len()
        );
        Ok(took)
    })
    .await
}

/// Reads the first message, then asks what is left.
async fn read_horizon(
    bench: &Bench,
    seconds: u64,
    ground: &Ground,
    reader: &Socket,
) -> anyhow::Result<Point> {
    let horizon = json!({"channel": ground.channel, "index": 0});
    ask(reader, "setLastConsumedMessageIndex", &horizon).await?;
    let argument = json!({"channel": ground.channel});
    let unread = ground.messages - 1;
    again_and_again(bench, "channel, with unread", seconds, async |_| {
        let began = Instant::now();
        let answer = ask(reader, "getChannel", &argument).await?;
        let took = began.elapsed();
        ensure!(
            find(&answer, "unread_messages_count").and_then(Value::as_u64) == Some(unread),
            "{unread} messages are unread, not {answer}"
        );
        Ok(took)
    })
    .await
}

/// New users become members.
async fn join(bench: &Bench, seconds: u64, ground: &mut Ground) -> anyhow::Result<Point> {
    let mut backend = Backend::connect(&ground.target).await?;
    again_and_again(bench, "join", seconds, async |_| {
        let identity = format!("joiner-{}", ground.joined);
        let began = Instant::now();
        backend
            .add_member(&ground.service, &ground.channel, &identity)
            .await?;
        ground.joined += 1;
        ground.members += 1;
        Ok(began.elapsed())
    })
    .await
}

/// Members are counted right.
async fn counted(ground: &Ground, reader: &Socket) -> anyhow::Result<()> {
    let answer = ask(reader, "getChannel", &json!({"channel": ground.channel})).await?;
    ensure!(
        find(&answer, "members_count").and_then(Value::as_u64) == Some(ground.members),
        "there are {} members, not as in {answer}",
        ground.members
    );
    Ok(())
}

async fn connect(bench: &Bench, seconds: u64, ground: &Ground) -> anyhow::Result<Point> {
    let board = Board::new();
    again_and_again(bench, "connect", seconds, async |_| {
        let began = Instant::now();
        let socket = ground.reader(None, Ear::new(&board)).await?;
        let took = began.elapsed();
        socket.drop_transport().await?;
        Ok(took)
    })
    .await
}

/// Somebody who missed a few messages comes back with a cursor, until all of them are told; again and again with the
/// same cursor.
async fn resume(bench: &Bench, seconds: u64, ground: &mut Ground) -> anyhow::Result<Point> {
    let board = Board::new();
    let socket = ground.reader(None, Ear::with_cursors(&board)).await?;
    let ear = socket.drop_transport().await?;
    let cursor = ear.cursor.context("no cursor was told")?;
    let mut backend = Backend::connect(&ground.target).await?;
    for _ in 0..MISSED {
        backend.send(&ground.service, &ground.channel, "missed").await?;
        ground.messages += 1;
    }
    again_and_again(bench, "resume", seconds, async |_| {
        let board = Board::new();
        let began = Instant::now();
        let socket = ground.reader(Some(&cursor), Ear::new(&board)).await?;
        let synced = board.until(PATIENCE, || board.synced().0 > 0).await;
        let took = began.elapsed();
        let ear = socket.drop_transport().await?;
        ensure!(
            synced && board.synced() == (1, 0) && ear.tally.count == MISSED && ear.tally.disordered == 0,
            "of {MISSED} missed messages came {}, {} out of order; synced: {synced}",
            ear.tally.count,
            ear.tally.disordered
        );
        Ok(took)
    })
    .await
}

/// The field of that name, wherever in an answer it is first.
fn find<'v>(value: &'v Value, name: &str) -> Option<&'v Value> {
    match value {
        Value::Object(fields) => fields
            .get(name)
            .or_else(|| fields.values().find_map(|value| find(value, name))),
        Value::Array(items) => items.iter().find_map(|value| find(value, name)),
        _ => None,
    }
}

fn list<'v>(answer: &'v Value, name: &str) -> anyhow::Result<&'v Vec<Value>> {
    find(answer, name)
        .and_then(Value::as_array)
        .with_context(|| format!("no {name} in {answer}"))
}
