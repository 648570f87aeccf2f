//! For operators and their tools: health, readiness, metrics. No credentials needed.

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, get};
use hubbub_core::Error;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{metrics, refusal::Result, routes::Register, state::ApiState};

/// How long the database may take to answer before it counts as away.
const PING_TIME: Duration = Duration::from_secs(2);

pub(crate) fn routes(to: &mut impl Register) {
    to.add(healthz);
    to.add(readyz);
    to.add(render_metrics);
}

/// How the process is.
#[derive(Serialize, ToSchema)]
struct Health {
    /// `ok`, `draining` or `unavailable`.
    status: &'static str,
    /// What is missing: `database`, `bus`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    missing: Vec<&'static str>,
}

/// Whether the process is up.
#[utoipa::path(
    tag = "Operations",
    operation_id = "FetchHealth",
    security(()),
    responses((status = 200, description = "It is up", body = Health))
)]
#[get("/healthz")]
async fn healthz() -> HttpResponse {
    HttpResponse::Ok().json(Health {
        status: "ok",
        missing: Vec::new(),
    })
}

/// Whether the process can do its work, and means to go on: from SIGTERM on it asks to be left alone.
#[utoipa::path(
    tag = "Operations",
    operation_id = "FetchReadiness",
    security(()),
    responses(
        (status = 200, description = "The database answers and the bus is connected", body = Health),
        (status = 503, description = "Something is missing, or the process is about to end", body = Health),
    )
)]
#[get("/readyz")]
async fn readyz(request: HttpRequest) -> Result<HttpResponse> {
    let core = state(&request)?.core();
    if core.draining.is_announced() {
        return Ok(HttpResponse::ServiceUnavailable().json(Health {
            status: "draining",
            missing: Vec::new(),
        }));
    }
    let database = tokio::time::timeout(PING_TIME, core.db.ping())
        .await
        .unwrap_or(false);
    let missing: Vec<&str> = [("database", database), ("bus", core.bus.is_connected())]
        .into_iter()
        .filter(|(_, there)| !there)
        .map(|(name, _)| name)
        .collect();
    if missing.is_empty() {
        let status = "ok";
        Ok(HttpResponse::Ok().json(Health { status, missing }))
    } else {
        let status = "unavailable";
        Ok(HttpResponse::ServiceUnavailable().json(Health { status, missing }))
    }
}

/// Measurements, as Prometheus reads them.
#[utoipa::path(
    tag = "Operations",
    operation_id = "FetchMetrics",
    security(()),
    responses((status = 200, description = "OK", body = String, content_type = "application/openmetrics-text"))
)]
#[get("/metrics")]
async fn render_metrics(request: HttpRequest) -> Result<HttpResponse> {
    let text = state(&request)?.metrics().render().map_err(Error::internal)?;
    Ok(HttpResponse::Ok().content_type(metrics::MEDIA_TYPE).body(text))
}

fn state(request: &HttpRequest) -> Result<&ApiState> {
    let missing = || Error::internal("the REST door has no state");
    Ok(request.app_data::<ApiState>().ok_or_else(missing)?)
}
