//! The audit log, and a walk over every operation that changes something: none may stay out of it.

use std::collections::BTreeSet;

use actix_web::http::Method;
use serde_json::{Value, json};

use crate::support::{FORM, TestApp, operations, text, texts};

/// Operations that write no entry, and why.
const EXCEPTIONS: [(&str, &str); 4] = [
    (
        "CreateAccessToken",
        "a token is minted and not stored: no resource changes",
    ),
    (
        "TestWebhookEndpoint",
        "a sample is sent and nothing is stored: no resource changes",
    ),
    (
        "TestProvider",
        "a message is sent and nothing is stored: no resource changes",
    ),
    (
        "ReportRecipientStatus",
        "a provider reports it, and no backend does anything",
    ),
];

const SMS_PROVIDER: &str =
    "Url=https://sms.example.com/Messages.json&AccountSid=ACx&AuthToken=sms-secret&From=%2B15550100";

/// One of everything, for one operation to change.
struct Stage {
    app: TestApp,
    service: String,
    user: String,
    role: String,
    message: String,
    invite: String,
    webhook: String,
    endpoint: String,
    binding: String,
    credential: String,
    key: String,
    sub_account: String,
    index: String,
    delivery: String,
    audience: String,
    campaign: String,
    pool: String,
}

impl Stage {
    async fn spawn() -> Self {
        let app = TestApp::spawn().await;
        let service = app.service_with_channel().await;
        let channel = format!("{service}/Channels/general");
        app.post(&service, "PostWebhookUrl=https%3A%2F%2Fexample.com%2Fhook")
            .await
            .ok();
        let make = async |path: String, form: &str| {
            let request = app
                .request(Method::POST, &path)
                .insert_header(("content-type", FORM))
                .insert_header(("x-twilio-webhook-enabled", "true"));
            let made = app.send(request.set_payload(form.to_owned())).await.created();
            text(&made["sid"])
        };
        let user = make(format!("{service}/Users"), "Identity=alice").await;
        make(format!("{service}/Users"), "Identity=bob").await;
        make(format!("{channel}/Members"), "Identity=alice").await;
        let message = make(format!("{channel}/Messages"), "Body=hi").await;
        let deliveries = app.get(&format!("{service}/WebhookDeliveries")).await.ok();
        Self {
            user,
            role: make(
                format!("{service}/Roles"),
                "FriendlyName=r&Type=channel&Permission=sendMessage",
            )
            .await,
            message,
            invite: make(format!("{channel}/Invites"), "Identity=bob").await,
            webhook: make(
                format!("{channel}/Webhooks"),
                "Type=webhook&Configuration.Url=https%3A%2F%2Fexample.com%2F&Configuration.Filters=onMessageSent",
            )
            .await,
            endpoint: make(
                format!("{service}/WebhookEndpoints"),
                "Url=https%3A%2F%2Fexample.com%2F&Headers=%7B%22X-Token%22%3A%22endpoint-secret%22%7D",
            )
            .await,
            binding: make(
                format!("{service}/Users/alice/Bindings"),
                "BindingType=fcm&Address=device-secret",
            )
            .await,
            credential: make("/v2/Credentials".to_owned(), "Type=fcm&Secret=push-secret").await,
            key: make(format!("/2010-04-01/Accounts/{}/Keys.json", app.account), "").await,
            sub_account: make("/2010-04-01/Accounts.json".to_owned(), "").await,
            index: make(
                format!("{service}/AttributeIndexes"),
                "Resource=channels&Path=priority&Type=number",
            )
            .await,
            delivery: text(&deliveries["deliveries"][0]["sid"]),
            pool: make(
                format!("{service}/OperatorPools"),
                "Identities=%5B%22alice%22%5D",
            )
            .await,
            audience: make(format!("{service}/Audiences"), "FriendlyName=x").await,
            campaign: make(
                format!("{service}/Campaigns"),
                "Mode=individual&Identities=alice&Body=x",
            )
            .await,
            service,
            app,
        }
    }

