"""A real browser."""

import contextlib
import os
import shutil

from playwright.async_api import async_playwright

# What a browser of the machine is called: Debian's, Chrome's, or what PLAYWRIGHT_CHROMIUM says.
BROWSERS = ("chromium-headless-shell", "chromium", "google-chrome")


@contextlib.asynccontextmanager
async def browsing():
    program = os.environ.get("PLAYWRIGHT_CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    assert program, f"no browser: install one of {BROWSERS} (deploy/install-packages chromium-headless-shell)"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            await browser.close()


class Watched:
    """A page, with what went wrong on it and where it went."""

    def __init__(self, page):
        self.page = page
        self.wrong = []
        self.requests = []
        page.on("console", lambda message: self.wrong.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))

    def went_elsewhere(self, base):
        return [url for url in self.requests if not url.startswith((base, "data:"))]
