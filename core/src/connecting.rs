//! What connecting clients ask the database. Thousands of them may come at once, when a network or a node has failed:
//! each kind of question is asked once for all who ask it at the same time, with statements that are planned once.

mod many_channels;

use std::collections::HashMap;

use sea_orm::{DatabaseConnection, DbBackend, FromQueryResult, QueryResult};

use crate::{
    db::Db,
    entities::{channel_event, message, user},
    error::{Error, Result},
    events::{
        Event, EventKind,
        cursor::Subscription,
        log::{self, MembershipChange, Stretch},
    },
    sid::{ChannelSid, ServiceSid},
    sql::Sql,
    timestamp::Timestamp,
    together::Together,
};

/// A user with more channels asks alone: its answer would hold the others up.
const MANY_CHANNELS: i32 = 100;
/// Who missed more events than this reads them alone.
const MANY_EVENTS: i64 = 64;
/// The same for who missed something in more channels than these.
const MANY_STRETCHES: usize = 64;

/// A user's key: its service and its identity.
type UserKey = (ServiceSid, String);
/// Channels of a service, and a moment.
type Moment = (ServiceSid, Vec<ChannelSid>, Timestamp);

/// A user, and whether it has a device that push notifications go to.
#[derive(Debug, Clone)]
pub(crate) struct KnownUser {
    pub(crate) row: user::Model,
    pub(crate) notifiable: bool,
}

/// The questions of a process's clients.
pub struct Connecting {
    db: Db,
    users: Together<UserKey, Option<KnownUser>>,
    subscriptions: Together<(UserKey, Option<Timestamp>), Vec<Subscription>>,
    changes: Together<(UserKey, Timestamp), Vec<MembershipChange>>,
    seqs: Together<Moment, HashMap<ChannelSid, i64>>,
    events: Together<Vec<Stretch>, Vec<Event>>,
}

impl Connecting {
    pub(crate) fn new(db: &Db) -> Self {
        Self {
            db: db.clone(),
            users: Together::default(),
            subscriptions: Together::default(),
            changes: Together::default(),
            seqs: Together::default(),
            events: Together::default(),
        }
    }

    fn connection(&self) -> DatabaseConnection {
        match self.db.backend() {
            DbBackend::Postgres => self.db.planned_once().clone(),
            _ => self.db.reader().clone(),
        }
    }

    /// The user of this identity, if there is one.
    pub(crate) async fn user(&self, service: ServiceSid, identity: &str) -> Result<Option<KnownUser>> {
        let db = self.connection();
        let look_up = move |asked| users(db.clone(), asked);
        self.users.ask((service, identity.to_owned()), look_up).await
    }

    /// The user's channels that had an event after `since` (all of them without it). `channels` is about how many it has.
    ///
    /// # Errors
    /// Whatever the database refuses.
    pub async fn subscriptions(
        &self,
        service: ServiceSid,
        identity: &str,
        since: Option<Timestamp>,
        channels: i32,
    ) -> Result<Vec<Subscription>> {
        let question = ((service, identity.to_owned()), since);
        if channels > MANY_CHANNELS {
            return many_channels::subscriptions(self.db.reader(), service, identity, since).await;
        }
        let db = self.connection();
        let look_up = move |asked| subscriptions(db.clone(), asked);
        self.subscriptions.ask(question, look_up).await
    }

    /// The user's joins and leaves after `since`, by channel and `seq`.
    ///
    /// # Errors
    /// Whatever the database refuses.
    pub async fn membership_changes(
        &self,
        service: ServiceSid,
        identity: &str,
        since: Timestamp,
    ) -> Result<Vec<MembershipChange>> {
        let db = self.connection();
        let look_up = move |asked| membership_changes(db.clone(), asked);
        self.changes
            .ask(((service, identity.to_owned()), since), look_up)
            .await
    }

