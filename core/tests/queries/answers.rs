//! Random questions, each asked without indexes, with some, and with all of them; with thresholds that send small data
//! down every way.

use std::sync::Arc;

use hubbub_core::{
    Core, Ctx,
    attribute_indexes::{self, Covered},
    broker::Broker,
    channels,
    entities::{channel, member, message, user},
    filter::{self, Filter, Sort, Subject},
    members, messages,
    paging::PageRequest,
    query::{Asked, Limits, Listing},
    sid::ChannelSid,
    timestamp::Timestamp,
    users,
};
use sea_orm::{EntityTrait, IntoActiveModel};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    documents::{self, Dice, Plain},
    stage::Stage,
};

/// Thresholds by which a few hundred rows are many.
pub(crate) const TINY: Limits = Limits {
    scan_budget: 10_000,
    few: 2,
    many: 30,
    glance: 6,
    nearby: 12,
    walk: 60,
    stroll: 15,
};

/// The same service with other thresholds.
pub(crate) fn with_limits(stage: &Stage, lists: Limits) -> Ctx {
    let core = &stage.core;
    let mut settings = core.settings.clone();
    settings.lists = lists;
    let core = Core::start(
        Uuid::new_v4(),
        core.db.clone(),
        core.vault.clone(),
        Broker {
            bus: Arc::clone(&core.bus),
            jobs: Arc::clone(&core.jobs),
            asks: Arc::clone(&core.asks),
        },
        settings,
    );
    Ctx {
        core,
        caller: stage.ctx.caller.clone(),
        service: Arc::clone(&stage.ctx.service),
    }
}

fn moment(dice: &mut Dice) -> Timestamp {
    let base = Timestamp::parse("2026-03-01T00:00:00Z").unwrap();
    Timestamp(base.0 + 1_000_000 * dice.below(5) as i64 + 250_000 * dice.below(4) as i64)
}

fn own_of_channels() -> Vec<(&'static str, Vec<Value>)> {
    vec![
        (
            "type",
            vec![json!("public"), json!("private"), json!(1), json!(null)],
        ),
        (
            "friendly_name",
            vec![
                json!("Room 1"),
                json!("é"),
                json!("Room"),
                json!(null),
                json!("a\u{0}"),
            ],
        ),
        ("unique_name", vec![json!("room-7"), json!(null)]),
        ("created_by", vec![json!("alice"), json!("system"), json!("bob")]),
        (
            "members_count",
            vec![json!(0), json!(1), json!(2.5), json!(1e300), json!("1")],
        ),
        (
            "date_created",
            vec![
                json!("2026-03-01T00:00:02Z"),
                json!("2026-03-01T01:00:03+01:00"),
                json!("2026-03-01T00:00:01.5Z"),
                json!(5),
            ],
        ),
        ("date_updated", vec![json!("2026-03-01T00:00:02Z")]),
        (
            "sid",
            vec![json!("CH"), json!("CH0192"), json!("CHff"), json!("nonsense")],
        ),
    ]
}

async fn channel_rows(stage: &Stage, dice: &mut Dice, count: usize) -> Vec<channel::Model> {
    let model = stage.channel("{}").await;
    let rows: Vec<channel::Model> = (0..count)
        .map(|number| channel::Model {
            id: ChannelSid::generate(),
            unique_name: (number % 3 == 0).then(|| format!("room-{number}")),
            friendly_name: dice
                .one(&[
                    None,
                    Some("Room 1"),
                    Some("Room 2"),
                    Some("room"),
                    Some("é"),
                    Some(""),
                ])
                .map(str::to_owned),
            kind: (*dice.one(&["public", "public", "private"])).to_owned(),
            created_by: (*dice.one(&["alice", "bob", "system"])).to_owned(),
            members_count: i32::try_from(dice.below(4)).unwrap(),
            date_created: moment(dice),
            date_updated: moment(dice),
            attributes: documents::attributes_text(dice),
            ..model.clone()
        })
        .collect();
    channel::Entity::insert_many(rows.clone().into_iter().map(IntoActiveModel::into_active_model))
        .exec_without_returning(stage.core.db.writer())
        .await
        .unwrap();
    channels::delete(&stage.ctx, &model.id.into()).await.unwrap();
    rows
}

