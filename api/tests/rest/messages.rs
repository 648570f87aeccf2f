use actix_web::http::Method;
use serde_json::json;

use crate::support::{Answer, FORM, TestApp, text, texts};

async fn with_key(app: &TestApp, path: &str, key: &str, form: &'static str) -> Answer {
    let request = app
        .request(Method::POST, path)
        .insert_header(("idempotency-key", key))
        .insert_header(("content-type", FORM));
    app.send(request.set_payload(form)).await
}

#[actix_web::test]
async fn a_message_is_sent_fetched_listed_edited_and_removed() {
    let app = TestApp::spawn().await;
    let service = app.service_with_channel().await;
    let messages = format!("{service}/Channels/general/Messages");
    let made = app
        .post(&messages, "Body=hello%20there&From=alice")
        .await
        .created();
    assert_eq!(
        (&made["from"], &made["body"], &made["index"]),
        (&json!("alice"), &json!("hello there"), &json!(0))
    );
    assert_eq!(
        (&made["was_edited"], &made["media"], &made["type"]),
        (&json!(false), &json!(null), &json!("text"))
    );
    assert!(made.get("replayed").is_none());
    let second = app
        .post_json(&messages, &json!({ "Body": "second" }))
        .await
        .created();
    assert_eq!(
        (&second["from"], &second["attributes"]),
        (&json!("system"), &json!("{}"))
    );
    let path = format!("{messages}/{}", text(&made["sid"]));
    assert_eq!(app.get(&path).await.ok(), made);
    assert_eq!(
        texts(&app.get(&messages).await.ok()["messages"], "body"),
        ["hello there", "second"]
    );
    let descending = app.get(&format!("{messages}?Order=desc")).await.ok();
    assert_eq!(texts(&descending["messages"], "body"), ["second", "hello there"]);
    app.get(&format!("{messages}?Order=up")).await.refused(400, 20001);

    let edited = app.post(&path, "Body=&LastUpdatedBy=bob").await.ok();
    assert_eq!(
        (&edited["body"], &edited["was_edited"]),
        (&json!(""), &json!(true))
    );
    assert_eq!(edited["last_updated_by"], "bob");
    app.delete(&path).await.gone();
    app.get(&path).await.refused(404, 20404);
    app.get(&format!("{messages}/first")).await.refused(404, 20404);
    assert_eq!(
        app.get(&format!("{service}/Channels/general")).await.ok()["messages_count"],
        1
    );
}

#[actix_web::test]
async fn a_repeated_idempotency_key_answers_like_the_first() {
    let app = TestApp::spawn().await;
    let service = app.service_with_channel().await;
    let messages = format!("{service}/Channels/general/Messages");
    let first = with_key(&app, &messages, "k1", "Body=once").await.created();
    let mut again = with_key(&app, &messages, "k1", "Body=once").await.created();
    assert_eq!(
        again.as_object_mut().unwrap().remove("replayed"),
        Some(json!(true))
    );
    assert_eq!(again, first);
    with_key(&app, &messages, "k1", "Body=other")
        .await
        .refused(409, 20409);
    let refused = with_key(&app, &messages, &"k".repeat(256), "Body=x")
        .await
        .refused(400, 20001);
    assert!(refused.contains("Idempotency-Key"), "{refused}");
    with_key(&app, &messages, "", "Body=x").await.refused(400, 20001);
    assert_eq!(
        app.get(&messages).await.ok()["messages"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[actix_web::test]
async fn a_body_of_the_longest_length_passes_in_any_encoding_and_a_longer_one_does_not() {
    let app = TestApp::spawn().await;
    let service = app.service_with_channel().await;
    let messages = format!("{service}/Channels/general/Messages");
    let encoded = "%C3%A9".repeat(16_384);
    let made = app.post(&messages, &format!("Body={encoded}")).await.created();
    assert_eq!(text(&made["body"]).len(), 32_768);
    app.post(&messages, &format!("Body={encoded}x"))
        .await
        .refused(400, 50504);
    app.post(&messages, "Body=a%00b").await.refused(400, 20001);
    app.post(&messages, "MediaSid=ME1").await.refused(400, 50507);
    app.post(&messages, &format!("Body=x&From={}", "x".repeat(257)))
        .await
        .refused(400, 50310);
    app.post(&messages, &format!("Body=x&LastUpdatedBy={}", "x".repeat(257)))
        .await
        .refused(400, 50505);
}
