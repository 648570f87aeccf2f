use futures_util::future::join_all;
use serde_json::json;

use crate::support::{TestApp, text, texts};

#[actix_web::test]
async fn a_channel_is_created_fetched_listed_updated_and_deleted() {
    let app = TestApp::spawn().await;
    let channels = format!("{}/Channels", app.service().await);
    let made = app
        .post(
            &channels,
            "UniqueName=general&FriendlyName=General&CreatedBy=alice&DateCreated=2015-12-16T22%3A18%3A37Z",
        )
        .await
        .created();
    assert_eq!(
        (&made["created_by"], &made["type"]),
        (&json!("alice"), &json!("public"))
    );
    assert_eq!(made["date_created"], "2015-12-16T22:18:37Z");
    assert_eq!(made["links"]["last_message"], json!(null));
    let by_sid = format!("{channels}/{}", text(&made["sid"]));
    assert_eq!(app.get(&format!("{channels}/general")).await.ok(), made);
    assert_eq!(app.get(&by_sid).await.ok(), made);
    let renamed = app
        .post(&format!("{channels}/general"), "UniqueName=a%2Fb+c")
        .await
        .ok();
    assert_eq!(renamed["unique_name"], "a/b c");
    app.get(&format!("{channels}/a%2Fb%20c")).await.ok();
    app.get(&format!("{channels}/general")).await.refused(404, 20404);
    app.delete(&by_sid).await.gone();
    let message = app.get(&by_sid).await.refused(404, 20404);
    assert!(
        message.starts_with("The requested resource /Services/IS"),
        "{message}"
    );
}

#[actix_web::test]
async fn a_list_has_public_channels_unless_types_are_asked_for() {
    let app = TestApp::spawn().await;
    let channels = format!("{}/Channels", app.service().await);
    app.post(&channels, "UniqueName=lobby").await.created();
    app.post(&channels, "UniqueName=vault&Type=private")
        .await
        .created();
    for (query, names) in [
        ("", vec!["lobby"]),
        ("?Type=private", vec!["vault"]),
        ("?Type=public&Type=private", vec!["lobby", "vault"]),
    ] {
        let page = app.get(&format!("{channels}{query}")).await.ok();
        assert_eq!(texts(&page["channels"], "unique_name"), names);
    }
    app.get(&format!("{channels}?Type=secret"))
        .await
        .refused(400, 20001);
}

#[actix_web::test]
async fn what_a_channel_cannot_have_is_refused_with_its_code() {
    let app = TestApp::spawn().await;
    let channels = format!("{}/Channels", app.service().await);
    app.post(&channels, "UniqueName=taken").await.created();
    for (form, status, code) in [
        ("UniqueName=taken".to_owned(), 409, 50307),
        (format!("UniqueName=CH{:032}", 1), 400, 50306),
        (format!("UniqueName={}", "x".repeat(257)), 400, 50004),
        (format!("FriendlyName={}", "x".repeat(257)), 400, 50003),
        ("Attributes=nonsense".to_owned(), 400, 50304),
        (format!("Attributes=%22{}%22", "x".repeat(32_767)), 400, 50303),
        ("Type=secret".to_owned(), 400, 20001),
        ("DateCreated=yesterday".to_owned(), 400, 50308),
        ("DateUpdated=16.12.2015".to_owned(), 400, 50309),
        (format!("CreatedBy={}", "x".repeat(257)), 400, 50310),
    ] {
        app.post(&channels, &form).await.refused(status, code);
    }
    assert_eq!(
        app.get(&channels).await.ok()["channels"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[actix_web::test]
async fn of_fifty_creations_of_one_name_exactly_one_succeeds() {
    let app = TestApp::spawn().await;
    let channels = format!("{}/Channels", app.service().await);
    let race = join_all((0..50).map(|_| app.post(&channels, "UniqueName=contested"))).await;
    let (made, refused): (Vec<_>, Vec<_>) = race.iter().partition(|answer| answer.status == 201);
    assert_eq!((made.len(), refused.len()), (1, 49));
    for answer in refused {
        answer.refused(409, 50307);
    }
}
