//! Plays a history at the two gateways and holds what every client hears against the model.

use hubbub_core::{
    Ctx,
    channels::{self, NewChannel},
    events::cursor,
    input::{ChannelRef, Identity},
    members::{self, NewMember},
    messages::{self, NewMessage, UpdateMessage},
    sid::ChannelSid,
};
use serde_json::json;

use crate::{
    CHANNELS, PEOPLE,
    client::{Client, Heard},
    model::{Channel, Connection, Listening, What},
    world::World,
};

/// One step of a history. Numbers that go too far begin again.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// Somebody, or a backend, says something.
    Say { by: usize, channel: usize, node: usize },
    /// A message is edited.
    Edit { which: u8, channel: usize, node: usize },
    /// A message is removed.
    Remove { which: u8, channel: usize, node: usize },
    /// Somebody is made a member, or no member any more: by a backend, or by itself if it is connected.
    JoinOrLeave {
        person: usize,
        channel: usize,
        node: usize,
        itself: bool,
    },
    /// A connection is cut. With `unread`, what was not read before is lost to the client.
    Cut { person: usize, unread: bool },
    /// Somebody comes back to a gateway: 0 to 5 with one of its last cursors, 6 with somebody else's, 7 with none. While it
    /// does so, a few things are said at both nodes.
    Back {
        person: usize,
        gateway: usize,
        cursor: u8,
        meanwhile: u8,
    },
    /// Somebody asks for what came after one of its last cursors.
    Sync { person: usize, cursor: u8 },
    /// The bus between the nodes fails, or is back.
    Bus { is_down: bool },
}

/// Where a client stood when it got a cursor.
#[derive(Debug, Clone)]
struct Mark {
    cursor: String,
    connection: Connection,
    /// What it had of each channel.
    has: Vec<i64>,
    /// What it may have had, since an earlier cursor may have covered it.
    optional: Vec<i64>,
}

/// A client, and what it is to hear.
struct Here {
    client: Client,
    /// From where on, in each channel.
    listens: Vec<Listening>,
    /// What it heard before that does not count any more.
    from: usize,
    /// How many of its cursors are among the marks.
    noted: (usize, usize),
}

struct Person {
    identity: Identity,
    token: String,
    connections: usize,
    marks: Vec<Mark>,
    here: Option<Here>,
}

pub(crate) struct History<'a> {
    world: &'a World,
    backends: [Ctx; 2],
    /// Of the last one everybody is a member, to know what comes behind everything else.
    channels: Vec<Channel>,
    people: Vec<Person>,
}

impl<'a> History<'a> {
    /// Plays these steps in a service of their own; what is wrong is the error.
    pub(crate) async fn plays(world: &'a World, steps: &[Step]) -> Result<(), String> {
        let mut history = Self::begin(world).await?;
        for (number, step) in steps.iter().enumerate() {
            history
                .takes(step)
                .await
                .map_err(|problem| format!("step {number}, {step:?}: {problem}"))?;
        }
        for person in 0..PEOPLE {
            history
                .comes_back(person, person % 2, 0, 0)
                .await
                .map_err(|problem| format!("at the end: {problem}"))?;
        }
        let outcome = history
            .settles()
            .await
            .map_err(|problem| format!("at the end: {problem}"));
        world.bus.comes_back().await;
        outcome
    }

    async fn begin(world: &'a World) -> Result<Self, String> {
        world.bus.comes_back().await;
        let service = world.service().await;
        let backends = [world.backend(0, service).await, world.backend(1, service).await];
        let people = (0..PEOPLE)
            .map(|number| {
                let identity = Identity::parse(&format!("person {number}")).unwrap();
                Person {
                    token: world.token(service, &identity),
                    identity,
                    connections: 0,
                    marks: Vec::new(),
                    here: None,
                }
            })
            .collect();
        let mut history = Self {
            world,
            backends,
            channels: Vec::new(),
            people,
        };
        for number in 0..=CHANNELS {
            let made = channels::create(&history.backends[0], NewChannel::default())
                .await
                .map_err(say)?;
            let db = history.backends[0].core.db.reader();
            let position = cursor::position(db, service, made.id).await.map_err(say)?;
            let base = position.map_or(0, |(_, seq)| seq);
            history.channels.push(Channel::new(made.id.to_string(), base));
            for person in 0..PEOPLE {
                if number == CHANNELS || person != number {
                    history.joins_or_leaves(person, number, number % 2, false).await?;
                }
            }
        }
        Ok(history)
    }

