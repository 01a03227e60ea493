"""Apply: carry out the plan that a person was shown, step by step, on record, and never twice at once."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from typing import Any

from django.db import DatabaseError, transaction
from django.utils import timezone
from pydantic import SecretStr

from connectors.core.actor import Actor
from connectors.core.base44.client import Base44Client
from connectors.core.base44.contract import SetScopesAnswer
from connectors.core.base44.faults import ANSWER_LOST
from connectors.core.errors import ApiError, PortalError, Refused
from connectors.core.plan import Action, ActionKind, Plan
from connectors.flows.approval_matters import plan_matter
from connectors.flows.approvals import allow, ask
from connectors.flows.events import record_event
from connectors.flows.observe import observe
from connectors.flows.plan import look_at, plan_against
from connectors.flows.repository_runs import after_apply
from connectors.flows.runs import claim_run, finish_run, heartbeat, is_cancelled, open_run
from connectors.models import Approval, Connector, Project, SyncRun, SyncStep

log = logging.getLogger(__name__)

StepState = SyncStep.State
STALE = (
    "Base44's state or the declared scopes have changed since this plan was shown. "
    "Nothing was done: look at the new plan."
)

OnStep = Callable[[SyncStep], None]
OnLink = Callable[[str, SecretStr], None]


def queue_apply(project: Project, plan: Plan, removals: Collection[str], actor: Actor) -> SyncRun:
    """A queued run that will carry out `plan`, removing only the types in `removals`.

    Raises Refused when there is nothing to do, when the policies stop all of it, or when an apply of this project is
    under way; ApprovalNeeded where another person has to approve it first. What a policy stops in part fails as its
    own step, so that the rest goes on.
    """
    refuse_pointless(plan, removals)
    with transaction.atomic():
        approved = allow([plan_matter(project, plan, removals)], actor)
        run = open_run(
            project,
            SyncRun.Kind.APPLY,
            actor,
            plan=plan.as_json(),
            fingerprint=plan.fingerprint,
            removals=sorted(removals),
        )
        after = {"run": run.pk, "counts": plan.counts, "removals": run.removals}
        after |= {"approval": approved[0].pk} if approved else {}
        record_event(actor, "plan.applied", project, after=after)
    return run


def ask_to_apply(project: Project, plan: Plan, removals: Collection[str], actor: Actor, reason: str) -> Approval:
    """Asks another person to approve what `queue_apply` would do. Raises Refused as that does, and as `ask` does."""
    refuse_pointless(plan, removals)
    return ask(plan_matter(project, plan, removals), actor, reason)


def refuse_pointless(plan: Plan, removals: Collection[str]) -> None:
    """Raises Refused when there is nothing to apply, or removals were ticked that are not in the plan."""
    unknown = set(removals) - {action.type for action in plan.destructive}
    if unknown:
        raise Refused(f"The plan does not remove {', '.join(sorted(unknown))}. Look at the new plan.")
    chosen = [action for action in plan.actions if not action.destructive or action.type in removals]
    if not chosen:
        raise Refused("There is nothing to apply: no removal was ticked, and everything else agrees.")
    if all(is_stopped(action) for action in chosen):
        raise Refused(" ".join(action.problem for action in chosen))


def is_stopped(action: Action) -> bool:
    """Whether a policy stops the action."""
    return any(note.stops for note in action.policy)


def apply_now(
    project: Project,
    plan: Plan,
    removals: Collection[str],
    client: Base44Client,
    actor: Actor,
    *,
    on_step: OnStep | None = None,
    on_link: OnLink | None = None,
) -> SyncRun:
    """Applies in this process, for the shell. `on_link` receives each one-use consent link; nothing keeps it."""
    run = queue_apply(project, plan, removals, actor)
    return run_apply(run.pk, client, actor, on_step=on_step, on_link=on_link) or run


def run_apply(
    run_id: int, client: Base44Client, actor: Actor, *, on_step: OnStep | None = None, on_link: OnLink | None = None
) -> SyncRun | None:
    """Carries out a queued apply; None when another worker has it or it is over.

    Goes on after a failed step. Refuses when the plan made anew is not the one that was shown.
    """
    run = claim_run(run_id)
    if run is None:
        return None
    with heartbeat([run.pk]):
        try:
            _Application(run, client, actor, on_step, on_link).carry_out()
        except PortalError as error:
            finish_run(run, SyncRun.State.FAILED, str(error))
        except BaseException:
            # A bug, or the worker being told to stop: the row must not claim for ever that somebody is at work.
            finish_run(
                run, SyncRun.State.INTERRUPTED, "Stopped by an error inside the portal; the log has the details."
            )
            raise
    if run.state == SyncRun.State.DONE:
        _export_after(run, actor)
    return run


def _export_after(run: SyncRun, actor: Actor) -> None:
    """Asks for an export where the project's repository wants one. The apply is over: nothing here may undo that."""
    try:
        with transaction.atomic():
            # Without a number sign: hosts take #12 in a commit's message for an issue of theirs.
            after_apply(run.project, actor, f"A plan was applied to {run.project} (run {run.pk}).")
    except (DatabaseError, PortalError):
        log.exception("No export of %s was asked for after run %s", run.project.slug, run.pk)


