"""Tenants choose what is called, but not everything: no connection ever reaches a closed address."""

import asyncio
import socket
import threading

import httpx
import pytest

from harness.chat import Chat
from harness.cluster import running
from harness.hostile import hostile_urls
from harness.rest import error_of
from harness.waiting import eventually

AT_ONCE = 16
WEBHOOK_FORMAT = 50054


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Trap:
    """Listens on both loopback addresses at one port, keeps what comes, and gives the same answer to all."""

    def __init__(self, answer=OK):
        self.answer = answer
        self.visits = []
        first = socket.create_server(("127.0.0.1", 0))
        self.port = first.getsockname()[1]
        self._listeners = [first]
        if socket.has_ipv6:
            self._listeners.append(socket.create_server(("::1", self.port), family=socket.AF_INET6))
        for listener in self._listeners:
            threading.Thread(target=self._listen, args=(listener,), daemon=True).start()

    def _listen(self, listener):
        while True:
            try:
                visitor, _ = listener.accept()
            except OSError:
                return
            with visitor:
                self.visits.append(visitor.recv(4096))
                visitor.sendall(self.answer)

    def close(self):
        for listener in self._listeners:
            listener.close()


@pytest.fixture
def trap():
    made = Trap()
    yield made
    made.close()


def fields_of(chat):
    """Every place where a tenant names an address: path, form but for the address, name of the address."""
    channel = chat.channel("general").sid
    return [
        (chat.path, {}, "PostWebhookUrl"),
        (chat.path, {}, "PreWebhookUrl"),
        (f"{chat.path}/Channels/{channel}/Webhooks", {"Type": "webhook"}, "Configuration.Url"),
        (f"{chat.path}/WebhookEndpoints", {}, "Url"),
    ]


async def test_no_hostile_url_is_saved_and_the_field_is_named(tmp_path, driver, trap):
    urls = hostile_urls(trap.port)
    assert len(urls) >= 1000
    with running("embedded", tmp_path, HUBBUB_WEBHOOK_ALLOW_PRIVATE="false") as cluster:
        chat = Chat(cluster, driver, "hostile")
        service, *others = fields_of(chat)
        chat.service.update(webhook_filters=["onMessageSent"])
        wrong = []
        turns = asyncio.Semaphore(AT_ONCE)
        credentials = (cluster.account_sid, cluster.auth_token)
        async with httpx.AsyncClient(base_url=cluster.api, auth=credentials, timeout=30) as door:

            async def offer(number, url):
                # To the service, and to the other places in turn.
                for path, form, field in (service, others[number % len(others)]):
                    async with turns:
                        answer = await door.post(path, data={**form, field: url})
                    said = answer.json()
                    refused = (answer.status_code, said.get("code")) == (400, WEBHOOK_FORMAT)
                    if not refused or not said["message"].startswith(f"{field} "):
                        wrong.append((field, url, answer.status_code, said))

            await asyncio.gather(*(offer(*offered) for offered in enumerate(urls)))
        assert not wrong, f"{len(wrong)}: {wrong[:10]}"
        settings = chat.rest.get(chat.path).json()
        assert settings["pre_webhook_url"] is settings["post_webhook_url"] is None
        chat.rest.post(f"{chat.path}/Channels/general/Messages", {"Body": "x"}, x_twilio_webhook_enabled="true")
        assert chat.rest.get(f"{chat.path}/WebhookDeliveries").json()["deliveries"] == []
        await chat.close()
    assert trap.visits == []


def test_the_refusal_tells_nothing_about_the_network_inside(tmp_path, driver):
    with running("embedded", tmp_path, HUBBUB_WEBHOOK_ALLOW_PRIVATE="false") as cluster:
        chat = Chat(cluster, driver, "curious")
        for url in ("http://10.0.0.1/", "http://192.0.2.1/", "http://internal-db/"):
            message = error_of(chat.rest.post(chat.path, {"PostWebhookUrl": url}), 400, WEBHOOK_FORMAT)
            assert message == "PostWebhookUrl destination not allowed"
        chat.rest.close()


async def test_what_was_saved_while_it_was_allowed_is_not_called_when_it_no_longer_is(tmp_path, driver, trap):
    with running("embedded", tmp_path, HUBBUB_WEBHOOK_ALLOW_PRIVATE="true") as cluster:
        chat = Chat(cluster, driver, "closed later")
        channel = chat.channel("general").sid
        chat.service.update(
            post_webhook_url=f"http://127.0.0.1:{trap.port}/", webhook_filters=["onMessageSent"], post_webhook_retry_count=3
        )
        for host in ("localhost", "[::1]", "0x7f000001", "[::ffff:127.0.0.1]", "127.1"):
            form = {"Type": "webhook", "Configuration.Url": f"http://{host}:{trap.port}/"}
            form["Configuration.Filters"] = "onMessageSent"
            made = chat.rest.post(f"{chat.path}/Channels/{channel}/Webhooks", form)
            assert made.status_code == 201, made.text
        form = {"Url": f"http://localhost:{trap.port}/", "Events": "onMessageSent"}
        made = chat.rest.post(f"{chat.path}/WebhookEndpoints", form)
        assert made.status_code == 201, made.text
        [node] = cluster.nodes
        assert node.stop() == 0
        node.settings["HUBBUB_WEBHOOK_ALLOW_PRIVATE"] = "false"
        cluster.restart()
        chat.rest.post(f"{chat.path}/Channels/general/Messages", {"Body": "x"}, x_twilio_webhook_enabled="true")
        deliveries = lambda **query: chat.rest.get(f"{chat.path}/WebhookDeliveries", **query).json()["deliveries"]  # noqa: E731
        await eventually(lambda: deliveries() and not deliveries(Status="pending"), because="all are given up")
        assert len(deliveries()) == 7, "one to each"
        for delivery in deliveries():
            assert (delivery["status"], delivery["response_status"]) == ("dead", None)
            assert "destination not allowed" in delivery["last_error"]
        await chat.close()
    assert trap.visits == []


async def test_neither_redirects_nor_proxies_lead_anywhere(tmp_path, driver, trap):
    endpoint = Trap()
    proxy = f"http://127.0.0.1:{trap.port}"
    proxies = {name: proxy for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")}
    with running("embedded", tmp_path, **proxies) as cluster:
        chat = Chat(cluster, driver, "led astray")
        chat.channel("general")
        chat.service.update(
            post_webhook_url=f"http://127.0.0.1:{endpoint.port}/",
            webhook_filters=["onMessageSent"],
            post_webhook_retry_count=3,
        )
        targets = (f"http://127.0.0.1:{trap.port}/", "http://169.254.169.254/latest/meta-data", f"//[::1]:{trap.port}/")
        redirects = [(status, target) for status in (301, 302, 303, 307, 308) for target in targets]
        dead = lambda: chat.rest.get(f"{chat.path}/WebhookDeliveries", Status="dead").json()["deliveries"]  # noqa: E731
        for number, (status, target) in enumerate(redirects, start=1):
            head = f"HTTP/1.1 {status} Elsewhere\r\nLocation: {target}\r\n"
            endpoint.answer = f"{head}Content-Length: 0\r\nConnection: close\r\n\r\n".encode()
            chat.rest.post(f"{chat.path}/Channels/general/Messages", {"Body": "x"}, x_twilio_webhook_enabled="true")
            await eventually(lambda count=number: len(dead()) == count, because="a redirect is no success")
            assert dead()[0]["response_status"] == status
        assert len(endpoint.visits) == len(redirects)
        await chat.close()
    endpoint.close()
    assert trap.visits == []
