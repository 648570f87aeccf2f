use actix_web::http::Method;
use serde_json::json;

use crate::support::{FORM, TestApp, text, texts};

#[actix_web::test]
async fn a_delivery_is_listed_fetched_and_sent_again() {
    let app = TestApp::spawn().await;
    let service = app.service_with_channel().await;
    app.post(&service, "PostWebhookUrl=https%3A%2F%2Fexample.com%2Fhook")
        .await
        .ok();
    let request = app
        .request(Method::POST, &format!("{service}/Channels/general/Messages"))
        .insert_header(("x-twilio-webhook-enabled", "true"))
        .insert_header(("content-type", FORM));
    app.send(request.set_payload("Body=told")).await.created();
    let messages = format!("{service}/Channels/general/Messages");
    app.post(&messages, "Body=untold").await.created();

    let deliveries = format!("{service}/WebhookDeliveries");
    let page = app.get(&deliveries).await.ok();
    assert_eq!(
        texts(&page["deliveries"], "event_type"),
        ["onMessageSent"],
        "only for those who ask for webhooks"
    );
    let delivery = &page["deliveries"][0];
    let path = format!("{deliveries}/{}", text(&delivery["sid"]));
    assert_eq!(app.get(&path).await.ok()["status"], "pending");
    let delivered = app.get(&format!("{deliveries}?Status=delivered")).await.ok();
    assert_eq!(delivered["deliveries"], json!([]));
    app.get(&format!("{deliveries}?Status=lost"))
        .await
        .refused(400, 20001);
    assert_eq!(
        app.post(&path, "Status=pending").await.ok()["sid"],
        delivery["sid"]
    );
    app.post(&path, "Status=dead").await.refused(400, 20001);
    app.post(&path, "").await.refused(400, 20001);
    app.get(&format!("{deliveries}/WD1")).await.refused(404, 20404);
}
