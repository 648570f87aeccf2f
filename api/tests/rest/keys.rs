//! What keys with a scope or an end may do, walked over every operation where it matters.

use actix_web::http::Method;
use hubbub_core::{Timestamp, access_tokens, sid::ServiceSid};
use serde_json::{Value, json};

use crate::support::{FORM, TestApp, operations, text, texts};

struct Key {
    sid: String,
    secret: String,
}

impl Key {
    async fn make(app: &TestApp, form: &str) -> Self {
        let made = app.post(&path(app), form).await.created();
        Self {
            sid: text(&made["sid"]),
            secret: text(&made["secret"]),
        }
    }

    async fn send(&self, app: &TestApp, method: Method, path: &str, form: &str) -> crate::support::Answer {
        let request = TestApp::with_credentials(method, path, &self.sid, &self.secret)
            .insert_header(("content-type", FORM))
            .set_payload(form.to_owned());
        app.send(request).await
    }
}

fn path(app: &TestApp) -> String {
    format!("/2010-04-01/Accounts/{}/Keys.json", app.account)
}

/// The path with something in each variable part.
fn filled(pattern: &str, service: &str, app: &TestApp) -> String {
    pattern
        .replace("{ServiceSid}", service)
        .replace("{AccountSid}", &app.account.to_string())
        .split('/')
        .map(|part| match (part.find('{'), part.find('}')) {
            (Some(from), Some(to)) => format!("{}x{}", &part[..from], &part[to + 1..]),
            _ => part.to_owned(),
        })
        .collect::<Vec<_>>()
        .join("/")
}

#[actix_web::test]
async fn a_read_only_key_is_refused_every_operation_that_changes_something() {
    let app = TestApp::spawn().await;
    let service = app.service_with_channel().await;
    let sid = service.rsplit('/').next().unwrap();
    let key = Key::make(&app, "ReadOnly=true").await;
    let before = app.get("/v2/AuditEvents").await.ok();
    for (operation, method, pattern) in operations() {
        if method == Method::GET {
            continue;
        }
        let answer = key.send(&app, method, &filled(&pattern, sid, &app), "").await;
        let refused = answer.refused(403, 20006);
        assert!(refused.contains("read-only"), "{operation}: {refused}");
    }
    assert_eq!(app.get("/v2/AuditEvents").await.ok(), before, "nothing changed");
    for readable in [
        "/v2/Services".to_owned(),
        format!("{service}/Channels/general"),
        format!("{service}/AuditEvents"),
        "/v2/Credentials".to_owned(),
    ] {
        key.send(&app, Method::GET, &readable, "").await.ok();
    }
}

#[actix_web::test]
async fn a_key_of_one_service_reaches_nothing_else() {
    let app = TestApp::spawn().await;
    let (own, other) = (app.service_with_channel().await, app.service_with_channel().await);
    let sid = |service: &str| service.rsplit('/').next().unwrap().to_owned();
    let key = Key::make(&app, &format!("ServiceSid={}", sid(&own))).await;
    for (operation, method, pattern) in operations() {
        if operation == "ListService" {
            continue;
        }
        let answer = match pattern.as_str() {
            "/v2/Services/{Sid}" => key.send(&app, method.clone(), &other, "").await,
            _ => {
                key.send(&app, method.clone(), &filled(&pattern, &sid(&other), &app), "")
                    .await
            }
        };
        if pattern.contains("{ServiceSid}") || pattern == "/v2/Services/{Sid}" && method != Method::DELETE {
            answer.refused(404, 20404);
        } else {
            answer.refused(403, 20006);
        }
    }
    let listed = key.send(&app, Method::GET, "/v2/Services", "").await.ok();
    assert_eq!(texts(&listed["services"], "sid"), [sid(&own)]);
    key.send(&app, Method::GET, &own, "").await.ok();
    key.send(&app, Method::POST, &own, "FriendlyName=mine").await.ok();
    key.send(&app, Method::DELETE, &own, "").await.refused(403, 20006);
    key.send(&app, Method::POST, &format!("{own}/Channels"), "")
        .await
        .created();
    // Deleting the service takes the key with it.
    app.delete(&own).await.gone();
    key.send(&app, Method::GET, "/v2/Services", "")
        .await
        .refused(401, 20003);
}