    /// How to carry an operation out: its path, its parameters, and the actions that the log must then have, newest
    /// first.
    fn recipe(&self, operation: &str) -> Option<(String, &'static str, &'static [&'static str])> {
        let Self { app, service, .. } = self;
        let channel = format!("{service}/Channels/general");
        let accounts = "/2010-04-01/Accounts";
        let keys = format!("{accounts}/{}/Keys", app.account);
        let items = "Items=%5B%7B%22identity%22%3A%22carol%22%7D%2C%7B%22identity%22%3A%22dave%22%7D%5D";
        Some(match operation {
            "CreateService" => ("/v2/Services".to_owned(), "FriendlyName=x", &["service.create"]),
            "UpdateService" => (service.clone(), "FriendlyName=x", &["service.update"]),
            "DeleteService" => (service.clone(), "", &["service.delete"]),
            "CreateRole" => (
                format!("{service}/Roles"),
                "FriendlyName=x&Type=channel&Permission=sendMessage",
                &["role.create"],
            ),
            "UpdateRole" => (
                format!("{service}/Roles/{}", self.role),
                "Permission=leaveChannel",
                &["role.update"],
            ),
            "DeleteRole" => (format!("{service}/Roles/{}", self.role), "", &["role.delete"]),
            "CreateUser" => (format!("{service}/Users"), "Identity=carol", &["user.create"]),
            "CreateUserBatch" => (
                format!("{service}/Users/Batch"),
                items,
                &["user.create", "user.create"],
            ),
            "UpdateUser" => (
                format!("{service}/Users/{}", self.user),
                "FriendlyName=x",
                &["user.update"],
            ),
            "DeleteUser" => (format!("{service}/Users/alice"), "", &["user.delete"]),
            "UpdateUserChannel" => (
                format!("{service}/Users/alice/Channels/general"),
                "NotificationLevel=muted",
                &["member.update"],
            ),
            "DeleteUserChannel" => (
                format!("{service}/Users/alice/Channels/general"),
                "",
                &["member.delete"],
            ),
            "CreateUserBinding" => (
                format!("{service}/Users/alice/Bindings"),
                "BindingType=apn&Address=another",
                &["binding.create"],
            ),
            "DeleteUserBinding" => (
                format!("{service}/Users/alice/Bindings/{}", self.binding),
                "",
                &["binding.delete"],
            ),
            "DeleteBinding" => (
                format!("{service}/Bindings/{}", self.binding),
                "",
                &["binding.delete"],
            ),
            "CreateChannel" => (format!("{service}/Channels"), "", &["channel.create"]),
            "FindOrCreateChannel" => (
                format!("{service}/Channels/pair"),
                "Members=%5B%7B%22identity%22%3A%22alice%22%7D%5D",
                &["channel.create", "member.create"],
            ),
            "UpdateChannel" => (channel, "FriendlyName=x", &["channel.update"]),
            "DeleteChannel" => (channel, "", &["channel.delete"]),
            "CreateMember" => (format!("{channel}/Members"), "Identity=carol", &["member.create"]),
            "CreateMemberBatch" => (
                format!("{channel}/Members/Batch"),
                items,
                &["member.create", "member.create"],
            ),
            "UpdateMember" => (
                format!("{channel}/Members/alice"),
                "Attributes=%7B%22a%22%3A1%7D",
                &["member.update"],
            ),
            "DeleteMember" => (format!("{channel}/Members/alice"), "", &["member.delete"]),
            "CreateInvite" => {
                // Whoever is deleted and made again is neither a member nor invited.
                (format!("{channel}/Invites"), "Identity=erin", &["invite.create"])
            }
            "DeleteInvite" => (
                format!("{channel}/Invites/{}", self.invite),
                "",
                &["invite.delete"],
            ),
            "CreateChannelWebhook" => (
                format!("{channel}/Webhooks"),
                "Type=studio&Configuration.FlowSid=FW0123456789abcdef0123456789abcdef",
                &["channel_webhook.create"],
            ),
            "UpdateChannelWebhook" => (
                format!("{channel}/Webhooks/{}", self.webhook),
                "Configuration.Method=GET",
                &["channel_webhook.update"],
            ),
            "DeleteChannelWebhook" => (
                format!("{channel}/Webhooks/{}", self.webhook),
                "",
                &["channel_webhook.delete"],
            ),
            "CreateWebhookEndpoint" => (
                format!("{service}/WebhookEndpoints"),
                "Url=https%3A%2F%2Fexample.com%2F&Headers=%7B%22X-Token%22%3A%22endpoint-secret%22%7D",
                &["webhook_endpoint.create"],
            ),
            "UpdateWebhookEndpoint" => (
                format!("{service}/WebhookEndpoints/{}", self.endpoint),
                "RotateSecret=true&Status=paused",
                &["webhook_endpoint.update"],
            ),
            "RedeliverWebhookEndpoint" => (
                format!("{service}/WebhookEndpoints/{}/Redeliver", self.endpoint),
                "",
                &["webhook_redelivery.create"],
            ),
            "DeleteWebhookEndpoint" => (
                format!("{service}/WebhookEndpoints/{}", self.endpoint),
                "",
                &["webhook_endpoint.delete"],
            ),
            "CreateMessage" => (format!("{channel}/Messages"), "Body=x", &["message.create"]),
            "CreateMessageBatch" => (
                format!("{channel}/Messages/Batch"),
                "Items=%5B%7B%22body%22%3A%22a%22%7D%2C%7B%22body%22%3A%22b%22%7D%5D",
                &["message.create", "message.create"],
            ),
            "UpdateMessage" => (
                format!("{channel}/Messages/{}", self.message),
                "Body=x",
                &["message.update"],
            ),
            "DeleteMessage" => (
                format!("{channel}/Messages/{}", self.message),
                "",
                &["message.delete"],
            ),
            "CreateAttributeIndex" => (
                format!("{service}/AttributeIndexes"),
                "Resource=users&Path=age&Type=number",
                &["attribute_index.create"],
            ),
            "DeleteAttributeIndex" => (
                format!("{service}/AttributeIndexes/{}", self.index),
                "",
                &["attribute_index.delete"],
            ),
            "CreateOperatorPool" => (
                format!("{service}/OperatorPools"),
                "FriendlyName=x&Identities=%5B%22alice%22%5D",
                &["operator_pool.create"],
            ),
            "UpdateOperatorPool" => (
                format!("{service}/OperatorPools/{}", self.pool),
                "FriendlyName=x",
                &["operator_pool.update"],
            ),
            "DeleteOperatorPool" => (
                format!("{service}/OperatorPools/{}", self.pool),
                "",
                &["operator_pool.delete"],
            ),
            "CreateOperator" => (
                format!("{service}/OperatorPools/{}/Operators", self.pool),
                "Identity=bob",
                &["operator.create"],
            ),
            "DeleteOperator" => (
                format!("{service}/OperatorPools/{}/Operators/alice", self.pool),
                "",
                &["operator.delete"],
            ),
            "CreateAudience" => (
                format!("{service}/Audiences"),
                "Identities=alice",
                &["audience.create"],
            ),
            "UpdateAudience" => (
                format!("{service}/Audiences/{}", self.audience),
                "FriendlyName=y",
                &["audience.update"],
            ),
            "UploadAudience" => (
                format!("{service}/Audiences/{}/Upload", self.audience),
                "identity,city\ncarol,Lyon\nalice,\nbob,Rome\n",
                &["audience.update", "user.update", "user.create"],
            ),
            "DeleteAudience" => (
                format!("{service}/Audiences/{}", self.audience),
                "",
                &["audience.delete"],
            ),
            "CreateCampaign" => (
                format!("{service}/Campaigns"),
                "Mode=individual&Identities=alice&Body=x",
                &["campaign.create"],
            ),
            "UpdateCampaign" => (
                format!("{service}/Campaigns/{}", self.campaign),
                "Status=running",
                &["campaign.update"],
            ),
            "DeleteCampaign" => (
                format!("{service}/Campaigns/{}", self.campaign),
                "",
                &["campaign.delete"],
            ),
            "CreateBroadcast" => (
                format!("{service}/Broadcasts"),
                "Identities=alice&Body=x",
                &["campaign.create"],
            ),
            "UpdateWebhookDelivery" => (
                format!("{service}/WebhookDeliveries/{}", self.delivery),
                "Status=pending",
                &["webhook_delivery.update"],
            ),
            "RedeliverWebhookDelivery" => (
                format!("{service}/WebhookDeliveries/Redeliver"),
                "Status=dead",
                &["webhook_redelivery.create"],
            ),
            "SaveProvider" => (
                format!("{service}/Providers/sms"),
                SMS_PROVIDER,
                &["provider.create"],
            ),
            "DeleteProvider" => (format!("{service}/Providers/sms"), "", &["provider.delete"]),
            "CreateCredential" => (
                "/v2/Credentials".to_owned(),
                "Type=gcm&ApiKey=k",
                &["credential.create"],
            ),
            "UpdateCredential" => (
                format!("/v2/Credentials/{}", self.credential),
                "FriendlyName=x",
                &["credential.update"],
            ),
            "DeleteCredential" => (
                format!("/v2/Credentials/{}", self.credential),
                "",
                &["credential.delete"],
            ),
            "CreateAccount" => (format!("{accounts}.json"), "", &["account.create"]),
            "UpdateAccount" => (
                format!("{accounts}/{}.json", self.sub_account),
                "Status=suspended",
                &["account.update"],
            ),
            "CreateNewKey" => (format!("{keys}.json"), "", &["key.create"]),
            "UpdateKey" => (
                format!("{keys}/{}.json", self.key),
                "FriendlyName=x",
                &["key.update"],
            ),
            "DeleteKey" => (format!("{keys}/{}.json", self.key), "", &["key.delete"]),
            "CreateSecondaryAuthToken" => ("/v1/AuthTokens/Secondary".to_owned(), "", &["auth_token.create"]),
            "DeleteSecondaryAuthToken" => ("/v1/AuthTokens/Secondary".to_owned(), "", &["auth_token.delete"]),
            "UpdateAuthTokenPromotion" => ("/v1/AuthTokens/Promote".to_owned(), "", &["auth_token.update"]),
            _ => return None,
        })
    }

    /// What must be there before the operation, besides the stage.
    async fn prepare(&self, operation: &str) {
        match operation {
            "CreateInvite" => {
                self.app
                    .post(&format!("{}/Users", self.service), "Identity=erin")
                    .await
                    .created();
            }
            "DeleteProvider" => {
                self.app
                    .post(&format!("{}/Providers/sms", self.service), SMS_PROVIDER)
                    .await
                    .created();
            }
            "DeleteSecondaryAuthToken" | "UpdateAuthTokenPromotion" => {
                self.app.post("/v1/AuthTokens/Secondary", "").await.created();
            }
            _ => {}
        }
    }

    async fn log(&self) -> Vec<Value> {
        // Asked with a key: promoting a token ends the one that the stage came with.
        let page = self.app.get("/v2/AuditEvents?PageSize=100").await;
        let page = if page.status == 401 {
            let token = self.app.promoted().await;
            let account = self.app.account.to_string();
            let path = "/v2/AuditEvents?PageSize=100";
            let request = TestApp::with_credentials(Method::GET, path, &account, &token);
            self.app.send(request).await.ok()
        } else {
            page.ok()
        };
        page["audit_events"].as_array().unwrap().clone()
    }
}

#[actix_web::test]
async fn every_operation_that_changes_something_is_in_the_log() {
    let changing: Vec<(String, Method, String)> = operations()
        .into_iter()
        .filter(|(_, method, _)| *method != Method::GET)
        .collect();
    assert!(changing.len() > 45, "{changing:?}");
    for (operation, method, path) in changing {
        if EXCEPTIONS.iter().any(|(exempt, _)| *exempt == operation) {
            continue;
        }
        let stage = Stage::spawn().await;
        let (asked, form, expected) = stage.recipe(&operation).unwrap_or_else(|| {
            panic!("{operation} ({method} {path}) has no recipe: add one, or say why it needs no entry")
        });
        stage.prepare(&operation).await;
        let before = stage.log().await.len();
        let request = stage.app.request(method.clone(), &asked).insert_header((
            "content-type",
            if operation == "UploadAudience" {
                "text/csv"
            } else {
                FORM
            },
        ));
        let answer = stage.app.send(request.set_payload(form)).await;
        assert!(
            (200..300).contains(&answer.status),
            "{operation}: {}",
            String::from_utf8_lossy(&answer.body)
        );
        let request_id = answer.header("twilio-request-id").to_owned();
        let log = stage.log().await;
        let fresh = &log[..log.len() - before];
        let actions: Vec<&str> = fresh
            .iter()
            .map(|entry| entry["action"].as_str().unwrap())
            .collect();
        assert_eq!(actions, expected, "{operation}");
        for entry in fresh {
            assert_eq!(entry["request_id"], request_id, "{operation}");
            assert_eq!(
                entry["actor"],
                json!({"type": "account", "sid": stage.app.account.to_string()}),
                "{operation}"
            );
            let action = entry["action"].as_str().unwrap();
            assert_eq!(entry["before"].is_null(), action.ends_with(".create"), "{entry}");
            assert_eq!(entry["after"].is_null(), action.ends_with(".delete"), "{entry}");
        }
        let whole = Value::from(log).to_string();
        for secret in [
            "whsec_",
            "device-secret",
            "push-secret",
            "endpoint-secret",
            "sms-secret",
            "\"secret\"",
            "\"auth_token\":\"",
            &stage.app.token,
        ] {
            assert!(!whole.contains(secret), "{operation}: {secret} in {whole}");
        }
    }
}

#[actix_web::test]
async fn an_entry_has_what_was_there_before_and_after() {
    let app = TestApp::spawn().await;
    let service = app.service().await;
    let made = app
        .post(&format!("{service}/Channels"), "UniqueName=a&FriendlyName=old")
        .await
        .created();
    app.post(&format!("{service}/Channels/a"), "FriendlyName=new")
        .await
        .ok();
    app.delete(&format!("{service}/Channels/a")).await.gone();
    let path = format!("{service}/AuditEvents");
    let page = app
        .get(&format!("{path}?ResourceSid={}", text(&made["sid"])))
        .await
        .ok();
    let entries = &page["audit_events"];
    assert_eq!(
        texts(entries, "action"),
        ["channel.delete", "channel.update", "channel.create"]
    );
    let update = &entries[1];
    assert_eq!(
        (
            &update["before"]["friendly_name"],
            &update["after"]["friendly_name"]
        ),
        (&json!("old"), &json!("new"))
    );
    assert!(update["after"].get("url").is_none() && update["after"].get("links").is_none());
    assert_eq!(update["service_sid"], made["service_sid"]);
    assert_eq!(update["account_sid"], app.account.to_string());
    let url = text(&update["url"]);
    assert_eq!(
        &app.get(url.strip_prefix("http://chat.test").unwrap()).await.ok(),
        update
    );

    let count = async |query: &str| {
        let page = app.get(&format!("{path}?{query}")).await.ok();
        page["audit_events"].as_array().unwrap().len()
    };
    assert_eq!(count("Action=channel.update").await, 1);
    assert_eq!(count(&format!("ActorSid={}", app.account)).await, 4);
    assert_eq!(count("ActorSid=SK1").await, 0);
    let date = text(&update["date_created"]);
    assert!(count(&format!("StartDate={date}&EndDate={date}")).await >= 1);
    assert_eq!(count(&format!("StartDate={}", &date[..10])).await, 4);
    assert_eq!(count("EndDate=2020-01-01").await, 0);
    for wrong in ["StartDate=yesterday", "EndDate=2020-13-01"] {
        let refused = app.get(&format!("{path}?{wrong}")).await.refused(400, 20001);
        assert!(
            refused.starts_with(&wrong[..7]) || refused.starts_with("StartDate"),
            "{refused}"
        );
    }
}

#[actix_web::test]
async fn the_log_is_the_tenants_own_and_cannot_be_written() {
    let app = TestApp::spawn().await;
    let service = app.service().await;
    let own = app.get("/v2/AuditEvents").await.ok();
    let entry = text(&own["audit_events"][0]["sid"]);
    let (sid, token) = app.neighbour().await;
    let as_neighbour = |path: &str| TestApp::with_credentials(Method::GET, path, &sid, &token);
    assert_eq!(
        app.send(as_neighbour("/v2/AuditEvents")).await.ok()["audit_events"],
        json!([])
    );
    app.send(as_neighbour(&format!("/v2/AuditEvents/{entry}")))
        .await
        .refused(404, 20404);
    app.send(as_neighbour(&format!("{service}/AuditEvents")))
        .await
        .refused(404, 20404);
    for method in [Method::POST, Method::DELETE] {
        let request = app.request(method, &format!("/v2/AuditEvents/{entry}"));
        app.send(request).await.refused(405, 20004);
    }
    assert!(
        !operations()
            .iter()
            .any(|(_, method, path)| { path.contains("AuditEvents") && *method != Method::GET })
    );
}

#[actix_web::test]
async fn a_replayed_request_is_one_entry() {
    let app = TestApp::spawn().await;
    let service = app.service_with_channel().await;
    for path in ["Channels", "Channels/general/Messages"] {
        for _ in 0..2 {
            let request = app
                .request(Method::POST, &format!("{service}/{path}"))
                .insert_header(("content-type", FORM))
                .insert_header(("idempotency-key", path));
            app.send(request).await.created();
        }
    }
    let page = app.get(&format!("{service}/AuditEvents")).await.ok();
    let actions: BTreeSet<String> = texts(&page["audit_events"], "action").into_iter().collect();
    assert!(actions.contains("message.create"));
    assert_eq!(page["audit_events"].as_array().unwrap().len(), 4, "{page}");
}