    /// The `seq` of each channel's last event that was committed at `moment` or before; 0 when there is none.
    ///
    /// # Errors
    /// Whatever the database refuses.
    pub async fn seqs_at(
        &self,
        service: ServiceSid,
        channels: Vec<ChannelSid>,
        moment: Timestamp,
    ) -> Result<HashMap<ChannelSid, i64>> {
        if channels.is_empty() {
            return Ok(HashMap::new());
        }
        if channels.len() > MANY_STRETCHES {
            return log::seqs_at(self.db.reader(), service, &channels, moment).await;
        }
        let db = self.connection();
        let look_up = move |asked| seqs_at(db.clone(), asked);
        self.seqs.ask((service, channels, moment), look_up).await
    }

    /// The events of many stretches of one service, as [`log::read_all`] reads them.
    ///
    /// # Errors
    /// Whatever the database refuses.
    pub async fn read_all(&self, stretches: &[Stretch]) -> Result<Vec<Event>> {
        if stretches.is_empty() {
            return Ok(Vec::new());
        }
        let events: i64 = stretches
            .iter()
            .map(|stretch| stretch.until - stretch.after)
            .sum();
        if events > MANY_EVENTS || stretches.len() > MANY_STRETCHES {
            return log::read_all(self.db.reader(), stretches).await;
        }
        let db = self.connection();
        let look_up = move |asked| read_all(db.clone(), asked);
        self.events.ask(stretches.to_vec(), look_up).await
    }
}

/// Begins `WITH asked(place, …) AS (…)`: what is asked, each with its place.
fn asked<'q, Q: 'q, const N: usize>(
    backend: DbBackend,
    columns: [(&str, &str); N],
    questions: impl IntoIterator<Item = Q>,
    row: impl Fn(i64, Q) -> [sea_orm::Value; N],
) -> Sql {
    let mut sql = Sql::new("WITH ");
    let rows = (0..).zip(questions).map(|(place, question)| row(place, question));
    sql.table(backend, "asked", columns, rows);
    sql
}

/// Puts answers in the order of the questions.
fn in_places<A: Default + Clone>(
    questions: usize,
    rows: &[QueryResult],
    mut put: impl FnMut(&mut A, &QueryResult) -> Result<()>,
) -> Result<Vec<A>> {
    let mut answers = vec![A::default(); questions];
    for row in rows {
        let place: i64 = row.try_get("", "place")?;
        if let Some(answer) = usize::try_from(place)
            .ok()
            .and_then(|place| answers.get_mut(place))
        {
            put(answer, row)?;
        }
    }
    Ok(answers)
}

async fn users(db: DatabaseConnection, questions: Vec<UserKey>) -> Result<Vec<Option<KnownUser>>> {
    let backend = db.get_database_backend();
    let columns = [("place", "bigint"), ("service_id", "uuid"), ("identity", "text")];
    let mut sql = asked(backend, columns, &questions, |place, (service, identity)| {
        [place.into(), (*service).into(), identity.as_str().into()]
    });
    sql.push(
        " SELECT a.place, u.*, EXISTS (SELECT 1 FROM bindings b WHERE b.service_id = u.service_id AND b.user_id = u.id) \
         AS notifiable FROM asked a ",
    );
    sql.push(if backend == DbBackend::Postgres {
        "CROSS JOIN LATERAL (SELECT * FROM users WHERE service_id = a.service_id AND identity = a.identity OFFSET 0) u"
    } else {
        "JOIN users u ON u.service_id = a.service_id AND u.identity = a.identity"
    });
    let rows = sql.all(&db).await?;
    in_places(questions.len(), &rows, |answer, row| {
        *answer = Some(KnownUser {
            row: user::Model::from_query_result(row, "")?,
            notifiable: row.try_get("", "notifiable")?,
        });
        Ok(())
    })
}

