use actix_web::{http::Method, test::TestRequest};

use crate::support::{TestApp, text};

#[actix_web::test]
async fn missing_or_wrong_credentials_are_401() {
    let app = TestApp::spawn().await;
    let service = app.service().await;
    let (own, nobody) = (app.account.to_string(), format!("AC{:032}", 0));
    for (user, password) in [
        (own.as_str(), "wrong"),
        (own.as_str(), ""),
        (nobody.as_str(), app.token.as_str()),
        ("SK00000000000000000000000000000000", "x"),
        ("nonsense", ""),
        ("", ""),
    ] {
        for method in [Method::GET, Method::POST, Method::DELETE] {
            let answer = app
                .send(TestApp::with_credentials(method, &service, user, password))
                .await;
            answer.refused(401, 20003);
            assert!(answer.header("www-authenticate").starts_with("Basic"));
        }
    }
    for header in [
        "",
        "Basic",
        "Basic !!!",
        "Basic bm9jb2xvbg==",
        "Digest x",
        "\u{ff}",
    ] {
        let request = TestRequest::get()
            .uri(&service)
            .insert_header(("authorization", header));
        app.send(request).await.refused(401, 20003);
    }
    app.send(TestRequest::get().uri(&service))
        .await
        .refused(401, 20003);
    let request = TestRequest::get()
        .uri(&service)
        .insert_header(("authorization", "Bearer eyJ.x.y"));
    app.send(request).await.refused(401, 20101);
}

#[actix_web::test]
async fn another_tenants_objects_are_404() {
    let app = TestApp::spawn().await;
    let service = app.service_with_channel().await;
    let channel = format!("{service}/Channels/general");
    let user = app
        .post(&format!("{service}/Users"), "Identity=alice")
        .await
        .created();
    app.post(&format!("{channel}/Members"), "Identity=alice")
        .await
        .created();
    let message = app
        .post(&format!("{channel}/Messages"), "Body=hi")
        .await
        .created();
    let (sid, token) = app.neighbour().await;
    for path in [
        service.clone(),
        format!("{service}/Users/{}", text(&user["sid"])),
        channel.clone(),
        format!("{channel}/Members/alice"),
        format!("{channel}/Messages/{}", text(&message["sid"])),
    ] {
        for method in [Method::GET, Method::POST, Method::DELETE] {
            let answer = app
                .send(TestApp::with_credentials(method, &path, &sid, &token))
                .await;
            answer.refused(404, 20404);
        }
        app.get(&path).await.ok();
    }
    for list in [
        "Roles",
        "Users",
        "Channels",
        "WebhookDeliveries",
        "Channels/general/Members",
        "Channels/general/Messages",
    ] {
        let request = TestApp::with_credentials(Method::GET, &format!("{service}/{list}"), &sid, &token);
        app.send(request).await.refused(404, 20404);
    }
    for list in [
        "Users",
        "Channels",
        "AccessTokens",
        "Channels/general/Members",
        "Channels/general/Messages",
    ] {
        let request = TestApp::with_credentials(Method::POST, &format!("{service}/{list}"), &sid, &token);
        app.send(request).await.refused(404, 20404);
    }
    for path in ["Accounts/{own}.json", "Accounts/{own}/Keys.json"] {
        let path = format!("/2010-04-01/{}", path.replace("{own}", &app.account.to_string()));
        app.send(TestApp::with_credentials(Method::GET, &path, &sid, &token))
            .await
            .refused(404, 20404);
    }
    let other = app.service_with_channel().await;
    let message = format!("{other}/Channels/general/Messages/{}", text(&message["sid"]));
    app.get(&message).await.refused(404, 20404);
}

#[actix_web::test]
async fn unknown_paths_are_404_and_unknown_methods_405() {
    let app = TestApp::spawn().await;
    let service = app.service().await;
    for path in [
        "/",
        "/v2",
        "/v2/Nothing",
        "/v2/Services/",
        "/v3/Services",
        "/2010-04-01/Accounts",
    ] {
        app.get(path).await.refused(404, 20404);
    }
    for sid in [
        "nonsense",
        "IS1",
        "CH00000000000000000000000000000000",
        "is00000000000000000000000000000000",
        "%00",
    ] {
        app.get(&format!("/v2/Services/{sid}")).await.refused(404, 20404);
        app.get(&format!("/v2/Services/{sid}/Users"))
            .await
            .refused(404, 20404);
    }
    let answer = app.send(app.request(Method::PUT, &service)).await;
    answer.refused(405, 20004);
    assert_eq!(answer.header("allow"), "GET, POST, DELETE");
    app.send(app.request(Method::DELETE, "/v2/Services"))
        .await
        .refused(405, 20004);
    app.send(app.request(Method::POST, "/healthz"))
        .await
        .refused(405, 20004);
}
