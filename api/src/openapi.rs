//! The OpenAPI document, made from the served routes.

mod refusals;
mod views;

use std::{collections::BTreeSet, sync::LazyLock};

use actix_web::{dev::HttpServiceFactory, http::Method};
use serde::Deserialize;
use utoipa::{
    __dev::{SchemaReferences, Tags},
    IntoParams, ToSchema,
    openapi::{
        Components, HttpMethod, Info, License, OpenApi, OpenApiBuilder, Paths, RefOr, Required, Server,
        path::{Operation, Parameter, ParameterBuilder, ParameterIn},
        schema::{ObjectBuilder, Type},
        security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
        tag::TagBuilder,
    },
};

use crate::{
    refusal::ErrorBody,
    routes::{self, Register},
};

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";
const SCHEME: &str = "basic";
const TOKEN: &str = "token";
/// Where users' tokens are good for something.
const OF_A_SERVICE: &str = "/v2/Services/{";

/// Whether post-event webhooks follow.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "read with the credentials; this is its description")]
pub(crate) struct WebhooksEnabled {
    /// Whether post-event webhooks follow.
    #[param(rename = "X-Twilio-Webhook-Enabled", inline)]
    enabled: Option<bool>,
}

/// The sender's own id of a request.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "read with the credentials; this is its description")]
pub(crate) struct IdempotencyKey {
    /// The sender's own id, 1 to 255 characters: a repeat answers like the first, with `replayed: true`.
    #[param(rename = "Idempotency-Key", inline)]
    key: Option<String>,
}

static DOCUMENT: LazyLock<OpenApi> = LazyLock::new(build);

/// The document.
#[must_use]
pub fn openapi() -> OpenApi {
    DOCUMENT.clone()
}

/// The document as it is committed: indented, in a stable order, with a newline at its end.
#[must_use]
pub fn openapi_json() -> String {
    let mut text = DOCUMENT.to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
}

/// The methods that a served path takes, by its pattern.
pub(crate) fn methods_of(pattern: &str) -> Vec<Method> {
    let Some(item) = DOCUMENT.paths.paths.get(pattern) else {
        return Vec::new();
    };
    [
        (item.get.is_some(), Method::GET),
        (item.post.is_some(), Method::POST),
        (item.put.is_some(), Method::PUT),
        (item.delete.is_some(), Method::DELETE),
    ]
    .into_iter()
    .filter_map(|(served, method)| served.then_some(method))
    .collect()
}

/// The document while it grows.
struct Growing {
    paths: Paths,
    components: Components,
    /// The schemas of bodies.
    requests: BTreeSet<String>,
}

impl Register for Growing {
    fn add<H>(&mut self, _: H)
    where
        H: HttpServiceFactory + utoipa::Path + SchemaReferences + for<'t> Tags<'t> + 'static,
    {
        let (path, methods) = (H::path(), H::methods());
        let mut operation = H::operation();
        operation.tags = Some(H::tags().into_iter().map(str::to_owned).collect());
        complete(&mut operation, &path, &methods);
        let mut schemas = Vec::new();
        H::schemas(&mut schemas);
        self.components.schemas.extend(schemas);
        let requests = views::of_request(&operation);
        if let Some(RefOr::T(body)) = &mut operation.request_body
            && views::need_nothing(&self.components, &requests)
        {
            body.required = Some(Required::False);
        }
        self.requests.extend(requests);
        self.paths.add_path_operation(path, methods, operation);
    }
}

