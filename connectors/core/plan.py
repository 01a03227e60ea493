"""Plan: registered versus declared gives an ordered list of actions, each with its reason in words. No I/O.

How Base44 behaves (public API reference and the CLI 0.1.18): a PUT sets exactly the scopes it names. Only the same set
on one's own active connection is accepted silently; anything else, narrowing too, answers with a consent link. So a
set always needs consent here, and what agrees already must get no call at all: each needless PUT makes a new link.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from connectors.core import plan_words as words
from connectors.core.actions import Action, ActionKind, Kept, Plan, fingerprint
from connectors.core.catalog import ConfigField
from connectors.core.errors import Refused
from connectors.core.scopes import ScopeDifference, ScopeRules, tidy
from connectors.core.specs import STRIPE, UNREADABLE, ConnectorSpec, RegisteredConnector, RegisteredState

__all__ = ["Action", "ActionKind", "Kept", "Plan", "make_plan"]

ACTIVE = "active"
DEAD = frozenset({"expired", "disconnected"})
"""The statuses that consent alone mends. Others may appear: with those a connector that agrees is left alone."""


def make_plan(
    declared: Sequence[ConnectorSpec],
    registered: RegisteredState,
    *,
    rules: ScopeRules,
    offered: Mapping[str, Sequence[ConfigField]] | None = None,
    known_config: Mapping[str, Mapping[str, str]] | None = None,
    last_set: Mapping[str, Collection[str]] | None = None,
    acting_account: str = "",
) -> Plan:
    """What must be done at Base44 so that the registered state becomes the declared one.

    `offered` are the known integration types with their connection settings, best from Base44's own list; without it
    the catalogue serves. `known_config` holds the connection settings last set, by type: Base44 does not list them,
    so without an entry they are not compared. `last_set` holds the scopes of the last set, by type, only where
    consent was finished: what Base44 did not keep of them is said. `acting_account` is the e-mail address behind the
    credential, "" when unknown. Raises Refused when a type is declared twice.
    """
    planner = _Planner(rules, registered, offered, known_config or {}, last_set or {}, acting_account)
    return planner.plan(declared)


@dataclass
class _Planner:
    """One run of `make_plan`: collects actions, kept connectors and warnings."""

    rules: ScopeRules
    registered: RegisteredState
    offered: Mapping[str, Sequence[ConfigField]] | None
    known_config: Mapping[str, Mapping[str, str]]
    last_set: Mapping[str, Collection[str]]
    acting_account: str
    actions: list[Action] = field(default_factory=list)
    kept: list[Kept] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def plan(self, declared: Sequence[ConnectorSpec]) -> Plan:
        types = _types_once(declared)
        listed = self._listed()
        for spec in declared:
            if spec.type != STRIPE:
                self._plan_declared(spec, listed)
        self._plan_stripe(next((spec for spec in declared if spec.type == STRIPE), None), types)
        sets = tuple(range(len(self.actions)))
        removals = [*self._removals(types, listed), *self._stripe_removal(types)]
        self.actions += [replace(action, after=sets) for action in removals]
        found = Plan(tuple(self.actions), tuple(self.kept), fingerprint=fingerprint(self.registered, self.actions))
        if found.removes_everything:
            self.warnings.insert(0, words.everything_removed(len(found.destructive), nothing_declared=not types))
        return replace(found, warnings=tuple(self.warnings))

    def _listed(self) -> dict[str, RegisteredConnector]:
        """Registered connectors by type. Base44 lists one of each at most; should it list two, an active one counts."""
        listed: dict[str, RegisteredConnector] = {}
        for connector in self.registered.connectors:
            if connector.type != STRIPE and (connector.type not in listed or connector.status == ACTIVE):
                listed[connector.type] = connector
        return listed

    def _plan_declared(self, spec: ConnectorSpec, listed: Mapping[str, RegisteredConnector]) -> None:
        now = listed.get(spec.type)
        if now is None:
            self._add(spec, None, ScopeDifference(added=tidy(spec.scopes)), twin=self._twin(spec.type, listed))
            return
        if now.status == UNREADABLE:
            self._leave_unreadable(now)
            return
        difference = self.rules.compare(spec.type, spec.scopes, now.scopes)
        settings = self._changed_settings(spec)
        if difference or settings:
            self._add(spec, now, difference, settings=settings)
        elif now.status in DEAD:
            reason = words.consent_again(now.status, self._others(now))
            self._append(self._action(ActionKind.CONSENT, spec, now, reason))
        else:
            self._keep(spec, now, difference)

    def _add(
        self,
        spec: ConnectorSpec,
        now: RegisteredConnector | None,
        difference: ScopeDifference,
        *,
        settings: Sequence[str] = (),
        twin: str = "",
    ) -> None:
        """Add the action that sets `spec` where there is something to set."""
        not_kept = tuple(scope for scope in difference.added if scope in self.last_set.get(spec.type, ()))
        reason = (
            words.new_connection(tidy(spec.scopes))
            if now is None
            else words.changed(now.status, difference, settings, self._others(now))
        )
        action = self._action(ActionKind.SET, spec, now, reason + words.not_kept(not_kept))
        problem = words.capitals(spec.type, twin) if twin else action.problem
        self._append(
            replace(action, added=difference.added, removed=difference.removed, not_kept=not_kept, problem=problem)
        )
        if not_kept:
            self.warnings.append(words.never_ends(spec.type, not_kept))

    def _action(self, kind: ActionKind, spec: ConnectorSpec, now: RegisteredConnector | None, reason: str) -> Action:
        return Action(
            kind=kind,
            type=spec.type,
            reason=reason,
            scopes=tidy(spec.scopes),
            status_before=now.status if now else "",
            account=now.account if now else "",
            needs_consent=True,
            connection_config=_given(spec.connection_config),
            problem=self._settings_problem(spec),
        )

    def _append(self, action: Action) -> None:
        self.actions.append(action)
        if not action.problem and not self._is_known(action.type):
            self.warnings.append(words.unknown_type(action.type))

    def _keep(self, spec: ConnectorSpec, now: RegisteredConnector, difference: ScopeDifference) -> None:
        uncompared = bool(_given(spec.connection_config)) and spec.type not in self.known_config
        reason = words.same_scopes(difference, uncompared_settings=uncompared)
        self.kept.append(Kept(spec.type, reason, now.status, now.account))
        if now.status != ACTIVE:
            self.warnings.append(words.unknown_status(spec.type, now.status))

    def _leave_unreadable(self, now: RegisteredConnector) -> None:
        self.kept.append(Kept(now.type, words.unreadable(now.type), now.status, now.account))
        self.warnings.append(words.unreadable(now.type))

    def _twin(self, type_: str, listed: Iterable[str]) -> str:
        """The type that was probably meant: registered or known, and other than `type_` by capital letters only."""
        if self._is_known(type_):
            return ""
        candidates = [*listed, STRIPE, *self._known_types()]
        return next((other for other in candidates if other.lower() == type_.lower()), "")

    def _others(self, now: RegisteredConnector) -> str:
        """The account that authorised the connection when that is known to be somebody else; else ""."""
        mine = self.acting_account.lower()
        return now.account if mine and now.account and now.account.lower() != mine else ""

    def _known_types(self) -> Collection[str]:
        return self.rules.catalog.types if self.offered is None else self.offered

    def _is_known(self, type_: str) -> bool:
        return type_ == STRIPE or type_ in self._known_types()

    def _fields(self, type_: str) -> Sequence[ConfigField]:
        if self.offered is not None:
            return self.offered.get(type_, ())
        info = self.rules.catalog.types.get(type_)
        return info.connection_config_fields if info else ()

    def _settings_problem(self, spec: ConnectorSpec) -> str:
        given = _given(spec.connection_config)
        found = (setting.problem(given.get(setting.name, "")) for setting in self._fields(spec.type))
        return " ".join(filter(None, found))

    def _changed_settings(self, spec: ConnectorSpec) -> tuple[str, ...]:
        """Names of the connection settings that differ from those last set; none when those are not known."""
        if spec.type not in self.known_config:
            return ()
        before, after = _given(self.known_config[spec.type]), _given(spec.connection_config)
        return tuple(sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name)))

    def _removals(self, types: Collection[str], listed: Mapping[str, RegisteredConnector]) -> list[Action]:
        removals = []
        for now in listed.values():
            twin = next((type_ for type_ in types if type_.lower() == now.type.lower()), "")
            if now.type in types:
                continue
            if now.status == UNREADABLE:
                self._leave_unreadable(now)
                continue
            if twin:
                self.kept.append(Kept(now.type, words.not_removed(now.type, twin), now.status, now.account))
                self.warnings.append(words.not_removed(now.type, twin))
                continue
            reason = words.undeclared(now.status, now.account)
            removals.append(
                Action(ActionKind.REMOVE, now.type, reason, (), (), now.scopes, now.status, account=now.account)
            )
        return removals

    def _plan_stripe(self, spec: ConnectorSpec | None, types: Collection[str]) -> None:
        mode = self.registered.stripe_mode
        if mode is None:
            self.warnings.append(words.STRIPE_UNKNOWN)
            if spec:
                self.kept.append(Kept(STRIPE, words.STRIPE_UNKNOWN))
            return
        if spec and tidy(spec.scopes):
            self.warnings.append(words.STRIPE_SCOPES)
        if spec and not mode:
            self._append(Action(ActionKind.PROVISION, STRIPE, words.STRIPE_PROVISION))
        elif spec or (mode and _twin_of_stripe(types)):
            twin = "" if spec else _twin_of_stripe(types)
            reason = words.not_removed(STRIPE, twin) if twin else words.stripe_kept(mode)
            self.kept.append(Kept(STRIPE, reason, mode))
            self.warnings += [reason] if twin else []

    def _stripe_removal(self, types: Collection[str]) -> list[Action]:
        mode = self.registered.stripe_mode
        if not mode or STRIPE in types or _twin_of_stripe(types):
            return []
        if mode != "sandbox":
            self.warnings.append(words.STRIPE_LIVE)
        return [Action(ActionKind.REMOVE_STRIPE, STRIPE, words.stripe_undeclared(mode), status_before=mode)]


def _types_once(declared: Sequence[ConnectorSpec]) -> tuple[str, ...]:
    types = [spec.type for spec in declared]
    if twice := sorted({type_ for type_ in types if types.count(type_) > 1}):
        raise Refused(f"Declared more than once: {words.listing(twice)}. A project has one connector of each type.")
    return tuple(types)


def _given(config: Mapping[str, str]) -> dict[str, str]:
    """The settings that have a value: a blank one is the same as none."""
    return {name: value.strip() for name, value in config.items() if value.strip()}


def _twin_of_stripe(types: Iterable[str]) -> str:
    return next((type_ for type_ in types if type_ != STRIPE and type_.lower() == STRIPE), "")
