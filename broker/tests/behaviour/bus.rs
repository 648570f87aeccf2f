//! Fan-out.

use crate::{Subject, hears, message};

pub(crate) async fn a_bound_bucket_is_heard_and_an_unbound_one_is_not(Subject { bus, .. }: Subject) {
    let mut gateway = bus.subscribe().await.unwrap();
    gateway.binder.bind(3).await.unwrap();
    gateway.binder.bind(3).await.unwrap();
    bus.publish(vec![message(Some(4), "not this"), message(Some(3), "this")])
        .await
        .unwrap();
    assert_eq!(hears(&mut gateway).await, message(Some(3), "this"));
}

pub(crate) async fn control_messages_reach_everybody(Subject { bus, .. }: Subject) {
    let (mut one, mut other) = (bus.subscribe().await.unwrap(), bus.subscribe().await.unwrap());
    other.binder.bind(9).await.unwrap();
    bus.publish(vec![message(None, "all")]).await.unwrap();
    assert_eq!(hears(&mut one).await, message(None, "all"));
    assert_eq!(hears(&mut other).await, message(None, "all"));
}

pub(crate) async fn a_process_hears_its_own_messages(Subject { bus, .. }: Subject) {
    let mut gateway = bus.subscribe().await.unwrap();
    gateway.binder.bind(0).await.unwrap();
    let mine = message(Some(0), "mine");
    bus.publish(vec![mine.clone()]).await.unwrap();
    assert_eq!(
        hears(&mut gateway).await.origin,
        mine.origin,
        "which is how it knows them"
    );
}

pub(crate) async fn an_unbound_bucket_falls_silent(Subject { bus, .. }: Subject) {
    let mut gateway = bus.subscribe().await.unwrap();
    for bucket in [255, 254] {
        gateway.binder.bind(bucket).await.unwrap();
    }
    gateway.binder.unbind(255).await.unwrap();
    gateway.binder.unbind(255).await.unwrap();
    bus.publish(vec![message(Some(255), "not this"), message(Some(254), "this")])
        .await
        .unwrap();
    assert_eq!(hears(&mut gateway).await, message(Some(254), "this"));
}

pub(crate) async fn messages_of_one_publisher_arrive_in_order(Subject { bus, .. }: Subject) {
    let mut gateway = bus.subscribe().await.unwrap();
    gateway.binder.bind(1).await.unwrap();
    let sending = tokio::spawn(async move {
        for batch in 0..20 {
            let messages = (0..100).map(|i| message(Some(1), format!("{}", batch * 100 + i)));
            bus.publish(messages.collect()).await.unwrap();
        }
    });
    for expected in 0..2000 {
        assert_eq!(hears(&mut gateway).await.payload, format!("{expected}"));
    }
    sending.await.unwrap();
}

pub(crate) async fn nobody_listening_is_not_an_error(Subject { bus, .. }: Subject) {
    bus.publish(vec![message(Some(200), "anyone?"), message(None, "hello?")])
        .await
        .unwrap();
}
