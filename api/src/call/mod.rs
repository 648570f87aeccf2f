//! An authenticated call: the only way for a handler to reach a tenant.

mod body;
mod credentials;
mod once;
mod segments;
mod streamed;

use std::{future::Future, sync::Arc};

use actix_web::{FromRequest, HttpMessage, HttpRequest, dev::Payload, http::Method};
use futures_util::future::{FutureExt, LocalBoxFuture};
use hubbub_core::{
    AccountCtx, AdminCtx, BackendCtx, BaseUrl, Caller, Core, Ctx, Error, ErrorCode,
    query::Asked,
    sid::{AccountSid, ServiceSid},
    users,
};
use serde::de::DeserializeOwned;

pub(crate) use once::settle;
pub(crate) use segments::{Segment, Segments, missing};
pub(crate) use streamed::Streamed;

use crate::{
    asked::AskedParams,
    base_url,
    batch::{self, MAX_ITEMS},
    paging::{MAX_SIZE, Paging},
    params::Params,
    refusal::{Refusal, Result},
    state::ApiState,
};

/// A call whose caller is known, at work in `C`: outside of services by how far it must reach ([`BackendCtx`],
/// [`AccountCtx`], [`AdminCtx`]), or in one ([`Ctx`]).
///
/// It is put together in sequence, so that the answers come in this order: 401, 429, 403 for whom may only read, 404,
/// 400.
pub(crate) struct Call<C> {
    /// Where the caller works.
    pub(crate) ctx: C,
    /// The base of URLs in the answer.
    pub(crate) base: BaseUrl,
    /// The path as it came in, percent-encoded.
    path: String,
    query: String,
    segments: Segments,
    body: Params,
    idempotency_key: Option<String>,
    media_type: Option<String>,
}

/// Where a call can be at work.
pub(crate) trait Place: Sized + 'static {
    /// Enters the place that the path names.
    fn enter(
        core: &Arc<Core>,
        caller: Caller,
        segments: &Segments,
    ) -> impl Future<Output = Result<Self, Error>>;
}

impl Place for BackendCtx {
    async fn enter(core: &Arc<Core>, caller: Caller, segments: &Segments) -> Result<Self, Error> {
        no_business_of_users(&caller, segments)?;
        Self::enter(core, caller)
    }
}

impl Place for AccountCtx {
    async fn enter(core: &Arc<Core>, caller: Caller, segments: &Segments) -> Result<Self, Error> {
        no_business_of_users(&caller, segments)?;
        Self::enter(core, caller)
    }
}

impl Place for AdminCtx {
    /// The account that the path names by `{AccountSid}`, or the caller's own.
    async fn enter(core: &Arc<Core>, caller: Caller, segments: &Segments) -> Result<Self, Error> {
        no_business_of_users(&caller, segments)?;
        caller.unscoped_only()?;
        let account = segments
            .has("AccountSid")
            .then(|| segments.get::<AccountSid>("AccountSid"))
            .transpose()?;
        Self::enter(core, caller, account).await
    }
}

/// Refuses a user's token outside of services. What it opens is its own service, which is there and closed to it here
/// (20006, by whoever enters); another one is not there; and for all else a token is no credential.
fn no_business_of_users(caller: &Caller, segments: &Segments) -> Result<(), Error> {
    let Caller::User { service, .. } = caller else {
        return Ok(());
    };
    match segments.get::<ServiceSid>("Sid") {
        Ok(own) if own == *service => Ok(()),
        Ok(_) => Err(segments.missing()),
        Err(_) => Err(Error::with(
            ErrorCode::Unauthenticated,
            "Authenticate: this needs account credentials, an access token opens its own service only",
        )),
    }
}

impl Place for Ctx {
    async fn enter(core: &Arc<Core>, caller: Caller, segments: &Segments) -> Result<Self, Error> {
        let ctx = Ctx::enter(core, caller, segments.get::<ServiceSid>("ServiceSid")?).await?;
        // Reading needs no user, so a read-only token makes none here.
        if let Some(identity) = ctx.caller.identity()
            && !ctx.caller.is_read_only()
        {
            // A user springs up with the first token that names it, at this door too.
            users::log_in(&ctx, identity).await?;
        }
        Ok(ctx)
    }
}

impl<C> Call<C> {
    /// What the path has at `{name}`; 20404 when it cannot be that.
    pub(crate) fn at<S: Segment>(&self, name: &str) -> Result<S, Error> {
        self.segments.get(name)
    }

