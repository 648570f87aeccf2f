"""An SMTP server that keeps the letters it takes: in plain text, with STARTTLS or TLS, with a log-in, and with the faults
that servers have."""

import asyncio
import contextlib
import datetime
import email
import email.policy
import ipaddress
import ssl

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from .node import free_port

# What can happen to a letter.
LATER = "451 try again"
NOBODY = "550 no such mailbox"
BREAKS = "taken, and the connection breaks before the answer"
HOLDS = "taken, and the answer does not come"
BREAKS_EARLY = "the connection breaks at the recipient"


class MailServer:
    """`security` is `none`, `starttls` or `tls`; `login` a name and a password."""

    def __init__(self, security="none", login=None, certificate=None):
        self.letters = []
        self.sessions = 0
        self.port = free_port()
        self._fates = {}
        self._login = login
        options = {"auth_require_tls": security != "none", "auth_required": login is not None}
        if login:
            options["authenticator"] = self._authenticate
        context = certificate.server_context() if certificate else None
        if security == "starttls":
            options |= {"tls_context": context, "require_starttls": True}
        if security == "tls":
            options["auth_require_tls"] = False
        self._controller = Controller(
            self,
            hostname="127.0.0.1",
            port=self.port,
            ssl_context=context if security == "tls" else None,
            **options,
        )
        self._controller.start() if security != "tls" else self._start_tls(context)

    def _start_tls(self, _):
        # The controller's own first call does not trust the certificate.
        with contextlib.suppress(ssl.SSLError, OSError):
            self._controller.start()

    def close(self):
        with contextlib.suppress(Exception):
            self._controller.stop()

    def does(self, address, *fates):
        """What the next letters to this address get, in turn; afterwards they are taken."""
        self._fates[address] = list(fates)

    def to(self, address):
        return [letter for letter in list(self.letters) if letter["envelope-to"] == address]

    # --- the server's side

    def _authenticate(self, server, session, envelope, mechanism, data):
        given = (data.login.decode(), data.password.decode())
        return AuthResult(success=given == self._login, handled=False)

    def _fate(self, address):
        fates = self._fates.get(address)
        return fates[0] if fates else None

    def _next(self, address):
        if self._fates.get(address):
            self._fates[address].pop(0)

    async def handle_EHLO(self, server, session, envelope, hostname, responses):
        self.sessions += 1
        session.host_name = hostname
        return responses

    async def handle_RCPT(self, server, session, envelope, address, options):
        fate = self._fate(address)
        if fate == NOBODY:
            self._next(address)
            return "550 5.1.1 no such mailbox"
        if fate == LATER:
            self._next(address)
            return "451 4.7.1 try again"
        if fate == BREAKS_EARLY:
            self._next(address)
            server.transport.abort()
            await asyncio.sleep(0)
            return "421 bye"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        address = envelope.rcpt_tos[0]
        letter = email.message_from_bytes(envelope.content, policy=email.policy.default)
        letter["envelope-to"] = address
        letter["envelope-from"] = envelope.mail_from
        self.letters.append(letter)
        if self._fate(address) == HOLDS:
            self._next(address)
            await asyncio.sleep(30)
        if self._fate(address) == BREAKS:
            self._next(address)
            server.transport.abort()
            await asyncio.sleep(0)
        return "250 OK"


class Certificate:
    """A certificate for localhost, signed by an authority of the test's own, whose file nodes can be told to trust."""

    def __init__(self, folder):
        authority, authority_key = self._make("Test authority", None, None)
        leaf, leaf_key = self._make("localhost", authority, authority_key)
        self.authority_file = folder / "authority.pem"
        self.authority_file.write_bytes(authority.public_bytes(serialization.Encoding.PEM))
        self._leaf_file, self._key_file = folder / "leaf.pem", folder / "key.pem"
        self._leaf_file.write_bytes(leaf.public_bytes(serialization.Encoding.PEM))
        self._key_file.write_bytes(
            leaf_key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )

    def server_context(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._leaf_file, self._key_file)
        return context

    @staticmethod
    def _make(name, issuer, issuer_key):
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer.subject if issuer else subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=30))
            .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        )
        if issuer:
            names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(issuer_key or key, hashes.SHA256()), key
