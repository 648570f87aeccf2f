use serde_json::json;

use crate::support::{TestApp, text, texts};

#[actix_web::test]
async fn a_member_is_added_fetched_listed_updated_and_removed() {
    let app = TestApp::spawn().await;
    let service = app.service_with_channel().await;
    let members = format!("{service}/Channels/general/Members");
    let made = app.post(&members, "Identity=name%40example.com").await.created();
    app.post(&members, "Identity=bob").await.created();
    let by_identity = format!("{members}/name@example.com");
    assert_eq!(app.get(&by_identity).await.ok(), made);
    assert_eq!(
        app.get(&format!("{members}/{}", text(&made["sid"]))).await.ok(),
        made
    );
    assert_eq!(
        texts(&app.get(&members).await.ok()["members"], "identity"),
        ["name@example.com", "bob"]
    );
    let filtered = app
        .get(&format!("{members}?Identity=bob&Identity=carol"))
        .await
        .ok();
    assert_eq!(texts(&filtered["members"], "identity"), ["bob"]);
    assert_eq!(
        app.get(&format!("{service}/Users/bob")).await.ok()["joined_channels_count"],
        1
    );

    let updated = app
        .post(&by_identity, "LastConsumedMessageIndex=3&Attributes=%5B1%5D")
        .await
        .ok();
    assert_eq!(
        (&updated["last_consumed_message_index"], &updated["attributes"]),
        (&json!(3), &json!("[1]"))
    );
    assert!(updated["last_consumption_timestamp"].is_string());
    let cleared = app.post(&by_identity, "LastConsumedMessageIndex=").await.ok();
    assert_eq!(cleared["last_consumed_message_index"], json!(null));
    app.delete(&by_identity).await.gone();
    app.delete(&by_identity).await.refused(404, 20404);
    assert_eq!(
        app.get(&format!("{service}/Channels/general")).await.ok()["members_count"],
        1
    );
}

#[actix_web::test]
async fn what_a_member_cannot_have_is_refused_with_its_code() {
    let app = TestApp::spawn().await;
    let service = app.service_with_channel().await;
    let members = format!("{service}/Channels/general/Members");
    app.post(&members, "Identity=alice").await.created();
    app.post(&members, "Identity=alice").await.refused(409, 50404);
    app.post(&members, "Identity=bob&LastConsumedMessageIndex=x")
        .await
        .refused(400, 50406);
    app.post(&members, "Identity=bob&LastConsumedMessageIndex=-1")
        .await
        .refused(400, 50406);
    app.post(&members, "Identity=bob&LastConsumptionTimestamp=x")
        .await
        .refused(400, 50405);
    app.post(&members, "Identity=bob&RoleSid=RL1")
        .await
        .refused(404, 50100);
    app.post(&format!("{service}/Channels/nowhere/Members"), "Identity=bob")
        .await
        .refused(404, 20404);
    app.post(&service, "Limits.ChannelMembers=1").await.ok();
    app.post(&members, "Identity=bob").await.refused(403, 50403);
}