class _Application:
    """One run of an apply: the steps, and what failed among them."""

    def __init__(
        self, run: SyncRun, client: Base44Client, actor: Actor, on_step: OnStep | None, on_link: OnLink | None
    ) -> None:
        self.run, self.project, self.client, self.actor = run, run.project, client, actor
        self.on_step, self.on_link = on_step, on_link
        self.failed: set[int] = set()

    def carry_out(self) -> None:
        state = look_at(self.project, self.client)
        observe({self.project: state}, self.actor, timezone.now())
        plan = plan_against(self.project, state)
        if plan.fingerprint != self.run.fingerprint:
            finish_run(self.run, SyncRun.State.REFUSED, STALE)
            return
        for step, action in zip(self._record(plan), plan.actions, strict=True):
            self._do(step, action)
        self._look_again()
        self._finish()

    def _record(self, plan: Plan) -> list[SyncStep]:
        return SyncStep.objects.bulk_create(
            SyncStep(
                run=self.run,
                position=place,
                type=action.type,
                action=action.kind.value,
                reason=action.reason,
                before={"status": action.status_before, "account": action.account, "scopes": _scopes_before(action)},
                after={} if action.destructive else {"scopes": list(action.scopes)},
            )
            for place, action in enumerate(plan.actions)
        )

    def _do(self, step: SyncStep, action: Action) -> None:
        if left_out := self._why_not(step, action):
            self._end(step, *left_out)
            return
        step.state, step.started_at = StepState.RUNNING, timezone.now()
        step.save(update_fields=["state", "started_at"])
        try:
            state, message = self._call(action)
        except ApiError as error:
            state, message = StepState.FAILED, str(error)
        self._end(step, state, message)

    def _why_not(self, step: SyncStep, action: Action) -> tuple[StepState, str] | None:
        if is_cancelled(self.run):
            return StepState.CANCELLED, "Cancelled before its turn."
        if action.problem:
            return StepState.FAILED, action.problem
        if action.destructive and action.type not in self.run.removals:
            return StepState.SKIPPED, "Not removed: nobody ticked it."
        if action.blocked_by(self.failed):
            return StepState.SKIPPED, "Not removed, because another step of this plan failed."
        return None

    def _call(self, action: Action) -> tuple[StepState, str]:
        app_id = self.project.app_id
        match action.kind:
            case ActionKind.REMOVE:
                self.client.remove_connector(app_id, action.type)
                self._forget_set(action.type)
                return StepState.DONE, "Removed at Base44."
            case ActionKind.REMOVE_STRIPE:
                self.client.stripe_remove(app_id)
                return StepState.DONE, "Stripe was uninstalled."
            case ActionKind.PROVISION:
                answer = self.client.stripe_install(app_id)
                if answer.claim_url is not None and self.on_link:
                    self.on_link(action.type, answer.claim_url)
                return StepState.DONE, "Stripe is installed. Claim the account from the app's page at Base44."
            case _:
                return self._set(action)

    def _forget_set(self, type_: str) -> None:
        """What was set there once is set no more: declared again, it takes a plan, and the approval of one, again."""
        rows = Connector.objects.filter(project=self.project, integration_type_id=type_)
        rows.update(last_set_scopes=None, last_set_config=None)

    def _set(self, action: Action) -> tuple[StepState, str]:
        try:
            answer = self.client.set_scopes(
                self.project.app_id, action.type, action.scopes, dict(action.connection_config) or None
            )
        except ApiError as error:
            if error.code != ANSWER_LOST:
                raise
            raise ApiError(
                f"{error} Whether it was set will show when the plan is made again.", permanent=False
            ) from None
        return take_answer(self.project, action, answer, self.on_link)

    @transaction.atomic
    def _store(self, step: SyncStep, state: StepState, message: str) -> None:
        """What the step came to, and its event: a worker that is killed leaves both or none."""
        step.state, step.message, step.finished_at = state, message, timezone.now()
        step.save(update_fields=["state", "message", "finished_at"])
        if state in (StepState.DONE, StepState.CONSENT, StepState.FAILED):
            record_event(
                self.actor,
                f"step.{state.value}",
                self.project,
                before=step.before,
                after={"type": step.type, "action": step.action, **step.after},
                note=message,
            )

    def _end(self, step: SyncStep, state: StepState, message: str) -> None:
        self._store(step, state, message)
        if state == StepState.FAILED:
            self.failed.add(step.position)
        if self.on_step:
            self.on_step(step)

    def _look_again(self) -> None:
        """Stores what Base44 has now: "synced" is only said of what was compared."""
        try:
            observe({self.project: look_at(self.project, self.client)}, self.actor, timezone.now())
        except ApiError as error:
            log.warning("Project %s was not compared after run %s: %s", self.project.slug, self.run.pk, error)
            self.project.sync_error = f"Not compared after the last apply: {error}"
            self.project.save(update_fields=["sync_error"])

    def _finish(self) -> None:
        states = [step.state for step in self.run.steps.all()]
        counts = {state: states.count(state) for state in dict.fromkeys(states)}
        message = ", ".join(f"{count} {StepState(state).label.lower()}" for state, count in counts.items())
        if StepState.CANCELLED in counts:
            finish_run(self.run, SyncRun.State.CANCELLED, message)
        elif StepState.FAILED in counts:
            done = StepState.DONE in counts or StepState.CONSENT in counts
            finish_run(self.run, SyncRun.State.PARTIAL if done else SyncRun.State.FAILED, message)
        else:
            finish_run(self.run, SyncRun.State.DONE, message or "Nothing to do.")


