//! Gateways that die, sleep and end.

use std::collections::HashSet;

use hubbub_core::presence;
use sea_orm::ConnectionTrait;

use crate::{house::Gateway, stage::Stage};

/// All leases run out, as if time had passed.
async fn lose_leases(stage: &Stage) {
    stage
        .core
        .db
        .writer()
        .execute_unprepared("UPDATE presence_nodes SET expires_at = 1")
        .await
        .unwrap();
}

async fn left(stage: &Stage, table: &str) -> i64 {
    let statement = format!("SELECT COUNT(*) AS rows_left FROM {table}");
    let row = stage
        .core
        .db
        .reader()
        .query_one_raw(sea_orm::Statement::from_string(
            stage.core.db.backend(),
            statement,
        ))
        .await
        .unwrap()
        .unwrap();
    row.try_get("", "rows_left").unwrap()
}

pub(crate) async fn what_a_dead_gateway_left_is_swept_once_by_many(stage: Stage) {
    stage.tells(true).await;
    let names: Vec<String> = (0..700).map(|number| format!("user {number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let people = stage.people(&names).await;
    let mut dying = Gateway::of(&stage);
    for portion in people.chunks(presence::AT_ONCE) {
        dying.note(portion, &[]).await;
    }
    let mut living = Gateway::of(&stage);
    lose_leases(&stage).await;
    living.note(&people[..1], &[]).await;
    let sweepers = [Gateway::of(&stage), Gateway::of(&stage), Gateway::of(&stage)];
    // Until nothing is left: who finds the gateway in another's hands leaves it to that one.
    while left(&stage, "presence_nodes").await > 1 {
        let (one, two, three) = tokio::join!(
            presence::sweep(&sweepers[0].core),
            presence::sweep(&sweepers[1].core),
            presence::sweep(&sweepers[2].core),
        );
        one.and(two).and(three).unwrap();
    }
    let mut told = Vec::new();
    for sweeper in &sweepers {
        told.extend(sweeper.told().await);
    }
    assert_eq!(
        told.len(),
        names.len() - 1,
        "all but the one at the living gateway, each once"
    );
    let who: HashSet<_> = told.iter().map(|(name, _)| name).collect();
    assert_eq!(who.len(), told.len());
    assert!(told.iter().all(|(name, online)| !online && name != "user 0"));
    assert_eq!(left(&stage, "presence_places").await, 1);
    assert!(stage.row("user 0").await.online && !stage.row("user 1").await.online);
}

pub(crate) async fn a_successor_clears_what_was_left(stage: Stage) {
    stage.tells(true).await;
    let people = stage.people(&["alice", "bob"]).await;
    let mut before = Gateway::of(&stage);
    before.note(&people, &[]).await;
    let mut after = Gateway::of(&stage);
    presence::succeed(&after.core).await.unwrap();
    presence::sweep(&after.core).await.unwrap();
    assert!(after.told().await.is_empty(), "there is a grace time");
    after.note(&people[..1], &[]).await;
    let soon = async {
        while stage.row("bob").await.online {
            presence::sweep(&after.core).await.unwrap();
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(presence::GRACE * 2, soon).await.unwrap();
    assert_eq!(after.told().await, [("bob".to_owned(), false)]);
    assert!(stage.row("alice").await.online);
}

pub(crate) async fn a_gateway_whose_lease_ran_out_is_told_so(stage: Stage) {
    stage.tells(true).await;
    let people = stage.people(&["alice", "bob"]).await;
    let mut gateway = Gateway::of(&stage);
    assert!(!gateway.note(&people, &[]).await.lapsed);
    assert!(!gateway.note(&[], &[]).await.lapsed);
    lose_leases(&stage).await;
    assert!(gateway.note(&[], &[]).await.lapsed, "also when nobody has swept");
    assert!(!gateway.note(&[], &[]).await.lapsed);
    assert_eq!(gateway.told().await.len(), 2);
    lose_leases(&stage).await;
    presence::sweep(&gateway.core).await.unwrap();
    assert_eq!(gateway.told().await.len(), 2);
    assert!(gateway.note(&people, &[]).await.lapsed);
    assert_eq!(gateway.told().await.len(), 2);
    assert!(stage.row("alice").await.online);
}

pub(crate) async fn a_lease_that_holds_is_not_swept(stage: Stage) {
    stage.tells(true).await;
    let people = stage.people(&["alice"]).await;
    let mut gateway = Gateway::of(&stage);
    gateway.note(&people, &[]).await;
    gateway.told().await;
    presence::sweep(&gateway.core).await.unwrap();
    assert!(gateway.told().await.is_empty());
    // One that gives its lease back is swept after the grace time.
    presence::resign(&gateway.core).await.unwrap();
    presence::sweep(&gateway.core).await.unwrap();
    assert!(gateway.told().await.is_empty());
    lose_leases(&stage).await;
    presence::sweep(&gateway.core).await.unwrap();
    assert_eq!(gateway.told().await, [("alice".to_owned(), false)]);
}
