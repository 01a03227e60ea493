"""Rows: what is true of one of them stands in the model, questions on many in its QuerySet."""

from .authorisation import Authorisation, ConsentLink
from .connector import Connector
from .event import Event
from .fields import Sealed
from .integration_type import IntegrationType
from .oauth_client import OAuthClient
from .project import Project
from .rate_budget import RateBudget
from .sync_run import SyncRun, SyncStep
from .token import Token, TokenRefresh
from .workspace import Workspace

__all__ = [
    "Authorisation",
    "Connector",
    "ConsentLink",
    "Event",
    "IntegrationType",
    "OAuthClient",
    "Project",
    "RateBudget",
    "Sealed",
    "SyncRun",
    "SyncStep",
    "Token",
    "TokenRefresh",
    "Workspace",
]
