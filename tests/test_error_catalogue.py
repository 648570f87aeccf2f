"""Every rule that REST can break, one row each: its code, its status, and a message that names what is wrong."""

import time

import pytest

from harness.rest import Rest, error_of
from harness.tokens import token

# The databases differ; how the roles are spread over processes makes no difference to these answers.
pytestmark = pytest.mark.topologies("embedded", "cluster")

LONG = "x" * 257
NOT_A_SID = "0" * 32
BIG = '"' + "x" * 32_767 + '"'
NO_NUL = "a\0b"
S = "/v2/Services/{service}"
C = S + "/Channels/general"
ACCOUNT = "/2010-04-01/Accounts/{account}"
HOOK = "http://127.0.0.1:9/hook"

# The tables are read by the row, so a row is a line, however long.
# fmt: off
# What a backend does wrong: (name, method, path, form, status, code, what the message names).
BACKEND = [
    # --- services
    ("a service without a name", "POST", "/v2/Services", {}, 400, 50000, "FriendlyName"),
    ("a service with an empty name", "POST", "/v2/Services", {"FriendlyName": ""}, 400, 50000, "FriendlyName"),
    ("a service with a long name", "POST", "/v2/Services", {"FriendlyName": LONG}, 400, 50003, "FriendlyName"),
    ("a service with a NUL", "POST", "/v2/Services", {"FriendlyName": NO_NUL}, 400, 20001, "FriendlyName"),
    ("an empty new name", "POST", S, {"FriendlyName": ""}, 400, 50000, "FriendlyName"),
    ("an unknown default role", "POST", S, {"DefaultServiceRoleSid": "RL" + "0" * 32}, 404, 50100, "RL" + "0" * 32),
    ("a default role that is no SID", "POST", S, {"DefaultChannelRoleSid": "x"}, 404, 50100, "x"),
    ("a channel role for users", "POST", S, {"DefaultServiceRoleSid": "{channel_role}"}, 400, 50102, "{channel_role}"),
    ("a service role for members", "POST", S, {"DefaultChannelRoleSid": "{user_role}"}, 400, 50101, "{user_role}"),
    ("a service role for creators", "POST", S, {"DefaultChannelCreatorRoleSid": "{user_role}"}, 400, 50101, "{user_role}"),
    ("a typing time-out of 0", "POST", S, {"TypingIndicatorTimeout": "0"}, 400, 50053, "TypingIndicatorTimeout"),
    ("a typing time-out of soon", "POST", S, {"TypingIndicatorTimeout": "soon"}, 400, 50053, "TypingIndicatorTimeout"),
    ("a report interval in words", "POST", S, {"ConsumptionReportInterval": "ten"}, 400, 50052, "ConsumptionReportInterval"),
    ("a negative report interval", "POST", S, {"ConsumptionReportInterval": "-1"}, 400, 50052, "ConsumptionReportInterval"),
    ("no members allowed", "POST", S, {"Limits.ChannelMembers": "0"}, 400, 50061, "Limits.ChannelMembers"),
    ("too many members allowed", "POST", S, {"Limits.ChannelMembers": "100001"}, 400, 50061, "Limits.ChannelMembers"),
    ("members in words", "POST", S, {"Limits.ChannelMembers": "many"}, 400, 50061, "Limits.ChannelMembers"),
    ("no channels allowed", "POST", S, {"Limits.UserChannels": "0"}, 400, 50060, "Limits.UserChannels"),
    ("too many channels allowed", "POST", S, {"Limits.UserChannels": "100001"}, 400, 50060, "Limits.UserChannels"),
    ("channels in words", "POST", S, {"Limits.UserChannels": "many"}, 400, 50060, "Limits.UserChannels"),
    ("a webhook URL that is none", "POST", S, {"PostWebhookUrl": "nowhere"}, 400, 50054, "PostWebhookUrl"),
    ("a webhook URL of another scheme", "POST", S, {"PreWebhookUrl": "ftp://x/"}, 400, 50054, "PreWebhookUrl"),
    ("a webhook method", "POST", S, {"WebhookMethod": "PUT"}, 400, 50055, "WebhookMethod"),
    ("an unknown webhook filter", "POST", S, {"WebhookFilters": ["onNothing"]}, 400, 20001, "WebhookFilters"),
    ("too many retries", "POST", S, {"PostWebhookRetryCount": "4"}, 400, 50065, "PostWebhookRetryCount"),
    ("retries in words", "POST", S, {"PreWebhookRetryCount": "x"}, 400, 50065, "PreWebhookRetryCount"),
    ("no boolean", "POST", S, {"ReachabilityEnabled": "maybe"}, 400, 20001, "ReachabilityEnabled"),
    # --- roles
    ("a role without a name", "POST", S + "/Roles", {"Type": "channel", "Permission": "sendMessage"}, 400, 20002, "FriendlyName"),
    ("a role without a type", "POST", S + "/Roles", {"FriendlyName": "x", "Permission": "sendMessage"}, 400, 50105, "Type"),
    ("a role of another type", "POST", S + "/Roles", {"FriendlyName": "x", "Type": "x", "Permission": "sendMessage"}, 400, 50105, "Type"),
    ("a role with a long name", "POST", S + "/Roles", {"FriendlyName": LONG, "Type": "channel", "Permission": "sendMessage"}, 400, 50003, "FriendlyName"),
    ("a role without permissions", "POST", S + "/Roles", {"FriendlyName": "x", "Type": "channel"}, 400, 20001, "Permission"),
    ("an unknown permission", "POST", S + "/Roles", {"FriendlyName": "x", "Type": "channel", "Permission": "fly"}, 400, 50104, "fly"),
    ("a service's permission for a channel role", "POST", S + "/Roles", {"FriendlyName": "x", "Type": "channel", "Permission": "createChannel"}, 400, 50104, "createChannel"),
    ("a channel's permission for a service role", "POST", S + "/Roles", {"FriendlyName": "x", "Type": "deployment", "Permission": "sendMessage"}, 400, 50104, "sendMessage"),
    ("a role's update without permissions", "POST", S + "/Roles/{channel_role}", {}, 400, 20001, "Permission"),
    ("a role's update to an unknown permission", "POST", S + "/Roles/{channel_role}", {"Permission": "fly"}, 400, 50104, "fly"),
    ("the deletion of a default role", "DELETE", S + "/Roles/{channel_role}", None, 409, 20409, "{channel_role}"),
    ("the deletion of a role in use", "DELETE", S + "/Roles/{used_role}", None, 409, 20409, "{used_role}"),
    # --- users
    ("a user without an identity", "POST", S + "/Users", {}, 400, 20001, "Identity"),
    ("a user with an empty identity", "POST", S + "/Users", {"Identity": ""}, 400, 50204, "Identity"),
    ("a user called system", "POST", S + "/Users", {"Identity": "system"}, 400, 50203, "system"),
    ("a user called like a SID", "POST", S + "/Users", {"Identity": "US" + "A" * 32}, 400, 50206, "Identity"),
    ("a long identity", "POST", S + "/Users", {"Identity": LONG}, 400, 50207, "Identity"),
    ("an identity with a NUL", "POST", S + "/Users", {"Identity": NO_NUL}, 400, 20001, "Identity"),
    ("a user who exists", "POST", S + "/Users", {"Identity": "alice"}, 409, 50201, "User"),
    ("a user with an unknown role", "POST", S + "/Users", {"Identity": "n", "RoleSid": "RL" + "0" * 32}, 404, 50100, "Role"),
    ("a user with a channel role", "POST", S + "/Users", {"Identity": "n", "RoleSid": "{channel_role}"}, 400, 50102, "deployment"),
    ("a user with long attributes", "POST", S + "/Users", {"Identity": "n", "Attributes": '"' + "x" * 4095 + '"'}, 400, 50303, "Attributes"),
    ("a user with broken attributes", "POST", S + "/Users", {"Identity": "n", "Attributes": "{"}, 400, 50304, "Attributes"),
    ("a user with a long name", "POST", S + "/Users", {"Identity": "n", "FriendlyName": LONG}, 400, 50003, "FriendlyName"),
    ("a user's channel role", "POST", S + "/Users/alice", {"RoleSid": "{channel_role}"}, 400, 50102, "deployment"),
    ("a user's broken attributes", "POST", S + "/Users/alice", {"Attributes": "x"}, 400, 50304, "Attributes"),
    # --- channels
    ("a channel's type", "POST", S + "/Channels", {"Type": "secret"}, 400, 20001, "Type"),
    ("a channel's long unique name", "POST", S + "/Channels", {"UniqueName": LONG}, 400, 50004, "UniqueName"),
    ("a unique name like a SID", "POST", S + "/Channels", {"UniqueName": "CH" + "a" * 32}, 400, 50306, "UniqueName"),
    ("a taken unique name", "POST", S + "/Channels", {"UniqueName": "general"}, 409, 50307, "UniqueName"),
    ("a unique name with a NUL", "POST", S + "/Channels", {"UniqueName": NO_NUL}, 400, 20001, "UniqueName"),
    ("a channel's long name", "POST", S + "/Channels", {"FriendlyName": LONG}, 400, 50003, "FriendlyName"),
    ("a channel's long attributes", "POST", S + "/Channels", {"Attributes": BIG}, 400, 50303, "Attributes"),
    ("a channel's broken attributes", "POST", S + "/Channels", {"Attributes": "nothing"}, 400, 50304, "Attributes"),
    ("a channel's date", "POST", S + "/Channels", {"DateCreated": "yesterday"}, 400, 50308, "DateCreated"),
    ("a channel's other date", "POST", S + "/Channels", {"DateUpdated": "2026-13-01"}, 400, 50309, "DateUpdated"),
    ("a channel's long creator", "POST", S + "/Channels", {"CreatedBy": LONG}, 400, 50310, "CreatedBy"),
    ("a new name that is taken", "POST", S + "/Channels/vault", {"UniqueName": "general"}, 409, 50307, "UniqueName"),
    ("a new name like a SID", "POST", C, {"UniqueName": "CH" + "0" * 32}, 400, 50306, "UniqueName"),
    ("new attributes that are broken", "POST", C, {"Attributes": "[1,"}, 400, 50304, "Attributes"),
    ("a list of channels of no type", "GET", S + "/Channels?Type=secret", None, 400, 20001, "Type"),
    # --- members
    ("a member without an identity", "POST", C + "/Members", {}, 400, 20001, "Identity"),
    ("a member called system", "POST", C + "/Members", {"Identity": "system"}, 400, 50203, "system"),
    ("a member called like a SID", "POST", C + "/Members", {"Identity": "US" + "0" * 32}, 400, 50206, "Identity"),
    ("a member with a long identity", "POST", C + "/Members", {"Identity": LONG}, 400, 50207, "Identity"),
    ("a member who is one", "POST", C + "/Members", {"Identity": "alice"}, 409, 50404, "Member"),
    ("a member with a service role", "POST", C + "/Members", {"Identity": "n", "RoleSid": "{user_role}"}, 400, 50101, "channel"),
    ("a member with an unknown role", "POST", C + "/Members", {"Identity": "n", "RoleSid": "RL" + "0" * 32}, 404, 50100, "Role"),
    ("a member's index", "POST", C + "/Members", {"Identity": "n", "LastConsumedMessageIndex": "-1"}, 400, 50406, "LastConsumedMessageIndex"),
    ("a member's index in words", "POST", C + "/Members/alice", {"LastConsumedMessageIndex": "x"}, 400, 50406, "LastConsumedMessageIndex"),
    ("a member's timestamp", "POST", C + "/Members/alice", {"LastConsumptionTimestamp": "x"}, 400, 50405, "LastConsumptionTimestamp"),
    ("a member's long attributes", "POST", C + "/Members/alice", {"Attributes": '"' + "x" * 4095 + '"'}, 400, 50303, "Attributes"),
    ("a member's broken attributes", "POST", C + "/Members/alice", {"Attributes": "{,}"}, 400, 50304, "Attributes"),
    ("a member's date", "POST", C + "/Members/alice", {"DateCreated": "x"}, 400, 50308, "DateCreated"),
    ("one member too many", "POST", "/v2/Services/{full}/Channels/full/Members", {"Identity": "bob"}, 403, 50403, "limit"),
    ("one channel too many", "POST", "/v2/Services/{full}/Channels/second/Members", {"Identity": "alice"}, 403, 50208, "limit"),
    # --- messages
    ("a long body", "POST", C + "/Messages", {"Body": "x" * 32_769}, 400, 50504, "Body"),
    ("a body with a NUL", "POST", C + "/Messages", {"Body": NO_NUL}, 400, 20001, "Body"),
    ("a message's long attributes", "POST", C + "/Messages", {"Attributes": BIG}, 400, 50303, "Attributes"),
    ("a message's broken attributes", "POST", C + "/Messages", {"Attributes": "'x'"}, 400, 50304, "Attributes"),
    ("a long author", "POST", C + "/Messages", {"From": LONG}, 400, 50310, "From"),
    ("an empty author", "POST", C + "/Messages", {"From": ""}, 400, 20001, "From"),
    ("a long editor", "POST", C + "/Messages", {"LastUpdatedBy": LONG}, 400, 50505, "LastUpdatedBy"),
    ("a message's date", "POST", C + "/Messages", {"DateCreated": "x"}, 400, 50308, "DateCreated"),
    ("media that is not there", "POST", C + "/Messages", {"MediaSid": "ME" + "0" * 32}, 400, 50507, "ME" + "0" * 32),
    ("an edit with a long body", "POST", C + "/Messages/{message}", {"Body": "x" * 32_769}, 400, 50504, "Body"),
    ("an edit's date", "POST", C + "/Messages/{message}", {"DateUpdated": "x"}, 400, 50309, "DateUpdated"),
    ("an unknown order", "GET", C + "/Messages?Order=up", None, 400, 20001, "Order"),
    # --- invites
    ("an invite without an identity", "POST", C + "/Invites", {}, 400, 20001, "Identity"),
    ("an invite of a member", "POST", C + "/Invites", {"Identity": "alice"}, 409, 50404, "Member"),
    ("an invite of somebody invited", "POST", C + "/Invites", {"Identity": "guest"}, 409, 50212, "invited"),
    ("an invite of nobody", "POST", C + "/Invites", {"Identity": "nobody"}, 404, 20404, "/Channels/general/Invites"),
    ("an invite with a service role", "POST", C + "/Invites", {"Identity": "mallory", "RoleSid": "{user_role}"}, 400, 50101, "channel"),
    # --- channel webhooks
    ("a webhook without a type", "POST", C + "/Webhooks", {"Configuration.Url": HOOK}, 400, 50328, "Type"),
    ("a webhook of another type", "POST", C + "/Webhooks", {"Type": "bell"}, 400, 50324, "Type"),
    ("a webhook without a URL", "POST", C + "/Webhooks", {"Type": "webhook", "Configuration.Filters": "onMessageSent"}, 400, 50329, "Configuration.Url"),
    ("a webhook with a long URL", "POST", C + "/Webhooks", {"Type": "webhook", "Configuration.Url": HOOK + "x" * 2048, "Configuration.Filters": "onMessageSent"}, 400, 50332, "Configuration.Url"),
    ("a webhook without filters", "POST", C + "/Webhooks", {"Type": "webhook", "Configuration.Url": HOOK}, 400, 50330, "Configuration.Filters"),
    ("a webhook with an unknown filter", "POST", C + "/Webhooks", {"Type": "webhook", "Configuration.Url": HOOK, "Configuration.Filters": "onNothing"}, 400, 50325, "Configuration.Filters"),
    ("a webhook with a pre-event", "POST", C + "/Webhooks", {"Type": "webhook", "Configuration.Url": HOOK, "Configuration.Filters": "onMessageSend"}, 400, 50325, "Configuration.Filters"),
    ("a trigger without keywords", "POST", C + "/Webhooks", {"Type": "trigger", "Configuration.Url": HOOK}, 400, 50331, "Configuration.Triggers"),
    ("a trigger with six keywords", "POST", C + "/Webhooks", {"Type": "trigger", "Configuration.Url": HOOK, "Configuration.Triggers": list("abcdef")}, 400, 50322, "triggers"),
    ("a flow that is none", "POST", C + "/Webhooks", {"Type": "studio", "Configuration.FlowSid": "x"}, 400, 50327, "Configuration.FlowSid"),
    ("a sixth webhook", "POST", S + "/Channels/hooked/Webhooks", {"Type": "studio", "Configuration.FlowSid": "FW" + "a" * 32}, 400, 50321, "5"),
    # --- bindings and user channels
    ("a binding of another type", "POST", S + "/Users/alice/Bindings", {"BindingType": "pager", "Address": "x"}, 400, 50209, "BindingType"),
    ("a notification level", "POST", S + "/Users/alice/Channels/general", {"NotificationLevel": "loud"}, 400, 50210, "NotificationLevel"),
    ("a user channel's index", "POST", S + "/Users/alice/Channels/general", {"LastConsumedMessageIndex": "x"}, 400, 50406, "LastConsumedMessageIndex"),
    ("a binding without an address", "POST", S + "/Users/alice/Bindings", {"BindingType": "fcm"}, 400, 20001, "Address"),
    ("a binding with an unknown credential", "POST", S + "/Users/alice/Bindings", {"BindingType": "fcm", "Address": "x", "CredentialSid": "CR" + NOT_A_SID}, 400, 20001, "CredentialSid"),
    ("a binding for no message", "POST", S + "/Users/alice/Bindings", {"BindingType": "fcm", "Address": "x", "MessageTypes": "news"}, 400, 20001, "MessageTypes"),
    # --- credentials
    ("a credential without a type", "POST", "/v2/Credentials", {"Secret": "x"}, 400, 20001, "Type"),
    ("a credential of another type", "POST", "/v2/Credentials", {"Type": "pager", "Secret": "x"}, 400, 20001, "Type"),
    ("a credential without its secret", "POST", "/v2/Credentials", {"Type": "fcm"}, 400, 20001, "Secret"),
    ("a credential without its key", "POST", "/v2/Credentials", {"Type": "gcm"}, 400, 20001, "ApiKey"),
    ("a credential without its private key", "POST", "/v2/Credentials", {"Type": "apn", "Certificate": "x"}, 400, 20001, "PrivateKey"),
    # --- declared indexes, filters and orders
    ("an index of nothing", "POST", S + "/AttributeIndexes", {"Resource": "roles", "Path": "a", "Type": "string"}, 400, 20001, "Resource"),
    ("an index of another type", "POST", S + "/AttributeIndexes", {"Resource": "users", "Path": "a", "Type": "list"}, 400, 20001, "Type"),
    ("an index to nowhere", "POST", S + "/AttributeIndexes", {"Resource": "users", "Path": "a..b", "Type": "string"}, 400, 20001, "Path"),
    ("an index to too deep", "POST", S + "/AttributeIndexes", {"Resource": "users", "Path": "a.b.c.d.e.f.g.h.i", "Type": "string"}, 400, 20001, "Path"),
    ("an index twice", "POST", S + "/AttributeIndexes", {"Resource": "users", "Path": "declared", "Type": "string"}, 409, 20409, "declared"),
    ("a filter that is no JSON", "GET", S + "/Channels?Filter=x", None, 400, 20001, "Filter"),
    ("a filter of an unknown field", "GET", S + "/Channels?Filter=%7B%22colour%22:1%7D", None, 400, 20001, "colour"),
    ("a filter of an unknown operator", "GET", S + "/Users?Filter=%7B%22identity%22:%7B%22$like%22:1%7D%7D", None, 400, 20001, "$like"),
    ("a filter of an empty list", "GET", S + "/Users?Filter=%7B%22identity%22:%7B%22$in%22:%5B%5D%7D%7D", None, 400, 20001, "$in"),
    ("an order that is no list", "GET", S + "/Channels?Sort=%7B%7D", None, 400, 20001, "Sort"),
    ("an order of four", "GET", C + "/Members?Sort=%5B%7B%22identity%22:1%7D,%7B%22date_created%22:1%7D,%7B%22date_updated%22:1%7D,%7B%22sid%22:1%7D%5D", None, 400, 20001, "Sort"),
    # --- find or create, batches
    ("a name like a SID to find or create", "PUT", S + "/Channels/CH" + NOT_A_SID, {}, 400, 50306, "UniqueName"),
    ("members that are no list", "PUT", S + "/Channels/new", {"Members": "alice"}, 400, 20001, "Members"),
    ("a member without an identity to be there", "PUT", S + "/Channels/new", {"Members": "[{}]"}, 400, 20001, "dentity"),
    ("a batch of nothing", "POST", S + "/Users/Batch", {}, 400, 20001, "Items"),
    ("a batch that is no list", "POST", S + "/Users/Batch", {"Items": "{}"}, 400, 20001, "Items"),
    ("a batch of too many", "POST", C + "/Messages/Batch", {"Items": "[" + ",".join(["{}"] * 1001) + "]"}, 400, 20001, "Items"),
    # --- accounts, keys and the audit log
    ("an account of another status", "POST", ACCOUNT + ".json", {"Status": "asleep"}, 400, 20001, "Status"),
    ("closing the own account", "POST", ACCOUNT + ".json", {"Status": "closed"}, 403, 20006, "Status"),
    ("suspending the own account", "POST", ACCOUNT + ".json", {"Status": "suspended"}, 403, 20006, "Status"),
    ("an unknown account", "GET", "/2010-04-01/Accounts/AC" + NOT_A_SID + ".json", None, 404, 20404, "AC" + NOT_A_SID),
    ("a key for an unknown service", "POST", ACCOUNT + "/Keys.json", {"ServiceSid": "IS" + NOT_A_SID}, 404, 50050, "IS" + NOT_A_SID),
    ("a key that ended yesterday", "POST", ACCOUNT + "/Keys.json", {"DateExpires": "2016-03-24T21:05:50Z"}, 400, 20001, "DateExpires"),
    ("a key that ends some day", "POST", ACCOUNT + "/Keys.json", {"DateExpires": "some day"}, 400, 20001, "DateExpires"),
    ("an unknown key", "GET", ACCOUNT + "/Keys/SK" + NOT_A_SID + ".json", None, 404, 20404, "SK" + NOT_A_SID),
    ("an unknown audit event", "GET", S + "/AuditEvents/AE" + NOT_A_SID, None, 404, 20404, "AE" + NOT_A_SID),
    # --- access tokens
    ("a token without an identity", "POST", S + "/AccessTokens", {}, 400, 20001, "Identity"),
    ("a token for system", "POST", S + "/AccessTokens", {"Identity": "system"}, 400, 50203, "system"),
    ("a token for days", "POST", S + "/AccessTokens", {"Identity": "x", "Ttl": "86401"}, 400, 20001, "Ttl"),
    ("a token for no time", "POST", S + "/AccessTokens", {"Identity": "x", "Ttl": "0"}, 400, 20001, "Ttl"),
    # --- what is the same everywhere
    ("a page size in words", "GET", S + "/Users?PageSize=many", None, 400, 20001, "PageSize"),
    ("a negative page", "GET", S + "/Users?Page=-1", None, 400, 20001, "Page"),
    ("a page token of nobody's", "GET", S + "/Users?PageToken=x", None, 400, 20001, "PageToken"),
    ("an unknown status", "GET", S + "/WebhookDeliveries?Status=lost", None, 400, 20001, "Status"),
    ("an unknown resource", "GET", "/v2/Nothing", None, 404, 20404, "/Nothing"),
    ("an unknown service", "GET", "/v2/Services/IS" + NOT_A_SID, None, 404, 20404, "/Services/IS" + NOT_A_SID),
    ("an unknown role", "GET", S + "/Roles/RL" + NOT_A_SID, None, 404, 20404, "Roles/RL" + NOT_A_SID),
    ("an unknown user", "GET", S + "/Users/nobody", None, 404, 20404, "Users/nobody"),
    ("an unknown channel", "GET", S + "/Channels/nowhere", None, 404, 20404, "Channels/nowhere"),
    ("an unknown member", "GET", C + "/Members/nobody", None, 404, 20404, "Members/nobody"),
    ("an unknown message", "GET", C + "/Messages/IM" + NOT_A_SID, None, 404, 20404, "Messages/IM" + NOT_A_SID),
    ("a message that is no SID", "GET", C + "/Messages/0", None, 404, 20404, "Messages/0"),
    ("a child of an unknown channel", "POST", S + "/Channels/nowhere/Messages", {"Body": "x"}, 404, 20404, "nowhere"),
    ("a method that is not served", "PATCH", S, {}, 405, 20004, "Method"),
    ("a body over a mebibyte", "POST", C + "/Messages", {"Body": "x" * (1 << 20)}, 413, 20413, "large"),
]

