//! The guarded client.

use std::{error::Error, net::SocketAddr, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use reqwest::{
    Method,
    header::{CONTENT_TYPE, HeaderMap, HeaderName, RETRY_AFTER},
    redirect, retry,
};
use url::{Host, Url};

use super::{
    reply::{BODY_LIMIT, Reply},
    resolve::{Lookup, SystemLookup, VettingResolver},
    vet::{Policy, Refused, vet_address, vet_url},
};

/// The usual limit on a whole call, body included: what Twilio gives a webhook.
pub const DEADLINE: Duration = Duration::from_secs(5);

const CONNECT_LIMIT: Duration = Duration::from_secs(3);
/// Idle connections are kept for a burst of events to one endpoint, not for hosts that may have moved.
const IDLE_LIMIT: Duration = Duration::from_secs(15);
/// As many as a target has calls at once.
const IDLE_PER_HOST: usize = 64;

/// One call to make.
#[derive(Debug, Clone)]
pub struct Call {
    /// GET or POST.
    pub method: Method,
    /// Where to; vetted again here.
    pub url: Url,
    /// Signatures, content type and so on.
    pub headers: HeaderMap,
    /// Sent as it is.
    pub body: Bytes,
    /// For everything from the look-up of the name to the last byte of the reply; usually [`DEADLINE`].
    pub deadline: Duration,
}

/// Why there is no reply.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The destination is closed to tenants. No byte was sent.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The deadline passed, or the connection was not there in three seconds.
    #[error("timed out")]
    Timeout,
    /// The name did not resolve, or nobody let us in there. No byte of the call was sent.
    #[error("connection failed: {0}")]
    Unreached(String),
    /// The connection broke off, or what came was not HTTP.
    #[error("connection failed: {0}")]
    Connection(String),
    /// The other side's TLS is not to be trusted or not to be understood.
    #[error("TLS failed: {0}")]
    Tls(String),
}

impl CallError {
    /// Whether the rules for time-outs apply: a connection that fails counts as one. A refusal does not, since
    /// trying again would not help.
    #[must_use]
    pub fn counts_as_timeout(&self) -> bool {
        !matches!(self, Self::Refused(_))
    }
}

impl From<reqwest::Error> for CallError {
    fn from(error: reqwest::Error) -> Self {
        let error = error.without_url();
        let mut cause: Option<&(dyn Error + 'static)> = Some(&error);
        let mut root = String::new();
        while let Some(it) = cause {
            if let Some(refused) = find::<Refused>(it) {
                return Self::Refused(refused.clone());
            }
            if let Some(tls) = find::<rustls::Error>(it) {
                return Self::Tls(tls.to_string());
            }
            root = it.to_string();
            cause = it.source();
        }
        if error.is_connect() {
            Self::Unreached(root)
        } else if error.is_timeout() {
            Self::Timeout
        } else {
            Self::Connection(root)
        }
    }
}

/// The error itself, or what an IO error (in an IO error) was made from, which is not among its sources.
fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    error
        .downcast_ref::<E>()
        .or_else(|| find(error.downcast_ref::<std::io::Error>()?.get_ref()?))
}

/// The client cannot be built: no TLS provider is installed, or the trust roots cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot set up the client for webhooks")]
pub struct SetupError(#[source] reqwest::Error);

/// Makes calls to addresses that tenants choose. Cheap to clone; one for the whole process.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    lookup: Arc<dyn Lookup>,
    policy: Policy,
}

impl Client {
    /// A client that resolves names through the operating system. The process must have installed a default
    /// provider for rustls.
    ///
    /// # Errors
    /// [`SetupError`] when TLS cannot be set up.
    pub fn new(policy: Policy) -> Result<Self, SetupError> {
        Self::with_lookup(policy, Arc::new(SystemLookup))
    }

    /// As [`Self::new`], with another way to resolve names. What it answers is vetted all the same.
    ///
    /// # Errors
    /// [`SetupError`] when TLS cannot be set up.
    pub fn with_lookup(policy: Policy, lookup: Arc<dyn Lookup>) -> Result<Self, SetupError> {
        let http = reqwest::Client::builder()
            .dns_resolver(VettingResolver {
                lookup: Arc::clone(&lookup),
                policy,
            })
            // A proxy would connect for us, to where we could not see.
            .no_proxy()
            // A redirect would lead to a destination that nobody vetted.
            .redirect(redirect::Policy::none())
            // One call is one attempt: the ledger counts them.
            .retry(retry::never())
            .referer(false)
            .connect_timeout(CONNECT_LIMIT)
            .pool_idle_timeout(IDLE_LIMIT)
            .pool_max_idle_per_host(IDLE_PER_HOST)
            // Names are equal in any case, but some receivers look for `X-Twilio-Signature` by the letter.
            .http1_title_case_headers()
            .user_agent(concat!("Hubbub/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(SetupError)?;
        Ok(Self { http, lookup, policy })
    }

    /// The addresses of a host that is not called by HTTP, each of them vetted: to connect to, and nowhere else.
    ///
    /// # Errors
    /// [`CallError`] when the host is refused, or its name does not resolve in time.
    pub async fn resolve(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, CallError> {
        let unreached = |cause: &dyn std::fmt::Display| CallError::Unreached(cause.to_string());
        let url = Url::parse(&format!("https://{host}/")).map_err(|cause| unreached(&cause))?;
        vet_url(&url, self.policy)?;
        let addresses = match url.host() {
            Some(Host::Ipv4(address)) => vec![address.into()],
            Some(Host::Ipv6(address)) => vec![address.into()],
            Some(Host::Domain(name)) => tokio::time::timeout(CONNECT_LIMIT, self.lookup.lookup(name))
                .await
                .map_err(|_| CallError::Timeout)?
                .map_err(|cause| unreached(&cause))?,
            None => Vec::new(),
        };
        // One bad address spoils the name, as it does for HTTP.
        addresses
            .iter()
            .try_for_each(|address| vet_address(*address, self.policy))?;
        if addresses.is_empty() {
            return Err(unreached(&"the name has no address"));
        }
        Ok(addresses
            .into_iter()
            .map(|address| SocketAddr::new(address, port))
            .collect())
    }

    /// Makes one call and reads the start of the reply.
    ///
    /// # Errors
    /// [`CallError`] when the destination is refused or no whole reply (up to [`BODY_LIMIT`]) came in time.
    pub async fn call(&self, call: Call) -> Result<Reply, CallError> {
        // Here and not only when it was saved: policies change, and an IP literal never reaches the resolver.
        vet_url(&call.url, self.policy)?;
        let deadline = call.deadline;
        tokio::time::timeout(deadline, self.exchange(call))
            .await
            .unwrap_or(Err(CallError::Timeout))
    }

    async fn exchange(&self, call: Call) -> Result<Reply, CallError> {
        let request = self
            .http
            .request(call.method, call.url)
            .headers(call.headers)
            .body(call.body);
        let mut response = request.send().await?;
        let mut body = BytesMut::new();
        let mut truncated = false;
        while let Some(chunk) = response.chunk().await? {
            let room = BODY_LIMIT - body.len();
            body.extend_from_slice(&chunk[..chunk.len().min(room)]);
            truncated = chunk.len() > room;
            if truncated {
                break;
            }
        }
        let text = |name: HeaderName| {
            let value = response.headers().get(name)?.to_str().ok()?;
            Some(value.to_owned())
        };
        Ok(Reply {
            status: response.status().as_u16(),
            content_type: text(CONTENT_TYPE),
            retry_after: text(RETRY_AFTER),
            body_start: body.freeze(),
            truncated,
        })
    }
}
