//! What Hubbub's REST door is measured against: a plain actix-web handler over the same database, with the same paths
//! and answers of the same shape. It checks the password and runs the statements, and has nothing else: no tenants, no
//! rights, no events, no webhooks, no order between processes.
//!
//! `hubbub-bench-plain DATABASE_URL` prints `plain listening on http://HOST:PORT`.

use std::io::Write as _;

use actix_web::{
    App, HttpRequest, HttpResponse, HttpServer, get,
    http::header::AUTHORIZATION,
    post,
    web::{Bytes, Data, Form, Path},
};
use anyhow::Context as _;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbErr, SqliteTransactionMode, Statement,
    TransactionOptions, TransactionTrait, Value,
    sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous},
};
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

const SCHEMA: [&str; 2] = [
    "CREATE TABLE plain_channels (sid TEXT PRIMARY KEY, unique_name TEXT UNIQUE, next_index BIGINT NOT NULL, date_created TEXT NOT NULL)",
    "CREATE TABLE plain_messages (channel_sid TEXT NOT NULL, idx BIGINT NOT NULL, sid TEXT NOT NULL, author TEXT NOT NULL, \
     body TEXT NOT NULL, date_created TEXT NOT NULL, PRIMARY KEY (channel_sid, idx))",
];
const CREATED: &str = "2026-01-01T00:00:00Z";

struct State {
    db: DatabaseConnection,
    password: String,
}

#[actix_web::main]
async fn main() -> anyhow::Result<()> {
    let url = std::env::args()
        .nth(1)
        .context("usage: hubbub-bench-plain DATABASE_URL")?;
    let variable = |name| std::env::var(name).with_context(|| format!("{name} is not set"));
    let pair = format!(
        "{}:{}",
        variable("HUBBUB_ACCOUNT_SID")?,
        variable("HUBBUB_AUTH_TOKEN")?
    );
    let state = Data::new(State {
        db: connect(&url).await?,
        password: format!("Basic {}", BASE64_STANDARD.encode(pair)),
    });
    for table in SCHEMA {
        state.db.execute_unprepared(table).await?;
    }
    let server = HttpServer::new(move || {
        App::new()
            .app_data(state.clone())
            .service(create_service)
            .service(update_service)
            .service(delete_service)
            .service(create_channel)
            .service(fetch_channel)
            .service(send)
            .service(metrics)
    })
    .bind("127.0.0.1:0")?;
    if let Some(address) = server.addrs().first() {
        writeln!(std::io::stdout(), "plain listening on http://{address}")?;
    }
    server.run().await?;
    Ok(())
}

/// The same settings as Hubbub's own.
async fn connect(url: &str) -> anyhow::Result<DatabaseConnection> {
    let mut options = ConnectOptions::new(url.to_owned());
    let writers = if url.starts_with("sqlite") { 1 } else { 20 };
    options.max_connections(writers).sqlx_logging(false);
    options.map_sqlx_sqlite_opts(|options| {
        options
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
    });
    Ok(Database::connect(options).await?)
}

fn refused(request: &HttpRequest, state: &State) -> Option<HttpResponse> {
    let given = request.headers().get(AUTHORIZATION);
    let right = given.is_some_and(|given| given.as_bytes() == state.password.as_bytes());
    (!right).then(|| HttpResponse::Unauthorized().json(json!({ "status": 401 })))
}

fn failed(error: &DbErr) -> HttpResponse {
    eprintln!("{error}");
    HttpResponse::InternalServerError().json(json!({ "status": 500 }))
}

fn sid(prefix: &str) -> String {
    format!("{prefix}{}", Uuid::now_v7().simple())
}

fn statement<const N: usize>(state: &State, sql: &str, values: [Value; N]) -> Statement {
    Statement::from_sql_and_values(state.db.get_database_backend(), sql, values)
}

#[post("/v2/Services")]
async fn create_service(_read: Bytes) -> HttpResponse {
    HttpResponse::Created().json(json!({ "sid": sid("IS") }))
}

#[post("/v2/Services/{sid}")]
async fn update_service(_read: Bytes) -> HttpResponse {
    HttpResponse::Ok().json(json!({}))
}

