"""What a service sends SMS and e-mail through: the settings, what they keep secret, and trying them out."""

import json

import pytest

from harness import mail_server, sms_provider
from harness.chat import Chat
from harness.cluster import running
from harness.mail_server import Certificate, MailServer
from harness.rest import error_of
from harness.sms_provider import SmsProvider

pytestmark = pytest.mark.topologies("embedded", "cluster")


class Providers:
    """The providers of one service over REST."""

    def __init__(self, chat):
        self.rest, self.path = chat.rest, f"{chat.path}/Providers"

    def sets(self, kind, settings, status=201, **more):
        answer = self.rest.post(f"{self.path}/{kind}", {**settings, **more})
        assert answer.status_code == status, answer.text
        return answer.json()

    def refuses(self, kind, settings, code=20001, **more):
        given = {name: value for name, value in {**settings, **more}.items() if value is not None}
        return error_of(self.rest.post(f"{self.path}/{kind}", given), 400, code)

    def tries(self, kind, to, **more):
        answer = self.rest.post(f"{self.path}/{kind}/Test", {"To": to, **more})
        assert answer.status_code == 200, answer.text
        assert answer.json()["duration_ms"] >= 0
        return answer.json()


@pytest.fixture
def providers(chat):
    return Providers(chat)


@pytest.fixture
def sms():
    made = SmsProvider()
    yield made
    made.close()


@pytest.fixture
def mail():
    made = MailServer(login=("postman", "s3cret"), security="none")
    yield made
    made.close()


def email_settings(server, **more):
    return {"Host": "localhost", "Port": str(server.port), "Tls": "none", "From": "Chat <chat@example.com>", **more}


# --- the resource


def test_an_sms_provider_is_set_shown_without_its_token_and_deleted(chat, providers, sms):
    assert error_of(chat.rest.get(f"{providers.path}/sms"), 404, 20404)
    made = providers.sets("sms", sms.settings)
    assert {name: made[name] for name in made if not name.startswith("date_")} == {
        "kind": "sms",
        "account_sid": chat.cluster.account_sid,
        "service_sid": chat.sid,
        "from": "+15017122661",
        "provider_url": sms.url,
        "provider_account_sid": sms.account_sid,
        "has_auth_token": True,
        "host": None,
        "port": None,
        "username": None,
        "has_password": False,
        "tls": None,
        "notice_delay": None,
        "notice_subject": None,
        "notice_body": None,
        "url": f"{chat.cluster.api}{providers.path}/sms",
    }
    assert chat.rest.http.get(made["url"]).json() == made
    changed = providers.sets("sms", {"From": "Acme"}, status=200)
    assert (changed["from"], changed["provider_url"], changed["has_auth_token"]) == ("Acme", sms.url, True)
    assert chat.rest.get(providers.path).json()["providers"] == [changed]
    everything = chat.rest.get(f"{chat.path}/AuditEvents").text + json.dumps([made, changed])
    assert "provider.update" in everything
    assert sms.auth_token not in everything, "the token goes in and never comes out"
    assert chat.rest.delete(f"{providers.path}/sms").status_code == 204
    assert error_of(chat.rest.get(f"{providers.path}/sms"), 404, 20404)
    assert error_of(chat.rest.delete(f"{providers.path}/sms"), 404, 20404)
    assert error_of(chat.rest.get(f"{providers.path}/fax"), 404, 20404)


def test_an_email_provider_has_the_ports_that_mail_has(providers):
    smallest = {"Host": "127.0.0.1", "From": "chat@example.com"}
    made = providers.sets("email", smallest)
    assert (made["host"], made["port"], made["tls"], made["username"], made["has_password"]) == (
        "127.0.0.1",
        587,
        "starttls",
        None,
        False,
    )
    made = providers.sets("email", {"Username": "postman", "Password": "s3cret"}, status=200)
    assert (made["username"], made["has_password"]) == ("postman", True)
    assert "s3cret" not in json.dumps(made)
    made = providers.sets("email", {"Username": "", "Password": ""}, status=200)
    assert (made["username"], made["has_password"]) == (None, False)