    async fn takes(&mut self, step: &Step) -> Result<(), String> {
        match *step {
            Step::Say { by, channel, node } => self.says(by, channel, node).await,
            Step::Edit { which, channel, node } => self.changes(which, channel, node, false).await,
            Step::Remove { which, channel, node } => self.changes(which, channel, node, true).await,
            Step::JoinOrLeave {
                person,
                channel,
                node,
                itself,
            } => self.joins_or_leaves(person, channel, node, itself).await,
            Step::Cut { person, unread } => {
                if !unread {
                    self.settles().await?;
                }
                self.notes(person);
                self.people[person].here = None;
                Ok(())
            }
            Step::Back {
                person,
                gateway,
                cursor,
                meanwhile,
            } => self.comes_back(person, gateway, cursor, meanwhile).await,
            Step::Sync { person, cursor } => self.syncs(person, cursor).await,
            Step::Bus { is_down: true } => {
                self.world.bus.fails();
                Ok(())
            }
            Step::Bus { is_down: false } => {
                self.world.bus.comes_back().await;
                Ok(())
            }
        }
    }

    fn reference(&self, channel: usize) -> ChannelRef {
        ChannelRef::Sid(self.channels[channel].sid.parse::<ChannelSid>().unwrap())
    }

    fn connection(&self, person: usize) -> Connection {
        (person, self.people[person].connections)
    }

    async fn says(&mut self, by: usize, channel: usize, node: usize) -> Result<(), String> {
        if by == PEOPLE {
            let sent = messages::send(&self.backends[node], self.reference(channel), said())
                .await
                .map_err(say)?;
            self.channels[channel].happens(What::Added(sent.message.id.to_string()), None);
            return Ok(());
        }
        let connection = self.connection(by);
        let is_member = self.channels[channel].members.contains(&by);
        let argument = json!({ "channel": self.channels[channel].sid, "body": "hello" });
        let Some(here) = &mut self.people[by].here else {
            return Ok(());
        };
        match here.client.ask("sendMessage", &argument).await {
            Ok(message) if is_member => {
                let message = message["sid"].as_str().expect("a SID").to_owned();
                self.channels[channel].happens(What::Added(message), Some(connection));
                Ok(())
            }
            Err(refused) if !is_member && refused.contains("\"code\"") => Ok(()),
            other => Err(format!("{other:?}, a member: {is_member}")),
        }
    }

    async fn changes(&mut self, which: u8, channel: usize, node: usize, removes: bool) -> Result<(), String> {
        let messages = &self.channels[channel].messages;
        if messages.is_empty() {
            return Ok(());
        }
        let message = messages[usize::from(which) % messages.len()].clone();
        let (ctx, id) = (&self.backends[node], message.parse().map_err(say)?);
        let what = if removes {
            messages::remove(ctx, &self.reference(channel), id)
                .await
                .map_err(say)?;
            What::Removed(message)
        } else {
            let update = UpdateMessage {
                body: Some("edited".to_owned()),
                ..UpdateMessage::default()
            };
            messages::update(ctx, &self.reference(channel), id, update)
                .await
                .map_err(say)?;
            What::Edited(message)
        };
        self.channels[channel].happens(what, None);
        Ok(())
    }

    async fn joins_or_leaves(
        &mut self,
        person: usize,
        channel: usize,
        node: usize,
        itself: bool,
    ) -> Result<(), String> {
        let leaves = self.channels[channel].members.contains(&person);
        let (reference, ctx) = (self.reference(channel), &self.backends[node]);
        let identity = self.people[person].identity.clone();
        let here = self.people[person].here.as_mut().filter(|_| itself);
        let argument = json!({ "channel": self.channels[channel].sid });
        match (leaves, here) {
            (true, Some(here)) => drop(here.client.ask("leaveChannel", &argument).await?),
            (false, Some(here)) => drop(here.client.ask("joinChannel", &argument).await?),
            (true, None) => members::delete(ctx, &reference, &identity.as_str().into())
                .await
                .map_err(say)?,
            (false, None) => {
                members::create(ctx, &reference, NewMember::new(identity))
                    .await
                    .map_err(say)?;
            }
        }
        let what = if leaves {
            What::Left(person)
        } else {
            What::Joined(person)
        };
        self.channels[channel].happens(what, None);
        Ok(())
    }

