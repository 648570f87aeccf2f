//! Building an index while everything goes on.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use hubbub_core::{
    attribute_indexes::{BUILDING, FAILED, Next, READY, Rounds},
    channels::{self, UpdateChannel},
    entities::{attribute_index, channel, user},
    members::{self, UpdateMember},
    messages::{self, UpdateMessage},
    sid::{ChannelSid, UserSid},
    users::{self, UpdateUser},
};
use sea_orm::{ActiveModelTrait, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, sea_query::Expr};

use crate::stage::Stage;

const RESOURCES: [&str; 4] = ["channels", "members", "users", "messages"];

fn attributes(number: usize) -> String {
    match number % 4 {
        0 => format!(r#"{{"n": {number}}}"#),
        1 => format!(r#"{{"n": "text {number}"}}"#),
        2 => format!(r#"{{"n": [{number}, "x", {}]}}"#, number / 2),
        _ => "{}".to_owned(),
    }
}

/// Many channels and users, written past the domain as if they had been there for ever.
async fn populate(stage: &Stage, count: usize) {
    let channel = stage.channel("{}").await;
    let user = stage.user("model", "{}").await;
    let db = stage.core.db.writer();
    for start in (0..count).step_by(500) {
        let numbers = start..count.min(start + 500);
        let channels = numbers.clone().map(|number| channel::Model {
            id: ChannelSid::generate(),
            attributes: attributes(number),
            ..channel.clone()
        });
        channel::Entity::insert_many(channels.map(IntoActiveModel::into_active_model))
            .exec_without_returning(db)
            .await
            .unwrap();
        let users = numbers.map(|number| user::Model {
            id: UserSid::generate(),
            identity: format!("user {number}"),
            attributes: attributes(number),
            ..user.clone()
        });
        user::Entity::insert_many(users.map(IntoActiveModel::into_active_model))
            .exec_without_returning(db)
            .await
            .unwrap();
    }
}

pub(crate) async fn what_was_there_before_the_declaration_is_entered(stage: Stage) {
    populate(&stage, 1200).await;
    let gone = stage.channel(&attributes(0)).await;
    for channel in [stage.channel("{}").await, gone.clone()] {
        for number in 0..20 {
            stage
                .member(channel.id, &format!("member {number}"), &attributes(number))
                .await;
            stage.message(channel.id, &attributes(number)).await;
        }
    }
    let removed = stage.message(gone.id, "{}").await;
    messages::remove(&stage.ctx, &gone.id.into(), removed.id)
        .await
        .unwrap();
    channels::delete(&stage.ctx, &gone.id.into()).await.unwrap();
    let mut indexes = Vec::new();
    for resource in RESOURCES {
        indexes.push(stage.declare(resource, "n", "number").await);
    }
    for index in &indexes {
        assert_eq!(stage.index(*index).await.unwrap().status, BUILDING);
    }
    stage.work().await;
    for index in indexes {
        let index = stage.index(index).await.unwrap();
        assert_eq!((index.status.as_str(), index.failure), (READY, None));
    }
    stage.entries_are_true().await;
    let (entries, ..) = stage.traces().await;
    // 1200 made, the two models and the other channel; 21 more users; what is in the deleted channel is not there.
    assert_eq!(entries, 1202 + 1221 + 20 + 20);
}

/// Changes everything that it can reach until it is told to stop.
async fn churn(stage: Stage, own: usize, enough: Arc<AtomicBool>) -> usize {
    let mut number = 0;
    while !enough.load(Ordering::Relaxed) {
        let text = |offset: usize| attributes(number * 7 + own + offset);
        let ctx = &stage.ctx;
        let channel = stage.channel(&text(0)).await;
        let reference = channel.id.into();
        let name = format!("churn {own} {number}");
        stage.member(channel.id, &name, &text(1)).await;
        stage.member(channel.id, &format!("{name} too"), &text(1)).await;
        let first = stage.message(channel.id, &text(2)).await;
        let second = stage.message(channel.id, &text(3)).await;
        let update = UpdateChannel {
            attributes: Some(text(4)),
            ..UpdateChannel::default()
        };
        channels::update(ctx, &reference, update).await.unwrap();
        let update = UpdateMember {
            attributes: Some(text(5)),
            ..UpdateMember::default()
        };
        members::update(ctx, &reference, &name.as_str().into(), update)
            .await
            .unwrap();
        let update = UpdateMessage {
            attributes: Some(text(6)),
            ..UpdateMessage::default()
        };
        messages::update(ctx, &reference, first.id, update).await.unwrap();
        messages::remove(ctx, &reference, second.id).await.unwrap();
        // One of those that the builder is reading.
        let known = format!("user {}", (number * 37 + own * 11) % 1200);
        let update = UpdateUser {
            attributes: Some(text(7)),
            ..UpdateUser::default()
        };
        let _ = users::update(ctx, &known.as_str().into(), update).await;
        match number % 3 {
            0 => channels::delete(ctx, &reference).await.unwrap(),
            1 => users::delete(ctx, &name.as_str().into()).await.unwrap(),
            _ => members::delete(ctx, &reference, &name.as_str().into())
                .await
                .unwrap(),
        }
        let _ = users::delete(ctx, &format!("user {}", number * 5 + own).as_str().into()).await;
        number += 1;
    }
    number
}

pub(crate) async fn an_index_is_right_whatever_happens_while_it_is_built(stage: Stage) {
    populate(&stage, 1200).await;
    let enough = Arc::new(AtomicBool::new(false));
    let churning: Vec<_> = (0..4)
        .map(|own| tokio::spawn(churn(stage.clone(), own, Arc::clone(&enough))))
        .collect();
    // Again and again, two workers at a time, so that building and changes meet in many ways.
    for path in ["n", "n.x", "m", "o", "p", "q"] {
        for resource in RESOURCES {
            stage.declare(resource, path, "string").await;
        }
        tokio::join!(stage.work(), stage.work());
    }
    enough.store(true, Ordering::Relaxed);
    for churn in churning {
        assert!(churn.await.unwrap() > 0);
    }
    stage.work().await;
    let unfinished = attribute_index::Entity::find()
        .filter(attribute_index::Column::ServiceId.eq(stage.ctx.scope()))
        .filter(attribute_index::Column::Status.ne(READY))
        .all(stage.core.db.writer())
        .await
        .unwrap();
    assert_eq!(unfinished, []);
    stage.entries_are_true().await;
    assert_eq!(stage.traces().await.2, 0, "no leftovers");
}

pub(crate) async fn another_worker_continues_where_one_stopped(stage: Stage) {
    populate(&stage, 1200).await;
    let index = stage.declare("channels", "n", "number").await;
    let mut first = Rounds::default();
    while stage.index(index).await.unwrap().built_to.is_none() {
        assert_ne!(first.go(&stage.core.db).await.unwrap(), Next::Later);
    }
    let half = stage.index(index).await.unwrap();
    assert_eq!(half.status, BUILDING);
    let (entries, ..) = stage.traces().await;
    assert_eq!(entries, 500);
    drop(first);
    stage.work().await;
    assert_eq!(stage.index(index).await.unwrap().status, READY);
    stage.entries_are_true().await;
}

pub(crate) async fn an_index_that_cannot_be_built_fails_and_says_so(stage: Stage) {
    stage.channel("{}").await;
    let index = stage.declare("channels", "n", "number").await;
    let healthy = stage.declare("channels", "m", "number").await;
    attribute_index::Entity::update_many()
        .col_expr(attribute_index::Column::BuiltTo, Expr::value("nowhere"))
        .filter(attribute_index::Column::Id.eq(index))
        .exec(stage.core.db.writer())
        .await
        .unwrap();
    let mut rounds = Rounds::default();
    for _ in 0..5 {
        assert_eq!(stage.index(index).await.unwrap().status, BUILDING);
        while rounds.go(&stage.core.db).await.unwrap() == Next::Soon {
            tokio::task::yield_now().await;
        }
    }
    let failed = stage.index(index).await.unwrap();
    assert_eq!(failed.status, FAILED);
    let why = failed.failure.unwrap();
    assert!(why.contains("20500"), "{why}");
    assert_eq!(stage.index(healthy).await.unwrap().status, READY);
    assert_eq!(rounds.go(&stage.core.db).await.unwrap(), Next::Later);
    // It can be taken down and declared again.
    hubbub_core::attribute_indexes::delete(&stage.ctx, index)
        .await
        .unwrap();
    let again = stage.declare("channels", "n", "number").await;
    stage.work().await;
    assert_eq!(stage.index(again).await.unwrap().status, READY);
    stage.entries_are_true().await;
}

pub(crate) async fn a_writer_that_does_not_know_of_the_index_is_waited_for(stage: Stage) {
    let model = stage.channel("{}").await;
    let late = channel::Model {
        id: ChannelSid::generate(),
        attributes: attributes(0),
        ..model.clone()
    };
    let changed = channel::Model {
        attributes: attributes(1),
        ..model
    };
    // As a change does that asked for the declarations before there was one.
    let unknowing = stage.core.db.begin().await.unwrap();
    late.into_active_model().insert(&unknowing).await.unwrap();
    channels::store(&unknowing, &changed).await.unwrap();
    let index = stage.declare("channels", "n", "number").await;
    let mut rounds = Rounds::default();
    for _ in 0..5 {
        assert_eq!(rounds.go(&stage.core.db).await.unwrap(), Next::Soon);
    }
    // Those who came later are not waited for.
    let knowing = stage.core.db.begin().await.unwrap();
    channels::store(&knowing, &stage.channel("{}").await)
        .await
        .unwrap();
    assert_eq!(rounds.go(&stage.core.db).await.unwrap(), Next::Soon);
    unknowing.commit().await.unwrap();
    while rounds.go(&stage.core.db).await.unwrap() != Next::Later {}
    assert_eq!(stage.index(index).await.unwrap().status, READY);
    knowing.rollback().await.unwrap();
    stage.entries_are_true().await;
}
