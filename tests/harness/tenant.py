"""A tenant that has one of everything that a path can name, twice over, so that the two can be mixed up."""

import json
import urllib.parse

from .node import run_command
from .rest import Rest
from .routes import Thing
from .waiting import eventually

# Names as tenants have them: nothing in them may break out of a path.
USERS = ("alice / ü?#%2F@1", "bob")
CHANNELS = ("first / ü?#%2F", "second")


def in_a_path(name):
    return urllib.parse.quote(name, safe="")


class Tenant:
    """An account of its own, made as an operator makes it: it is nobody's sub-account.

    `account` is its tree. Only kinds that the server serves are made (`paths` are those of its OpenAPI document).
    """

    def __init__(self, cluster, paths, name):
        made = run_command("account", "create", "--name", name, settings=cluster.nodes[0].settings)
        assert made.returncode == 0, made.stderr
        account = json.loads(made.stdout)
        self.sid, self.auth_token = account["sid"], account["auth_token"]
        self.rest = Rest(cluster.api, (self.sid, self.auth_token))
        self._paths = paths
        keys = f"/2010-04-01/Accounts/{self.sid}/Keys.json"
        self.key = self._make(keys, {"FriendlyName": "for tokens"})
        spare = self._make(keys, {"FriendlyName": "to play with"})
        self.account = Thing(self.sid, {"Keys": Thing(spare["sid"])})
        self.below = {"Accounts": self.account}
        if self._serves("/v2/Credentials"):
            credential = self._make("/v2/Credentials", {"Type": "fcm", "Secret": "s"})
            self.below["Credentials"] = Thing(credential["sid"])

    async def furnish(self, receiver):
        """Two services with one of everything."""
        first, second = [await self._service(receiver) for _ in range(2)]
        first.sibling, second.sibling = second, first
        self.below["Services"] = first
        await self._audited()
        return self

    @property
    def service(self):
        return self.below["Services"]

    def _serves(self, path):
        return path in self._paths

    def _make(self, path, form, **headers):
        answer = self.rest.post(path, form, **headers)
        assert answer.status_code in (200, 201), f"{path}: {answer.text}"
        return answer.json()

    async def _service(self, receiver):
        sid = self._make("/v2/Services", {"FriendlyName": "furnished"})["sid"]
        path = f"/v2/Services/{sid}"
        self._make(path, {"PostWebhookUrl": receiver.url})
        role = self._make(f"{path}/Roles", {"FriendlyName": "r", "Type": "channel", "Permission": "sendMessage"})
        self._make(f"{path}/Users", {"Identity": "guest"})
        service = Thing(sid, {"Roles": Thing(role["sid"])})
        alice, bob = (self._user(path, identity) for identity in USERS)
        first, second = (self._channel(path, *names) for names in zip(CHANNELS, USERS, reversed(USERS), strict=True))
        alice.sibling, bob.sibling = bob, alice
        first.sibling, second.sibling = second, first
        service.below |= {"Users": alice, "Channels": first}
        if "Bindings" in alice.below:
            service.below["Bindings"] = Thing(self._binding(path, alice.name, "another device"))
        if self._serves("/v2/Services/{ServiceSid}/AttributeIndexes"):
            index = self._make(
                f"{path}/AttributeIndexes", {"Resource": "channels", "Path": "ticket", "Type": "string"}
            )
            service.below["AttributeIndexes"] = Thing(index["sid"])
            await eventually(
                lambda: self.rest.get(f"{path}/AttributeIndexes/{index['sid']}").json()["status"] == "ready",
                because="the index is ready",
            )
        if self._serves("/v2/Services/{ServiceSid}/WebhookEndpoints"):
            endpoint = self._make(f"{path}/WebhookEndpoints", {"Url": receiver.url, "Status": "disabled"})
            service.below["WebhookEndpoints"] = Thing(endpoint["sid"])
        if self._serves("/v2/Services/{ServiceSid}/OperatorPools"):
            pool = self._make(f"{path}/OperatorPools", {"Identities": '["olga"]'})
            service.below["OperatorPools"] = Thing(pool["sid"], {"Operators": Thing("olga")})
        if self._serves("/v2/Services/{ServiceSid}/Audiences"):
            await self._campaigns(path, service)
        if self._serves("/v2/Services/{ServiceSid}/Providers/{Kind}"):
            form = {"Url": f"{receiver.base}/Messages.json", "AccountSid": "AC", "AuthToken": "s", "From": "Acme"}
            self._make(f"{path}/Providers/sms", form)
            service.below["Providers"] = Thing("sms")
        self._make(f"{path}/Channels", {"UniqueName": "told"}, x_twilio_webhook_enabled="true")
        [delivery] = await eventually(
            lambda: self.rest.get(f"{path}/WebhookDeliveries", Status="delivered").json()["deliveries"],
            because="the delivery is over",
        )
        service.below["WebhookDeliveries"] = Thing(delivery["sid"])
        return service

    async def _campaigns(self, path, service):
        audience = self._make(f"{path}/Audiences", {"Identities": json.dumps(USERS)})
        service.below["Audiences"] = Thing(audience["sid"])
        draft = {"Mode": "individual", "Identities": json.dumps(USERS), "Body": "hello"}
        service.below["Campaigns"] = Thing(self._make(f"{path}/Campaigns", draft)["sid"])
        broadcast = {"Identities": json.dumps(USERS), "Body": "hello", "DryRun": "true"}
        sid = self._make(f"{path}/Broadcasts", broadcast)["sid"]
        # It has ended by then, so that nothing of it moves any more.
        await eventually(
            lambda: self.rest.get(f"{path}/Broadcasts/{sid}").json()["status"] == "completed",
            because="the broadcast is over",
        )
        service.below["Broadcasts"] = Thing(sid)

    def _user(self, path, identity):
        user = Thing(self._make(f"{path}/Users", {"Identity": identity})["sid"], alias=in_a_path(identity))
        if self._serves("/v2/Services/{ServiceSid}/Users/{UserSid}/Bindings"):
            user.below["Bindings"] = Thing(self._binding(path, user.name, "a device"))
        # A channel of its own, so that leaving it takes nothing from the others.
        joined = f"joined / by {identity}"
        channel = self._make(f"{path}/Channels", {"UniqueName": joined})["sid"]
        self._make(f"{path}/Channels/{channel}/Members", {"Identity": identity})
        user.below["Channels"] = Thing(channel, alias=in_a_path(joined))
        return user

    def _binding(self, path, user, device):
        form = {"BindingType": "fcm", "Endpoint": device, "Address": device}
        return self._make(f"{path}/Users/{user}/Bindings", form)["sid"]

    def _channel(self, path, name, member, guest):
        channel = Thing(self._make(f"{path}/Channels", {"UniqueName": name})["sid"], alias=in_a_path(name))
        below = f"{path}/Channels/{channel.name}"
        forms = {
            "Members": {"Identity": member},
            "Messages": {"Body": "hello"},
            "Invites": {"Identity": guest},
            "Webhooks": {"Type": "studio", "Configuration.FlowSid": "FW" + "a" * 32},
        }
        for collection, form in forms.items():
            if self._serves("/v2/Services/{ServiceSid}/Channels/{ChannelSid}/" + collection):
                made = self._make(f"{below}/{collection}", form)
                alias = in_a_path(member) if collection == "Members" else None
                channel.below[collection] = Thing(made["sid"], alias=alias)
        return channel

    async def _audited(self):
        """The log of changes has entries by now, where it is served."""
        for root, path in ((self, "/v2"), (self.service, f"/v2/Services/{self.service.name}")):
            template = "/v2/AuditEvents" if root is self else "/v2/Services/{ServiceSid}/AuditEvents"
            if self._serves(template):
                root.below["AuditEvents"] = Thing(self.rest.get(f"{path}/AuditEvents").json()["audit_events"][0]["sid"])
