use serde_json::{Value, json};

use crate::support::{TestApp, text, texts};

/// The path and query of an absolute URL of the door.
fn relative(url: &Value) -> String {
    text(url).strip_prefix("http://chat.test").unwrap().to_owned()
}

#[actix_web::test]
async fn a_list_of_120_rows_is_read_once_each_while_rows_come_and_go() {
    let app = TestApp::spawn().await;
    let service = app.service().await;
    let users = format!("{service}/Users");
    for number in 0..120 {
        app.post(&users, &format!("Identity=user{number:03}"))
            .await
            .created();
    }
    let mut page = app.get(&format!("{users}?PageSize=50")).await.ok();
    let mut seen = texts(&page["users"], "identity");
    app.delete(&format!("{users}/user000")).await.gone();
    app.post(&users, "Identity=late").await.created();
    while !page["meta"]["next_page_url"].is_null() {
        page = app.get(&relative(&page["meta"]["next_page_url"])).await.ok();
        seen.extend(texts(&page["users"], "identity"));
    }
    let mut expected: Vec<String> = (0..120).map(|number| format!("user{number:03}")).collect();
    expected.push("late".to_owned());
    assert_eq!(seen, expected);
    assert_eq!(page["meta"]["page"], 2);

    let back = app.get(&relative(&page["meta"]["previous_page_url"])).await.ok();
    assert_eq!(texts(&back["users"], "identity"), expected[50..100]);
    assert_eq!(back["meta"]["page"], 1);
}

#[actix_web::test]
async fn sizes_are_clamped_and_urls_keep_what_was_asked_for() {
    let app = TestApp::spawn().await;
    let service = app.service_with_channel().await;
    for (list, key) in [
        ("/v2/Services".to_owned(), "services"),
        (format!("{service}/Roles"), "roles"),
        (format!("{service}/Users"), "users"),
        (format!("{service}/Channels"), "channels"),
        (format!("{service}/Channels/general/Members"), "members"),
        (format!("{service}/Channels/general/Messages"), "messages"),
        (format!("{service}/WebhookDeliveries"), "deliveries"),
    ] {
        let page = app.get(&format!("{list}?PageSize=500")).await.ok();
        assert!(page[key].is_array());
        assert_eq!(
            page["meta"],
            json!({
                "page": 0,
                "page_size": 100,
                "first_page_url": format!("http://chat.test{list}?PageSize=100&Page=0"),
                "previous_page_url": null,
                "url": format!("http://chat.test{list}?PageSize=500&Page=0"),
                "next_page_url": null,
                "key": key,
            })
        );
        assert_eq!(app.get(&list).await.ok()["meta"]["page_size"], 50);
        for (query, name) in [
            ("PageSize=many", "PageSize"),
            ("Page=first", "Page"),
            ("PageToken=nonsense", "PageToken"),
        ] {
            let refused = app.get(&format!("{list}?{query}")).await.refused(400, 20001);
            assert!(refused.starts_with(name), "{refused}");
        }
    }
}

#[actix_web::test]
async fn filters_stay_in_the_urls_of_neighbours_and_a_token_of_another_list_is_refused() {
    let app = TestApp::spawn().await;
    let service = app.service_with_channel().await;
    let messages = format!("{service}/Channels/general/Messages");
    for number in 0..3 {
        app.post(&messages, &format!("Body={number}")).await.created();
    }
    let page = app.get(&format!("{messages}?Order=desc&PageSize=1")).await.ok();
    let next = relative(&page["meta"]["next_page_url"]);
    assert!(
        next.starts_with(&format!("{messages}?Order=desc&PageSize=1&Page=1&PageToken=PT")),
        "{next}"
    );
    assert_eq!(texts(&app.get(&next).await.ok()["messages"], "body"), ["1"]);
    let token = next.split("PageToken=").nth(1).unwrap();
    app.get(&format!("{service}/Users?PageToken={token}"))
        .await
        .refused(400, 20001);
}