fn build() -> OpenApi {
    let mut components = Components::new();
    components.schemas.insert(
        ErrorBody::name().into_owned(),
        <ErrorBody<'_> as utoipa::PartialSchema>::schema(),
    );
    let basic = HttpBuilder::new()
        .scheme(HttpAuthScheme::Basic)
        .description(Some("Account SID and auth token, or API key SID and secret."))
        .build();
    components.add_security_scheme(SCHEME, SecurityScheme::Http(basic));
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("JWT")
        .description(Some("A user's access token, on the paths of its service."))
        .build();
    components.add_security_scheme(TOKEN, SecurityScheme::Http(bearer));
    refusals::declare(&mut components);
    let mut growing = Growing {
        paths: Paths::new(),
        components,
        requests: BTreeSet::new(),
    };
    routes::all(&mut growing);
    views::require_nullable_fields(&mut growing.components, growing.requests);
    let mut info = Info::new("Hubbub", env!("CARGO_PKG_VERSION"));
    info.description = Some(
        "The REST control plane of Hubbub: Twilio Chat v2 on the wire, with JSON bodies beside forms."
            .to_owned(),
    );
    let mut license = License::new("Apache-2.0");
    license.identifier = Some("Apache-2.0".to_owned());
    info.license = Some(license);
    OpenApiBuilder::new()
        .info(info)
        .servers(Some([Server::new("/")]))
        .paths(growing.paths)
        .components(Some(growing.components))
        .security(Some([SecurityRequirement::new(SCHEME, Vec::<String>::new())]))
        .tags(Some(
            [
                (
                    "Service",
                    "Isolated silos with their own settings, roles, users and channels.",
                ),
                ("Role", "Named sets of permissions."),
                ("User", "Users, addressed by SID or identity."),
                ("UserChannel", "Channels that a user has joined or is invited to."),
                ("Channel", "Channels, addressed by SID or unique name."),
                ("Member", "Members of a channel, addressed by SID or identity."),
                ("Invite", "Invites to a channel."),
                ("ChannelWebhook", "Webhooks of a channel."),
                ("Message", "Messages of a channel."),
                (
                    "OperatorPool",
                    "Pools of operators, who reach the channels that are attached to them, and their desks.",
                ),
                ("Operator", "The operators of a pool."),
                ("AttributeIndex", "Declared indexes over attributes."),
                ("Audience", "Whom campaigns go to: a filter over users, or a list."),
                (
                    "Campaign",
                    "A message to each of many recipients, or one to all of them, and what became of it.",
                ),
                ("Broadcast", "One-off messages to given identities."),
                ("Provider", "What a service sends SMS and e-mail through."),
                (
                    "Binding",
                    "Devices that push notifications go to, from the service's side.",
                ),
                (
                    "UserBinding",
                    "Devices that push notifications go to, from the user's side.",
                ),
                ("Credential", "Credentials of push services."),
                ("AccessToken", "Access tokens of users."),
                (
                    "WebhookEndpoint",
                    "Webhook endpoints: whom the service tells of every event, and whom it asks before actions.",
                ),
                ("WebhookDelivery", "The ledger of webhook deliveries."),
                ("Event", "The stream of a service's events, for backends."),
                ("AuditEvent", "What backends changed, newest first."),
                ("Account", "Accounts: the tenants."),
                ("Key", "API keys of an account."),
                ("AuthToken", "Rotation of an account's auth token."),
                ("Operations", "Health, metrics, documentation."),
            ]
            .map(|(name, description)| {
                TagBuilder::new()
                    .name(name)
                    .description(Some(description))
                    .build()
            }),
        ))
        .build()
}

/// Adds what holds for every operation: its path's parameters, JSON beside the form, who may call, the refusals.
fn complete(operation: &mut Operation, path: &str, methods: &[HttpMethod]) {
    let mut parameters: Vec<RefOr<Parameter>> = path_parameters(path).map(RefOr::T).collect();
    parameters.extend(operation.parameters.take().unwrap_or_default());
    operation.parameters = (!parameters.is_empty()).then_some(parameters);
    if let Some(RefOr::T(body)) = &mut operation.request_body
        && let Some(form) = body.content.get(FORM).cloned()
    {
        body.content.insert(JSON.to_owned(), form);
    }
    refusals::add(operation, path, methods);
    if operation.security.is_none() && path.starts_with(OF_A_SERVICE) {
        let either = [SCHEME, TOKEN].map(|scheme| SecurityRequirement::new(scheme, Vec::<String>::new()));
        operation.security = Some(either.into());
    }
}

/// The variable parts of a path, each after the collection that it chooses from.
fn path_parameters(path: &str) -> impl Iterator<Item = Parameter> {
    let parts = path.split('/').zip(path.split('/').skip(1));
    parts.filter_map(|(collection, part)| {
        let name = part.strip_prefix('{')?.split('}').next()?;
        let description = match collection {
            "Channels" => "The channel's SID or unique name.",
            "Members" => "The member's SID or identity.",
            "Users" => "The user's SID or identity.",
            _ => "The SID.",
        };
        let parameter = ParameterBuilder::new()
            .name(name)
            .parameter_in(ParameterIn::Path)
            .description(Some(description))
            .required(Required::True)
            .schema(Some(ObjectBuilder::new().schema_type(Type::String)));
        Some(parameter.build())
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_committed_document_is_the_served_one() {
        let committed = include_str!("../../openapi/hubbub.json");
        assert_eq!(openapi_json(), committed, "run `hubbub openapi`");
    }

    #[test]
    fn every_operation_has_a_tag_and_an_id_of_its_own() {
        let known: BTreeSet<String> = DOCUMENT
            .tags
            .iter()
            .flatten()
            .map(|tag| tag.name.clone())
            .collect();
        let mut ids = BTreeSet::new();
        for (path, item) in &DOCUMENT.paths.paths {
            for operation in [&item.get, &item.post, &item.put, &item.delete]
                .into_iter()
                .flatten()
            {
                let id = operation.operation_id.clone().unwrap();
                assert!(ids.insert(id.clone()), "{id} is there twice");
                let tags: Vec<_> = operation.tags.iter().flatten().collect();
                assert!(tags.len() == 1 && known.contains(tags[0]), "{path}: {tags:?}");
                assert!(operation.summary.is_some(), "{id} has no summary");
            }
        }
        assert!(ids.len() > 35, "{ids:?}");
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let text = openapi_json();
        for reference in text.split("\"$ref\": \"#/components/schemas/").skip(1) {
            let name = reference.split('"').next().unwrap();
            let components = DOCUMENT.components.as_ref().unwrap();
            assert!(components.schemas.contains_key(name), "{name}");
        }
    }
}