# What users may not do, by the rights that they lack: (name, who, method, path, form, status, code, what is named).
USERS = [
    ("editing another's message", "alice", "POST", C + "/Messages/{message}", {"Body": "x"}, 403, 50107, "editAnyMessage"),
    ("editing another's attributes", "alice", "POST", C + "/Messages/{message}", {"Attributes": "{}"}, 403, 50107, "editAnyMessageAttributes"),
    ("removing another's message", "alice", "DELETE", C + "/Messages/{message}", None, 403, 50107, "deleteAnyMessage"),
    ("renaming a channel", "alice", "POST", C, {"FriendlyName": "x"}, 403, 50107, "editChannelName"),
    ("changing a channel's attributes", "alice", "POST", C, {"Attributes": "{}"}, 403, 50107, "editChannelAttributes"),
    ("deleting a channel", "alice", "DELETE", C, None, 403, 50107, "destroyChannel"),
    ("adding a member", "alice", "POST", C + "/Members", {"Identity": "mallory"}, 403, 50107, "addMember"),
    ("removing a member", "alice", "DELETE", C + "/Members/silent", None, 403, 50107, "removeMember"),
    ("changing a member", "alice", "POST", C + "/Members/silent", {"Attributes": "{}"}, 403, 50107, "editAnyMemberAttributes"),
    ("giving oneself a role", "alice", "POST", C + "/Members/alice", {"RoleSid": "{channel_role}"}, 403, 50205, "role"),
    ("joining with a role of choice", "guest", "POST", C + "/Members", {"Identity": "guest", "RoleSid": "{admin_role}"}, 403, 50205, "{admin_role}"),
    ("giving oneself a service role", "alice", "POST", S + "/Users/alice", {"RoleSid": "{user_role}"}, 403, 50205, "role"),
    ("inviting", "alice", "POST", C + "/Invites", {"Identity": "mallory"}, 403, 50107, "inviteMember"),
    ("sending without the right", "silent", "POST", C + "/Messages", {"Body": "x"}, 403, 50107, "sendMessage"),
    ("leaving without the right", "stuck", "DELETE", C + "/Members/stuck", None, 403, 50107, "leaveChannel"),
    ("creating a channel", "mallory", "POST", S + "/Channels", {}, 403, 50107, "createChannel"),
    ("changing oneself", "mallory", "POST", S + "/Users/mallory", {"FriendlyName": "x"}, 403, 50107, "editOwnUserInfo"),
    ("changing another user", "alice", "POST", S + "/Users/mallory", {"FriendlyName": "x"}, 403, 50107, "editAnyUserInfo"),
    ("joining", "mallory", "POST", C + "/Members", {"Identity": "mallory"}, 403, 50107, "joinChannel"),
    ("sending as no member", "mallory", "POST", C + "/Messages", {"Body": "x"}, 403, 50400, "member"),
    ("reading as no member", "mallory", "GET", C + "/Messages", None, 403, 50400, "member"),
    ("reading one as no member", "mallory", "GET", C + "/Messages/{message}", None, 403, 50400, "member"),
    ("listing members as no member", "mallory", "GET", S + "/Channels/vault/Members", None, 403, 50400, "member"),
    ("seeing a private channel", "mallory", "GET", S + "/Channels/vault", None, 403, 50400, "member"),
    ("changing a service", "alice", "POST", S, {"FriendlyName": "x"}, 403, 20006, "account credentials"),
    ("deleting a service", "alice", "DELETE", S, None, 403, 20006, "account credentials"),
    ("making a role", "alice", "POST", S + "/Roles", {"FriendlyName": "x", "Type": "channel", "Permission": "sendMessage"}, 403, 20006, "account credentials"),
    ("changing a role", "alice", "POST", S + "/Roles/{channel_role}", {"Permission": "sendMessage"}, 403, 20006, "account credentials"),
    ("deleting a role", "alice", "DELETE", S + "/Roles/{channel_role}", None, 403, 20006, "account credentials"),
    ("making a user", "alice", "POST", S + "/Users", {"Identity": "x"}, 403, 20006, "account credentials"),
    ("deleting a user", "alice", "DELETE", S + "/Users/mallory", None, 403, 20006, "account credentials"),
    ("minting a token", "alice", "POST", S + "/AccessTokens", {"Identity": "mallory"}, 403, 20006, "account credentials"),
    ("reading the ledger", "alice", "GET", S + "/WebhookDeliveries", None, 403, 20006, "account credentials"),
    ("a channel's webhooks", "alice", "GET", C + "/Webhooks", None, 403, 20006, "account credentials"),
    ("listing services", "alice", "GET", "/v2/Services", None, 401, 20003, "account credentials"),
    ("making a service", "alice", "POST", "/v2/Services", {"FriendlyName": "x"}, 401, 20003, "account credentials"),
    ("another service", "alice", "GET", "/v2/Services/{full}", None, 404, 20404, "/Services/{full}"),
    # A backend's fields are no way around the rights.
    ("an author by import", "alice", "POST", C + "/Messages/{message}", {"From": "alice"}, 400, 20161, "Body"),
    ("an editor by import", "alice", "POST", C + "/Messages/{message}", {"LastUpdatedBy": "alice"}, 400, 20161, "Body"),
    ("a date by import", "alice", "POST", C + "/Messages/{message}", {"DateCreated": "2016-03-24T21:05:50Z"}, 400, 20161, "Body"),
    ("a creator by import", "mallory", "POST", C, {"CreatedBy": "mallory"}, 400, 20161, "FriendlyName"),
    ("a channel's date by import", "mallory", "POST", C, {"DateUpdated": "2016-03-24T21:05:50Z"}, 400, 20161, "FriendlyName"),
]
# fmt: on


