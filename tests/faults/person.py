"""Somebody who works with the portal in a browser and tries again whenever a page does not come."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import requests

from tests.admin.html import parse
from tests.faults import rows
from tests.faults.world import World, files, wanted

TRY_AGAIN_AFTER = 0.3


class Stuck(AssertionError):
    """The person tried for very long and did not get through."""


@dataclass
class Person:
    """A browser with somebody's session. `tries` counts what had to be done again."""

    world: World
    session_key: str
    patience: float
    tries: int = 0
    _browser: requests.Session = field(default_factory=requests.Session)

    def __post_init__(self) -> None:
        token = secrets.token_hex(16)
        self._browser.cookies.update({"sessionid": self.session_key, "csrftoken": token})
        self._browser.headers["X-CSRFToken"] = token

    def work(self, number: int, turns: int, is_calm: Callable[[], bool]) -> int:
        """Turn after turn: import a project's files, make Base44 have them, refresh its token. At last, export.

        As many turns as were asked for, and more until `is_calm`; returns how many it were.
        """
        slug, turn = f"p{number}", 0
        while turn < turns or not is_calm():
            turn += 1
            self._turn(slug, wanted(number, turn))
        self._until(f"the files of {slug} are in git", lambda: self._export(slug, wanted(number, turn)))
        return turn

    def _turn(self, slug: str, goal: Mapping[str, list[str]]) -> None:
        self._until(f"{slug} declares {goal}", lambda: self._import(slug, goal))
        self._until(f"Base44 has for {slug} {goal}", lambda: self._apply(slug))
        token = rows.token_of(self.world.projects[slug])
        self._try(lambda: bool(self._post(f"/admin/connectors/token/{token}/refresh/")))  # whatever it comes to

    def _until(self, what: str, tried: Callable[[], bool]) -> None:
        end = time.monotonic() + self.patience
        while not self._try(tried):
            self.tries += 1
            if time.monotonic() > end:
                raise Stuck(f"in {self.patience:.0f} s it did not come to this: {what}")
            time.sleep(TRY_AGAIN_AFTER)

    def _try(self, tried: Callable[[], bool]) -> bool:
        try:
            return tried()
        except requests.RequestException:  # the web is being started again
            return False

    def _import(self, slug: str, goal: Mapping[str, list[str]]) -> bool:
        """Uploads the files, and takes over what the page shows of them."""
        project = self.world.projects[slug]
        if rows.declared(project) == goal:
            return True
        page = f"/admin/connectors/project/{project}/import/"
        shown = self._post(page, files={name: ("files", raw) for name, raw in files(dict(goal)).items()})
        fields = _hidden(shown.text)
        if "upload" in fields:
            self._post(page, {"action": "apply", "upload": fields["upload"], "fingerprint": fields["fingerprint"]})
        return rows.declared(project) == goal

    def _apply(self, slug: str) -> bool:
        """Looks at Base44, applies what the page shows, follows the run, agrees, and looks again."""
        project = self.world.projects[slug]
        page = f"/admin/connectors/project/{project}/plan/"
        if rows.agrees(project):
            return True
        self.world.agree_to_all()
        fields = _hidden(self._post(page, {"action": "look"}).text)
        if not fields.get("fingerprint") or rows.agrees(project):
            return rows.agrees(project)
        answer = self._post(page, {"action": "apply", "fingerprint": fields["fingerprint"]})
        if found := re.search(r"/syncrun/(\d+)/", answer.url):
            self._follow(int(found[1]))
        self.world.agree_to_all()
        self._post(page, {"action": "look"})
        return rows.agrees(project)

    def _follow(self, run: int) -> None:
        end = time.monotonic() + 45
        while rows.is_open(run) and time.monotonic() < end:
            time.sleep(0.1)

    def _export(self, slug: str, goal: Mapping[str, list[str]]) -> bool:
        """Presses the button of the repository's page while the files say something else and nobody is at it."""
        if self.world.in_git(slug) == goal:
            return True
        if rows.open_runs():
            return False
        page = f"/admin/connectors/repository/{rows.repository()}/export/"
        shown = self._browser.get(self.world.url + page, timeout=40)
        fingerprint = _hidden(shown.text).get("fingerprint", "")
        self._post(page, {"fingerprint": fingerprint, "reason": "By hand."})
        return False

    def _post(
        self, path: str, fields: Mapping[str, str] | None = None, files: Mapping[str, tuple[str, bytes]] | None = None
    ) -> requests.Response:
        parts = [(field, (name, raw)) for name, (field, raw) in (files or {}).items()]
        answer = self._browser.post(self.world.url + path, data=dict(fields or {}), files=parts or None, timeout=40)
        answer.raise_for_status()
        return answer


def _hidden(text: str) -> dict[str, str]:
    """The values of a page's hidden fields."""
    inputs = [found for found in parse(text.encode()).walk() if found.attributes.get("type") == "hidden"]
    return {found.attributes.get("name", ""): found.attributes.get("value", "") for found in inputs}
