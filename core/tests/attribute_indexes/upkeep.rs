//! Changes keep the indexes up.

use hubbub_core::{
    channels::{self, UpdateChannel},
    entities::attribute_entry,
    members::{self, UpdateMember},
    messages::{self, UpdateMessage},
    users::{self, UpdateUser},
};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};

use crate::stage::Stage;

const VALUES: [&str; 8] = [
    r#"{"a": {"b": 1}}"#,
    r#"{"a": {"b": "text"}}"#,
    r#"{"a": {"b": true}}"#,
    r#"{"a": {"b": "2026-01-01T00:00:00Z"}}"#,
    r#"{"a": {"b": ["x", "y", "x", 1, null]}}"#,
    r#"{"a": {"b": {}}}"#,
    r#"{"a": [1]}"#,
    "{}",
];

async fn declare_everywhere(stage: &Stage) {
    for resource in ["channels", "members", "users", "messages"] {
        stage.declare(resource, "a.b", "string").await;
        stage.declare(resource, "a", "datetime").await;
    }
}

pub(crate) async fn every_change_of_a_resource_is_in_its_indexes(stage: Stage) {
    declare_everywhere(&stage).await;
    let ctx = &stage.ctx;
    let long = format!(r#"{{"a": {{"b": "{}"}}}}"#, "ü".repeat(1000));
    for (number, attributes) in VALUES.into_iter().chain([long.as_str()]).enumerate() {
        let channel = stage.channel(attributes).await;
        stage
            .member(channel.id, &format!("member {number}"), attributes)
            .await;
        stage.user(&format!("user {number}"), attributes).await;
        stage.message(channel.id, attributes).await;
    }
    stage.entries_are_true().await;

    let channel = stage.channel(VALUES[0]).await;
    let member = stage.member(channel.id, "changing", VALUES[0]).await;
    let user = stage.user("other", VALUES[0]).await;
    let message = stage.message(channel.id, VALUES[0]).await;
    let reference = channel.id.into();
    for attributes in VALUES.into_iter().rev().chain([long.as_str()]) {
        let attributes = Some(attributes.to_owned());
        let update = UpdateChannel {
            attributes: attributes.clone(),
            ..UpdateChannel::default()
        };
        channels::update(ctx, &reference, update).await.unwrap();
        let update = UpdateMember {
            attributes: attributes.clone(),
            ..UpdateMember::default()
        };
        members::update(ctx, &reference, &member.identity.as_str().into(), update)
            .await
            .unwrap();
        let update = UpdateUser {
            attributes: attributes.clone(),
            ..UpdateUser::default()
        };
        users::update(ctx, &user.identity.as_str().into(), update)
            .await
            .unwrap();
        let update = UpdateMessage {
            attributes,
            ..UpdateMessage::default()
        };
        messages::update(ctx, &reference, message.id, update)
            .await
            .unwrap();
        stage.entries_are_true().await;
    }

    messages::remove(ctx, &reference, message.id).await.unwrap();
    members::delete(ctx, &reference, &member.identity.as_str().into())
        .await
        .unwrap();
    users::delete(ctx, &user.identity.as_str().into()).await.unwrap();
    users::delete(ctx, &"member 0".into()).await.unwrap();
    stage.entries_are_true().await;
}

pub(crate) async fn a_change_of_other_fields_leaves_the_entries_alone(stage: Stage) {
    let index = stage.declare("channels", "a.b", "string").await;
    let channel = stage.channel(VALUES[0]).await;
    // Whatever writes the entry again would put this right.
    let marked = attribute_entry::Entity::update_many()
        .col_expr(
            attribute_entry::Column::Rest,
            sea_orm::sea_query::Expr::value(vec![1_u8]),
        )
        .filter(attribute_entry::Column::IndexId.eq(index))
        .exec(stage.core.db.writer())
        .await
        .unwrap();
    assert_eq!(marked.rows_affected, 1);
    stage.member(channel.id, "somebody", "{}").await;
    stage.message(channel.id, "{}").await;
    let update = UpdateChannel {
        friendly_name: Some("renamed".to_owned()),
        ..UpdateChannel::default()
    };
    channels::update(&stage.ctx, &channel.id.into(), update)
        .await
        .unwrap();
    let entries = attribute_entry::Entity::find()
        .filter(attribute_entry::Column::IndexId.eq(index))
        .all(stage.core.db.writer())
        .await
        .unwrap();
    assert_eq!(entries[0].rest, [1]);
}

pub(crate) async fn a_batch_of_sends_to_several_services_enters_each_ones_indexes(stage: Stage) {
    let others = [stage.another().await, stage.another().await, stage];
    let mut sends = Vec::new();
    for (number, stage) in others.iter().enumerate() {
        for path in ["a", "a.b"].into_iter().take(number) {
            stage.declare("messages", path, "string").await;
        }
        let channel = stage.channel("{}").await;
        for attributes in VALUES {
            let stage = stage.clone();
            sends.push(tokio::spawn(async move {
                stage.message(channel.id, attributes).await;
            }));
        }
    }
    for send in sends {
        send.await.unwrap();
    }
    for (number, stage) in others.iter().enumerate() {
        stage.entries_are_true().await;
        let (entries, ..) = stage.traces().await;
        assert_eq!(entries, (number * VALUES.len()) as u64);
    }
}