#[actix_web::delete("/v2/Services/{sid}")]
async fn delete_service() -> HttpResponse {
    HttpResponse::NoContent().finish()
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct NewChannel {
    unique_name: String,
}

#[post("/v2/Services/{service}/Channels")]
async fn create_channel(
    request: HttpRequest,
    state: Data<State>,
    service: Path<String>,
    form: Form<NewChannel>,
) -> HttpResponse {
    if let Some(refused) = refused(&request, &state) {
        return refused;
    }
    let channel = sid("CH");
    let insert = statement(
        &state,
        "INSERT INTO plain_channels (sid, unique_name, next_index, date_created) VALUES ($1, $2, 0, $3)",
        [
            channel.as_str().into(),
            format!("{service}/{}", form.unique_name).into(),
            CREATED.into(),
        ],
    );
    match state.db.execute_raw(insert).await {
        Ok(_) => HttpResponse::Created().json(json!({ "sid": channel })),
        Err(error) => failed(&error),
    }
}

#[get("/v2/Services/{service}/Channels/{channel}")]
async fn fetch_channel(
    request: HttpRequest,
    state: Data<State>,
    path: Path<(String, String)>,
) -> HttpResponse {
    if let Some(refused) = refused(&request, &state) {
        return refused;
    }
    let (service, channel) = path.into_inner();
    let select = statement(
        &state,
        "SELECT sid, unique_name, next_index, date_created FROM plain_channels WHERE sid = $1",
        [channel.into()],
    );
    let row = match state.db.query_one_raw(select).await {
        Ok(Some(row)) => row,
        Ok(None) => return HttpResponse::NotFound().json(json!({ "status": 404 })),
        Err(error) => return failed(&error),
    };
    let text = |column: &str| row.try_get::<String>("", column).unwrap_or_default();
    let (sid, created) = (text("sid"), text("date_created"));
    let url = format!("http://127.0.0.1/v2/Services/{service}/Channels/{sid}");
    HttpResponse::Ok().json(json!({
        "sid": sid, "account_sid": null, "service_sid": service, "friendly_name": null,
        "unique_name": text("unique_name"), "attributes": "{}", "type": "public", "date_created": created,
        "date_updated": created, "created_by": "system", "members_count": 0,
        "messages_count": row.try_get::<i64>("", "next_index").unwrap_or_default(), "url": url,
        "links": {
            "members": format!("{url}/Members"), "messages": format!("{url}/Messages"),
            "invites": format!("{url}/Invites"), "webhooks": format!("{url}/Webhooks"), "last_message": null,
        },
    }))
}

/// It counts nothing.
#[get("/metrics")]
async fn metrics() -> &'static str {
    "# EOF\n"
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct NewMessage {
    from: String,
    body: String,
}

#[post("/v2/Services/{service}/Channels/{channel}/Messages")]
async fn send(
    request: HttpRequest,
    state: Data<State>,
    path: Path<(String, String)>,
    form: Form<NewMessage>,
) -> HttpResponse {
    if let Some(refused) = refused(&request, &state) {
        return refused;
    }
    let (service, channel) = path.into_inner();
    let message = sid("IM");
    match store(&state, &channel, &message, &form).await {
        Ok(index) => HttpResponse::Created().json(json!({
            "sid": message, "account_sid": null, "attributes": "{}", "service_sid": service, "to": channel,
            "channel_sid": channel, "date_created": CREATED, "date_updated": CREATED, "last_updated_by": null,
            "was_edited": false, "from": form.from, "body": form.body, "index": index, "type": "text", "media": null,
            "url": format!("http://127.0.0.1/v2/Services/{service}/Channels/{channel}/Messages/{message}"),
        })),
        Err(error) => failed(&error),
    }
}

/// Takes the channel's next index and inserts the message, in one transaction.
async fn store(state: &State, channel: &str, message: &str, form: &NewMessage) -> Result<i64, DbErr> {
    let options = TransactionOptions {
        sqlite_transaction_mode: (state.db.get_database_backend() == sea_orm::DbBackend::Sqlite)
            .then_some(SqliteTransactionMode::Immediate),
        ..TransactionOptions::default()
    };
    let transaction = state.db.begin_with_options(options).await?;
    let advance = statement(
        state,
        "UPDATE plain_channels SET next_index = next_index + 1 WHERE sid = $1 RETURNING next_index - 1 AS idx",
        [channel.into()],
    );
    let row = transaction
        .query_one_raw(advance)
        .await?
        .ok_or_else(|| DbErr::RecordNotFound(channel.to_owned()))?;
    let index: i64 = row.try_get("", "idx")?;
    let insert = statement(
        state,
        "INSERT INTO plain_messages (channel_sid, idx, sid, author, body, date_created) VALUES ($1, $2, $3, $4, $5, $6)",
        [
            channel.into(),
            index.into(),
            message.into(),
            form.from.as_str().into(),
            form.body.as_str().into(),
            CREATED.into(),
        ],
    );
    transaction.execute_raw(insert).await?;
    transaction.commit().await?;
    Ok(index)
}
