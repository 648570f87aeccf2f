"""Plain HTTP to the REST door, for what the libraries hide."""

import time

import httpx


class Rest:
    """A client with one caller's credentials: (user, password), a bearer token, or nothing."""

    def __init__(self, base_url, credentials=None, bearer=None):
        self.base_url = base_url
        headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        self.http = httpx.Client(base_url=base_url, auth=credentials, headers=headers, timeout=20)

    def get(self, path, **query):
        return self.http.get(path, params=query or None)

    def post(self, path, form=None, json=None, **headers):
        """`headers` are written as Python names: `idempotency_key="x"`."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.http.post(path, data=form, json=json, headers=named)

    def put(self, path, form=None, json=None, **headers):
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.http.put(path, data=form, json=json, headers=named)

    def delete(self, path, **headers):
        return self.http.delete(path, headers={name.replace("_", "-"): value for name, value in headers.items()})

    def close(self):
        self.http.close()


def error_of(response, status, code):
    """Checks an error answer from head to toe and returns its message."""
    assert response.status_code == status, f"{response.status_code}: {response.text}"
    assert response.headers["content-type"].startswith("application/json"), response.headers
    body = response.json()
    assert {"code", "message", "more_info", "status"} <= set(body), body
    assert not {"type", "title"} & set(body), f"{body}: the libraries would raise another class"
    assert (body["status"], body["code"]) == (status, code), body
    assert str(code) in body["more_info"], body
    return body["message"]


def seconds_now():
    return int(time.time())
