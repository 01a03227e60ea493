"""Rows: what is true of one of them stands in the model, questions on many in its QuerySet."""

from .alert import AlertDelivery, AlertRoute, Incident, Severity
from .approval import Approval, ApprovalDemand, Subject
from .authorisation import Authorisation, ConsentLink
from .catalogue_scope import CatalogueScope
from .connector import Connector
from .event import Event
from .fields import Sealed
from .heartbeat import Heartbeat
from .integration_type import IntegrationType
from .ledger import LedgerEntry, ScopePeriod, Sensitivity
from .membership import Membership, RoleChoices
from .oauth_client import OAuthClient
from .policy import PolicyException, PolicyFinding, PolicyRule
from .project import Project
from .rate_budget import RateBudget
from .repository import Placement, Repository, RepositoryFile
from .repository_run import PullRequest, RepositoryRun
from .review import ReviewCampaign, ReviewItem, ReviewNotice
from .saved_view import SavedView
from .sign_in import GroupMapping, Invitation, SignInProvider
from .sync_run import SyncRun, SyncStep
from .token import Token, TokenRefresh
from .trail import TrailCheck, TrailSegment, TrailStream
from .workspace import Workspace

__all__ = [
    "AlertDelivery",
    "AlertRoute",
    "Approval",
    "ApprovalDemand",
    "Authorisation",
    "CatalogueScope",
    "Connector",
    "ConsentLink",
    "Event",
    "GroupMapping",
    "Heartbeat",
    "Incident",
    "IntegrationType",
    "Invitation",
    "LedgerEntry",
    "Membership",
    "OAuthClient",
    "Placement",
    "PolicyException",
    "PolicyFinding",
    "PolicyRule",
    "Project",
    "PullRequest",
    "RateBudget",
    "Repository",
    "RepositoryFile",
    "RepositoryRun",
    "ReviewCampaign",
    "ReviewItem",
    "ReviewNotice",
    "RoleChoices",
    "SavedView",
    "ScopePeriod",
    "Sealed",
    "Sensitivity",
    "Severity",
    "SignInProvider",
    "Subject",
    "SyncRun",
    "SyncStep",
    "Token",
    "TokenRefresh",
    "TrailCheck",
    "TrailSegment",
    "TrailStream",
    "Workspace",
]
