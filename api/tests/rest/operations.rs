use std::collections::BTreeSet;

use actix_web::{http::Method, test::TestRequest};

use crate::support::TestApp;

#[actix_web::test]
async fn health_metrics_and_documentation_need_no_credentials() {
    let app = TestApp::spawn().await;
    app.service().await;
    for path in [
        "/healthz",
        "/readyz",
        "/metrics",
        "/docs",
        "/openapi.json",
        "/demo",
        "/demo/page.js",
        "/sdk/hubbub.js",
        "/sdk/hubbub.global.js",
    ] {
        assert_eq!(app.send(TestRequest::get().uri(path)).await.status, 200, "{path}");
        let head = app
            .send(TestRequest::default().method(Method::HEAD).uri(path))
            .await;
        assert_eq!(head.status, 200, "{path}");
    }
    let metrics = app.send(TestRequest::get().uri("/metrics")).await;
    let text = String::from_utf8(metrics.body).unwrap();
    for line in [
        "hubbub_http_requests_total{method=\"POST\",route=\"/v2/Services\",status=\"201\"} 1",
        "hubbub_http_requests_total{method=\"GET\",route=\"/healthz\",status=\"200\"} 1",
        "hubbub_sockets 0",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    let docs = app.send(TestRequest::get().uri("/docs")).await;
    let page = String::from_utf8(docs.body.clone()).unwrap();
    assert!(
        page.contains("Hubbub") && !page.contains("https://"),
        "the page needs no other host"
    );
    assert!(docs.header("content-type").starts_with("text/html"));
}

#[actix_web::test]
async fn every_answer_carries_its_id_and_what_browsers_need() {
    let app = TestApp::spawn().await;
    let mut ids = BTreeSet::new();
    for path in ["/v2/Services", "/v2/Nothing", "/healthz"] {
        let answer = app.get(path).await;
        let id = answer.header("twilio-request-id");
        assert!(id.len() == 34 && id.starts_with("RQ"), "{id}");
        assert!(ids.insert(id.to_owned()));
        assert_eq!(answer.header("access-control-allow-origin"), "*");
        assert!(answer.header("access-control-expose-headers").contains("ETag"));
    }
    let preflight = app
        .send(TestRequest::default().method(Method::OPTIONS).uri("/v2/Services"))
        .await;
    preflight.gone();
    assert_eq!(
        preflight.header("access-control-allow-methods"),
        "GET, POST, PUT, DELETE, OPTIONS"
    );
    assert!(
        preflight
            .header("access-control-allow-headers")
            .contains("Authorization")
    );
}

#[actix_web::test]
async fn urls_are_built_from_what_a_proxy_says() {
    let app = TestApp::spawn().await;
    let request = app
        .request(Method::GET, "/v2/Services")
        .insert_header(("x-forwarded-proto", "https"))
        .insert_header(("x-forwarded-host", "chat.example.com, inner"));
    let meta = &app.send(request).await.ok()["meta"];
    assert_eq!(
        meta["url"],
        "https://chat.example.com/v2/Services?PageSize=50&Page=0"
    );
}

/// Whether a path of the document takes a concrete one: `…/Members/Batch` is a member's path, too.
fn takes(path: &str, concrete: &str) -> bool {
    let parts = |text: &str| text.split('/').map(str::to_owned).collect::<Vec<_>>();
    let (path, concrete) = (parts(path), parts(concrete));
    path.len() == concrete.len()
        && path
            .iter()
            .zip(&concrete)
            .all(|(part, text)| match part.split_once('{') {
                Some((before, rest)) => {
                    text.starts_with(before) && text.ends_with(rest.split_once('}').unwrap().1)
                }
                None => part == text,
            })
}

#[actix_web::test]
async fn every_documented_operation_is_served() {
    let app = TestApp::spawn().await;
    let documented = hubbub_api::openapi().paths.paths;
    // Whoever has no token for a report of a provider is told that there is nothing, without being asked who it is.
    let open = "/Recipients/{Place}/Status";
    for path in documented.keys().filter(|path| !path.ends_with(open)) {
        let concrete: String = path
            .split('/')
            .map(|part| match part.split_once('{') {
                Some((before, rest)) => format!("/{before}x{}", rest.split_once('}').unwrap().1),
                None => format!("/{part}"),
            })
            .collect();
        let concrete = &concrete[1..];
        let items: Vec<_> = documented
            .iter()
            .filter(|(other, _)| takes(other, concrete))
            .map(|(_, item)| item)
            .collect();
        for (method, known) in [
            (Method::GET, items.iter().any(|item| item.get.is_some())),
            (Method::POST, items.iter().any(|item| item.post.is_some())),
            (Method::PUT, items.iter().any(|item| item.put.is_some())),
            (Method::DELETE, items.iter().any(|item| item.delete.is_some())),
        ] {
            let answer = app
                .send(TestRequest::default().method(method.clone()).uri(concrete))
                .await;
            // Unserved methods are told before credentials are asked for.
            let served = !matches!(answer.status, 404 | 405);
            assert_eq!(served, known, "{method} {path}: {}", answer.status);
        }
    }
}