def test_what_is_wrong_or_missing_is_named(providers, sms):
    for field in ("Url", "AccountSid", "AuthToken", "From"):
        assert providers.refuses("sms", sms.settings, **{field: None}).startswith(field)
    assert "From" in providers.refuses("sms", sms.settings, From="a name that is too long")
    assert "From" in providers.refuses("sms", sms.settings, From="+1 501\r\nX")
    assert "Url" in providers.refuses("sms", sms.settings, code=50054, Url="ftp://example.com/")
    good = {"Host": "smtp.example.com", "From": "chat@example.com"}
    for field, values in {
        "Host": ["smtp example.com", "smtp.example.com:25", "user@smtp.example.com", "a/b"],
        "Port": ["0", "65536", "x"],
        "Tls": ["ssl"],
        "From": ["chat", "chat@", "a@example.com, b@example.com", "a@example.com\r\nBcc: b@example.com"],
        "NoticeDelay": ["-1", "604801", "soon"],
    }.items():
        for value in values:
            message = providers.refuses("email", good, **{field: value})
            assert message.startswith(field), f"{value!r}: {message}"
    for field in ("Host", "From"):
        assert providers.refuses("email", good, **{field: None}).startswith(field)
    assert providers.refuses("email", good, Username="postman").startswith("Password")
    assert providers.refuses("email", good, Password="secret").startswith("Username")


def test_a_secret_is_not_told_to_a_new_server(providers, sms, mail):
    providers.sets("sms", sms.settings)
    assert providers.refuses("sms", {"Url": "https://api.example.com/Messages.json"}).startswith("AuthToken")
    providers.sets("sms", {"Url": f"{sms.url}?region=1"}, status=200)
    providers.sets("sms", {"Url": "https://api.example.com/Messages.json", "AuthToken": "another"}, status=200)
    providers.sets("email", email_settings(mail, Username="postman", Password="s3cret"))
    assert providers.refuses("email", {"Host": "smtp.example.com", "Port": "25"}).startswith("Password")


def test_only_backends_see_and_set_them(chat, providers, sms):
    providers.sets("sms", sms.settings)
    user = chat.bearer("alice")
    for answer in (
        user.get(providers.path),
        user.get(f"{providers.path}/sms"),
        user.post(f"{providers.path}/sms", {"From": "Eve"}),
        user.post(f"{providers.path}/sms/Test", {"To": "+15005550006"}),
        user.delete(f"{providers.path}/sms"),
    ):
        error_of(answer, 403, 20006)
    assert not sms.calls


# --- trying them out


def test_an_sms_is_tried_out_and_the_answer_told_truthfully(providers, sms):
    providers.sets("sms", sms.settings)
    outcome = providers.tries("sms", "+1 (500) 555-0006", Body="Does it work?")
    [taken] = sms.taken
    assert (taken.to, taken.sender, taken.body, taken.callback) == (
        "+15005550006",
        "+15017122661",
        "Does it work?",
        None,
    )
    assert (outcome["status"], outcome["provider_sid"], outcome["error"]) == ("sent", taken.sid, None)
    sms.does("+15005550001", sms_provider.REFUSED)
    outcome = providers.tries("sms", "+15005550001")
    assert outcome["status"] == "failed" and outcome["error"].startswith("21211: ")
    sms.does("+15005550002", sms_provider.UNAVAILABLE)
    assert providers.tries("sms", "+15005550002")["error"] == "answered with status 503"
    sms.does("+15005550003", sms_provider.BREAKS)
    assert providers.tries("sms", "+15005550003")["status"] == "unknown", "it was taken, and we cannot know"
    providers.sets("sms", {"AuthToken": "wrong"}, status=200)
    outcome = providers.tries("sms", "+15005550006")
    assert (outcome["status"], outcome["error"]) == ("failed", "20003: Authenticate")
    assert "To" in error_of(providers.rest.post(f"{providers.path}/sms/Test", {"To": "5005550006"}), 400, 20001)


