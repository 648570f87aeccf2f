use serde_json::json;

use crate::support::{FORM, JSON, TestApp};

#[actix_web::test]
async fn a_form_and_json_make_the_same() {
    let app = TestApp::spawn().await;
    let service = app.service().await;
    let by_form = app
        .post(
            &service,
            "ReadStatusEnabled=False&Limits.UserChannels=9&FriendlyName=a+%26+b",
        )
        .await
        .ok();
    let other = app.service().await;
    let by_json = app
        .post_json(
            &other,
            &json!({ "ReadStatusEnabled": false, "Limits.UserChannels": 9, "FriendlyName": "a & b", "Unknown": [{}],
                     "PostWebhookUrl": null }),
        )
        .await
        .ok();
    for field in [
        "read_status_enabled",
        "limits",
        "friendly_name",
        "post_webhook_url",
    ] {
        assert_eq!(by_form[field], by_json[field]);
    }
    assert_eq!(by_form["friendly_name"], "a & b");
}

#[actix_web::test]
async fn a_body_that_cannot_be_read_is_refused_and_names_what_is_wrong() {
    let app = TestApp::spawn().await;
    let channels = format!("{}/Channels", app.service().await);
    let cases: [(&str, &[u8], &str); 11] = [
        (JSON, b"{\"UniqueName\": ", "JSON"),
        (JSON, b"[1, 2]", "JSON object"),
        (JSON, b"\"text\"", "JSON object"),
        (JSON, b"\xff\xfe", "JSON"),
        (JSON, br#"{"UniqueName": {"a": 1}}"#, "UniqueName"),
        (JSON, br#"{"UniqueName": 5}"#, "UniqueName"),
        (JSON, br#"{"UniqueName": ["a", "b"]}"#, "UniqueName"),
        (FORM, b"UniqueName=%ff%fe", "UniqueName"),
        (FORM, b"UniqueName=%zz", "UniqueName"),
        ("text/plain", b"UniqueName=x", "application/json"),
        (
            "multipart/form-data; boundary=x",
            b"--x--",
            "application/x-www-form-urlencoded",
        ),
    ];
    for (media_type, body, named) in cases {
        let refused = app.post_as(&channels, media_type, body).await.refused(400, 20001);
        assert!(refused.contains(named), "{named}: {refused}");
    }
    let deep = "[".repeat(100_000);
    app.post_as(&channels, JSON, deep.as_bytes())
        .await
        .refused(400, 20001);
    app.post_as(&channels, "Application/JSON; charset=utf-8", b"{}")
        .await
        .created();
    app.post_as(&channels, "text/plain", b"").await.created();
}

#[actix_web::test]
async fn a_body_over_one_mebibyte_is_too_large() {
    let app = TestApp::spawn().await;
    let channels = format!("{}/Channels", app.service().await);
    let form = format!("FriendlyName={}", "x".repeat(1 << 20));
    app.post(&channels, &form).await.refused(413, 20413);
    app.post(&channels, &form[..1 << 20]).await.refused(400, 50003);
}
