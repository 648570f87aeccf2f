"""The API's own description: valid, linted, true of what is served, and good to try things with."""

import asyncio
import json
import os

import openapi_spec_validator
import pytest
from playwright.async_api import expect

from harness.browser import browsing
from harness.node import ROOT
from harness.rest import Rest
from harness.routes import operations
from harness.tenant import Tenant

# The description is the same everywhere; what it says is tried on both databases by the other suites.
pytestmark = pytest.mark.topologies("embedded")

SEED = 20261122
CASES = 6


@pytest.fixture
def document(cluster):
    door = Rest(cluster.api)
    answer = door.get("/openapi.json")
    door.close()
    assert answer.status_code == 200
    return answer.json()


async def run(*command, within, cwd):
    """Runs a tool to its end: its exit code and everything that it said."""
    process = await asyncio.create_subprocess_exec(
        *map(str, command),
        cwd=cwd,
        env={**os.environ, "REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true", "NO_COLOR": "1"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        said, _ = await asyncio.wait_for(process.communicate(), within)
    except TimeoutError:
        process.kill()
        raise
    return process.returncode, said.decode(errors="replace")


def test_the_document_is_valid(document):
    openapi_spec_validator.validate(document)


async def test_the_linter_has_nothing_to_say(document, tmp_path):
    (tmp_path / "openapi.json").write_text(json.dumps(document))
    linter = ROOT / "tests" / "node" / "node_modules" / ".bin" / "redocly"
    config = ROOT / "tests" / "redocly.yaml"
    code, said = await run(
        linter, "lint", "openapi.json", f"--config={config}", "--format=codeframe", within=60, cwd=tmp_path
    )
    assert code == 0, said


def test_every_operation_says_what_it_refuses(document):
    for operation in operations(document):
        described = document["paths"][operation.path][operation.method.lower()]["responses"]
        assert "default" not in described, operation
        expected = {"5XX"} if operation.is_public else {"401", "403", "429", "5XX"}
        assert expected <= set(described), f"{operation}: {sorted(described)}"
        # The demo is not served everywhere.
        is_there = "{" not in operation.path and not operation.path.startswith("/demo")
        assert ("404" not in described) == is_there, operation


async def test_nothing_undocumented_is_answered(cluster, document, receiver, tmp_path):
    """schemathesis against a tenant's real objects: no 5xx, no answer, header or body that the document lacks."""
    tenant = await Tenant(cluster, document["paths"], "the fuzzed").furnish(receiver)
    (tmp_path / "schemathesis.toml").write_text(settings(document, tenant))
    code, said = await run(
        ROOT / "tests" / ".venv" / "bin" / "schemathesis",
        "--config-file=schemathesis.toml",
        "run",
        f"{cluster.api}/openapi.json",
        within=300,
        cwd=tmp_path,
    )
    assert code == 0, said


def settings(document, tenant):
    """The run's configuration: bounded, repeatable, as a key, with the names of things that exist.

    A DELETE gets names that do not exist, or the rest of the run would have nothing left to work on.
    """
    lines = [
        f"seed = {SEED}",
        "workers = 2",
        "continue-on-failure = true",
        "warnings = false",
        "[generation]",
        f"max-examples = {CASES}",
        "deterministic = true",
        "no-shrink = true",
        'database = "none"',
        "[auth.basic]",
        f"username = {json.dumps(tenant.key['sid'])}",
        f"password = {json.dumps(tenant.key['secret'])}",
        "[phases.coverage]",
        'unexpected-methods = ["PATCH"]',
        "[phases.stateful]",
        "enabled = false",
        # Refusals by meaning (a taken name, a page token of nobody's) break no schema.
        "[checks.positive_data_acceptance]",
        "enabled = false",
        # Headers and fields that nobody knows are ignored, and a form knows neither null nor numbers.
        "[checks.negative_data_rejection]",
        "enabled = false",
    ]
    for operation in operations(document):
        chain = [] if operation.is_public else operation.chain(tenant)
        if operation.method == "DELETE" or not chain:
            continue
        names = [part[1:].split("}")[0] for part in operation.path.split("/") if part.startswith("{")]
        given = ", ".join(f'"path.{name}" = "{thing.name}"' for name, thing in zip(names, chain, strict=True))
        lines += [
            "[[operations]]",
            f"include-operation-id = {json.dumps(operation.name)}",
            f"parameters = {{ {given} }}",
        ]
    return "\n".join(lines) + "\n"


async def test_the_documentation_tries_things_in_a_browser(cluster):
    async with browsing() as browser:
        page = await browser.new_page()
        wrong, elsewhere = [], []
        page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda request: elsewhere.append(request.url) if cluster.api not in request.url else None)
        await page.goto(f"{cluster.api}/docs#CreateService")
        await page.get_by_label("Account or API key SID").fill(cluster.account_sid)
        await page.get_by_label("Auth token or secret").fill(cluster.auth_token)

        create = page.locator("#CreateService")
        await create.get_by_label("FriendlyName (body)").fill("made in a browser")
        await create.get_by_role("button", name="Send POST").click()
        await expect(create.locator(".status")).to_have_text("201")
        service = json.loads(await create.locator("pre").inner_text())
        assert service["friendly_name"] == "made in a browser"

        channel = page.locator("#CreateChannel")
        await channel.locator("summary").click()
        await channel.get_by_label("ServiceSid (path)").fill(service["sid"])
        await channel.get_by_label("UniqueName (body)").fill("a/b ü")
        await channel.get_by_role("button", name="Send POST").click()
        await expect(channel.locator(".status")).to_have_text("201")

        fetch = page.locator("#FetchChannel")
        await fetch.locator("summary").click()
        await fetch.get_by_label("ServiceSid (path)").fill(service["sid"])
        await fetch.get_by_label("Sid (path)", exact=True).fill("a/b ü")
        await fetch.get_by_role("button", name="Send GET").click()
        await expect(fetch.locator(".status")).to_have_text("200")
        assert json.loads(await fetch.locator("pre").inner_text())["unique_name"] == "a/b ü"

        listed = page.locator("#ListService")
        await listed.locator("summary").click()
        await listed.get_by_label("PageSize (query)").fill("100")
        await listed.get_by_role("button", name="Send GET").click()
        await expect(listed.locator(".status")).to_have_text("200")
        assert json.loads(await listed.locator("pre").inner_text())["meta"]["page_size"] == 100
        assert not wrong and not elsewhere, f"{wrong} {elsewhere}"

        await page.get_by_label("Auth token or secret").fill("wrong")
        await listed.get_by_role("button", name="Send GET").click()
        await expect(listed.locator(".status")).to_have_text("401")
        assert "20003" in await listed.locator("pre").inner_text()
