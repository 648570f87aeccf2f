//! The demo page and the door at which it gets its tokens. Nobody shows credentials here, so what is given away is
//! little: tokens of the two people of [`hubbub_core::demo`], to pages of our own origin, some a second.

use actix_web::{
    HttpMessage, HttpRequest, HttpResponse, get,
    http::header::{self, HeaderName},
    post,
    web::Query,
};
use hubbub_core::{Error, ErrorCode, demo, input::Identity, sid::ServiceSid};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    answer::Created,
    base_url, call,
    rate_limits::{Rate, Shelf},
    refusal::{ErrorBody, Result},
    routes::Register,
    state::ApiState,
};

/// Tokens a second, of this process.
const TOKENS: f64 = 10.0;
/// Where a browser says that a request comes from.
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// What the demo's door knows.
pub(crate) struct Demo(Option<Shelf<()>>);

impl Demo {
    pub(crate) fn new() -> Self {
        Self(Rate::per_second(TOKENS).map(Shelf::new))
    }
}

pub(crate) fn routes(to: &mut impl Register) {
    to.add(page);
    to.add(script);
    to.add(token);
}

/// Two people talk side by side.
#[utoipa::path(
    tag = "Operations",
    operation_id = "FetchDemo",
    security(()),
    responses(
        (status = 200, description = "OK", body = String, content_type = "text/html"),
        (status = 404, description = "The demo is not served here", body = ErrorBody),
    )
)]
#[get("/demo")]
async fn page(request: HttpRequest) -> Result<HttpResponse> {
    served(&request)?;
    Ok(HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .insert_header((
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'; script-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; \
             form-action 'none'; frame-ancestors 'none'",
        ))
        .body(include_str!("page.html")))
}

/// What the demo page runs.
#[utoipa::path(
    tag = "Operations",
    operation_id = "FetchDemoScript",
    security(()),
    responses(
        (status = 200, description = "OK", body = String, content_type = "text/javascript"),
        (status = 404, description = "The demo is not served here", body = ErrorBody),
    )
)]
#[get("/demo/page.js")]
async fn script(request: HttpRequest) -> Result<HttpResponse> {
    served(&request)?;
    Ok(HttpResponse::Ok()
        .content_type("text/javascript; charset=utf-8")
        .body(include_str!("page.js")))
}

/// Whom a token is for.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "PascalCase")]
struct Person {
    /// `alice` or `bob`.
    #[param(inline, pattern = "^(alice|bob)$")]
    identity: String,
}

/// A token of one of the demo's people.
#[derive(Serialize, ToSchema)]
struct DemoToken {
    /// The access token.
    token: String,
    #[schema(value_type = String)]
    identity: Identity,
    #[schema(value_type = String)]
    service_sid: ServiceSid,
    /// The unique name of the channel that they talk in.
    channel: &'static str,
    date_expires: String,
}

/// Get a token of one of the demo's people, on a page of the same origin.
#[utoipa::path(
    tag = "Operations",
    operation_id = "CreateDemoToken",
    security(()),
    params(Person),
    responses(
        (status = 201, description = "Created", body = DemoToken),
        (status = 404, description = "The demo is not served here", body = ErrorBody),
        (status = 403, description = "A page of another origin asks", body = ErrorBody),
        (status = 429, description = "Too many at once", body = ErrorBody),
    )
)]
#[post("/demo/tokens")]
async fn token(request: HttpRequest) -> Result<Created<DemoToken>> {
    let state = served(&request)?;
    own_pages_only(state, &request)?;
    if let Some(Demo(Some(tokens))) = state.demo() {
        let allowance = tokens.take(&());
        request.extensions_mut().insert(allowance);
        allowance.check()?;
    }
    let who = Query::<Person>::from_query(request.query_string());
    let who = who.map_err(|_| Error::parameter("Identity", "is missing"))?;
    let made = demo::token(state.core(), &who.identity).await?;
    Ok(Created(DemoToken {
        token: made.token,
        identity: made.identity,
        service_sid: made.service,
        channel: demo::CHANNEL,
        date_expires: made.expires.to_seconds_text(),
    }))
}

/// Passes where the demo is served.
fn served(request: &HttpRequest) -> Result<&ApiState> {
    let state = request
        .app_data::<ApiState>()
        .filter(|state| state.demo().is_some());
    Ok(state.ok_or_else(|| call::missing(request.uri().path()))?)
}

/// Passes for pages of our own origin, and for what is no browser: answers may be read from any origin, and a stranger's
/// page in the browser of somebody who can reach us must not get tokens.
fn own_pages_only(state: &ApiState, request: &HttpRequest) -> Result<()> {
    let text = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    let site = text(FETCH_SITE);
    let base = base_url::of(state, request);
    let host = |url: &str| url.split_once("://").map(|(_, host)| host.to_owned());
    let foreign = match (site, text(header::ORIGIN)) {
        (Some(site), _) => site != "same-origin",
        (None, Some(origin)) => host(origin) != host(base.as_str()),
        (None, None) => false,
    };
    if foreign {
        let why = "Forbidden: only the demo page itself gets these tokens";
        return Err(Error::with(ErrorCode::Forbidden, why).into());
    }
    Ok(())
}
