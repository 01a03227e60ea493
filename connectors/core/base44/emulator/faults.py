"""Faults to order: the next requests that match go wrong in a chosen way."""

from __future__ import annotations

import json
import re
import threading
from dataclasses import dataclass, replace

from connectors.core.base44.emulator.wire import HTML, JSON, Answer, refusal

KINDS = ("status", "html", "truncated", "empty", "hang", "close", "lost", "json")
GATEWAY_PAGE = (
    "<!DOCTYPE html>\n<html><head><title>502 Bad Gateway</title></head>"
    "<body><center><h1>502 Bad Gateway</h1></center><hr><center>emulator</center></body></html>\n"
)


@dataclass(slots=True)
class Fault:
    """What goes wrong, and for how many requests.

    `kind`: status (an error with `status` in Base44's shape; `retry_after` in seconds adds the header), html (a
    gateway's page, with `status`), truncated (the true answer, cut off half way), empty (200 without a body), hang (no
    answer for `seconds`), close (the connection ends at once), lost (the request is carried out, its answer is not
    sent), json (`body` instead of the true answer, with `status`). `truncated`, `lost` and `json` with `carry_out`
    change the world; the others don't. `times` counts down; None means until cleared.
    """

    method: str
    path: str
    kind: str
    times: int | None = 1
    status: int = 500
    body: object = None
    message: str = "Emulated failure"
    retry_after: float | None = None
    seconds: float = 60.0
    carry_out: bool = False

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"unknown fault {self.kind!r}; there are {', '.join(KINDS)}")
        re.compile(self.path)

    @property
    def carries_out(self) -> bool:
        """Whether the request has its effect before things go wrong."""
        return self.carry_out or self.kind in ("truncated", "lost")

    def matches(self, method: str, path: str) -> bool:
        """Whether a request is one of those that fail; `path` is searched as a regular expression, without query."""
        return self.method in ("*", method) and re.search(self.path, path) is not None

    def spoil(self, answer: Answer | None) -> Answer:
        """The answer that goes out instead of `answer` (None when the request was not carried out)."""
        if self.kind == "status":
            problem = refusal(self.status, self.message)
            if self.retry_after is not None:
                problem.headers = {"Retry-After": f"{self.retry_after:g}"}
            return problem.as_answer()
        if self.kind == "html":
            return Answer(self.status, GATEWAY_PAGE.encode(), HTML)
        if self.kind == "json":
            return Answer(self.status, json.dumps(self.body).encode(), JSON)
        if self.kind == "empty":
            return Answer(200)
        if self.kind == "truncated" and answer is not None:
            return replace(answer, abrupt="truncated")
        return Answer(200, abrupt="hang" if self.kind == "hang" else "close", seconds=self.seconds)


class Faults:
    """The faults in force; the oldest that matches takes the request."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Put a fault in force."""
        with self._lock:
            self._faults.append(fault)

    def clear(self) -> None:
        """Nothing goes wrong any more."""
        with self._lock:
            self._faults.clear()

    def take(self, method: str, path: str) -> Fault | None:
        """The fault that this request meets, counted down; None for the ordinary way."""
        if not self._faults:
            return None
        with self._lock:
            for fault in self._faults:
                if fault.matches(method, path):
                    if fault.times is not None:
                        fault.times -= 1
                        if fault.times <= 0:
                            self._faults.remove(fault)
                    return fault
        return None