def test_a_letter_is_tried_out_with_a_log_in(providers, mail):
    providers.sets("email", email_settings(mail, Username="postman", Password="s3cret"))
    outcome = providers.tries("email", "Ada <ada@example.com>", Body="Grüße\n.\nEnde")
    assert (outcome["status"], outcome["error"]) == ("sent", None), outcome
    [letter] = mail.letters
    assert (letter["from"], letter["to"]) == ("Chat <chat@example.com>", "Ada <ada@example.com>")
    assert letter.get_content().replace("\r\n", "\n").strip() == "Grüße\n.\nEnde"
    assert letter["message-id"].endswith("@example.com>")
    mail.does("nobody@example.com", mail_server.NOBODY)
    outcome = providers.tries("email", "nobody@example.com")
    assert outcome["status"] == "failed" and "550" in outcome["error"], outcome
    assert mail.sessions == 1, "the connection is kept"
    mail.does("ada@example.com", mail_server.BREAKS)
    assert providers.tries("email", "ada@example.com")["status"] == "unknown"
    mail.does("ada@example.com", mail_server.BREAKS_EARLY)
    assert providers.tries("email", "ada@example.com")["status"] == "failed"
    providers.sets("email", {"Password": "wrong"}, status=200)
    outcome = providers.tries("email", "ada@example.com")
    assert outcome["status"] == "failed" and "535" in outcome["error"], outcome
    for to in ("ada", "a@example.com, b@example.com", "a@example.com\nBcc: b@example.com"):
        assert "To" in error_of(providers.rest.post(f"{providers.path}/email/Test", {"To": to}), 400, 20001)


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_letters_are_encrypted_for_the_name_that_was_set(tmp_path, driver, security):
    certificate = Certificate(tmp_path)
    server = MailServer(security, login=("postman", "s3cret"), certificate=certificate)
    with running("embedded", tmp_path, SSL_CERT_FILE=certificate.authority_file) as cluster:
        chat = Chat(cluster, driver, security)
        providers = Providers(chat)
        providers.sets("email", email_settings(server, Tls=security, Username="postman", Password="s3cret"))
        outcome = providers.tries("email", "ada@example.com")
        assert (outcome["status"], outcome["error"]) == ("sent", None), outcome
        await chat.close()
    (tmp_path / "other").mkdir()
    with running("embedded", tmp_path / "other") as cluster:
        chat = Chat(cluster, driver, security)
        providers = Providers(chat)
        providers.sets("email", email_settings(server, Tls=security, Username="postman", Password="s3cret"))
        outcome = providers.tries("email", "ada@example.com")
        assert outcome["status"] == "failed" and "certificate" in outcome["error"], outcome
        await chat.close()
    assert len(server.letters) == 1, "who is not trusted is told nothing"
    server.close()


def test_a_server_without_starttls_gets_nothing(providers, mail):
    providers.sets("email", email_settings(mail, Tls="starttls"))
    outcome = providers.tries("email", "ada@example.com")
    assert outcome["status"] == "failed" and "STARTTLS" in outcome["error"], outcome
    assert not mail.letters


# --- where they may not lead


async def test_closed_addresses_are_refused(tmp_path, driver, sms, mail):
    good = {"From": "chat@example.com"}
    with running("embedded", tmp_path, HUBBUB_WEBHOOK_ALLOW_PRIVATE="false") as cluster:
        chat = Chat(cluster, driver, "closed")
        providers = Providers(chat)
        assert "Url" in providers.refuses("sms", sms.settings, code=50054)
        for host in ("localhost", "127.0.0.1", "10.0.0.1", "169.254.169.254", "2130706433", "[::1]", "mail"):
            assert "Host" in providers.refuses("email", good, code=50054, Host=host), host
        assert "Port" in providers.refuses("email", good, code=50054, Host="smtp.example.com", Port="22")
        await chat.close()


def test_the_metadata_service_is_closed_whatever_the_operator_says(providers, sms):
    for host in ("169.254.169.254", "[fd00:ec2::254]", "metadata.google.internal"):
        message = providers.refuses("email", {"From": "chat@example.com"}, code=50054, Host=host)
        assert message == "Host destination not allowed"
        assert "Url" in providers.refuses("sms", sms.settings, code=50054, Url=f"http://{host}/Messages.json")