    /// Takes the cursors that came since the last time for marks.
    fn notes(&mut self, person: usize) {
        let bases: Vec<_> = self.channels.iter().map(|channel| channel.sid.clone()).collect();
        let connection = self.connection(person);
        let Person {
            here: Some(here),
            marks,
            ..
        } = &mut self.people[person]
        else {
            return;
        };
        let has = |heard: &[Heard]| -> Vec<i64> {
            let of = |sid: &String| {
                heard
                    .iter()
                    .filter(|event| event.channel == *sid)
                    .map(|event| event.seq)
                    .max()
            };
            let listens = here.listens.iter().zip(&bases);
            listens
                .map(|(listens, sid)| of(sid).unwrap_or(0).max(listens.after))
                .collect()
        };
        let heard = &here.client.heard;
        let mut found: Vec<(usize, String)> = here.client.cursors[here.noted.1..].to_vec();
        for (place, event) in heard.iter().enumerate().skip(here.noted.0) {
            found.extend(event.cursor.clone().map(|cursor| (place + 1, cursor)));
        }
        found.sort_by_key(|(place, _)| *place);
        for (place, cursor) in found {
            let has = has(&heard[here.from.min(place)..place]);
            let may_have = here.listens.iter().map(|listens| listens.optional);
            let optional = has.iter().zip(may_have).map(|(&has, optional)| has.max(optional));
            let optional = optional.collect();
            marks.push(Mark {
                cursor,
                connection,
                has,
                optional,
            });
        }
        here.noted = (heard.len(), here.client.cursors.len());
    }

    fn mark(&self, person: usize, back: u8) -> Option<Mark> {
        let marks = &self.people[person].marks;
        let place = marks
            .len()
            .checked_sub(1 + usize::from(back))
            .or_else(|| marks.len().checked_sub(1))?;
        Some(marks[place].clone())
    }

    /// What a client is to hear that goes on from there.
    fn listens(&self, mark: &Mark, connection: Connection) -> Vec<Listening> {
        let channels = self.channels.iter().zip(mark.has.iter().zip(&mark.optional));
        channels
            .map(|(channel, (&after, &optional))| Listening {
                connection,
                after,
                replayed: channel.end(),
                optional: channel.own_after(optional, mark.connection),
            })
            .collect()
    }

    /// What a client is to hear that goes on from now.
    fn listens_from_now(&self, connection: Connection) -> Vec<Listening> {
        let channels = self.channels.iter();
        channels
            .map(|channel| Listening {
                connection,
                after: channel.end(),
                replayed: channel.end(),
                optional: channel.end(),
            })
            .collect()
    }

    async fn comes_back(
        &mut self,
        person: usize,
        gateway: usize,
        cursor: u8,
        meanwhile: u8,
    ) -> Result<(), String> {
        if self.people[person].here.is_some() {
            return Ok(());
        }
        let stranger = self.mark((person + 1) % PEOPLE, 0).filter(|_| cursor == 6);
        let mark = self.mark(person, cursor).filter(|_| cursor < 6);
        self.people[person].connections += 1;
        let connection = self.connection(person);
        let listens = match &mark {
            Some(mark) => self.listens(mark, connection),
            None => self.listens_from_now(connection),
        };
        let given = mark
            .as_ref()
            .or(stranger.as_ref())
            .map(|mark| mark.cursor.clone());
        let (url, token) = (self.world.url(gateway), self.people[person].token.clone());
        // Who comes without a cursor may be told of these or not.
        let count = if mark.is_some() { usize::from(meanwhile) } else { 0 };
        let speaks = async {
            let mut sent = Vec::new();
            for number in 0..count {
                let channel = number % CHANNELS;
                let ctx = &self.backends[(number / CHANNELS) % 2];
                let done = messages::send(ctx, self.reference(channel), said())
                    .await
                    .map_err(say)?;
                sent.push((channel, done.message.id.to_string()));
            }
            Ok::<_, String>(sent)
        };
        let comes = Client::connect(&url, &token, given.as_deref());
        let (client, sent) = futures_util::join!(comes, speaks);
        let client = client.map_err(|problem| format!("person {person} cannot connect: {problem}"))?;
        for (channel, message) in sent? {
            self.channels[channel].happens(What::Added(message), None);
        }
        let synced: &[bool] = match (&mark, &stranger) {
            (Some(_), _) => &[true],
            (None, Some(_)) => &[false],
            (None, None) => &[],
        };
        if client.synced != synced {
            return Err(format!(
                "person {person} was told {:?}, not {synced:?}",
                client.synced
            ));
        }
        self.people[person].here = Some(Here {
            client,
            listens,
            from: 0,
            noted: (0, 0),
        });
        Ok(())
    }

