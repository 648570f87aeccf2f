//! A call whose body is too large to be taken in before it is looked at.

use std::time::Duration;

use actix_web::{
    FromRequest, HttpRequest,
    dev::Payload,
    http::header::{self, HeaderMap},
    web::Bytes,
};
use futures_util::{
    StreamExt,
    future::{FutureExt, LocalBoxFuture},
};
use hubbub_core::{Error, ErrorCode, Result};
use tokio::time::timeout;

use super::{Call, Place, body};

/// The longest of such bodies.
pub(crate) const LIMIT: u64 = 256 << 20;
/// For the next piece of it to arrive.
const STALL: Duration = Duration::from_secs(20);

/// A call, and its body as it arrives.
pub(crate) struct Streamed<C> {
    /// The call, without parameters in a body.
    pub(crate) call: Call<C>,
    payload: Payload,
    taken: u64,
}

/// What the body is, without its parameters: `text/csv`.
pub(super) fn media_type(headers: &HeaderMap) -> Option<String> {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .map(|value| value.trim().to_ascii_lowercase())
}

impl<C: Place> FromRequest for Streamed<C> {
    type Error = actix_web::Error;
    type Future = LocalBoxFuture<'static, Result<Self, actix_web::Error>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let request = request.clone();
        let mut payload = payload.take();
        async move {
            match Call::receive(&request, None).await {
                Ok(call) => Ok(Self {
                    call,
                    payload,
                    taken: 0,
                }),
                Err(refusal) => {
                    body::discard(&mut payload).await;
                    Err(refusal)
                }
            }
        }
        .boxed_local()
    }
}

impl<C> Streamed<C> {
    /// The next piece; `None` at the end.
    ///
    /// # Errors
    /// 20413 over the limit; 20001 when it breaks off.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>> {
        let broken = |why: String| Error::with(ErrorCode::InvalidParameter, why);
        let piece = timeout(STALL, self.payload.next())
            .await
            .map_err(|_| broken(format!("The body stalled for {} s", STALL.as_secs())))?
            .transpose()
            .map_err(|cause| broken(format!("The body could not be read: {cause}")))?;
        self.taken += piece.as_ref().map_or(0, |piece| piece.len() as u64);
        if self.taken > LIMIT {
            return Err(Error::with(
                ErrorCode::TooLarge,
                format!(
                    "Request entity too large: at most {LIMIT} bytes are allowed here; what came before was taken"
                ),
            ));
        }
        Ok(piece)
    }

    /// Takes in what nobody will look at, so that its sender gets to read the refusal.
    pub(crate) async fn discard(&mut self) {
        body::discard(&mut self.payload).await;
    }
}
