"""What the server says it serves: every operation of its own OpenAPI document, and how to call each one.

Whatever calls all operations is generated from here. A route that is new has to get its recipe: until then it makes
those suites fail by its name.
"""

import dataclasses
import itertools

FORM = "application/x-www-form-urlencoded"
METHODS = ("get", "post", "put", "delete")


@dataclasses.dataclass
class Thing:
    """An object of a tenant, with what is below it: collection → the thing to address there.

    `sibling` is a thing of the same kind that is furnished likewise, `alias` its other name as it stands in a path.
    """

    name: str
    below: dict = dataclasses.field(default_factory=dict)
    alias: str | None = None
    sibling: "Thing | None" = None


@dataclasses.dataclass
class Operation:
    method: str
    path: str
    name: str
    tag: str
    is_public: bool
    fields: dict
    required: list

    @property
    def collections(self):
        """The collections whose objects the path names, in its order."""
        parts = self.path.split("/")
        return [before for before, part in itertools.pairwise(parts) if part.startswith("{")]

    def chain(self, root):
        """The things that the path leads through, or a failure that names the route."""
        things = []
        for collection in self.collections:
            here = things[-1] if things else root
            assert collection in here.below, f"no recipe for {collection} of {self}: teach harness/routes.py what it is"
            things.append(here.below[collection])
        return things

    def at(self, things, by_alias=False):
        """The path with these things in it, by their SIDs, or by their other names where they have one.

        A PUT takes names only: it makes what is not there.
        """
        by_alias = by_alias or self.method == "PUT"
        names = iter(by_alias and thing.alias or thing.name for thing in things)
        return "/".join(
            part[: part.index("{")] + next(names) + part[part.index("}") + 1 :] if "{" in part else part
            for part in self.path.split("/")
        )

    def body(self, n=0):
        """The smallest form that the operation accepts and that changes something; None without one."""
        if self.method in ("GET", "DELETE"):
            return None
        special = BODIES.get(self.name)
        if special is not None:
            return {name: value(n) if callable(value) else value for name, value in special.items()}
        unknown = [name for name in self.required if name not in FIELDS]
        assert not unknown, f"no recipe for {unknown} of {self}: teach harness/routes.py what they are"
        chosen = self.required or [name for name in self.fields if name in FIELDS][:1]
        assert chosen or not self.fields, f"no recipe for any of {list(self.fields)} of {self}"
        return {name: FIELDS[name](n) if callable(FIELDS[name]) else FIELDS[name] for name in chosen}

    def payload(self, n=0):
        """The same as what httpx is given."""
        if self.name in RAW:
            kind, content = RAW[self.name]
            return {"content": content(n), "headers": {"content-type": kind}}
        return {"data": self.body(n)}

    def __str__(self):
        return f"{self.name} ({self.method} {self.path})"


# What a field gets wherever it is needed; a function makes it new for each number.
FIELDS = {
    "FriendlyName": lambda n: f"changed {n}",
    "Identity": lambda n: f"somebody {n}",
    "Attributes": '{"changed": true}',
    "Body": "changed",
    "Permission": ["sendMessage"],
    "NotificationLevel": "muted",
}

# Operations whose smallest form is their own.
BODIES = {
    "CreateRole": {"FriendlyName": lambda n: f"role {n}", "Type": "channel", "Permission": ["sendMessage"]},
    "CreateChannel": {"UniqueName": lambda n: f"made {n}"},
    "UpdateWebhookDelivery": {"Status": "pending"},
    "RedeliverWebhookDelivery": {"Status": "dead"},
    "RedeliverWebhookEndpoint": {"Status": "dead"},
    "CreateInvite": {"Identity": "guest"},
    "CreateChannelWebhook": {"Type": "studio", "Configuration.FlowSid": "FW" + "c" * 32},
    "UpdateChannelWebhook": {"Configuration.FlowSid": "FW" + "d" * 32},
    "CreateWebhookEndpoint": {"Url": "http://127.0.0.1:9/hook", "Status": "disabled"},
    "UpdateWebhookEndpoint": {"TimeoutMs": lambda n: str(700 + n)},
    "CreateCredential": {"Type": "fcm", "Secret": "changed"},
    "CreateAttributeIndex": {"Resource": "users", "Path": lambda n: f"path{n}", "Type": "string"},
    "CreateMemberBatch": {"Items": lambda n: f'[{{"identity": "one of many {n}"}}]'},
    "CreateMessageBatch": {"Items": '[{"body": "one of many"}]'},
    "CreateUserBatch": {"Items": lambda n: f'[{{"identity": "one of many {n}"}}]'},
    "FindOrCreateChannel": {"FriendlyName": "found", "Members": '[{"identity": "found"}]'},
    "CreateCampaign": {"Mode": "individual", "Identities": '["somebody"]', "Body": "hello"},
    "CreateBroadcast": {"Identities": '["somebody"]', "Body": "hello", "DryRun": "true"},
    "SaveProvider": {"From": lambda n: f"Acme {n % 1000}"},
    "TestProvider": {"To": "+15005550006"},
    "CreateUserBinding": {"BindingType": "fcm", "Endpoint": lambda n: f"device {n}", "Address": "changed"},
}

# Operations whose body is no form: its type, and what to send.
RAW = {
    "UploadAudience": ("text/csv", lambda n: f"identity,city\nuploaded {n},Lyon\n"),
}


def operations(document):
    """All of them, in a stable order."""
    return [
        _operation(document, method, path, item[method])
        for path, item in sorted(document["paths"].items())
        for method in METHODS
        if method in item
    ]


def _operation(document, method, path, described):
    content = described.get("requestBody", {}).get("content", {})
    schema = content[FORM]["schema"] if FORM in content else {}
    fields, required = _fields(document, schema)
    return Operation(
        method.upper(),
        path,
        described["operationId"],
        described["tags"][0],
        described.get("security") == [{}],
        fields,
        required,
    )


def _fields(document, schema):
    if reference := schema.get("$ref"):
        schema = document["components"]["schemas"][reference.rsplit("/", 1)[1]]
    fields, required = dict(schema.get("properties", {})), list(schema.get("required", []))
    for part in schema.get("allOf", []):
        more, needed = _fields(document, part)
        fields |= more
        required += needed
    return fields, required