/// A list that can be asked.
trait Asking<T> {
    async fn ask(&self, ctx: &Ctx, asked: &Asked, request: &PageRequest) -> hubbub_core::Result<Listing<T>>;
}

struct Channels;
struct Users;
struct Members(ChannelSid);
struct Messages(ChannelSid);

impl Asking<channel::Model> for Channels {
    async fn ask(
        &self,
        ctx: &Ctx,
        asked: &Asked,
        request: &PageRequest,
    ) -> hubbub_core::Result<Listing<channel::Model>> {
        channels::search(ctx, &["public", "private"], asked, request).await
    }
}

impl Asking<user::Model> for Users {
    async fn ask(
        &self,
        ctx: &Ctx,
        asked: &Asked,
        request: &PageRequest,
    ) -> hubbub_core::Result<Listing<user::Model>> {
        users::search(ctx, asked, request).await
    }
}

impl Asking<member::Model> for Members {
    async fn ask(
        &self,
        ctx: &Ctx,
        asked: &Asked,
        request: &PageRequest,
    ) -> hubbub_core::Result<Listing<member::Model>> {
        members::search(ctx, &self.0.into(), &[], asked, request).await
    }
}

impl Asking<message::Model> for Messages {
    async fn ask(
        &self,
        ctx: &Ctx,
        asked: &Asked,
        request: &PageRequest,
    ) -> hubbub_core::Result<Listing<message::Model>> {
        messages::search(ctx, &self.0.into(), None, asked, request).await
    }
}

/// Every page from the first to the last, then back again; each item once, and the same both ways.
async fn read<T: Plain>(list: &impl Asking<T>, ctx: &Ctx, asked: &Asked, size: u64) -> Vec<Uuid> {
    let mut request = PageRequest::first(size);
    let mut pages: Vec<Vec<Uuid>> = Vec::new();
    let mut back;
    loop {
        let page = list.ask(ctx, asked, &request).await.unwrap().page;
        assert!(page.items.len() as u64 <= size);
        assert!(
            !page.items.is_empty() || pages.is_empty(),
            "an empty page: {asked:?}"
        );
        assert_eq!(page.previous.is_some(), !pages.is_empty(), "{asked:?}");
        pages.push(page.items.iter().map(Plain::id).collect());
        back = page.previous;
        request.token = page.next;
        if request.token.is_none() {
            break;
        }
    }
    for expected in pages.iter().rev().skip(1) {
        request.token = back.take();
        let page = list.ask(ctx, asked, &request).await.unwrap().page;
        let ids: Vec<Uuid> = page.items.iter().map(Plain::id).collect();
        assert_eq!(ids, *expected, "backward: {asked:?}");
        assert!(page.next.is_some());
        back = page.previous;
    }
    assert!(back.is_none(), "nothing is before the first page: {asked:?}");
    pages.concat()
}

struct Suite<'s, T> {
    stage: &'s Stage,
    rows: Vec<T>,
    subject: &'static Subject,
    covered: Covered,
    own: Vec<(&'static str, Vec<Value>)>,
}

