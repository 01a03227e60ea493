"""A Chromium that watches the pages it opens: Content-Security-Policy, errors, accessibility, keyboard, width."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Error, Page, Playwright, Request, Response

from tests.browser import axe

CHROMIUM_OPTIONS = [
    "--no-sandbox",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-sync",
    "--metrics-recording-only",
]
MARK_CONTROLS = (Path(__file__).parent / "controls.js").read_text()
# Between two pages a document has no element yet: it has to be complete before anything can be said of it.
SETTLED = """() => document.readyState === 'complete'
    && !document.documentElement.hasAttribute('x-cloak') && !document.querySelector('.htmx-request')"""


@dataclass(frozen=True, slots=True)
class View:
    """How somebody looks at the portal: colours and width."""

    scheme: Literal["light", "dark"]
    width: int
    height: int

    @property
    def name(self) -> str:
        """Such as "dark-narrow"."""
        return f"{self.scheme}-{'wide' if self.width > 1000 else 'narrow'}"


WIDE = View("light", 1440, 900)
VIEWS = [WIDE, View("dark", 1440, 900), View("light", 390, 844), View("dark", 390, 844)]


@dataclass
class Watched:
    """A page, and everything that went wrong on it since it was opened."""

    page: Page
    base: str
    view: View
    faults: list[str] = field(default_factory=list)

    def turn(self, view: View) -> None:
        """Look in other colours and at another width from now on; what the browser has loaded before it keeps."""
        self.view = view
        self.page.emulate_media(color_scheme=view.scheme)
        self.page.set_viewport_size({"width": view.width, "height": view.height})

    def open(self, path: str, *, status: int = 200) -> None:
        """Load a page and wait until its scripts have done their part. Any other answer than `status` is a fault."""
        answer = self.page.goto(self.base + path)
        if answer is None or answer.status != status:
            self.faults.append(f"{path} answered {answer.status if answer else 'nothing'}")
        if status >= 400:  # Chromium reports an answer that was asked for as an error
            self.faults = [fault for fault in self.faults if f"a status of {status} " not in fault]
        self.settle()

    def settle(self) -> None:
        """Wait until Alpine has started, no htmx request is under way, and what they changed has been drawn."""
        self.page.wait_for_function(SETTLED)
        self.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 50)))")

    def audit(self) -> list[str]:
        """Every fault of the page as it stands: policy and script errors, accessibility, width."""
        found = [*self.faults, *axe.violations(self.page)]
        if (too_wide := self.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")) > 0:
            found.append(f"the page is {too_wide} px wider than the window")
        return [f"{self.view.name}: {fault}" for fault in found]

    def unreachable(self) -> list[str]:
        """Controls that can be clicked and that Tab never comes to."""
        expected: dict[str, str] = self.page.evaluate(MARK_CONTROLS)
        reached: set[str] = set()
        self.page.evaluate("() => { document.activeElement?.blur(); window.scrollTo(0, 0); }")
        for _ in range(len(expected) * 2 + 20):
            self.page.keyboard.press("Tab")
            here = self.page.evaluate("() => document.activeElement?.dataset.testControl || ''")
            if here in reached and len(reached) >= len(expected):
                break
            if here:
                reached.add(here)
        return [f"not reached by Tab: {what}" for key, what in expected.items() if key not in reached]

    def screenshot(self, folder: Path, name: str) -> None:
        """Save what the window shows as `NAME-VIEW.png`."""
        folder.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=folder / f"{name}-{self.view.name}.png")


def launch(playwright: Playwright, path: str) -> Browser:
    """A headless Chromium that asks nobody for anything."""
    return playwright.chromium.launch(executable_path=path, args=CHROMIUM_OPTIONS)


@contextmanager
def window(
    browser: Browser,
    base: str,
    view: View,
    user: User | None,
    *,
    javascript: bool = True,
    elsewhere: tuple[str, ...] = (),
) -> Iterator[Watched]:
    """A fresh window in which `user` is logged in; None looks at the portal from outside.

    Asking anybody but the portal is a fault, unless the address begins with one of `elsewhere`.
    """
    context = new_context(browser, view, javascript=javascript)
    try:
        if user is not None:
            log_in(context, base, user)
        with _watching(context.new_page(), base, view, elsewhere) as watched:
            yield watched
    finally:
        context.close()


def new_context(browser: Browser, view: View, *, javascript: bool = True) -> BrowserContext:
    """A browser's profile that remembers nothing: no cookie, no cached file."""
    return browser.new_context(
        viewport={"width": view.width, "height": view.height},
        color_scheme=view.scheme,
        locale="en-GB",
        timezone_id="UTC",
        reduced_motion="reduce",  # else a page that has just turned dark is judged by colours half way there
        java_script_enabled=javascript,
    )


@contextmanager
def tab(context: BrowserContext, base: str, view: View, user: User | None) -> Iterator[Watched]:
    """The one tab of a profile, which keeps what all pages share; `user` is logged in, and nobody else any more."""
    context.clear_cookies()
    if user is not None:
        log_in(context, base, user)
    page = context.pages[0] if context.pages else context.new_page()
    with _watching(page, base, view, ()) as watched:
        watched.turn(view)
        yield watched
    page.goto("about:blank")  # what the page still asks for is not the next one's fault


def log_in(context: BrowserContext, base: str, user: User) -> None:
    """Lets everything in this profile be seen by this person."""
    client = Client()
    client.force_login(user)
    cookie = client.cookies[settings.SESSION_COOKIE_NAME]
    context.add_cookies([{"name": cookie.key, "value": cookie.value, "url": base}])


@contextmanager
def _watching(page: Page, base: str, view: View, elsewhere: tuple[str, ...]) -> Iterator[Watched]:
    watched = Watched(page, base, view)

    def on_console(message: ConsoleMessage) -> None:
        theirs = message.location["url"].startswith(elsewhere) if elsewhere else False
        if message.type in ("error", "warning") and not theirs:
            watched.faults.append(f"{message.type}: {_one_line(message.text)}")

    def on_response(response: Response) -> None:
        if response.status >= 500:
            watched.faults.append(f"{response.url.removeprefix(base)} answered {response.status}")

    def on_error(error: Error) -> None:
        watched.faults.append(f"script error: {_one_line(str(error))}")

    def on_request(request: Request) -> None:
        if not request.url.startswith((base, "data:", "blob:", "about:", *elsewhere)):
            watched.faults.append(f"asked somebody else: {request.url}")

    page.on("console", on_console)
    page.on("response", on_response)
    page.on("pageerror", on_error)
    page.on("request", on_request)
    try:
        yield watched
    finally:
        page.remove_listener("console", on_console)
        page.remove_listener("response", on_response)
        page.remove_listener("pageerror", on_error)
        page.remove_listener("request", on_request)


def _one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text)[:300]
