"""What an operator does: starts, configures, asks for health, runs commands beside the server, ends it."""

import json
import re
import secrets
import signal
import stat

import httpx
import pytest

from harness.chat import Chat
from harness.cluster import running
from harness.node import Node, run_command
from harness.rest import Rest
from harness.waiting import eventually


@pytest.fixture
def rest(cluster):
    made = Rest(cluster.api, (cluster.account_sid, cluster.auth_token))
    yield made
    made.close()


def test_every_node_tells_its_health_without_credentials(cluster):
    for node in cluster.nodes:
        door = Rest(node.url)
        assert door.get("/healthz").status_code == 200, node.name
        ready = door.get("/readyz")
        assert ready.status_code == 200, f"{node.name}: {ready.text}\n{node.log_tail()}"
        door.close()


def test_every_node_has_metrics_for_prometheus(cluster):
    for node in cluster.nodes:
        door = Rest(node.url)
        answer = door.get("/metrics")
        door.close()
        assert answer.status_code == 200, node.name
        assert re.search(r"^# TYPE \w+ (counter|gauge|histogram)$", answer.text, re.MULTILINE), answer.text[:400]


def test_the_documentation_is_served(cluster):
    door = Rest(cluster.api)
    answer = door.get("/docs")
    door.close()
    assert answer.status_code == 200
    assert "text/html" in answer.headers["content-type"]
    assert "hubbub" in answer.text.lower()


def test_an_account_made_beside_the_running_server_works_at_once(cluster):
    made = run_command("account", "create", "--name", "ACME", settings=cluster.nodes[0].settings)
    assert made.returncode == 0, made.stderr
    account = json.loads(made.stdout)
    assert set(account) == {"sid", "auth_token", "friendly_name"}
    assert account["friendly_name"] == "ACME"
    door = Rest(cluster.api, (account["sid"], account["auth_token"]))
    assert door.get("/v2/Services").json()["services"] == []
    door.close()
    listed = run_command("account", "list", settings=cluster.nodes[0].settings)
    assert listed.returncode == 0, listed.stderr
    assert account["sid"] in listed.stdout and cluster.account_sid in listed.stdout
    assert account["auth_token"] not in listed.stdout


async def test_the_token_command_makes_a_token_that_connects(chat):
    made = run_command("token", "--service", chat.sid, "--identity", "alice", settings=chat.cluster.nodes[0].settings)
    assert made.returncode == 0, made.stderr
    alice = await chat.person("alice", token=made.stdout.strip())
    assert alice.initialized["user"]["identity"] == "alice"


@pytest.mark.topologies("embedded", "cluster")
def test_migrate_by_hand_is_harmless_on_a_migrated_database(cluster, rest):
    done = run_command("migrate", settings=cluster.nodes[0].settings)
    assert done.returncode == 0, done.stderr
    assert rest.get("/v2/Services").status_code == 200


def test_the_first_start_prints_the_credentials_once_and_keeps_them_to_the_owner(tmp_path):
    node = Node("fresh", tmp_path, {}).start().wait_ready()
    first = "\n".join(node.printed)
    sid = re.search(r"AC[0-9a-f]{32}", first)
    assert sid, first
    [token] = set(re.findall(r"\b[0-9a-f]{32}\b", first)) - {sid[0]}
    assert can_list_services(node, sid[0], token)
    kept = [
        path for path in (tmp_path / "fresh-data").rglob("*") if path.is_file() and token in path.read_text("latin-1")
    ]
    assert kept, "the token is kept"
    assert {stat.S_IMODE(path.stat().st_mode) for path in kept} == {0o600}
    assert node.stop() == 0
    node.printed.clear()
    node.start().wait_ready()
    assert not any(token in line for line in node.printed), "printed once"
    assert can_list_services(node, sid[0], token)
    assert node.stop() == 0