class Ground:
    """A service in which every one of these can be tried: none of them changes anything."""

    def __init__(self, cluster):
        self.api = cluster.api
        self.account_sid = cluster.account_sid
        self.rest = Rest(cluster.api, (cluster.account_sid, cluster.auth_token))
        self.key = self.make(f"/2010-04-01/Accounts/{self.account_sid}/Keys.json", FriendlyName="for tokens")
        self.service = self.make("/v2/Services", FriendlyName="a minefield")["sid"]
        path = f"/v2/Services/{self.service}"
        roles = {role["friendly_name"]: role["sid"] for role in self.rest.get(f"{path}/Roles").json()["roles"]}

        def role(name, kind, permission):
            return self.make(f"{path}/Roles", FriendlyName=name, Type=kind, Permission=permission)["sid"]

        used = role("only leaves", "channel", "leaveChannel")
        stuck = role("only sends", "channel", "sendMessage")
        idle = role("does nothing", "deployment", "removeMember")
        for name, kind in (("general", "public"), ("vault", "private"), ("hooked", "public")):
            self.make(f"{path}/Channels", UniqueName=name, Type=kind)
        self.make(f"{path}/Channels/general/Members", Identity="alice")
        self.make(f"{path}/Channels/general/Members", Identity="silent", RoleSid=used)
        self.make(f"{path}/Channels/general/Members", Identity="stuck", RoleSid=stuck)
        self.make(f"{path}/Users", Identity="mallory", RoleSid=idle)
        self.make(f"{path}/Users", Identity="guest")
        self.make(f"{path}/Channels/general/Invites", Identity="guest")
        for _ in range(5):
            self.make(f"{path}/Channels/hooked/Webhooks", Type="studio", **{"Configuration.FlowSid": "FW" + "a" * 32})
        self.make(f"{path}/AttributeIndexes", Resource="users", Path="declared", Type="string")
        full = self.make("/v2/Services", FriendlyName="full")["sid"]
        self.make(f"/v2/Services/{full}", **{"Limits.ChannelMembers": 1, "Limits.UserChannels": 1})
        for name in ("full", "second"):
            self.make(f"/v2/Services/{full}/Channels", UniqueName=name)
        self.make(f"/v2/Services/{full}/Channels/full/Members", Identity="alice")
        self.names = {
            "account": self.account_sid,
            "service": self.service,
            "full": full,
            "channel_role": roles["channel user"],
            "admin_role": roles["channel admin"],
            "user_role": roles["service user"],
            "used_role": used,
            "message": self.make(f"{path}/Channels/general/Messages", Body="hello")["sid"],
        }
        self.doors = {}

    def make(self, path, **form):
        answer = self.rest.post(path, form)
        assert answer.status_code in (200, 201), f"{path}: {answer.text}"
        return answer.json()

    def door(self, identity):
        if identity not in self.doors:
            made = token(self.account_sid, self.key, self.service, identity)
            self.doors[identity] = Rest(self.api, bearer=made)
        return self.doors[identity]

    def named(self, text):
        """With the names of what is there in place of their placeholders."""
        for name, value in self.names.items():
            text = text.replace("{" + name + "}", value) if isinstance(text, str) else text
        return text

    def tries(self, door, method, path, form):
        body = form and {name: self.named(value) for name, value in form.items()}
        return door.http.request(method, self.named(path), data=body)