#[actix_web::test]
async fn keys_with_a_scope_manage_no_accounts_and_keys_not_even_by_looking() {
    let app = TestApp::spawn().await;
    let service = app.service().await;
    let sid = service.rsplit('/').next().unwrap().to_owned();
    for scope in ["ReadOnly=true".to_owned(), format!("ServiceSid={sid}")] {
        let key = Key::make(&app, &scope).await;
        for (operation, method, pattern) in operations() {
            if pattern.starts_with("/2010-04-01") || pattern.starts_with("/v1/AuthTokens") {
                let answer = key.send(&app, method, &filled(&pattern, &sid, &app), "").await;
                assert_eq!(
                    (answer.status, &answer.json()["code"]),
                    (403, &json!(20006)),
                    "{operation}"
                );
            }
        }
    }
    let whole = Key::make(&app, "").await;
    whole.send(&app, Method::GET, &path(&app), "").await.ok();
    whole
        .send(&app, Method::POST, "/v1/AuthTokens/Secondary", "")
        .await
        .refused(403, 20006);
}

#[actix_web::test]
async fn a_key_tells_its_scope_and_its_use() {
    let app = TestApp::spawn().await;
    let made = app.post(&path(&app), "FriendlyName=plain").await.created();
    for (name, value) in [
        ("service_sid", Value::Null),
        ("read_only", json!(false)),
        ("date_expires", Value::Null),
        ("date_last_used", Value::Null),
    ] {
        assert_eq!(made[name], value, "{name}");
    }
    let service = app.service().await;
    let sid = service.rsplit('/').next().unwrap();
    let form = format!("ServiceSid={sid}&ReadOnly=true&DateExpires=2099-01-02T03%3A04%3A05Z");
    let key = Key::make(&app, &form).await;
    let own = format!("/2010-04-01/Accounts/{}/Keys/{}.json", app.account, key.sid);
    let shown = app.get(&own).await.ok();
    assert_eq!(
        (&shown["service_sid"], &shown["read_only"], &shown["date_expires"]),
        (
            &json!(sid),
            &json!(true),
            &json!("Fri, 02 Jan 2099 03:04:05 +0000")
        )
    );
    key.send(&app, Method::GET, "/v2/Services", "").await.ok();
    let mut tries = 0;
    while app.get(&own).await.ok()["date_last_used"].is_null() {
        tries += 1;
        assert!(tries < 500, "the use is noted");
        tokio::task::yield_now().await;
    }
    // Moved, in the form that the answer has, and taken away.
    let moved = app
        .post(&own, "DateExpires=Sat%2C+03+Jan+2099+03%3A04%3A05+%2B0000")
        .await
        .ok();
    assert_eq!(moved["date_expires"], "Sat, 03 Jan 2099 03:04:05 +0000");
    assert_eq!(
        app.post(&own, "DateExpires=").await.ok()["date_expires"],
        json!(null)
    );
    for (form, name) in [
        ("ReadOnly=false", "ReadOnly"),
        ("ServiceSid=", "ServiceSid"),
        ("DateExpires=2020-01-01T00%3A00%3A00Z", "DateExpires"),
        ("DateExpires=soon", "DateExpires"),
    ] {
        let refused = app.post(&own, form).await.refused(400, 20001);
        assert!(refused.starts_with(name), "{refused}");
    }
}