impl<T: Plain> Suite<'_, T> {
    /// Asks at random; every list must be what a plain loop finds.
    async fn ask(&self, list: &impl Asking<T>, seed: u64, questions: usize) {
        let mut dice = Dice::new(seed);
        let contexts = [
            with_limits(self.stage, TINY),
            with_limits(
                self.stage,
                Limits {
                    few: 0,
                    many: 0,
                    ..TINY
                },
            ),
            with_limits(
                self.stage,
                Limits {
                    few: 0,
                    many: 1_000,
                    ..TINY
                },
            ),
            self.stage.ctx.clone(),
        ];
        let declared =
            attribute_indexes::declared(self.stage.core.db.reader(), self.stage.ctx.scope(), self.covered)
                .await
                .unwrap();
        let names: Vec<&str> = self.own.iter().map(|(name, _)| *name).collect();
        let (mut some, mut several) = (0, 0);
        for question in 0..questions {
            let filter_text = documents::filter(&mut dice, &self.own).to_string();
            let sort_text = documents::sort(&mut dice, &names).map(|sort| sort.to_string());
            let asked = Asked {
                filter: Some(filter_text.clone()),
                sort: sort_text.clone(),
                explain: true,
            };
            let mut filter = Filter::parse(&filter_text, self.subject).unwrap();
            let mut sort =
                sort_text.map_or_else(Sort::default, |text| Sort::parse(&text, self.subject).unwrap());
            filter.settle(&declared);
            sort.settle(&declared);
            let expected = documents::expected(&self.rows, &filter, &sort);
            let size = *dice.one(&[1, 7, 50, 100]);
            some += usize::from(!expected.is_empty() && expected.len() < self.rows.len());
            several += usize::from(expected.len() as u64 > size);
            let ctx = dice.one(&contexts);
            // A page of one item each is slow where there are hundreds.
            let size = if expected.len() > 40 { size.max(7) } else { size };
            let found = read(list, ctx, &asked, size).await;
            assert_eq!(
                found, expected,
                "question {question} of {seed}, size {size}, {:?}: {asked:?}",
                ctx.core.settings.lists
            );
        }
        // The dice make questions that tell something apart, and lists of several pages.
        let telling = questions < 20 || (some * 4 > questions && several > 2);
        assert!(telling, "{some} {several} of {questions}");
    }
}

const DECLARATIONS: [(&str, &str); 4] = [
    ("b", "string"),
    ("a", "number"),
    ("when", "datetime"),
    ("c.d", "boolean"),
];

pub(crate) async fn channels_are_found_alike_with_and_without_indexes(stage: Stage) {
    let mut dice = Dice::new(1);
    let rows = channel_rows(&stage, &mut dice, 240).await;
    let suite = Suite {
        stage: &stage,
        rows,
        subject: &filter::CHANNELS,
        covered: Covered::Channels,
        own: own_of_channels(),
    };
    suite.ask(&Channels, 11, 25).await;
    for (number, (path, kind)) in DECLARATIONS.into_iter().enumerate() {
        stage.declare("channels", path, kind).await;
        // Once while it is building: it has some of the entries, and its type counts already.
        suite.ask(&Channels, 20 + number as u64, 5).await;
        stage.work().await;
        suite.ask(&Channels, 30 + number as u64, 15).await;
    }
    stage.declare("channels", "größe", "string").await;
    stage.work().await;
    suite.ask(&Channels, 40, 80).await;
}

