//! Those who put load on the nodes and do not give up: talkers and backends repeat what was not acknowledged, and
//! listeners come back with their cursors.

use std::{
    net::SocketAddr,
    ops::ControlFlow,
    sync::Arc,
    time::{Duration, Instant},
};

use rand::{RngExt as _, rngs::StdRng};
use serde::Deserialize;
use tokio::time::{sleep, timeout};

use super::ledger::{Acked, Ledger, Pen};
use crate::{
    http::Connection,
    socket::{Refusal, Socket},
};

/// How long anybody waits for an answer before taking the connection for dead: longer than a server may take.
const ANSWER: Duration = Duration::from_secs(7);
/// The pause after a refusal, and before the next try to connect.
const PAUSE: Duration = Duration::from_millis(50);

/// What the holder of a token is told when the clock is behind the token's.
const NOT_YET_VALID: (u16, u32) = (401, 20105);

/// Where to and for whom.
#[derive(Clone)]
pub(crate) struct Doors {
    pub(crate) rest: SocketAddr,
    pub(crate) gateways: Vec<SocketAddr>,
    pub(crate) authorization: String,
    pub(crate) service: String,
    pub(crate) ledger: Arc<Ledger>,
    /// Between an acknowledgement and the next message.
    pub(crate) every: Duration,
}

/// One sender's place and words: its messages are numbered, each with an id of its own.
pub(crate) struct Voice {
    pub(crate) doors: Doors,
    /// Its number in the ledger.
    pub(crate) sender: usize,
    pub(crate) identity: String,
    pub(crate) channel: String,
}

/// The part of an error that says what it is.
#[derive(Deserialize)]
struct Told {
    code: u32,
    status: u16,
}

#[derive(Deserialize)]
struct Stored {
    sid: String,
    index: i64,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Answer {
    Good { data: Stored },
    Bad { error: Told },
}

impl Voice {
    /// Talks over a socket until it is over; answers the socket, on which others may still be heard.
    pub(crate) async fn talks(self, mut line: Line) -> Option<Line> {
        for number in 0.. {
            if self.doors.ledger.is_over() {
                break;
            }
            let (began, body) = (Instant::now(), self.body(number));
            let argument = format!(
                "{{\"channel\":\"{}\",\"body\":\"{body}\",\"client_id\":\"{body}\"}}",
                self.channel
            );
            let stored = loop {
                if let Some(stored) = line.calls("sendMessage", &argument).await {
                    break stored;
                }
                sleep(PAUSE).await;
            };
            self.was_acked(stored, body, began).await;
        }
        Some(line)
    }

    /// Talks over REST until it is over.
    pub(crate) async fn posts(self) -> Option<Line> {
        let path = format!(
            "/v2/Services/{}/Channels/{}/Messages",
            self.doors.service, self.channel
        );
        let mut connection = None;
        for number in 0.. {
            if self.doors.ledger.is_over() {
                break;
            }
            let (began, body) = (Instant::now(), self.body(number));
            let form = format!("From={}&Body={body}", self.identity);
            let stored = loop {
                if let Some(stored) = post(&self.doors, &mut connection, &path, &body, &form).await {
                    break stored;
                }
                sleep(PAUSE).await;
            };
            self.was_acked(stored, body, began).await;
        }
        None
    }

    /// What is said, and the id by which its repetitions are known.
    fn body(&self, number: u64) -> String {
        format!("{}.{number}", self.identity)
    }

    /// Writes down what was acknowledged, however often it had to be said, and takes a breath.
    async fn was_acked(&self, stored: Stored, body: String, began: Instant) {
        let acked = Acked {
            channel: self.channel.clone(),
            sid: stored.sid,
            index: stored.index,
            from: self.identity.clone(),
            body,
        };
        self.doors.ledger.acked(self.sender, acked, began.elapsed());
        sleep(self.doors.every).await;
    }
}

/// Posts once; what is stored, when it is.
async fn post(
    doors: &Doors,
    kept: &mut Option<Connection>,
    path: &str,
    key: &str,
    form: &str,
) -> Option<Stored> {
    let mut connection = match kept.take() {
        Some(connection) => connection,
        None => timeout(ANSWER, Connection::open(doors.rest)).await.ok()?.ok()?,
    };
    let began = Instant::now();
    // Webhooks tell of what a backend does when it asks for that.
    let headers = [("Idempotency-Key", key), ("X-Twilio-Webhook-Enabled", "true")];
    let Ok(response) = connection
        .post_with(path, &doors.authorization, &headers, form, ANSWER)
        .await
    else {
        if began.elapsed() >= ANSWER {
            doors.ledger.unanswered();
        }
        return None;
    };
    *kept = Some(connection);
    if response.status == 201 {
        let stored = serde_json::from_slice(&response.body);
        if stored.is_err() {
            doors
                .ledger
                .wrong("an answer to a send that cannot be read".to_owned());
        }
        return stored.ok();
    }
    let told = String::from_utf8_lossy(&response.body);
    let code = serde_json::from_slice(&response.body).map_or(0, |told: Told| told.code);
    doors
        .ledger
        .refused(response.status, code, &told, began.elapsed());
    None
}

/// A fresh token, when one is to be had.
async fn mint(doors: &Doors, identity: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Minted {
        token: String,
    }
    let path = format!("/v2/Services/{}/AccessTokens", doors.service);
    let form = format!("Identity={identity}&Ttl=14400");
    let mut connection = timeout(ANSWER, Connection::open(doors.rest)).await.ok()?.ok()?;
    let asked = connection.post_with(&path, &doors.authorization, &[], &form, ANSWER);
    let response = asked.await.ok().filter(|response| response.status == 201)?;
    serde_json::from_slice(&response.body)
        .ok()
        .map(|minted: Minted| minted.token)
}

/// One user's connections, one after the other, each with the last one's cursor.
pub(crate) struct Line {
    doors: Doors,
    identity: String,
    token: String,
    pub(crate) pen: Pen,
    socket: Option<Socket<Pen>>,
    /// Which gateway is next.
    turn: usize,
}

impl Line {
    pub(crate) fn new(doors: &Doors, identity: &str, token: String, turn: usize) -> Self {
        Self {
            doors: doors.clone(),
            identity: identity.to_owned(),
            token,
            pen: Pen::default(),
            socket: None,
            turn,
        }
    }