#[actix_web::test]
async fn what_a_key_cannot_have_is_refused_by_name() {
    let app = TestApp::spawn().await;
    let past = "DateExpires=2020-01-01T00%3A00%3A00Z";
    assert!(
        app.post(&path(&app), past)
            .await
            .refused(400, 20001)
            .starts_with("DateExpires")
    );
    assert!(
        app.post(&path(&app), "ReadOnly=perhaps")
            .await
            .refused(400, 20001)
            .starts_with("ReadOnly")
    );
    let (neighbour, token) = app.neighbour().await;
    let foreign = TestApp::with_credentials(Method::POST, "/v2/Services", &neighbour, &token)
        .insert_header(("content-type", FORM))
        .set_payload("FriendlyName=theirs");
    let foreign = text(&app.send(foreign).await.created()["sid"]);
    for sid in [foreign, ServiceSid::generate().to_string(), "nonsense".to_owned()] {
        let refused = app
            .post(&path(&app), &format!("ServiceSid={sid}"))
            .await
            .refused(404, 50050);
        assert!(refused.starts_with("ServiceSid"), "{refused}");
    }
}

#[actix_web::test]
async fn tokens_are_limited_with_the_key_that_signed_them() {
    let app = TestApp::spawn().await;
    let (own, other) = (app.service_with_channel().await, app.service().await);
    let sid = |service: &str| service.rsplit('/').next().unwrap().to_owned();
    app.post(&format!("{own}/Channels/general/Members"), "Identity=alice")
        .await
        .created();
    let bearer = |method: Method, path: String, token: &str| {
        actix_web::test::TestRequest::with_uri(&path)
            .method(method)
            .insert_header(("authorization", format!("Bearer {token}")))
            .insert_header(("content-type", FORM))
    };
    let mint = async |key: &Key, service: &str| {
        let row = hubbub_core::api_keys::with_account(app.core.db.reader(), key.sid.parse().unwrap())
            .await
            .unwrap()
            .unwrap()
            .0;
        let identity = hubbub_core::input::Identity::parse("alice").unwrap();
        let secret = hubbub_core::Secret::new(key.secret.clone());
        access_tokens::mint(
            &row,
            &secret,
            sid(service).parse().unwrap(),
            &identity,
            std::time::Duration::from_secs(600),
        )
        .unwrap()
    };
    let reader = Key::make(&app, "ReadOnly=true").await;
    let (token, _) = mint(&reader, &own).await;
    let messages = format!("{own}/Channels/general/Messages");
    app.send(bearer(Method::GET, messages.clone(), &token)).await.ok();
    let refused = app
        .send(bearer(Method::POST, messages, &token).set_payload("Body=hi"))
        .await
        .refused(403, 20006);
    assert!(
        refused.contains("read-only") && refused.contains(&reader.sid),
        "{refused}"
    );

    let scoped = Key::make(&app, &format!("ServiceSid={}", sid(&own))).await;
    let (good, _) = mint(&scoped, &own).await;
    app.send(bearer(Method::GET, format!("{own}/Channels/general"), &good))
        .await
        .ok();
    let (wrong, _) = mint(&scoped, &other).await;
    app.send(bearer(Method::GET, format!("{other}/Channels"), &wrong))
        .await
        .refused(401, 20106);

    let end = Timestamp::now().plus(std::time::Duration::from_secs(60));
    let short = Key::make(
        &app,
        &format!("DateExpires={}", end.to_seconds_text().replace(':', "%3A")),
    )
    .await;
    let minted = short
        .send(
            &app,
            Method::POST,
            &format!("{own}/AccessTokens"),
            "Identity=alice&Ttl=3600",
        )
        .await
        .created();
    assert_eq!(
        text(&minted["date_expires"]),
        end.to_seconds_text(),
        "not after its key"
    );
}

#[actix_web::test]
async fn tokens_of_the_platform_are_not_signed_by_a_key_of_the_same_name_with_a_scope() {
    let app = TestApp::spawn().await;
    let service = app.service().await;
    Key::make(&app, "FriendlyName=Hubbub+access+tokens&ReadOnly=true").await;
    let minted = app
        .post(&format!("{service}/AccessTokens"), "Identity=alice")
        .await
        .created();
    let token = access_tokens::verify(&app.core, &text(&minted["token"]))
        .await
        .unwrap();
    assert!(!token.key.read_only);
}
