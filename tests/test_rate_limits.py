"""Limits on the rate of requests, where the operator sets them."""

import pytest

from harness.chat import Chat
from harness.cluster import Tenant, running
from harness.rest import Rest, error_of
from harness.waiting import eventually

HEADERS = ("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset")


def left_of(answer):
    return tuple(int(answer.headers[name]) for name in HEADERS)


def until_refused(rest, path, most=50):
    """Asks until it is too much; the answers before, and the refusal."""
    passed = []
    for _ in range(most):
        answer = rest.get(path)
        if answer.status_code == 429:
            return passed, answer
        assert answer.status_code == 200, answer.text
        passed.append(answer)
    raise AssertionError(f"{most} requests passed")


async def test_an_account_gets_a_burst_and_then_its_rate(tmp_path, driver):
    with running("embedded", tmp_path, HUBBUB_RATE_LIMIT_ACCOUNT="8") as cluster:
        chat = Chat(cluster, driver, "limited")
        made = chat.client.api.v2010.accounts.create(friendly_name="neighbour")
        passed, refused = until_refused(chat.rest, chat.path)
        assert all(left_of(answer)[0] == 8 for answer in passed)
        assert left_of(passed[-1])[1] == 0
        assert "again in 1 s" in error_of(refused, 429, 20429)
        assert (refused.headers["retry-after"], left_of(refused)) == ("1", (8, 0, 1))
        assert "twilio-request-id" in refused.headers
        # Another account has its own bucket; health and metrics have none, and who is not let in is not counted.
        neighbour = Tenant(cluster, made)
        rest = Rest(cluster.api, (neighbour.account_sid, neighbour.auth_token))
        assert rest.get("/v2/Services").status_code == 200
        for path in ("/healthz", "/readyz", "/metrics", "/openapi.json"):
            for _ in range(10):
                answer = rest.http.get(path)
                assert answer.status_code == 200 and "x-ratelimit-limit" not in answer.headers
        stranger = Rest(cluster.api, (cluster.account_sid, "0" * 32))
        for _ in range(10):
            assert "x-ratelimit-limit" not in stranger.get("/v2/Services").headers
        await eventually(lambda: chat.rest.get(chat.path).status_code == 200, because="it passes again")
        for one in (rest, stranger):
            one.close()
        await chat.close()


async def test_a_key_is_limited_with_the_tokens_it_signed_and_leaves_the_rest_alone(tmp_path, driver):
    with running("embedded", tmp_path, HUBBUB_RATE_LIMIT_KEY="0.05") as cluster:
        chat = Chat(cluster, driver, "limited")
        key = chat.client.new_keys.create(friendly_name="limited")
        bearer = Rest(cluster.api, bearer=chat.token("alice", key_sid=key.sid, secret=key.secret))
        keyed = Rest(cluster.api, (key.sid, key.secret))
        first = bearer.get(f"{chat.path}/Channels")
        assert first.status_code == 200 and left_of(first)[:2] == (1, 0)
        refused = keyed.get(chat.path)
        error_of(refused, 429, 20429)
        assert 15 <= int(refused.headers["retry-after"]) <= 20
        other = Rest(cluster.api, bearer=chat.token("alice"))
        assert other.get(f"{chat.path}/Channels").status_code == 200, "of another key"
        for _ in range(5):
            answer = chat.rest.get(chat.path)
            assert answer.status_code == 200 and "x-ratelimit-limit" not in answer.headers, "without a key"
        for one in (bearer, keyed, other):
            one.close()
        await chat.close()


@pytest.mark.topologies("embedded")
def test_there_is_no_limit_until_the_operator_sets_one(chat):
    for _ in range(100):
        answer = chat.rest.get(chat.path)
        assert answer.status_code == 200 and "x-ratelimit-limit" not in answer.headers