def take_answer(
    project: Project, action: Action, answer: SetScopesAnswer, on_link: OnLink | None
) -> tuple[StepState, str]:
    """Writes down what Base44 answered to a set, but never its link: `on_link` gets that, or it is forgotten."""
    if answer.error:
        return StepState.FAILED, refusal_in_words(answer)
    told: dict[str, Any] = {
        "last_set_scopes": list(action.scopes),
        "last_set_config": dict(action.connection_config),
        "consent": Connector.Consent.NONE,
        "consent_note": "",
        "consent_connection_id": "",
    }
    rows = Connector.objects.filter(project=project, integration_type_id=action.type)
    if answer.redirect_url is None:
        rows.update(**told)
        return StepState.DONE, "Set; Base44 has it connected already."
    note = "Base44 waits for somebody to authorise it."
    rows.update(**told | {"consent": Connector.Consent.NEEDED, "consent_note": note, "needs_attention": True})
    if on_link:
        on_link(action.type, answer.redirect_url)
    return StepState.CONSENT, "Set; somebody has to authorise it before it takes effect."


def refusal_in_words(answer: SetScopesAnswer) -> str:
    """What an answer of HTTP 200 with an `error` means for the person who must act."""
    if answer.error == "different_user":
        owner = answer.other_user_email or "somebody else"
        return (
            f"It is connected by {owner}, and only they can change its scopes. Ask them, or remove it and connect anew."
        )
    return answer.error_message or f"Base44 refused: {answer.error}"


def _scopes_before(action: Action) -> list[str]:
    kept = [scope for scope in action.scopes if scope not in action.added]
    return [*kept, *action.removed] if action.status_before else []
