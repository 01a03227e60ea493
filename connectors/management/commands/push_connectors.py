"""`manage.py push_connectors`: apply the plan at Base44, here and now."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from django.core.management.base import CommandParser
from pydantic import SecretStr

from connectors.core.plan import Action, Plan
from connectors.flows.apply import apply_now, ask_to_apply
from connectors.flows.connect import client_for
from connectors.flows.plan import show_plan
from connectors.management.commands._base import DONE, FAILED, ProjectCommand, Usage, shell_actor
from connectors.management.commands._plans import left_out, plan_rows, plan_summary
from connectors.models import Approval, Project, SyncRun, SyncStep


class Command(ProjectCommand):
    """Shows the plan and asks. Nothing is removed that --allow-remove does not name."""

    help = "Make Base44 what the portal declares"
    takes_all = False

    def add_arguments(self, parser: CommandParser) -> None:
        """What may be done without asking."""
        super().add_arguments(parser)
        parser.add_argument("--yes", action="store_true", help="do not ask")
        parser.add_argument(
            "--allow-remove",
            metavar="TYPE",
            nargs="+",
            action="extend",
            default=[],
            help="remove these types at Base44 if the plan says so, or all of them",
        )
        parser.add_argument(
            "--ask",
            metavar="REASON",
            help="where another person has to approve it: ask them, and do nothing now",
        )
        parser.add_argument(
            "--show-links", action="store_true", help="print the one-use consent links, at a terminal only"
        )

    def work(self, options: dict[str, Any]) -> int:
        """Plans, asks, applies; 1 when a step failed or the run was refused."""
        self._check_terminal(options)
        project, actor = self.projects(options)[0], shell_actor()
        client = client_for(project.workspace)
        plan = show_plan(project, client, actor)
        self._show(project, plan)
        removals, left = _removals(plan, options["allow_remove"])
        if len(left) == len(plan.actions):
            return self._nothing_to_do(project, plan, left)
        if options["ask"] is not None:
            row = ask_to_apply(project, plan, [action.type for action in removals], actor, options["ask"])
            return self._asked(project, plan, row)
        if not options["yes"] and not self._agreed(project):
            self.say("Nothing was done.")
            return FAILED
        run = apply_now(
            project,
            plan,
            [action.type for action in removals],
            client,
            actor,
            on_step=self._show_step,
            on_link=self._show_link if options["show_links"] else None,
        )
        return self._conclude(project, plan, run, left, links_shown=options["show_links"])

    def _check_terminal(self, options: dict[str, Any]) -> None:
        if options["ask"] is None and not options["yes"] and not sys.stdin.isatty():
            raise Usage("This changes connectors at Base44 and asks first: run it at a terminal, or say --yes.")
        if options["show_links"] and not self.stderr.isatty():
            raise Usage("Consent links are credentials: --show-links prints them only to a terminal (on stderr).")

    def _show(self, project: Project, plan: Plan) -> None:
        self.say(f"{project.slug}: {plan_summary(plan)}")
        self.print_rows(plan_rows(plan))
        for warning in plan.warnings:
            self.warn(warning)

    def _nothing_to_do(self, project: Project, plan: Plan, left: Sequence[Action]) -> int:
        if left:
            self.warn(left_out(left))
        self.print_json({"project": project.slug, "results": _unapplied(plan), "run": None})
        return DONE

    def _asked(self, project: Project, plan: Plan, row: Approval) -> int:
        """An approval that was given already counts when the command runs again, without --ask."""
        self.say(
            f"Approval #{row.pk}: {row.get_state_display()}. Nothing was done: run this again when it is approved."
        )
        self.print_json({"project": project.slug, "results": _unapplied(plan), "run": None, "approval": row.pk})
        return DONE

    def _agreed(self, project: Project) -> bool:
        # On stderr: stdout may hold the JSON document.
        self.stderr.write(
            f"Apply this at Base44 to {project.slug} ({project.get_environment_display()})? [y/N] ", ending=""
        )
        self.stderr.flush()
        return sys.stdin.readline().strip().lower() in ("y", "yes")

    def _show_step(self, step: SyncStep) -> None:
        if not self.as_json:
            self.say(f"  {step.get_state_display()}: {step.type}. {step.message}")

    def _show_link(self, type_: str, link: SecretStr) -> None:
        """To the person's terminal and nowhere else: whoever opens the link connects their account to the app."""
        self.stderr.write(f"  {type_}: {link.get_secret_value()}", str)

    def _conclude(
        self, project: Project, plan: Plan, run: SyncRun, left: Sequence[Action], *, links_shown: bool
    ) -> int:
        steps = list(run.steps.all())
        waiting = [step.type for step in steps if step.state == SyncStep.State.CONSENT]
        if waiting and not links_shown:
            self.warn(
                f"To be authorised by a person: {', '.join(waiting)}. Open the project {project.slug} in the portal "
                "and press Authorise."
            )
        if left:
            self.warn(left_out(left))
        self.say(f"Run #{run.pk}: {run.get_state_display()}. {run.message}")
        results = [_step_row(step) for step in steps] or _unapplied(plan)
        self.print_json(
            {
                "project": project.slug,
                "results": results + [kept.as_json() for kept in plan.kept] if steps else results,
                "run": {"id": run.pk, "state": run.state, "message": run.message},
            }
        )
        return DONE if run.state == SyncRun.State.DONE else FAILED


def _removals(plan: Plan, allowed: Sequence[str]) -> tuple[list[Action], list[Action]]:
    """The removals that are allowed, and those that are left."""
    chosen = [action for action in plan.destructive if "all" in allowed or action.type in allowed]
    return chosen, [action for action in plan.destructive if action not in chosen]


def _unapplied(plan: Plan) -> list[dict[str, Any]]:
    return [row | {"state": "skipped" if row.get("destructive") else "planned"} for row in plan.rows()]


def _step_row(step: SyncStep) -> dict[str, Any]:
    return {
        "type": step.type,
        "action": step.action,
        "reason": step.reason,
        "state": step.state,
        "message": step.message,
    }
