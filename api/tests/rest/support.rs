//! A door with a database of its own.

use std::{future::Future, path::PathBuf, pin::Pin, rc::Rc, sync::Arc, time::Duration};

use actix_http::Request;
use actix_web::{
    App,
    body::MessageBody,
    http::{Method, StatusCode, header::HeaderMap},
    test::{self, TestRequest},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use hubbub_api::{ApiState, Metrics, RateLimits, configure};
use hubbub_broker::InProcess;
use hubbub_core::{
    BaseUrl, Core, Secret, Settings, Vault, WebhookSettings, accounts, db::Db, query::Limits, sid::AccountSid,
};
use serde_json::{Value, json};
use uuid::Uuid;

pub(crate) const FORM: &str = "application/x-www-form-urlencoded";
pub(crate) const JSON: &str = "application/json";

type Serve = dyn Fn(Request) -> Pin<Box<dyn Future<Output = Answer>>>;

/// The door, its database, and one tenant's credentials.
pub(crate) struct TestApp {
    pub(crate) core: Arc<Core>,
    pub(crate) account: AccountSid,
    pub(crate) token: String,
    serve: Rc<Serve>,
    folder: PathBuf,
}

/// What came back.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl TestApp {
    pub(crate) async fn spawn() -> Self {
        let folder = std::env::temp_dir().join(format!("hubbub-api-{}", Uuid::new_v4().simple()));
        std::fs::create_dir(&folder).unwrap();
        let db = Db::sqlite(&folder.join("hubbub.db")).await.unwrap();
        hubbub_migrations::up(db.writer()).await.unwrap();
        let broker = Arc::new(InProcess::new());
        let settings = Settings {
            public_url: None,
            event_retention: Duration::from_secs(7 * 24 * 3600),
            audit_retention: Duration::from_secs(90 * 24 * 3600),
            webhooks: WebhookSettings::default(),
            limit_ceiling: 100_000,
            presence_channel_limit: 100,
            lists: Limits::default(),
            vet_url: Arc::new(|_| Ok(())),
        };
        let core = Core::start(Uuid::new_v4(), db, Vault::new([7; 32]), broker.into(), settings);
        let (account, token) = (AccountSid::generate(), Secret::random_hex());
        accounts::create(core.db.writer(), &core.vault, "acme", account, &token)
            .await
            .unwrap();
        let metrics = Metrics::new().with_gauge("sockets", "Open sockets", || 0);
        let state = ApiState::new(
            core.clone(),
            BaseUrl::new("http://fallback"),
            metrics,
            RateLimits::default(),
            true,
        );
        let app = App::new().configure(move |config| configure(config, state.clone()));
        let service = Rc::new(test::init_service(app).await);
        let serve: Rc<Serve> = Rc::new(move |request| {
            let service = Rc::clone(&service);
            Box::pin(async move {
                let response = test::call_service(&*service, request).await;
                let (status, headers) = (response.status().as_u16(), response.headers().clone());
                let body = actix_web::body::to_bytes(response.into_body().boxed())
                    .await
                    .unwrap()
                    .to_vec();
                Answer {
                    status,
                    headers,
                    body,
                }
            })
        });
        Self {
            core,
            account,
            token: token.expose().to_owned(),
            serve,
            folder,
        }
    }

    /// Another tenant at the same door.
    pub(crate) async fn neighbour(&self) -> (String, String) {
        let made = self
            .post("/2010-04-01/Accounts.json", "FriendlyName=neighbour")
            .await
            .created();
        (text(&made["sid"]), text(&made["auth_token"]))
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> TestRequest {
        Self::with_credentials(method, path, &self.account.to_string(), &self.token)
    }

    pub(crate) fn with_credentials(method: Method, path: &str, user: &str, password: &str) -> TestRequest {
        let pair = BASE64_STANDARD.encode(format!("{user}:{password}"));
        TestRequest::with_uri(path)
            .method(method)
            .insert_header(("host", "chat.test"))
            .insert_header(("authorization", format!("Basic {pair}")))
    }

    pub(crate) async fn send(&self, request: TestRequest) -> Answer {
        (self.serve)(request.to_request()).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        // As Twilio's Python library does: a form's content type, and no form.
        let request = self.request(Method::GET, path);
        self.send(request.insert_header(("content-type", FORM))).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send(self.request(Method::DELETE, path)).await
    }

    pub(crate) async fn post(&self, path: &str, form: &str) -> Answer {
        self.post_as(path, FORM, form.as_bytes()).await
    }

    pub(crate) async fn post_json(&self, path: &str, json: &Value) -> Answer {
        self.post_as(path, JSON, json.to_string().as_bytes()).await
    }

    pub(crate) async fn post_as(&self, path: &str, media_type: &str, body: &[u8]) -> Answer {
        let request = self
            .request(Method::POST, path)
            .insert_header(("content-type", media_type))
            .set_payload(body.to_vec());
        self.send(request).await
    }

    /// The account's auth token as the database has it.
    pub(crate) async fn promoted(&self) -> String {
        let account = accounts::find(self.core.db.reader(), self.account)
            .await
            .unwrap()
            .unwrap();
        let token = accounts::auth_token(&self.core.vault, &account).unwrap();
        token.expose().to_owned()
    }

    /// A new service's path.
    pub(crate) async fn service(&self) -> String {
        let made = self.post("/v2/Services", "FriendlyName=test").await.created();
        format!("/v2/Services/{}", text(&made["sid"]))
    }

    /// A new service's path, with the channel `general` in it.
    pub(crate) async fn service_with_channel(&self) -> String {
        let service = self.service().await;
        self.post(&format!("{service}/Channels"), "UniqueName=general")
            .await
            .created();
        service
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|cause| panic!("{cause}: {:?}", String::from_utf8_lossy(&self.body)))
    }

    #[track_caller]
    pub(crate) fn with_status(&self, status: StatusCode) -> &Self {
        assert_eq!(
            self.status,
            status.as_u16(),
            "{}",
            String::from_utf8_lossy(&self.body)
        );
        self
    }

    #[track_caller]
    pub(crate) fn created(&self) -> Value {
        self.with_status(StatusCode::CREATED).json()
    }

    #[track_caller]
    pub(crate) fn ok(&self) -> Value {
        self.with_status(StatusCode::OK).json()
    }

    #[track_caller]
    pub(crate) fn gone(&self) {
        self.with_status(StatusCode::NO_CONTENT);
        assert!(self.body.is_empty(), "a 204 has no body");
    }

    /// Checks an error from head to toe and answers with its message.
    #[track_caller]
    pub(crate) fn refused(&self, status: u16, code: u32) -> String {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        let body = self.json();
        let mut names: Vec<_> = body.as_object().unwrap().keys().map(String::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["code", "message", "more_info", "status"]);
        assert_eq!(
            (body["status"].as_u64(), body["code"].as_u64()),
            (Some(status.into()), Some(code.into())),
            "{body}"
        );
        assert!(text(&body["more_info"]).ends_with(&code.to_string()));
        text(&body["message"])
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

pub(crate) fn text(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("{value} is no text"))
        .to_owned()
}

/// Every operation that needs credentials: its id, method and path.
pub(crate) fn operations() -> Vec<(String, Method, String)> {
    let document = serde_json::to_value(hubbub_api::openapi()).unwrap();
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let Ok(method) = method.to_uppercase().parse::<Method>() else {
                continue;
            };
            if operation.get("operationId").is_some() && operation["security"] != json!([{}]) {
                found.push((text(&operation["operationId"]), method, path.clone()));
            }
        }
    }
    found
}

/// The texts under `name` of each item.
pub(crate) fn texts(items: &Value, name: &str) -> Vec<String> {
    items
        .as_array()
        .unwrap()
        .iter()
        .map(|item| text(&item[name]))
        .collect()
}
