//! Calls to tenants: what their body is, what signs them, which headers they carry.

use std::time::Duration;

use bytes::Bytes;
use hubbub_core::{
    Core, Error, Result, Secret, Timestamp, accounts,
    entities::{webhook_delivery, webhook_endpoint},
    services,
    sid::{AccountSid, ServiceSid, WebhookEndpointSid},
    webhook_endpoints,
    webhooks::ledger,
};
use reqwest::{
    Method,
    header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
};
use serde_json::Value;
use url::Url;

use crate::{
    outbound::{Call, DEADLINE},
    signing::{standard, twilio},
};

/// What a call says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Body {
    /// Parameters: a form, or the query of a GET.
    Form(Vec<(String, String)>),
    /// JSON text.
    Json(String),
}

impl Body {
    /// What was recorded: a list of [name, value] pairs, to which the number of the attempt is added, or JSON text.
    pub(crate) fn recorded(says: &Value, retry: i32) -> std::result::Result<Self, String> {
        if let Value::String(text) = says {
            return Ok(Self::Json(text.clone()));
        }
        let mut pairs: Vec<(String, String)> = serde_json::from_value(says.clone())
            .map_err(|cause| format!("its parameters are damaged: {cause}"))?;
        pairs.push(("RetryCount".to_owned(), retry.to_string()));
        Ok(Self::Form(pairs))
    }
}

/// What signs and accompanies the calls to one target, read once for a run of them.
pub(crate) struct Signer {
    auth_token: Secret,
    secrets: Vec<standard::Secret>,
    /// Of the target's own.
    headers: HeaderMap,
    deadline: Duration,
    /// Where an endpoint is now, whatever it was when the event happened.
    url: Option<String>,
}

impl Signer {
    /// For the target of this delivery; `None` when it is gone.
    ///
    /// # Errors
    /// When the database is away, or a secret was sealed under another master key.
    pub(crate) async fn of(core: &Core, delivery: &webhook_delivery::Model) -> Result<Option<Self>> {
        if delivery.target_kind == ledger::ENDPOINT {
            let id = WebhookEndpointSid(delivery.target_id);
            match webhook_endpoints::find(core.db.reader(), delivery.service_id, id).await? {
                Some(endpoint) => Self::of_endpoint(core, &endpoint).await,
                None => Ok(None),
            }
        } else {
            Self::of_service(core, delivery.account_id, delivery.service_id).await
        }
    }

    /// For a service's own addresses and those of its channels; `None` when it is gone.
    ///
    /// # Errors
    /// When the database is away, or a secret was sealed under another master key.
    pub(crate) async fn of_service(
        core: &Core,
        account: AccountSid,
        service: ServiceSid,
    ) -> Result<Option<Self>> {
        let Some(service) = services::find(core.db.reader(), account, service).await? else {
            return Ok(None);
        };
        let Some(auth_token) = auth_token(core, account).await? else {
            return Ok(None);
        };
        Ok(Some(Self {
            auth_token,
            secrets: parse(&services::webhook_secrets(core, &service)?)?,
            headers: HeaderMap::new(),
            deadline: DEADLINE,
            url: None,
        }))
    }

    /// For an endpoint; `None` when its account is gone.
    ///
    /// # Errors
    /// When the database is away, or a secret was sealed under another master key.
    pub(crate) async fn of_endpoint(core: &Core, endpoint: &webhook_endpoint::Model) -> Result<Option<Self>> {
        let Some(auth_token) = auth_token(core, endpoint.account_id).await? else {
            return Ok(None);
        };
        let mut headers = HeaderMap::new();
        for (name, value) in webhook_endpoints::headers(&core.vault, endpoint)? {
            let name = HeaderName::try_from(name).map_err(Error::internal)?;
            let mut value = HeaderValue::try_from(value).map_err(Error::internal)?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        Ok(Some(Self {
            auth_token,
            secrets: parse(&webhook_endpoints::secrets(core, endpoint)?)?,
            headers,
            deadline: Duration::from_millis(u64::try_from(endpoint.timeout_ms).unwrap_or_default()),
            url: Some(endpoint.url.clone()),
        }))
    }

    /// The signed call, or why there can be none. `id` names the event at this target; `url` is where it was to go
    /// when it happened.
    pub(crate) fn sign(
        &self,
        id: &str,
        method: &str,
        url: &str,
        body: Body,
    ) -> std::result::Result<Call, String> {
        let url = self.url.as_deref().unwrap_or(url);
        let mut url = Url::parse(url).map_err(|cause| format!("its URL is wrong: {cause}"))?;
        let mut headers = self.headers.clone();
        let token = self.auth_token.expose();
        let (method, body, twilio_signature) = match body {
            Body::Form(pairs) if method == "GET" => {
                let form = form(&pairs)?;
                let query = match url.query() {
                    Some(query) if !query.is_empty() => format!("{query}&{form}"),
                    _ => form,
                };
                url.set_query(Some(&query));
                (Method::GET, Bytes::new(), twilio::sign(token, url.as_str()))
            }
            Body::Form(pairs) => {
                let kind = HeaderValue::from_static("application/x-www-form-urlencoded; charset=UTF-8");
                headers.insert(CONTENT_TYPE, kind);
                let signed = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()));
                let signature = twilio::sign_form(token, url.as_str(), signed);
                (Method::POST, form(&pairs)?.into(), signature)
            }
            Body::Json(text) => {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
                let hashed = twilio::with_body_hash(url.as_str(), text.as_bytes());
                url = Url::parse(&hashed).map_err(|cause| format!("its URL is wrong: {cause}"))?;
                (Method::POST, text.into(), twilio::sign(token, url.as_str()))
            }
        };
        let now = Timestamp::now().unix_seconds();
        // For GET the query string stands in for the body.
        let signed: &[u8] = if method == Method::GET {
            url.query().unwrap_or_default().as_bytes()
        } else {
            &body
        };
        for (name, value) in [
            (twilio::HEADER, twilio_signature),
            (standard::ID_HEADER, id.to_owned()),
            (standard::TIMESTAMP_HEADER, now.to_string()),
            (
                standard::SIGNATURE_HEADER,
                standard::sign(&self.secrets, id, now, signed),
            ),
        ] {
            let name = HeaderName::try_from(name).map_err(|cause| cause.to_string())?;
            headers.insert(
                name,
                HeaderValue::try_from(value).map_err(|cause| cause.to_string())?,
            );
        }
        Ok(Call {
            method,
            url,
            headers,
            body,
            deadline: self.deadline,
        })
    }
}