def can_list_services(node, sid, token):
    door = Rest(node.url, (sid, token))
    answer = door.get("/v2/Services")
    door.close()
    return answer.status_code == 200


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("HUBBUB_LISTEN", "nowhere"),
        ("HUBBUB_ROLES", "api,gatekeeper"),
        ("HUBBUB_DATABASE_URL", "mysql://127.0.0.1/hubbub"),
        ("HUBBUB_AMQP_URL", "http://127.0.0.1"),
        ("HUBBUB_MASTER_KEY", "too short"),
        ("HUBBUB_ACCOUNT_SID", "AC123"),
        ("HUBBUB_WEBHOOK_ALLOW_PRIVATE", "perhaps"),
        ("HUBBUB_EVENT_RETENTION", "a week"),
        ("HUBBUB_SOCKET_QUEUE", "plenty"),
        ("HUBBUB_SOCKET_QUEUE_TOTAL", "1KiB"),
        ("HUBBUB_SOCKETS_PER_USER", "0"),
        ("HUBBUB_SOCKETS_PER_ACCOUNT", "many"),
        ("HUBBUB_SOCKET_RATE", "fast"),
        ("HUBBUB_AUDIT_RETENTION", "for ever"),
        ("HUBBUB_LIMIT_CEILING", "0"),
        ("HUBBUB_TYPING_CHANNEL_LIMIT", "many"),
        ("HUBBUB_RATE_LIMIT_ACCOUNT", "0"),
        ("HUBBUB_RATE_LIMIT_KEY", "ten"),
        ("HUBBUB_PUBLIC_URL", "not a url"),
        ("HUBBUB_DRAIN_DELAY", "2m"),
    ],
)
def test_a_wrong_setting_stops_the_start_and_names_the_variable(tmp_path, variable, value):
    ended = run_command(
        settings={**Node("wrong", tmp_path, {}).settings, "HUBBUB_AUTH_TOKEN": "a" * 32, variable: value}
    )
    assert ended.returncode != 0
    assert variable in ended.stderr, ended.stderr
    assert "panicked" not in ended.stderr, ended.stderr


def test_postgres_without_a_master_key_stops_the_start(tmp_path):
    settings = {**Node("keyless", tmp_path, {}).settings, "HUBBUB_DATABASE_URL": "postgres://hubbub@127.0.0.1:1/hubbub"}
    ended = run_command(settings=settings)
    assert ended.returncode != 0
    assert "HUBBUB_MASTER_KEY" in ended.stderr, ended.stderr


def test_the_account_given_by_variables_is_found_again_by_the_next_start(tmp_path):
    pair = {"HUBBUB_ACCOUNT_SID": f"AC{secrets.token_hex(16)}", "HUBBUB_AUTH_TOKEN": secrets.token_hex(16)}
    node = Node("again", tmp_path, pair).start().wait_ready()
    door = Rest(node.url, tuple(pair.values()))
    made = door.post("/v2/Services", {"FriendlyName": "kept"}).json()
    assert node.stop() == 0
    node.start().wait_ready()
    assert door.get(f"/v2/Services/{made['sid']}").json()["friendly_name"] == "kept"
    door.close()
    assert node.stop() == 0


async def test_sigterm_ends_sockets_by_their_transport_so_that_clients_come_back(tmp_path, driver):
    with running("embedded", tmp_path) as cluster:
        chat = Chat(cluster, driver, "draining")
        alice = await chat.person("alice", "js-websocket")
        bob = await chat.person("bob", "js-polling")
        exit_codes = [node.stop() for node in cluster.nodes]
        assert exit_codes == [0]
        assert await alice.is_disconnected() in ("transport close", "transport error")
        assert await bob.is_disconnected() in ("transport close", "transport error")
        cluster.start()


async def test_a_process_that_will_end_sends_balancers_away_while_it_still_serves(tmp_path, driver):
    with running("embedded", tmp_path, HUBBUB_DRAIN_DELAY="5s") as cluster:
        chat = Chat(cluster, driver, "leaving")
        [node] = cluster.nodes
        alice = await chat.person("alice")
        assert chat.rest.get("/readyz").status_code == 200
        node.process.send_signal(signal.SIGTERM)
        await eventually(lambda: httpx.get(f"{node.url}/readyz").status_code == 503, because="it is not ready any more")
        assert httpx.get(f"{node.url}/readyz").json() == {"status": "draining"}
        assert httpx.get(f"{node.url}/healthz").status_code == 200
        chat.channel("general", "alice")
        await alice.sends("general", "still served")
        bob = await chat.person("bob")
        assert node.stop() == 0, "a second signal ends the waiting"
        for somebody in (alice, bob):
            assert await somebody.is_disconnected() in ("transport close", "transport error")
        cluster.start()


def test_public_urls_come_from_the_setting(tmp_path):
    with running("embedded", tmp_path, HUBBUB_PUBLIC_URL="https://chat.example.com") as cluster:
        door = Rest(cluster.api, (cluster.account_sid, cluster.auth_token))
        made = door.post("/v2/Services", {"FriendlyName": "public"}).json()
        assert made["url"] == f"https://chat.example.com/v2/Services/{made['sid']}"
        assert made["links"]["channels"].startswith("https://chat.example.com/")
        door.close()
