use serde_json::json;

use crate::support::{TestApp, text, texts};

#[actix_web::test]
async fn a_service_is_created_fetched_listed_updated_and_deleted() {
    let app = TestApp::spawn().await;
    let made = app.post("/v2/Services", "FriendlyName=acme+chat").await.created();
    let sid = text(&made["sid"]);
    let path = format!("/v2/Services/{sid}");
    assert_eq!(made["friendly_name"], "acme chat");
    assert_eq!(made["account_sid"], app.account.to_string());
    assert_eq!(
        made["limits"],
        json!({ "channel_members": 100, "user_channels": 250 })
    );
    assert_eq!(made["url"], format!("http://chat.test{path}"));
    assert_eq!(made["webhook_filters"], json!(null));
    assert_eq!(app.get(&path).await.ok(), made);
    assert_eq!(
        texts(&app.get("/v2/Services").await.ok()["services"], "sid"),
        [sid]
    );

    let updated = app
        .post(
            &path,
            "FriendlyName=renamed&ReachabilityEnabled=True&Limits.ChannelMembers=7&TypingIndicatorTimeout=3\
             &WebhookFilters=onMessageSent&WebhookFilters=onMemberAdded&PostWebhookUrl=https%3A%2F%2Fexample.com%2F\
             &Notifications.NewMessage.Enabled=true&Notifications.NewMessage.Template=hi",
        )
        .await
        .ok();
    assert_eq!(updated["friendly_name"], "renamed");
    assert_eq!(updated["reachability_enabled"], true);
    assert_eq!(updated["limits"]["channel_members"], 7);
    assert_eq!(updated["typing_indicator_timeout"], 3);
    assert_eq!(
        updated["webhook_filters"],
        json!(["onMessageSent", "onMemberAdded"])
    );
    assert_eq!(
        updated["notifications"]["new_message"],
        json!({ "enabled": true, "template": "hi" })
    );
    let cleared = app.post(&path, "WebhookFilters=&PostWebhookUrl=").await.ok();
    assert_eq!(
        (&cleared["webhook_filters"], &cleared["post_webhook_url"]),
        (&json!(null), &json!(null))
    );
    let rotated = app
        .post_json(&path, &json!({ "RotateWebhookSecret": true }))
        .await
        .ok();
    assert_ne!(rotated["webhook_secret"], made["webhook_secret"]);

    app.delete(&path).await.gone();
    app.get(&path).await.refused(404, 20404);
    app.delete(&path).await.refused(404, 20404);
}

#[actix_web::test]
async fn a_wrong_setting_is_refused_with_its_code_and_changes_nothing() {
    let app = TestApp::spawn().await;
    let path = app.service().await;
    for (form, code) in [
        ("TypingIndicatorTimeout=soon", 50053),
        ("TypingIndicatorTimeout=61", 50053),
        ("ConsumptionReportInterval=x", 50052),
        ("Limits.ChannelMembers=0", 50061),
        ("Limits.UserChannels=many", 50060),
        ("PostWebhookRetryCount=4", 50065),
        ("PreWebhookRetryCount=x", 50065),
        ("PostWebhookUrl=nowhere", 50054),
        ("WebhookMethod=PUT", 50055),
        ("ReachabilityEnabled=perhaps", 20001),
        ("WebhookFilters=onNothing", 20001),
        ("FriendlyName=", 50000),
    ] {
        app.post(&path, &format!("FriendlyName=changed&{form}"))
            .await
            .refused(400, code);
    }
    assert_eq!(app.get(&path).await.ok()["friendly_name"], "test");
    app.post(&path, "DefaultServiceRoleSid=RL1")
        .await
        .refused(404, 50100);
    app.post("/v2/Services", "").await.refused(400, 50000);
}

#[actix_web::test]
async fn a_new_service_has_four_roles() {
    let app = TestApp::spawn().await;
    let path = app.service().await;
    let page = app.get(&format!("{path}/Roles")).await.ok();
    assert_eq!(
        texts(&page["roles"], "friendly_name"),
        ["service admin", "service user", "channel admin", "channel user"]
    );
    let role = &page["roles"][0];
    let fetched = app
        .get(&format!("{path}/Roles/{}", text(&role["sid"])))
        .await
        .ok();
    assert_eq!(&fetched, role);
    assert_eq!(fetched["type"], "deployment");
    app.get(&format!("{path}/Roles/RL{:032}", 0))
        .await
        .refused(404, 20404);
    app.get(&format!("{path}/Roles/admin")).await.refused(404, 20404);
}
