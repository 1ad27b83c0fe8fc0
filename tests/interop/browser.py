"""The dashboard in a real browser: Debian's Chromium, driven by Playwright."""

import contextlib
import json
import subprocess
from urllib.parse import parse_qsl, urlsplit

from playwright.sync_api import sync_playwright

from cartlog import BINARY, environment

FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]


@contextlib.contextmanager
def served(store, *words, listen="127.0.0.1:0"):
    """The address of `cartlog serve` on a store."""
    command = [BINARY, "serve", "--listen", listen, "--json", "--store", store, *words]
    server = subprocess.Popen([*map(str, command)], stdout=subprocess.PIPE, text=True, env=environment())
    try:
        yield f"http://{json.loads(server.stdout.readline())['address']}"
    finally:
        server.terminate()
        server.wait(20)


@contextlib.contextmanager
def chromium():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        yield browser
        browser.close()


class Visit:
    """A visit to the page, which notes what must not happen: errors in the console, requests to anywhere else."""

    def __init__(self, browser, address, width=1400, height=1000, **options):
        self.address, self.wrong = address, []
        self.context = browser.new_context(viewport={"width": width, "height": height}, **options)
        self.page = self.context.new_page()
        self.page.set_default_timeout(60_000)
        self.page.on("console", lambda message: message.type in ("error", "warning") and self.wrong.append(message.text))
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("request", self.note)

    def note(self, request):
        if not request.url.startswith(f"{self.address}/"):
            self.wrong.append(request.url)

    def open(self, query=""):
        self.page.goto(f"{self.address}/{query}")
        self.settled()
        return self

    def settled(self):
        """Waits until every part shows what the address asks for."""
        # The page hears of a step back in its history after the browser has made it.
        self.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        self.page.wait_for_function(
            "() => [...document.querySelectorAll('[data-part]')].every((part) => part.getAttribute('aria-busy') === 'false')"
        )

    def query(self):
        return sorted(parse_qsl(urlsplit(self.page.url).query))

    def marks(self, section):
        """The labels and values of a section's picture, in the order in which it draws them."""
        return self.page.eval_on_selector_all(
            f"#{section} svg [data-label]",
            "(marks) => marks.map((mark) => [mark.dataset.label, Number(mark.dataset.value)])",
        )

    def figures(self):
        return self.page.evaluate(
            "() => Object.fromEntries([...document.querySelectorAll('#figures dl > div')].map((figure) => "
            "[figure.querySelector('dt').textContent, Number(figure.querySelector('.value').dataset.value)]))"
        )

    def click(self, section, label):
        """Follows the link of a mark."""
        self.page.evaluate(
            "([section, label]) => document.querySelector(`#${section} svg a[data-label=\"${CSS.escape(label)}\"]`)"
            ".dispatchEvent(new MouseEvent('click', { bubbles: true, cancelable: true }))", [section, label])
        self.settled()

    def close(self):
        self.context.close()
        assert self.wrong == []