pub(crate) async fn messages_are_found_alike_with_and_without_indexes(stage: Stage) {
    let mut dice = Dice::new(2);
    let channel = stage.channel("{}").await.id;
    let elsewhere = stage.channel("{}").await.id;
    stage.message(elsewhere, r#"{"a": 1, "b": "a"}"#).await;
    let first = stage.message(channel, "{}").await;
    let mut rows: Vec<message::Model> = Vec::new();
    for number in 1..150_i64 {
        rows.push(message::Model {
            // Not in the order of the indexes, as when several nodes take turns.
            id: hubbub_core::sid::MessageSid(Uuid::from_u128(u128::from(
                u64::try_from(number).unwrap().wrapping_mul(0x9e37_79b9_7f4a_7c15),
            ))),
            idx: number * 2,
            seq: first.seq + number,
            author: (*dice.one(&["alice", "bob", "system"])).to_owned(),
            body: dice
                .one(&[None, Some(""), Some("hello"), Some("hell")])
                .map(str::to_owned),
            last_updated_by: dice.one(&[None, Some("bob")]).map(str::to_owned),
            was_edited: dice.below(2) == 0,
            removed_at: (number % 17 == 0).then_some(first.date_created),
            date_created: moment(&mut dice),
            date_updated: moment(&mut dice),
            attributes: documents::attributes_text(&mut dice),
            ..first.clone()
        });
    }
    message::Entity::insert_many(rows.clone().into_iter().map(IntoActiveModel::into_active_model))
        .exec_without_returning(stage.core.db.writer())
        .await
        .unwrap();
    rows.retain(|row| row.removed_at.is_none());
    rows.push(first);
    let suite = Suite {
        stage: &stage,
        rows,
        subject: &filter::MESSAGES,
        covered: Covered::Messages,
        own: vec![
            ("from", vec![json!("alice"), json!("al"), json!(null)]),
            (
                "body",
                vec![json!("hello"), json!("hell"), json!(""), json!(null)],
            ),
            ("index", vec![json!(40), json!(41.5), json!(-1)]),
            ("type", vec![json!("text"), json!("media")]),
            ("was_edited", vec![json!(true), json!(false)]),
            ("last_updated_by", vec![json!("bob"), json!(null)]),
            ("date_created", vec![json!("2026-03-01T00:00:02Z")]),
        ],
    };
    suite.ask(&Messages(channel), 51, 25).await;
    for (path, kind) in DECLARATIONS {
        stage.declare("messages", path, kind).await;
    }
    stage.work().await;
    suite.ask(&Messages(channel), 52, 80).await;
}

pub(crate) async fn members_and_users_are_found_alike_with_and_without_indexes(stage: Stage) {
    let mut dice = Dice::new(3);
    let channel = stage.channel("{}").await.id;
    let elsewhere = stage.channel("{}").await.id;
    stage.member(elsewhere, "stranger", r#"{"a": 1, "b": "a"}"#).await;
    let (user, member) = (
        stage.user("model", "{}").await,
        stage.member(channel, "model", "{}").await,
    );
    let mut people: Vec<user::Model> = Vec::new();
    let mut joined: Vec<member::Model> = Vec::new();
    for number in 0..120 {
        people.push(user::Model {
            id: hubbub_core::sid::UserSid::generate(),
            identity: format!("user {number}"),
            friendly_name: dice.one(&[None, Some("Ann"), Some("ann")]).map(str::to_owned),
            joined_channels_count: number % 3,
            date_updated: moment(&mut dice),
            attributes: documents::attributes_text(&mut dice),
            ..user.clone()
        });
        joined.push(member::Model {
            id: hubbub_core::sid::MemberSid::generate(),
            identity: format!("user {number}"),
            last_consumed_message_index: dice.one(&[None, Some(3), Some(4)]).to_owned(),
            last_consumption_timestamp: (number % 2 == 0).then(|| moment(&mut dice)),
            attributes: documents::attributes_text(&mut dice),
            ..member.clone()
        });
    }
    let db = stage.core.db.writer();
    user::Entity::insert_many(people.clone().into_iter().map(IntoActiveModel::into_active_model))
        .exec_without_returning(db)
        .await
        .unwrap();
    member::Entity::insert_many(joined.clone().into_iter().map(IntoActiveModel::into_active_model))
        .exec_without_returning(db)
        .await
        .unwrap();
    let people = user::Entity::find().all(stage.core.db.reader()).await.unwrap();
    joined.push(member);
    let roles = vec![json!(user.role_id.to_string()), json!("RL")];
    let of_users = Suite {
        stage: &stage,
        rows: people,
        subject: &filter::USERS,
        covered: Covered::Users,
        own: vec![
            ("identity", vec![json!("user 7"), json!("user"), json!("model")]),
            ("friendly_name", vec![json!("Ann"), json!("ann"), json!(null)]),
            ("role_sid", roles),
            ("joined_channels_count", vec![json!(1), json!(0.5)]),
            ("date_updated", vec![json!("2026-03-01T00:00:02Z")]),
        ],
    };
    let of_members = Suite {
        stage: &stage,
        rows: joined,
        subject: &filter::MEMBERS,
        covered: Covered::Members,
        own: vec![
            ("identity", vec![json!("user 7"), json!("user"), json!("model")]),
            (
                "last_consumed_message_index",
                vec![json!(3), json!(3.5), json!(null)],
            ),
            (
                "last_consumption_timestamp",
                vec![json!("2026-03-01T00:00:02Z"), json!(null)],
            ),
        ],
    };
    of_users.ask(&Users, 61, 15).await;
    of_members.ask(&Members(channel), 62, 15).await;
    for (path, kind) in DECLARATIONS {
        stage.declare("users", path, kind).await;
        stage.declare("members", path, kind).await;
    }
    stage.work().await;
    of_users.ask(&Users, 63, 40).await;
    of_members.ask(&Members(channel), 64, 40).await;
}