async fn subscriptions(
    db: DatabaseConnection,
    questions: Vec<(UserKey, Option<Timestamp>)>,
) -> Result<Vec<Vec<Subscription>>> {
    let backend = db.get_database_backend();
    let columns = [
        ("place", "bigint"),
        ("service_id", "uuid"),
        ("identity", "text"),
        ("since", "bigint"),
    ];
    let mut sql = asked(
        backend,
        columns,
        &questions,
        |place, ((service, identity), since)| {
            let since = since.unwrap_or(Timestamp(i64::MIN));
            [
                place.into(),
                (*service).into(),
                identity.as_str().into(),
                since.into(),
            ]
        },
    );
    sql.push(" SELECT a.place, c.id, c.last_seq, c.last_event_at, c.deleted_at FROM asked a ");
    sql.push(if backend == DbBackend::Postgres {
        "CROSS JOIN LATERAL (SELECT channel_id FROM members WHERE service_id = a.service_id \
         AND identity = a.identity OFFSET 0) m \
         CROSS JOIN LATERAL (SELECT id, last_seq, last_event_at, deleted_at FROM channels \
         WHERE service_id = a.service_id AND id = m.channel_id AND last_event_at > a.since OFFSET 0) c"
    } else {
        "JOIN members m ON m.service_id = a.service_id AND m.identity = a.identity \
         JOIN channels c ON c.service_id = m.service_id AND c.id = m.channel_id AND c.last_event_at > a.since"
    });
    let rows = sql.all(&db).await?;
    in_places(questions.len(), &rows, |answer: &mut Vec<Subscription>, row| {
        answer.push(subscription(row)?);
        Ok(())
    })
}

fn subscription(row: &QueryResult) -> Result<Subscription> {
    Ok(Subscription {
        channel: row.try_get("", "id")?,
        last_seq: row.try_get("", "last_seq")?,
        last_event_at: row.try_get("", "last_event_at")?,
        deleted: row.try_get::<Option<Timestamp>>("", "deleted_at")?.is_some(),
    })
}

async fn membership_changes(
    db: DatabaseConnection,
    questions: Vec<(UserKey, Timestamp)>,
) -> Result<Vec<Vec<MembershipChange>>> {
    let backend = db.get_database_backend();
    let columns = [
        ("place", "bigint"),
        ("service_id", "uuid"),
        ("identity", "text"),
        ("since", "bigint"),
    ];
    let mut sql = asked(
        backend,
        columns,
        &questions,
        |place, ((service, identity), since)| {
            [
                place.into(),
                (*service).into(),
                identity.as_str().into(),
                (*since).into(),
            ]
        },
    );
    // Not what is in them: a user may have joined thousands of channels since. An identity may read like a note of a pool.
    sql.push(" SELECT a.place, e.channel_id, e.seq, e.kind FROM asked a ");
    sql.push(if backend == DbBackend::Postgres {
        "CROSS JOIN LATERAL (SELECT channel_id, seq, kind FROM channel_events WHERE service_id = a.service_id \
         AND subject = a.identity AND committed_at > a.since AND kind IN ('memberJoined', 'memberLeft') OFFSET 0) e"
    } else {
        "JOIN channel_events e ON e.service_id = a.service_id AND e.subject = a.identity \
         AND e.committed_at > a.since AND e.kind IN ('memberJoined', 'memberLeft')"
    });
    sql.push(" ORDER BY a.place, e.channel_id, e.seq");
    let rows = sql.all(&db).await?;
    in_places(
        questions.len(),
        &rows,
        |answer: &mut Vec<MembershipChange>, row| {
            let kind: String = row.try_get("", "kind")?;
            answer.push(MembershipChange {
                channel: row.try_get("", "channel_id")?,
                seq: row.try_get("", "seq")?,
                joined: kind == EventKind::MemberJoined.name(),
            });
            Ok(())
        },
    )
}