    /// Connects, again and again until it is let in.
    pub(crate) async fn comes(&mut self) {
        loop {
            let began = Instant::now();
            let gateway = self.doors.gateways[self.turn % self.doors.gateways.len()];
            self.turn += 1;
            let cursor = self.pen.diary().resume();
            let connecting = Socket::connect(gateway, &self.token, cursor.as_deref(), self.pen.clone());
            match timeout(ANSWER, connecting).await {
                Ok(Ok(socket)) => {
                    self.socket = Some(socket);
                    return;
                }
                Ok(Err(error)) => {
                    if let Some(Refusal(json)) = error.downcast_ref() {
                        self.refused(json, began.elapsed()).await;
                    }
                }
                Err(_) => self.doors.ledger.unanswered(),
            }
            sleep(PAUSE).await;
        }
    }

    async fn refused(&mut self, json: &str, after: Duration) {
        #[derive(Deserialize)]
        struct Packet {
            data: Told,
        }
        match serde_json::from_str::<Packet>(json) {
            // The clock was set back to before the token was made: its backend makes another.
            Ok(Packet { data }) if (data.status, data.code) == NOT_YET_VALID => {
                if let Some(token) = mint(&self.doors, &self.identity).await {
                    self.token = token;
                }
            }
            Ok(Packet { data }) => self.doors.ledger.refused(data.status, data.code, json, after),
            Err(_) => self
                .doors
                .ledger
                .wrong(format!("a refusal that cannot be read: {json}")),
        }
    }

    /// Calls once; what is stored, when it is.
    async fn calls(&mut self, verb: &str, argument: &str) -> Option<Stored> {
        if self.socket.as_ref().is_none_or(|socket| !socket.is_connected()) {
            if self.socket.is_some() {
                self.doors.ledger.cut_off();
            }
            self.leaves().await;
            self.comes().await;
        }
        let socket = self.socket.as_ref()?;
        let began = Instant::now();
        let ack = match timeout(ANSWER, socket.call(verb, argument)).await {
            Ok(Ok(ack)) => ack,
            Ok(Err(_)) => {
                self.doors.ledger.cut_off();
                self.leaves().await;
                return None;
            }
            Err(_) => {
                self.doors.ledger.unanswered();
                self.leaves().await;
                return None;
            }
        };
        let ledger = &self.doors.ledger;
        match serde_json::from_slice::<(Answer,)>(ack.json().0) {
            Ok((Answer::Good { data },)) => Some(data),
            Ok((Answer::Bad { error },)) => {
                let told = String::from_utf8_lossy(ack.json().0);
                ledger.refused(error.status, error.code, &told, began.elapsed());
                None
            }
            Err(_) => {
                ledger.wrong("an ack that cannot be read".to_owned());
                None
            }
        }
    }

    /// Ends the connection; nothing is written into the diary any more.
    pub(crate) async fn leaves(&mut self) {
        if let Some(socket) = self.socket.take() {
            let _ = socket.drop_transport().await;
        }
    }

    /// Listens until it is told to stop, and comes back whenever it is cut off. With a chance it also goes by itself
    /// every now and then, and comes back at the next gateway.
    pub(crate) async fn listens(
        mut self,
        stop: Arc<std::sync::atomic::AtomicBool>,
        mut restless: Option<StdRng>,
    ) {
        let mut stay = || match &mut restless {
            Some(chance) => Duration::from_millis(chance.random_range(500..5_000)),
            None => Duration::MAX,
        };
        let (mut since, mut stays) = (Instant::now(), stay());
        while !stop.load(std::sync::atomic::Ordering::Relaxed) {
            let Some(socket) = self.socket.take() else {
                self.comes().await;
                (since, stays) = (Instant::now(), stay());
                continue;
            };
            match socket.ends(Duration::from_millis(200)).await {
                Ok(ControlFlow::Continue(socket)) => self.socket = Some(socket),
                Ok(ControlFlow::Break(_)) | Err(_) => self.doors.ledger.cut_off(),
            }
            if since.elapsed() > stays {
                self.leaves().await;
            }
        }
        self.leaves().await;
    }
}