    async fn syncs(&mut self, person: usize, back: u8) -> Result<(), String> {
        if self.people[person].here.is_none() {
            return Ok(());
        }
        // What is on its way may come before what is asked for, or after it.
        self.settles().await?;
        self.notes(person);
        let Some(mark) = self.mark(person, back) else {
            return Ok(());
        };
        let listens = self.listens(&mark, self.connection(person));
        let Some(here) = &mut self.people[person].here else {
            return Ok(());
        };
        here.from = here.client.heard.len();
        here.listens = listens;
        let before = here.client.synced.len();
        here.client.ask("sync", &json!({ "cursor": mark.cursor })).await?;
        while here.client.synced.len() == before {
            here.client.read().await?;
        }
        if here.client.synced.last() != Some(&true) {
            return Err("all of it is there".to_owned());
        }
        Ok(())
    }

    /// Lets everybody hear everything, and looks at what they heard.
    async fn settles(&mut self) -> Result<(), String> {
        self.world.bus.comes_back().await;
        // The last that each node says, to everybody.
        for node in 0..2 {
            self.says(PEOPLE, CHANNELS, node).await?;
        }
        for person in 0..PEOPLE {
            self.hears_all(person)
                .await
                .map_err(|problem| format!("person {person}: {problem}"))?;
        }
        Ok(())
    }

    async fn hears_all(&mut self, person: usize) -> Result<(), String> {
        let Some(here) = &mut self.people[person].here else {
            return Ok(());
        };
        for (channel, listens) in self.channels.iter().zip(&here.listens) {
            let told = channel.told(person, listens);
            while let Some((last, ..)) = told.last().filter(|(last, ..)| *last > listens.optional) {
                let heard = &here.client.heard[here.from..];
                if heard
                    .iter()
                    .any(|event| event.channel == channel.sid && event.seq >= *last)
                {
                    break;
                }
                here.client.read().await.map_err(|problem| {
                    let heard: Vec<_> = heard_of(here, channel);
                    format!("{problem}; in {} it heard {heard:?}, not {told:?}", channel.sid)
                })?;
            }
        }
        for (channel, listens) in self.channels.iter().zip(&here.listens) {
            let mut told = channel.told(person, listens);
            let heard = heard_of(here, channel);
            let first = heard.first().map_or(i64::MAX, |(first, ..)| *first);
            told.retain(|(seq, ..)| *seq >= first || *seq > listens.optional);
            if heard != told {
                return Err(format!(
                    "in {} it heard {heard:?}, not {told:?}; {listens:?}",
                    channel.sid
                ));
            }
        }
        Ok(())
    }
}

/// What a client heard of a channel, as far as it counts.
fn heard_of<'h>(here: &'h Here, channel: &Channel) -> Vec<(i64, &'h str, Option<&'h str>)> {
    here.client.heard[here.from..]
        .iter()
        .filter(|event| event.channel == channel.sid)
        .map(|event| (event.seq, event.kind.as_str(), event.message.as_deref()))
        .collect()
}

fn said() -> NewMessage {
    NewMessage {
        body: Some("hello".to_owned()),
        ..NewMessage::default()
    }
}

fn say(error: impl std::fmt::Debug) -> String {
    format!("{error:?}")
}