@pytest.fixture(scope="module")
def ground(shared_cluster):
    return Ground(shared_cluster)


@pytest.mark.parametrize("row", BACKEND, ids=lambda row: row[0])
def test_a_backend_hears_what_is_wrong(ground, row):
    _, method, path, form, status, code, named = row
    message = error_of(ground.tries(ground.rest, method, path, form), status, code)
    assert ground.named(named) in message, message


@pytest.mark.parametrize("row", USERS, ids=lambda row: row[0])
def test_a_user_hears_what_it_may_not_do(ground, row):
    _, who, method, path, form, status, code, named = row
    message = error_of(ground.tries(ground.door(who), method, path, form), status, code)
    assert ground.named(named) in message, message


NOW = int(time.time())
# What is wrong with a token: (name, code, what it is made with).
TOKENS = [
    ("no JWT", 20101, "nonsense"),
    ("an unknown key", 20103, {"iss": "SK" + NOT_A_SID}),
    ("no key", 20103, {"iss": None}),
    ("another account", 20103, {"sub": "AC" + NOT_A_SID}),
    ("expired", 20104, {"exp": NOW - 3600}),
    ("no end", 20104, {"exp": None}),
    ("not yet", 20105, {"nbf": NOW + 3600, "exp": NOW + 7200}),
    ("no grants", 20106, {"grants": {}}),
    ("no identity", 20106, {"grants": {"chat": {"service_sid": "IS" + NOT_A_SID}}}),
    ("an unknown service", 20106, {"grants": {"identity": "alice", "chat": {"service_sid": "IS" + NOT_A_SID}}}),
    ("another secret", 20107, {"secret": "another"}),
    ("unsigned", 20107, {"algorithm": "none"}),
    ("another algorithm", 20107, {"algorithm": "RS256"}),
    ("two days", 20157, {"exp": NOW + 2 * 86_400}),
]


@pytest.mark.parametrize("row", TOKENS, ids=lambda row: row[0])
def test_a_bad_token_is_401_with_the_reason(ground, row):
    _, code, parts = row
    made = parts if isinstance(parts, str) else token(ground.account_sid, ground.key, ground.service, **parts)
    door = Rest(ground.api, bearer=made)
    error_of(door.get(ground.named(C)), 401, code)
    error_of(door.post(ground.named(C + "/Messages"), {"Body": "x"}), 401, code)
    door.close()


def test_the_ground_is_as_it_was(ground):
    """Last, so that it looks at what all the others left behind."""
    channel = ground.rest.get(ground.named(C)).json()
    assert (channel["members_count"], channel["messages_count"], channel["created_by"]) == (3, 1, "system")
    message = ground.rest.get(ground.named(C + "/Messages/{message}")).json()
    assert (message["from"], message["body"], message["was_edited"]) == ("system", "hello", False)
    assert len(ground.rest.get(ground.named(S + "/Users")).json()["users"]) == 5
    assert len(ground.rest.get(ground.named(S + "/Channels")).json()["channels"]) == 2
