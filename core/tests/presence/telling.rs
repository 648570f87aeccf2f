//! Who is told of whom.

use std::collections::HashSet;

use hubbub_core::{events::publisher, presence::AT_ONCE, topic::Topic};
use sea_orm::{ConnectionTrait, TransactionTrait};

use crate::{house::Gateway, stage::Stage};

pub(crate) async fn a_user_is_online_while_it_is_at_any_gateway(stage: Stage) {
    stage.tells(true).await;
    let alice = stage.people(&["alice"]).await;
    let (mut one, mut other) = (Gateway::of(&stage), Gateway::of(&stage));
    assert_eq!(
        (
            stage.row("alice").await.online,
            stage.row("alice").await.date_last_seen
        ),
        (false, None)
    );
    one.note(&alice, &[]).await;
    assert_eq!(one.told().await, [("alice".to_owned(), true)]);
    let came = stage.row("alice").await;
    assert!(came.online);
    other.note(&alice, &[]).await;
    one.note(&[], &alice).await;
    assert!(stage.row("alice").await.online);
    assert_eq!(stage.row("alice").await.date_last_seen, came.date_last_seen);
    other.note(&[], &alice).await;
    assert!(one.told().await.is_empty());
    assert_eq!(other.told().await, [("alice".to_owned(), false)]);
    let went = stage.row("alice").await;
    assert!(!went.online && went.date_last_seen > came.date_last_seen);
    // Said again, it is no news.
    other.note(&[], &alice).await;
    assert!(other.told().await.is_empty());
}

pub(crate) async fn two_gateways_that_a_user_leaves_at_once_tell_it_once(stage: Stage) {
    stage.tells(true).await;
    let people = stage.people(&["alice", "bob", "carol"]).await;
    let (mut one, mut other) = (Gateway::of(&stage), Gateway::of(&stage));
    for _ in 0..20 {
        let (mut here, mut there): (Vec<_>, Vec<_>) = (people.clone(), people.clone());
        while !here.is_empty() || !there.is_empty() {
            let (first, second) = tokio::join!(one.note(&here, &[]), other.note(&there, &[]));
            here.retain(|who| first.busy.contains(who));
            there.retain(|who| second.busy.contains(who));
        }
        (here, there) = (people.clone(), people.clone());
        while !here.is_empty() || !there.is_empty() {
            let (first, second) = tokio::join!(one.note(&[], &here), other.note(&[], &there));
            here.retain(|who| first.busy.contains(who));
            there.retain(|who| second.busy.contains(who));
        }
        let mut told = one.told().await;
        told.extend(other.told().await);
        told.sort_unstable();
        let expected =
            ["alice", "bob", "carol"].map(|name| [(name.to_owned(), false), (name.to_owned(), true)]);
        assert_eq!(told, expected.concat());
    }
}

pub(crate) async fn many_come_and_go_in_few_transactions(stage: Stage) {
    stage.tells(true).await;
    let names: Vec<String> = (0..AT_ONCE).map(|number| format!("user {number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut people = stage.people(&names).await;
    people.push(stage.who("never made"));
    let mut gateway = Gateway::of(&stage);
    let noted = gateway.note(&people, &[]).await;
    assert!(noted.busy.is_empty(), "who does not exist is not waited for");
    let told: HashSet<_> = gateway.told().await.into_iter().collect();
    assert_eq!(told.len(), names.len());
    assert!(told.iter().all(|(_, online)| *online));
    gateway.note(&[], &people).await;
    assert_eq!(gateway.told().await.len(), names.len());
}

pub(crate) async fn it_is_told_by_way_of_small_channels_only(stage: Stage) {
    stage.tells(true).await;
    let limit = stage.core.settings.presence_channel_limit;
    let alice = stage.people(&["alice"]).await;
    let (small, big, alone) = (
        stage.channel("{}").await.id,
        stage.channel("{}").await.id,
        stage.channel("{}").await.id,
    );
    for channel in [small, big, alone] {
        stage.member(channel, "alice", "{}").await;
    }
    stage.member(small, "bob", "{}").await;
    let update = format!("UPDATE channels SET members_count = {} WHERE id = $1", limit + 1);
    let backend = stage.core.db.backend();
    let statement = sea_orm::Statement::from_sql_and_values(backend, update, [big.into()]);
    stage.core.db.writer().execute_raw(statement).await.unwrap();
    let mut gateway = Gateway::of(&stage);
    gateway.note(&alice, &[]).await;
    let heard = gateway.heard().await;
    assert_eq!(heard.len(), 1);
    assert_eq!(heard[0].audience(), [small]);
}

pub(crate) async fn it_reaches_another_process_once(stage: Stage) {
    stage.tells(true).await;
    let alice = stage.people(&["alice"]).await;
    let mut topics = HashSet::from([Topic::user(stage.ctx.scope(), "alice").0]);
    for _ in 0..5 {
        let channel = stage.channel("{}").await.id;
        stage.member(channel, "alice", "{}").await;
        stage.member(channel, "bob", "{}").await;
        topics.insert(Topic::channel(stage.ctx.scope(), channel).0);
    }
    let mut gateway = Gateway::of(&stage);
    gateway.note(&alice, &[]).await;
    let heard = gateway.heard().await;
    let messages = publisher::encode(gateway.core.node, &heard);
    assert_eq!(messages.len(), 1);
    assert_eq!(messages[0].bucket, None, "for every gateway");
    let said: HashSet<u64> = messages[0].topics.iter().copied().collect();
    assert_eq!(said, topics, "by which it sees whether it concerns anybody there");
    let publisher::Told::Events(events) = publisher::decode(&messages[0].payload).unwrap() else {
        panic!("{messages:?}");
    };
    assert_eq!(events, heard);
}

pub(crate) async fn a_service_that_does_not_tell_tells_nothing(stage: Stage) {
    stage.tells(true).await;
    let alice = stage.people(&["alice"]).await;
    let mut gateway = Gateway::of(&stage);
    gateway.note(&alice, &[]).await;
    assert_eq!(gateway.told().await.len(), 1);
    stage.tells(false).await;
    gateway.note(&[], &alice).await;
    assert!(gateway.told().await.is_empty());
    assert!(!stage.row("alice").await.online);
}

/// Somebody adds the user to a channel, say: that is not to be waited for, and nobody may wait for each other.
pub(crate) async fn a_user_whose_row_is_held_comes_later(stage: Stage) {
    stage.tells(true).await;
    let people = stage.people(&["alice", "bob"]).await;
    let mut gateway = Gateway::of(&stage);
    let holder = stage.core.db.writer().begin().await.unwrap();
    holder
        .execute_unprepared("SELECT id FROM users WHERE identity = 'alice' FOR UPDATE")
        .await
        .unwrap();
    let noted = gateway.note(&people, &[]).await;
    assert_eq!(noted.busy, HashSet::from([stage.who("alice")]));
    assert_eq!(gateway.told().await, [("bob".to_owned(), true)]);
    holder.rollback().await.unwrap();
    assert!(gateway.note(&people, &[]).await.busy.is_empty());
    assert_eq!(gateway.told().await, [("alice".to_owned(), true)]);
}