async fn auth_token(core: &Core, account: AccountSid) -> Result<Option<Secret>> {
    let account = accounts::find(core.db.reader(), account).await?;
    account
        .map(|account| accounts::auth_token(&core.vault, &account))
        .transpose()
}

fn parse(secrets: &[Secret]) -> Result<Vec<standard::Secret>> {
    secrets
        .iter()
        .map(|secret| standard::Secret::parse(secret.expose()))
        .collect::<std::result::Result<_, _>>()
        .map_err(|_| Error::internal("a webhook secret is damaged"))
}

fn form(pairs: &[(String, String)]) -> std::result::Result<String, String> {
    serde_urlencoded::to_string(pairs).map_err(|cause| cause.to_string())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn signer() -> Signer {
        let mut headers = HeaderMap::new();
        headers.insert("x-own", HeaderValue::from_static("abc"));
        Signer {
            auth_token: Secret::new("12345"),
            secrets: parse(&[Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")]).unwrap(),
            headers,
            deadline: Duration::from_millis(700),
            url: None,
        }
    }

    const URL: &str = "https://mycompany.com/myapp.php?foo=1&bar=2";

    fn header<'a>(call: &'a Call, name: &str) -> &'a str {
        call.headers[name].to_str().unwrap()
    }

    #[test]
    fn a_json_call_is_signed_in_both_ways_with_the_hash_in_its_url() {
        let text = r#"{"property": "value", "boolean": true}"#;
        let call = signer()
            .sign("msg_1", "POST", URL, Body::Json(text.to_owned()))
            .unwrap();
        assert_eq!(header(&call, twilio::HEADER), "a9nBmqA0ju/hNViExpshrM61xv4=");
        assert!(
            call.url
                .as_str()
                .starts_with(&format!("{URL}&bodySHA256=0a1ff763"))
        );
        assert_eq!(header(&call, "content-type"), "application/json");
        assert_eq!(header(&call, "x-own"), "abc");
        let timestamp = header(&call, standard::TIMESTAMP_HEADER).parse().unwrap();
        assert_eq!(
            header(&call, standard::SIGNATURE_HEADER),
            standard::sign(&signer().secrets, "msg_1", timestamp, text.as_bytes())
        );
        assert_eq!((call.method, call.deadline.as_millis()), (Method::POST, 700));
    }

    #[test]
    fn a_form_call_has_its_parameters_in_the_body_or_for_get_in_the_query() {
        let call = [
            ("To", "+18005551212"),
            ("CallSid", "CA1234567890ABCDE"),
            ("Digits", "1234"),
            ("Caller", "+14158675309"),
            ("From", "+14158675309"),
        ];
        let pairs: Vec<_> = call
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let post = signer()
            .sign("msg_1", "POST", URL, Body::Form(pairs.clone()))
            .unwrap();
        assert_eq!(header(&post, twilio::HEADER), "RSOYDt4T1cUTdK1PDd93/VVr8B8=");
        assert_eq!(post.url.as_str(), URL);
        let get = signer().sign("msg_1", "GET", URL, Body::Form(pairs)).unwrap();
        assert!(get.body.is_empty());
        assert!(get.url.as_str().starts_with(&format!("{URL}&To=%2B18005551212&")));
        assert_eq!(
            header(&get, twilio::HEADER),
            twilio::sign("12345", get.url.as_str())
        );
    }

    #[test]
    fn an_endpoint_is_called_where_it_is_now() {
        let moved = Signer {
            url: Some("https://example.com/new".to_owned()),
            ..signer()
        };
        let call = moved.sign("msg_1", "POST", URL, Body::Form(Vec::new())).unwrap();
        assert_eq!(call.url.as_str(), "https://example.com/new");
    }
}
