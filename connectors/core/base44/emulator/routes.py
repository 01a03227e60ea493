"""The table of endpoints, and the way of a request through it: route, credential, reach, rate limit, handler."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from connectors.core.base44.emulator.auth import Caller, authenticate, reachable_app
from connectors.core.base44.emulator.limits import RateLimits
from connectors.core.base44.emulator.state import App, World
from connectors.core.base44.emulator.wire import Answer, Problem, Request

PERSON = "pat login"
PERSON_OR_KEY = "pat login key"
PERSON_OR_SERVICE = "pat login service"


@dataclass(frozen=True, slots=True)
class Call:
    """What a handler works with. `params` are the path's parts, by name."""

    world: World
    request: Request
    params: dict[str, str]
    who: Caller | None = None
    target: App | None = None

    @property
    def caller(self) -> Caller:
        """The caller of a route that asks for a credential."""
        if self.who is None:
            raise RuntimeError("this route is open to everyone")
        return self.who

    @property
    def app(self) -> App:
        """The app of a route whose path names one."""
        if self.target is None:
            raise RuntimeError("this route has no app")
        return self.target


Handler = Callable[[Call], Answer]


@dataclass(frozen=True, slots=True)
class Route:
    """One endpoint. `accepts` names the kinds of credential, "" for none needed; `limit` the rate limit's kind."""

    method: str
    pattern: re.Pattern[str]
    handler: Handler
    accepts: str
    limit: str = ""


def route(method: str, path: str, handler: Handler, accepts: str, *, limit: str = "") -> Route:
    """A route from a path with `{name}` parts."""
    pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path)
    return Route(method, re.compile(pattern), handler, accepts, limit)


class Router:
    """Finds the route of a request and carries it out."""

    def __init__(self, world: World, limits: RateLimits, routes: list[Route]) -> None:
        self.world, self.limits = world, limits
        self._routes: dict[str, list[Route]] = {}
        for entry in routes:
            self._routes.setdefault(entry.method, []).append(entry)

    def answer(self, request: Request) -> Answer:
        """The answer to a request; refusals come back as answers, too."""
        try:
            entry, params = self._find(request)
            return entry.handler(self._admit(entry, request, params))
        except Problem as problem:
            return problem.as_answer()

    def _find(self, request: Request) -> tuple[Route, dict[str, str]]:
        for entry in self._routes.get(request.method, ()):
            if match := entry.pattern.fullmatch(request.path):
                return entry, match.groupdict()
        others = [entry for routes in self._routes.values() for entry in routes]
        if any(entry.pattern.fullmatch(request.path) for entry in others):
            raise Problem(405, {"detail": "Method Not Allowed"})
        raise Problem(404, {"detail": "Not Found"})

    def _admit(self, entry: Route, request: Request, params: dict[str, str]) -> Call:
        if not entry.accepts:
            return Call(self.world, request, params)
        caller = authenticate(self.world, request, entry.accepts)
        app = reachable_app(self.world, caller, params["app_id"]) if "app_id" in params else None
        if caller.credential.read_only and request.method != "GET":
            raise Problem(403, {"error_type": "HTTPException", "message": "This token is read-only"})
        if entry.limit:
            workspace = app.workspace if app else next(iter(caller.workspaces), "")
            self.limits.check(workspace, entry.limit, self.world.multiplier(workspace))
        return Call(self.world, request, params, caller, app)
