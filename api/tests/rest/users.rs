use serde_json::json;

use crate::support::{TestApp, text, texts};

#[actix_web::test]
async fn a_user_is_created_fetched_listed_updated_and_deleted() {
    let app = TestApp::spawn().await;
    let service = app.service().await;
    let users = format!("{service}/Users");
    let form = "Identity=alice&FriendlyName=Alice&Attributes=%7B%22a%22%3A+1%7D";
    let made = app.post(&users, form).await.created();
    assert_eq!(
        made["attributes"], "{\"a\": 1}",
        "attributes are kept as they were given"
    );
    assert_eq!(
        (&made["is_online"], &made["joined_channels_count"]),
        (&json!(null), &json!(0))
    );
    let by_sid = format!("{users}/{}", text(&made["sid"]));
    assert_eq!(app.get(&format!("{users}/alice")).await.ok(), made);
    assert_eq!(app.get(&by_sid).await.ok(), made);
    assert_eq!(texts(&app.get(&users).await.ok()["users"], "identity"), ["alice"]);
    let updated = app.post(&format!("{users}/alice"), "FriendlyName=").await.ok();
    assert_eq!(
        (&updated["friendly_name"], &updated["attributes"]),
        (&json!(null), &made["attributes"])
    );
    app.delete(&by_sid).await.gone();
    app.get(&by_sid).await.refused(404, 20404);
}

#[actix_web::test]
async fn users_are_found_by_identities_of_any_text() {
    let app = TestApp::spawn().await;
    let users = format!("{}/Users", app.service().await);
    for (identity, segment) in [
        ("Alice", "Alice"),
        ("name@example.com", "name@example.com"),
        ("with a blank", "with%20a%20blank"),
        ("a/b?c#d", "a%2Fb%3Fc%23d"),
        ("100%25", "100%2525"),
        ("a+b", "a+b"),
        (
            "Zoë-日本語-🙂",
            "Zo%C3%AB-%E6%97%A5%E6%9C%AC%E8%AA%9E-%F0%9F%99%82",
        ),
    ] {
        let made = app
            .post_json(&users, &json!({ "Identity": identity }))
            .await
            .created();
        assert_eq!(
            app.get(&format!("{users}/{segment}")).await.ok()["sid"],
            made["sid"],
            "{identity}"
        );
    }
    for segment in ["a%00b", "%ff", "alice", "Alice/"] {
        app.get(&format!("{users}/{segment}")).await.refused(404, 20404);
    }
}

#[actix_web::test]
async fn an_identity_that_cannot_be_one_is_refused() {
    let app = TestApp::spawn().await;
    let users = format!("{}/Users", app.service().await);
    let missing = app.post(&users, "FriendlyName=x").await.refused(400, 20001);
    assert_eq!(missing, "Missing required parameter Identity in the post body");
    app.post(&users, "Identity=").await.refused(400, 50204);
    app.post(&users, "Identity=system").await.refused(400, 50203);
    app.post(&users, &format!("Identity=US{:032}", 7))
        .await
        .refused(400, 50206);
    app.post(&users, &format!("Identity={}", "x".repeat(257)))
        .await
        .refused(400, 50207);
    app.post(&users, "Identity=a%00b").await.refused(400, 20001);
    app.post(&users, "Identity=bob&Attributes=%7Boops")
        .await
        .refused(400, 50304);
    app.post(&users, "Identity=bob").await.created();
    app.post(&users, "Identity=bob").await.refused(409, 50201);
}