async fn seqs_at(db: DatabaseConnection, questions: Vec<Moment>) -> Result<Vec<HashMap<ChannelSid, i64>>> {
    let backend = db.get_database_backend();
    let columns = [
        ("place", "bigint"),
        ("service_id", "uuid"),
        ("channel_id", "uuid"),
        ("moment", "bigint"),
    ];
    let channels = (0_i64..)
        .zip(&questions)
        .flat_map(|(place, (service, channels, moment))| {
            channels
                .iter()
                .map(move |channel| (place, *service, *channel, *moment))
        });
    let mut sql = asked(
        backend,
        columns,
        channels,
        |_, (place, service, channel, moment)| [place.into(), service.into(), channel.into(), moment.into()],
    );
    sql.push(" SELECT a.place, a.channel_id");
    for (table, name) in [(log::MESSAGES, "message"), (log::OTHERS, "other")] {
        sql.push(&format!(
            ", (SELECT t.seq FROM {table} t WHERE t.service_id = a.service_id AND t.channel_id = a.channel_id \
             AND t.committed_at <= a.moment ORDER BY t.seq DESC LIMIT 1) AS {name}"
        ));
    }
    sql.push(" FROM asked a");
    let rows = sql.all(&db).await?;
    in_places(
        questions.len(),
        &rows,
        |answer: &mut HashMap<ChannelSid, i64>, row| {
            let message: Option<i64> = row.try_get("", "message")?;
            let other: Option<i64> = row.try_get("", "other")?;
            answer.insert(row.try_get("", "channel_id")?, message.max(other).unwrap_or(0));
            Ok(())
        },
    )
}

async fn read_all(db: DatabaseConnection, questions: Vec<Vec<Stretch>>) -> Result<Vec<Vec<Event>>> {
    let mut answers = vec![Vec::new(); questions.len()];
    for table in [log::MESSAGES, log::OTHERS] {
        let rows = within(&questions, table, db.get_database_backend())
            .all(&db)
            .await?;
        for row in &rows {
            let place: i64 = row.try_get("", "place")?;
            let place = usize::try_from(place).map_err(Error::internal)?;
            let (Some(answer), Some(stretches)) = (answers.get_mut(place), questions.get(place)) else {
                continue;
            };
            let Some(Stretch { account, .. }) = stretches.first() else {
                continue;
            };
            answer.push(if table == log::MESSAGES {
                log::arrival(*account, message::Model::from_query_result(row, "")?)
            } else {
                log::from_row(*account, channel_event::Model::from_query_result(row, "")?)?
            });
        }
    }
    for (stretches, events) in questions.iter().zip(&mut answers) {
        log::put_in_order(stretches, events);
    }
    Ok(answers)
}

/// The rows of a table that lie in these stretches, each with the place of its question.
fn within(questions: &[Vec<Stretch>], table: &str, backend: DbBackend) -> Sql {
    let columns = [
        ("place", "bigint"),
        ("service_id", "uuid"),
        ("channel_id", "uuid"),
        ("after_seq", "bigint"),
        ("until_seq", "bigint"),
    ];
    let stretches = (0_i64..)
        .zip(questions)
        .flat_map(|(place, stretches)| stretches.iter().map(move |stretch| (place, stretch)));
    let mut sql = asked(backend, columns, stretches, |_, (place, stretch)| {
        [
            place.into(),
            stretch.service.into(),
            stretch.channel.into(),
            stretch.after.into(),
            stretch.until.into(),
        ]
    });
    let bounds = "service_id = a.service_id AND t.channel_id = a.channel_id AND t.seq > a.after_seq AND t.seq <= a.until_seq";
    if backend == DbBackend::Postgres {
        sql.push(&format!(
            " SELECT a.place, t.* FROM asked a CROSS JOIN LATERAL (SELECT * FROM {table} t WHERE t.{bounds} OFFSET 0) t"
        ));
    } else {
        sql.push(&format!(
            " SELECT a.place, t.* FROM asked a JOIN {table} t ON t.{bounds}"
        ));
    }
    sql
}
