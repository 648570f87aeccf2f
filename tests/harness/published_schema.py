"""The published description of the REST API, as something an answer can be held against."""

import json
import re
import urllib.parse

import jsonschema

from .node import ROOT

PUBLISHED = ROOT / "tests" / "reference" / "twilio_chat_v2.json"
WHOLE_SECONDS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
METHODS = ("get", "post", "put", "delete")

# The description calls nearly everything nullable; these are the fields that really may be null (the empty ones of
# the documentation's examples). Anything else that is null is a mistake of ours.
MAY_BE_NULL = {
    "chat.v2.service": {"pre_webhook_url", "post_webhook_url", "webhook_method", "webhook_filters"},
    "chat.v2.service.channel": {"friendly_name", "unique_name"},
    "chat.v2.service.channel.member": {"last_consumed_message_index", "last_consumption_timestamp"},
    "chat.v2.service.channel.message": {"media", "last_updated_by"},
    "chat.v2.service.user": {"friendly_name", "is_online", "is_notifiable"},
    "chat.v2.service.user.user_channel": {"last_consumed_message_index", "unread_messages_count", "member_sid"},
    "chat.v2.service.binding": {"endpoint", "credential_sid"},
    "chat.v2.service.user.user_binding": {"endpoint", "credential_sid"},
    "chat.v2.credential": {"friendly_name", "sandbox"},
}

formats = jsonschema.FormatChecker(formats=())


@formats.checks("date-time")
def _whole_seconds(value):
    return value is None or bool(WHOLE_SECONDS.fullmatch(value))


@formats.checks("uri")
def _absolute(value):
    return value is None or (value.startswith(("http://", "https://")) and bool(urllib.parse.urlsplit(value).netloc))


@formats.checks("uri-map")
def _absolute_map(value):
    return all(map(_absolute, value.values()))


class PublishedSchema:
    def __init__(self):
        document = json.loads(PUBLISHED.read_text())
        self._schemas = document["components"]["schemas"]
        self.operations = {
            (method.upper(), path): item[method]
            for path, item in document["paths"].items()
            for method in METHODS
            if method in item
        }

    def operation_of(self, method, url):
        """The operation that serves a request, as (method, path)."""
        parts = urllib.parse.urlsplit(url).path.split("/")
        fitting = [
            (served, path)
            for served, path in self.operations
            if served == method and _fits(path.split("/"), parts)
        ]
        assert len(fitting) == 1, f"{method} {url} is {fitting}"
        return fitting[0]

    def check(self, resource, answer):
        """Every declared property is there, nulls included, each as declared; dates in whole seconds, URLs absolute."""
        return self._hold(self._resource(resource), answer, resource)

    def check_answer(self, method, url, status, body):
        """One raw answer against its operation, and which operation that was."""
        name = self.operation_of(method, url)
        [(expected, described)] = self.operations[name]["responses"].items()
        where = f"{method} {url}"
        assert status == int(expected), f"{where}: {status}, not {expected}: {body}"
        if "content" in described:
            schema = described["content"]["application/json"]["schema"]
            self._hold(self._as_json_schema(schema), json.loads(body), where)
        else:
            assert not body, f"{where}: a body beside {status}: {body!r}"
        return name

    @staticmethod
    def _hold(schema, answer, where):
        validator = jsonschema.Draft202012Validator(schema, format_checker=formats)
        wrong = [f"{error.json_path}: {error.message}" for error in validator.iter_errors(answer)]
        assert not wrong, f"{where}: {wrong}\n{json.dumps(answer, indent=1)}"
        return answer

    def _resource(self, name):
        schema = self._as_json_schema(self._schemas[name])
        for field, described in schema.get("properties", {}).items():
            if field not in MAY_BE_NULL.get(name, ()):
                schema["properties"][field] = described.get("anyOf", [described])[0]
        return schema

    def _as_json_schema(self, node):
        """OpenAPI 3.0 to JSON Schema: references resolved, `nullable` spelled out, every property required."""
        if isinstance(node, list):
            return [self._as_json_schema(item) for item in node]
        if not isinstance(node, dict):
            return node
        if reference := node.get("$ref"):
            return self._resource(reference.rsplit("/", 1)[1])
        kept = {
            name: self._as_json_schema(value)
            for name, value in node.items()
            if name not in ("nullable", "description", "example", "default", "x-twilio")
        }
        if properties := node.get("properties"):
            kept["required"] = list(properties)
            kept["properties"] = {name: self._as_json_schema(value) for name, value in properties.items()}
        return {"anyOf": [kept, {"type": "null"}]} if node.get("nullable") else kept


def _fits(template, parts):
    return len(template) == len(parts) and all(
        expected == part or (part and expected.startswith("{")) for expected, part in zip(template, parts, strict=True)
    )
