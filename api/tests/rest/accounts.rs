use actix_web::http::Method;
use hubbub_core::{access_tokens, entities::webhook_delivery};
use sea_orm::EntityTrait as _;
use serde_json::json;

use crate::support::{FORM, TestApp, text, texts};

#[actix_web::test]
async fn an_account_sees_itself_and_makes_others() {
    let app = TestApp::spawn().await;
    let own = app
        .get(&format!("/2010-04-01/Accounts/{}.json", app.account))
        .await
        .ok();
    assert_eq!(
        (text(&own["sid"]), text(&own["auth_token"])),
        (app.account.to_string(), app.token.clone())
    );
    assert!(text(&own["date_created"]).ends_with(" +0000"));
    let (sid, token) = app.neighbour().await;
    let listed = app.get("/2010-04-01/Accounts.json").await.ok();
    assert_eq!(
        texts(&listed["accounts"], "sid"),
        [app.account.to_string(), sid.clone()]
    );
    let request = TestApp::with_credentials(Method::GET, "/v2/Services", &sid, &token);
    assert_eq!(app.send(request).await.ok()["services"], json!([]));
}

#[actix_web::test]
async fn closing_an_account_gives_its_webhooks_up() {
    let app = TestApp::spawn().await;
    let (sid, token) = app.neighbour().await;
    let send = async |path: &str, form: &str, told: &str| {
        let request = TestApp::with_credentials(Method::POST, path, &sid, &token)
            .insert_header(("content-type", FORM))
            .insert_header(("x-twilio-webhook-enabled", told));
        app.send(request.set_payload(form.to_owned())).await.json()
    };
    let made = send("/v2/Services", "FriendlyName=x", "false").await;
    let service = format!("/v2/Services/{}", text(&made["sid"]));
    send(
        &service,
        "PostWebhookUrl=https%3A%2F%2Fexample.com%2Fhook",
        "false",
    )
    .await;
    send(&format!("{service}/Channels"), "", "true").await;
    let statuses = async || {
        webhook_delivery::Entity::find()
            .all(app.core.db.reader())
            .await
            .unwrap()
            .into_iter()
            .map(|delivery| delivery.status)
            .collect::<Vec<_>>()
    };
    assert_eq!(statuses().await, ["pending"]);
    let account = format!("/2010-04-01/Accounts/{sid}.json");
    app.post(&account, "Status=suspended").await.ok();
    assert_eq!(statuses().await, ["pending"], "they wait");
    app.post(&account, "Status=closed").await.ok();
    assert_eq!(statuses().await, ["cancelled"]);
}

#[actix_web::test]
async fn an_api_key_works_until_it_is_deleted() {
    let app = TestApp::spawn().await;
    let keys = format!("/2010-04-01/Accounts/{}/Keys", app.account);
    let made = app
        .post(&format!("{keys}.json"), "FriendlyName=backend")
        .await
        .created();
    let (sid, secret) = (text(&made["sid"]), text(&made["secret"]));
    let path = format!("{keys}/{sid}.json");
    let shown = app.get(&path).await.ok();
    assert!(shown.get("secret").is_none(), "a secret is shown once");
    assert_eq!(
        app.post(&path, "FriendlyName=renamed").await.ok()["friendly_name"],
        "renamed"
    );
    let page = app.get(&format!("{keys}.json?PageSize=1")).await.ok();
    assert_eq!(texts(&page["keys"], "sid"), std::slice::from_ref(&sid));
    assert_eq!(page["uri"], format!("{keys}.json?PageSize=1&Page=0"));
    assert_eq!(
        (&page["page"], &page["start"], &page["next_page_uri"]),
        (&json!(0), &json!(0), &json!(null))
    );

    let with_key = |path: &str| TestApp::with_credentials(Method::GET, path, &sid, &secret);
    app.send(with_key("/v2/Services")).await.ok();
    let own = format!("/2010-04-01/Accounts/{}.json", app.account);
    assert_eq!(
        app.send(with_key(&own)).await.ok()["auth_token"],
        json!(null),
        "a key does not lead to the token"
    );
    app.delete(&path).await.gone();
    app.send(with_key("/v2/Services")).await.refused(401, 20003);
    app.get(&path).await.refused(404, 20404);
}

#[actix_web::test]
async fn an_access_token_is_minted_for_an_identity() {
    let app = TestApp::spawn().await;
    let tokens = format!("{}/AccessTokens", app.service().await);
    let made = app.post(&tokens, "Identity=alice&Ttl=600").await.created();
    let token = access_tokens::verify(&app.core, &text(&made["token"]))
        .await
        .unwrap();
    assert_eq!(
        (token.identity.as_str(), &made["identity"]),
        ("alice", &json!("alice"))
    );
    assert_eq!(text(&made["service_sid"]), token.service.to_string());
    assert_eq!(text(&made["date_expires"]), token.expires.to_seconds_text());
    app.post(&tokens, "Ttl=600").await.refused(400, 20001);
    app.post(&tokens, "Identity=system").await.refused(400, 50203);
    for ttl in ["0", "86401", "-5", "soon"] {
        let refused = app
            .post(&tokens, &format!("Identity=alice&Ttl={ttl}"))
            .await
            .refused(400, 20001);
        assert!(refused.starts_with("Ttl"), "{refused}");
    }
}
