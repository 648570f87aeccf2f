"""The published description of the REST API, as something an answer can be held against."""

import json
import re

import jsonschema

from .node import ROOT

PUBLISHED = ROOT.parent / "shared" / "reference" / "twilio_chat_v2.json"
WHOLE_SECONDS = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")


def _as_json_schema(node, schemas):
    """OpenAPI 3.0 to JSON Schema: references resolved, `nullable` spelled out, prose dropped."""
    if isinstance(node, list):
        return [_as_json_schema(item, schemas) for item in node]
    if not isinstance(node, dict):
        return node
    if reference := node.get("$ref"):
        return _as_json_schema(schemas[reference.rsplit("/", 1)[1]], schemas)
    kept = {
        name: _as_json_schema(value, schemas)
        for name, value in node.items()
        if name not in ("nullable", "description", "example", "default", "x-twilio")
    }
    return {"anyOf": [kept, {"type": "null"}]} if node.get("nullable") else kept


class PublishedSchema:
    def __init__(self):
        if not PUBLISHED.exists():
            raise AssertionError(f"{PUBLISHED} is missing: it lies in the folder `shared` beside the clone")
        self._schemas = json.loads(PUBLISHED.read_text())["components"]["schemas"]

    def check(self, resource, answer):
        """Every declared property is there, nulls included, each as declared; dates in whole seconds, URLs absolute."""
        schema = self._schemas[resource]
        missing = set(schema["properties"]) - set(answer)
        assert not missing, f"{resource} lacks {sorted(missing)}"
        jsonschema.validate(answer, _as_json_schema(schema, self._schemas))
        for name, described in schema["properties"].items():
            value = answer[name]
            if value is None:
                continue
            if described.get("format") == "date-time":
                assert WHOLE_SECONDS.match(value), f"{resource}.{name}: {value}"
            if described.get("format") == "uri" and name == "url":
                assert re.match("https?://", value), f"{resource}.{name}: {value}"
        return answer
