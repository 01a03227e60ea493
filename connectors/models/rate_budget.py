"""The rate budget that all workers of a workspace share."""

from __future__ import annotations

from django.db import models

from .workspace import Workspace


class RateBudget(models.Model):
    """One row is one kind of call of one workspace: when the calls granted so far will have been earned back.

    `tat` is the theoretical arrival time of the generic cell rate algorithm, in seconds since the epoch;
    workers move it with a conditional UPDATE, so no lock is held while they wait.
    """

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+")
    kind = models.CharField(max_length=20)
    tat = models.FloatField(default=0.0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["workspace", "kind"], name="ratebudget_unique_workspace_kind")]

    def __str__(self) -> str:
        return self.kind