    /// The parameters in the body.
    pub(crate) fn body<T: DeserializeOwned>(&self) -> Result<T, Error> {
        self.body.read()
    }

    /// The JSON list in the body's parameter of this name; `None` when it is not given.
    pub(crate) fn list(&self, name: &str) -> Result<Option<Vec<serde_json::Value>>, Error> {
        self.body.list(name, MAX_ITEMS)
    }

    /// The items of a batch.
    pub(crate) fn items<F, N>(&self) -> Result<Vec<Result<N, Error>>, Error>
    where
        F: DeserializeOwned,
        N: TryFrom<F>,
        Error: From<N::Error>,
    {
        let list = self.list("Items")?.ok_or_else(|| {
            Error::with(
                ErrorCode::InvalidParameter,
                "Missing required parameter Items in the post body",
            )
        })?;
        Ok(batch::items("Items", list))
    }

    /// The parameters in the query.
    pub(crate) fn query<T: DeserializeOwned>(&self) -> Result<T, Error> {
        Params::from_form(self.query.as_bytes())?.read()
    }

    /// The page that is asked for.
    pub(crate) fn paging(&self) -> Result<Paging, Error> {
        self.paging_up_to(MAX_SIZE)
    }

    /// The page that is asked for, of a list whose pages have at most `most` items.
    pub(crate) fn paging_up_to(&self, most: u64) -> Result<Paging, Error> {
        Paging::new(&self.base, &self.path, &self.query, most)
    }

    /// What the list is asked beside its page.
    pub(crate) fn asked(&self) -> Result<Asked, Error> {
        Ok(self.query::<AskedParams>()?.into())
    }

    /// What the body is: `text/csv`.
    pub(crate) fn media_type(&self) -> Option<&str> {
        self.media_type.as_deref()
    }

    /// The `Idempotency-Key` header.
    pub(crate) fn idempotency_key(&self) -> Option<String> {
        self.idempotency_key.clone()
    }
}

impl<C: Place> FromRequest for Call<C> {
    type Error = actix_web::Error;
    type Future = LocalBoxFuture<'static, Result<Self, actix_web::Error>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let request = request.clone();
        let mut payload = payload.take();
        async move {
            let call = Self::receive(&request, Some(&mut payload)).await;
            if call.is_err() {
                // A client that is still sending would not see the answer.
                body::discard(&mut payload).await;
            }
            call
        }
        .boxed_local()
    }
}

impl<C: Place> Call<C> {
    /// Without a payload the body is left to the handler.
    async fn receive(request: &HttpRequest, payload: Option<&mut Payload>) -> Result<Self, actix_web::Error> {
        let is_streamed = payload.is_none();
        let (call, caller) = Self::read(request, payload).await.map_err(Refusal::from)?;
        let state = request.app_data::<ApiState>();
        if let Some(state) = state {
            let asked = if is_streamed {
                // It is not there to be compared. Its length and its kind are.
                let length = credentials::header_text(request.headers(), "content-length");
                format!(
                    "{:?} {:?}",
                    streamed::media_type(request.headers()),
                    length.map_err(Refusal::from)?
                )
            } else {
                call.body.canonical()
            };
            let key = call.idempotency_key.as_deref();
            once::claim(request, state.core(), &caller, key, &asked).await?;
        }
        Ok(call)
    }

    async fn read(request: &HttpRequest, payload: Option<&mut Payload>) -> Result<(Self, Caller), Error> {
        let state = request
            .app_data::<ApiState>()
            .ok_or_else(|| Error::internal("the REST door has no state"))?;
        let caller = credentials::authenticate(state.core(), request).await?;
        if let Some(allowance) = state.buckets().take(&caller) {
            request.extensions_mut().insert(allowance);
            allowance.check()?;
        }
        if request.method() != Method::GET {
            caller.may_write()?;
        }
        let path = request.uri().path();
        let segments = Segments::of(&request.match_pattern().unwrap_or_default(), path)?;
        let ctx = C::enter(state.core(), caller.clone(), &segments).await?;
        // GET and DELETE may carry a content type without a body.
        let body = match payload {
            Some(payload) if matches!(*request.method(), Method::POST | Method::PUT) => {
                body::read(request.headers(), payload).await?
            }
            _ => Params::default(),
        };
        let call = Self {
            ctx,
            base: base_url::of(state, request),
            path: path.to_owned(),
            query: request.query_string().to_owned(),
            segments,
            body,
            idempotency_key: credentials::header_text(request.headers(), "idempotency-key")?,
            media_type: streamed::media_type(request.headers()),
        };
        Ok((call, caller))
    }
}
