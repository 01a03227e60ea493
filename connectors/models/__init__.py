"""Rows: what is true of one of them stands in the model, questions on many in its QuerySet."""

from .connector import Connector
from .event import Event
from .fields import Sealed
from .integration_type import IntegrationType
from .project import Project
from .rate_budget import RateBudget
from .sync_run import SyncRun, SyncStep
from .workspace import Workspace

__all__ = [
    "Connector",
    "Event",
    "IntegrationType",
    "Project",
    "RateBudget",
    "Sealed",
    "SyncRun",
    "SyncStep",
    "Workspace",
]
