//! What is left of things that are gone is swept.

use hubbub_core::{
    AccountCtx,
    attribute_indexes::{self, BUILDING, Rounds},
    channels,
    entities::attribute_entry,
    members, services,
};
use sea_orm::{EntityTrait, IntoActiveModel};

use crate::stage::Stage;

const TAGS: &str = r#"{"tags": ["x", "y"]}"#;

pub(crate) async fn an_index_that_is_taken_down_leaves_nothing(stage: Stage) {
    let channel = stage.channel(TAGS).await;
    for number in 0..30 {
        stage.member(channel.id, &format!("member {number}"), TAGS).await;
    }
    let index = stage.declare("members", "tags", "string").await;
    let kept = stage.declare("channels", "tags", "string").await;
    stage.work().await;
    assert_eq!(stage.traces().await, (31, 62, 0));
    attribute_indexes::delete(&stage.ctx, index).await.unwrap();
    stage.member(channel.id, "late", TAGS).await;
    let again = stage.declare("members", "tags", "string").await;
    stage.work().await;
    assert_eq!(stage.index(index).await, None);
    assert!(stage.index(kept).await.is_some() && stage.index(again).await.is_some());
    assert_eq!(stage.traces().await, (32, 64, 0));
    stage.entries_are_true().await;
    // One that nobody has begun to build.
    let unbuilt = stage.declare("users", "tags", "string").await;
    attribute_indexes::delete(&stage.ctx, unbuilt).await.unwrap();
    stage.work().await;
    assert_eq!(stage.index(unbuilt).await, None);
}

pub(crate) async fn what_was_in_a_deleted_channel_is_swept(stage: Stage) {
    for resource in ["channels", "members", "messages"] {
        stage.declare(resource, "tags", "string").await;
    }
    stage.work().await;
    let (kept, gone) = (stage.channel(TAGS).await, stage.channel(TAGS).await);
    for channel in [&kept, &gone] {
        stage.member(channel.id, "alice", TAGS).await;
        let channel = channel.id;
        let sends: Vec<_> = (0..600)
            .map(|_| {
                let stage = stage.clone();
                tokio::spawn(async move { stage.message(channel, TAGS).await })
            })
            .collect();
        for send in sends {
            send.await.unwrap();
        }
    }
    channels::delete(&stage.ctx, &gone.id.into()).await.unwrap();
    assert_eq!(stage.traces().await, (602 + 601, 2 * (602 + 601), 1));
    stage.work().await;
    assert_eq!(stage.traces().await, (602, 2 * 602, 0));
    stage.entries_are_true().await;
}

pub(crate) async fn what_was_removed_during_the_building_is_swept_after_it(stage: Stage) {
    let channel = stage.channel(TAGS).await;
    let member = stage.member(channel.id, "alice", TAGS).await;
    let index = stage.declare("members", "tags", "string").await;
    assert_eq!(stage.index(index).await.unwrap().status, BUILDING);
    members::delete(&stage.ctx, &channel.id.into(), &"alice".into())
        .await
        .unwrap();
    assert_eq!(stage.traces().await, (0, 0, 1));
    // As a portion does that has read the member before.
    let entry = attribute_entry::Model {
        service_id: stage.ctx.scope(),
        index_id: index,
        scope_id: channel.id.0,
        item_id: member.id.0,
        key: vec![0xff],
        rest: Vec::new(),
        present: true,
    };
    attribute_entry::Entity::insert(entry.into_active_model())
        .exec_without_returning(stage.core.db.writer())
        .await
        .unwrap();
    stage.work().await;
    assert_eq!(stage.traces().await, (0, 0, 0));
    members_that_leave_later_leave_nothing(&stage, channel.id).await;
}

async fn members_that_leave_later_leave_nothing(stage: &Stage, channel: hubbub_core::sid::ChannelSid) {
    stage.member(channel, "bob", TAGS).await;
    assert_eq!(stage.traces().await, (1, 2, 0));
    members::delete(&stage.ctx, &channel.into(), &"bob".into())
        .await
        .unwrap();
    assert_eq!(stage.traces().await, (0, 0, 0));
}

pub(crate) async fn a_deleted_service_leaves_nothing(stage: Stage) {
    let neighbour = stage.another().await;
    for stage in [&stage, &neighbour] {
        for resource in ["channels", "members", "users", "messages"] {
            stage.declare(resource, "tags", "string").await;
        }
        let channel = stage.channel(TAGS).await;
        stage.member(channel.id, "alice", TAGS).await;
        stage.message(channel.id, TAGS).await;
    }
    neighbour.work().await;
    let gone = stage.channel(TAGS).await;
    channels::delete(&stage.ctx, &gone.id.into()).await.unwrap();
    let whole = AccountCtx::enter(&stage.core, stage.ctx.caller.clone()).unwrap();
    services::delete(&whole, stage.ctx.scope()).await.unwrap();
    let mut rounds = Rounds::default();
    assert_ne!(
        rounds.go(&stage.core.db).await.unwrap(),
        attribute_indexes::Next::Later
    );
    stage.work().await;
    assert_eq!(stage.traces().await, (0, 0, 0));
    assert_eq!(neighbour.traces().await.0, 4);
    neighbour.entries_are_true().await;
}
