//! A client on a bare WebSocket. It reads only when it is asked to: what it has not read when its connection is cut is
//! lost to it.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async, tungstenite::Message};

/// Longer than anything takes, the audit of a gateway included.
const PATIENCE: Duration = Duration::from_secs(20);

/// An event of a channel, as it was heard.
#[derive(Debug, Clone)]
pub(crate) struct Heard {
    pub(crate) channel: String,
    pub(crate) seq: i64,
    pub(crate) kind: String,
    pub(crate) message: Option<String>,
    pub(crate) cursor: Option<String>,
}

pub(crate) struct Client {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// Everything it has heard on this connection.
    pub(crate) heard: Vec<Heard>,
    /// The cursors of the connection that stand in no event: with how many events were heard before.
    pub(crate) cursors: Vec<(usize, String)>,
    /// Of each `synced` that it was told: whether all was there.
    pub(crate) synced: Vec<bool>,
    initialized: bool,
    acks: Vec<(u64, Value)>,
    asked: u64,
}

impl Client {
    /// A client that was let in, and has caught up if it came with a cursor.
    pub(crate) async fn connect(url: &str, token: &str, cursor: Option<&str>) -> Result<Self, String> {
        let (socket, _) = connect_async(url).await.map_err(|error| error.to_string())?;
        let mut client = Self {
            socket,
            heard: Vec::new(),
            cursors: Vec::new(),
            synced: Vec::new(),
            initialized: false,
            acks: Vec::new(),
            asked: 0,
        };
        let mut auth = json!({ "token": token });
        if let Some(cursor) = cursor {
            auth["cursor"] = cursor.into();
        }
        client.say(format!("40{auth}")).await?;
        while !client.initialized || cursor.is_some() && client.synced.is_empty() {
            client.read().await?;
        }
        if cursor.is_some() {
            // What `initialized` says then is the cursor that it came with.
            client.cursors.remove(0);
        }
        Ok(client)
    }

    async fn say(&mut self, text: String) -> Result<(), String> {
        self.socket
            .send(Message::text(text))
            .await
            .map_err(|error| error.to_string())
    }

    /// Asks for something and waits for the answer.
    pub(crate) async fn ask(&mut self, verb: &str, argument: &Value) -> Result<Value, String> {
        self.asked += 1;
        let id = self.asked;
        self.say(format!("42{id}{}", json!([verb, argument]))).await?;
        loop {
            if let Some(place) = self.acks.iter().position(|(of, _)| *of == id) {
                let (_, answer) = self.acks.remove(place);
                return if answer["ok"] == true {
                    Ok(answer["data"].clone())
                } else {
                    Err(format!("{verb}: {answer}"))
                };
            }
            self.read().await?;
        }
    }

    /// Reads one packet.
    pub(crate) async fn read(&mut self) -> Result<(), String> {
        let message = timeout(PATIENCE, self.socket.next())
            .await
            .map_err(|_| "nothing more came".to_owned())?
            .ok_or("the connection ended")?
            .map_err(|error| error.to_string())?;
        let Message::Text(text) = message else {
            return Err(format!("unexpected: {message:?}"));
        };
        if text.starts_with("2") {
            return self.say("3".to_owned()).await;
        }
        if let Some(rest) = text.strip_prefix("43") {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let answer: Value = serde_json::from_str(&rest[digits..]).map_err(|error| error.to_string())?;
            self.acks
                .push((rest[..digits].parse().expect("an id"), answer[0].clone()));
        } else if let Some(event) = text.strip_prefix("42") {
            let event: Value = serde_json::from_str(event).map_err(|error| error.to_string())?;
            self.hear(&event[0], &event[1]);
        } else if !text.starts_with("0{") && !text.starts_with("40{") {
            return Err(format!("unexpected: {text}"));
        }
        Ok(())
    }

    fn hear(&mut self, name: &Value, event: &Value) {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let name = name.as_str().expect("a name");
        if name == "initialized" || name == "synced" {
            let cursor = text(&event["cursor"]).expect("a cursor");
            self.cursors.push((self.heard.len(), cursor));
            if name == "synced" {
                self.synced.push(event["complete"] == true);
            }
            self.initialized = true;
            return;
        }
        // Those of users have none.
        if let Some(seq) = event["seq"].as_i64() {
            self.heard.push(Heard {
                channel: text(&event["channel_sid"]).expect("a channel"),
                seq,
                kind: name.to_owned(),
                message: text(&event["message"]["sid"]),
                cursor: text(&event["cursor"]),
            });
        }
    }
}
