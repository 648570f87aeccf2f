"""Access tokens with whatever is wrong with them: signed by hand, since the libraries refuse to."""

import base64
import hashlib
import hmac
import json
import time


def token(account_sid, key, service_sid, identity="alice", secret=None, algorithm="HS256", **claims):
    """What the libraries would make of these, with some claims changed, or signed with another secret."""
    now = int(time.time())
    return signed(
        {
            "jti": f"{key['sid']}-{now}",
            "iss": key["sid"],
            "sub": account_sid,
            "exp": now + 3600,
            "grants": {"identity": identity, "chat": {"service_sid": service_sid}},
        }
        | claims,
        key["secret"] if secret is None else secret,
        algorithm,
    )


def signed(claims, secret, algorithm="HS256"):
    """A JWT, whatever is in it; `none` has no signature, and others are signed as if they were HS256."""
    header = {"typ": "JWT", "alg": algorithm, "cty": "twilio-fpa;v=1"}
    said = b".".join(_encoded(json.dumps(part).encode()) for part in (header, claims))
    signature = b"" if algorithm == "none" else hmac.new(secret.encode(), said, hashlib.sha256).digest()
    return b".".join((said, _encoded(signature))).decode()


def _encoded(part):
    return base64.urlsafe_b64encode(part).rstrip(b"=")
