use actix_web::http::Method;
use serde_json::{Value, json};

use crate::support::{TestApp, text, texts};

async fn declared(app: &TestApp, service: &str, resource: &str, path: &str) -> Value {
    let form = format!("Resource={resource}&Path={path}&Type=string");
    app.post(&format!("{service}/AttributeIndexes"), &form)
        .await
        .created()
}

#[actix_web::test]
async fn an_index_is_declared_fetched_listed_and_taken_down() {
    let app = TestApp::spawn().await;
    let service = app.service().await;
    let indexes = format!("{service}/AttributeIndexes");
    let made = app
        .post(&indexes, "Resource=channels&Path=ticket.priority&Type=number")
        .await
        .created();
    let sid = text(&made["sid"]);
    assert!(sid.starts_with("AI"));
    assert_eq!(
        made,
        json!({
            "sid": sid,
            "account_sid": app.account,
            "service_sid": service.strip_prefix("/v2/Services/").unwrap(),
            "resource": "channels",
            "path": "ticket.priority",
            "type": "number",
            "status": "building",
            "failure": null,
            "date_created": made["date_created"],
            "date_updated": made["date_updated"],
            "url": format!("http://chat.test{indexes}/{sid}"),
        })
    );
    let by_sid = format!("{indexes}/{sid}");
    assert_eq!(app.get(&by_sid).await.ok(), made);
    let of_users = declared(&app, &service, "users", "größe").await;
    let all = app.get(&indexes).await.ok();
    assert_eq!(all["attribute_indexes"], json!([made, of_users]));
    assert_eq!(all["meta"]["key"], "attribute_indexes");
    let filtered = app.get(&format!("{indexes}?Resource=users")).await.ok();
    assert_eq!(filtered["attribute_indexes"], json!([of_users]));

    app.delete(&by_sid).await.gone();
    app.get(&by_sid).await.refused(404, 20404);
    app.delete(&by_sid).await.refused(404, 20404);
    assert_eq!(
        app.get(&indexes).await.ok()["attribute_indexes"],
        json!([of_users])
    );
    declared(&app, &service, "channels", "ticket.priority").await;
}

#[actix_web::test]
async fn a_path_is_declared_once_for_each_resource() {
    let app = TestApp::spawn().await;
    let service = app.service().await;
    let first = declared(&app, &service, "members", "team").await;
    for path in ["team", "attributes.team"] {
        let form = format!("Resource=members&Path={path}&Type=datetime");
        let refused = app
            .post(&format!("{service}/AttributeIndexes"), &form)
            .await
            .refused(409, 20409);
        assert!(refused.contains(&text(&first["sid"])), "{refused}");
    }
    declared(&app, &service, "messages", "team").await;
    let inner = declared(&app, &service, "members", "attributes.attributes.team").await;
    assert_eq!(inner["path"], "attributes.team");
}

#[actix_web::test]
async fn what_cannot_be_indexed_is_refused_by_its_name() {
    let app = TestApp::spawn().await;
    let service = app.service().await;
    let indexes = format!("{service}/AttributeIndexes");
    let long = "x".repeat(65);
    for (resource, path, kind, name) in [
        ("roles", "a", "string", "Resource"),
        ("", "a", "string", "Resource"),
        ("Channels", "a", "string", "Resource"),
        ("channels", "", "string", "Path"),
        ("channels", "attributes.", "string", "Path"),
        ("channels", "a..b", "string", "Path"),
        ("channels", "a%20b", "string", "Path"),
        ("channels", "a%5B0%5D", "string", "Path"),
        ("channels", &long, "string", "Path"),
        ("channels", "1.2.3.4.5.6.7.8.9", "string", "Path"),
        ("channels", "a", "text", "Type"),
        ("channels", "a", "", "Type"),
    ] {
        let form = format!("Resource={resource}&Path={path}&Type={kind}");
        let refused = app.post(&indexes, &form).await.refused(400, 20001);
        assert!(refused.starts_with(name), "{form}: {refused}");
    }
    for (form, name) in [
        ("Path=a&Type=string", "Resource"),
        ("Resource=users&Type=string", "Path"),
        ("Resource=users&Path=a", "Type"),
    ] {
        let refused = app.post(&indexes, form).await.refused(400, 20001);
        assert!(refused.contains(name), "{form}: {refused}");
    }
    let refused = app
        .get(&format!("{indexes}?Resource=roles"))
        .await
        .refused(400, 20001);
    assert!(refused.starts_with("Resource"), "{refused}");
}

#[actix_web::test]
async fn a_resource_has_at_most_32_indexes() {
    let app = TestApp::spawn().await;
    let service = app.service().await;
    for number in 0..32 {
        declared(&app, &service, "users", &format!("path{number}")).await;
    }
    let indexes = format!("{service}/AttributeIndexes");
    let refused = app
        .post(&indexes, "Resource=users&Path=more&Type=string")
        .await
        .refused(400, 20001);
    assert!(
        refused.starts_with("Resource") && refused.contains("32"),
        "{refused}"
    );
    declared(&app, &service, "channels", "more").await;
    let page = app
        .get(&format!("{indexes}?PageSize=10&Resource=users"))
        .await
        .ok();
    assert_eq!(texts(&page["attribute_indexes"], "path")[9], "path9");
    let next = text(&page["meta"]["next_page_url"]);
    assert!(next.contains("Resource=users"), "{next}");
    app.delete(&format!(
        "{indexes}/{}",
        text(&page["attribute_indexes"][0]["sid"])
    ))
    .await
    .gone();
    declared(&app, &service, "users", "more").await;
}

#[actix_web::test]
async fn another_tenants_and_another_services_indexes_are_404() {
    let app = TestApp::spawn().await;
    let service = app.service().await;
    let made = declared(&app, &service, "channels", "a").await;
    let (sid, token) = app.neighbour().await;
    let own = format!("{service}/AttributeIndexes/{}", text(&made["sid"]));
    for method in [Method::GET, Method::DELETE] {
        let request = TestApp::with_credentials(method, &own, &sid, &token);
        app.send(request).await.refused(404, 20404);
    }
    for method in [Method::GET, Method::POST] {
        let list = format!("{service}/AttributeIndexes");
        let request = TestApp::with_credentials(method, &list, &sid, &token);
        app.send(request).await.refused(404, 20404);
    }
    let other = app.service().await;
    let elsewhere = format!("{other}/AttributeIndexes/{}", text(&made["sid"]));
    app.get(&elsewhere).await.refused(404, 20404);
    app.delete(&elsewhere).await.refused(404, 20404);
    assert_eq!(app.get(&own).await.ok(), made);
}
