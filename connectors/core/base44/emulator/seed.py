"""Worlds to start from."""

from __future__ import annotations

from dataclasses import dataclass, field

from connectors.core.base44.emulator.state import App, Connection, Credential, World

WORKSPACE = "ws-acme"
OWNER = "admin@acme.example"
COLLEAGUE = "colleague@acme.example"
GOOGLE = "https://www.googleapis.com/auth/"
GOOGLE_BASICS = ["openid", f"{GOOGLE}userinfo.email"]


@dataclass(frozen=True, slots=True)
class Registered:
    """One connector of a demo app."""

    type: str
    scopes: list[str]
    status: str = "active"
    account: str = OWNER
    config: dict[str, str] = field(default_factory=dict)


def seed_empty(world: World) -> None:
    """A workspace “Acme” with an owner and a colleague, and no apps."""
    world.add_workspace(WORKSPACE, "Acme", members=[OWNER, COLLEAGUE])
    world.data.users[OWNER].name = "Ada Admin"
    world.data.users[COLLEAGUE].name = "Cole League"


def seed_demo(world: World) -> None:
    """The world of the demo: three apps with connectors for the portal's sample projects, five to be discovered.

    Compared with the sample projects' files every kind of difference occurs; docs/emulator.md has the table.
    """
    seed_empty(world)
    for app_id, name, description, connectors in _DEMO_APPS:
        app = world.add_app(app_id, name, workspace=WORKSPACE, description=description)
        for connector in connectors:
            register(world, app, connector)
    world.data.apps["demo-insights"].stripe.mode = "sandbox"


def register(world: World, app: App, connector: Registered) -> Connection:
    """Put a connector at Base44, as if somebody had given consent; it replaces one of the same type."""
    with world.lock:
        connection = Connection(
            connector.type, list(connector.scopes), connector.status, connector.account, dict(connector.config)
        )
        app.connections[connector.type] = connection
        world.changed()
        return connection


def personal_token(world: World, token: str = "", *, read_only: bool = False) -> str:
    """The owner's personal access token for the workspace: the given one, one that is there, or a new one."""
    wanted = Credential("pat", OWNER, WORKSPACE, read_only=read_only)
    with world.lock:
        if not token:
            token = next((known for known, found in world.data.credentials.items() if found == wanted), "")
        return world.add_credential(wanted, token)


def _objects(*names: str) -> list[str]:
    return [f"crm.objects.{name}.{access}" for name in names for access in ("read", "write")]


_DEMO_APPS: list[tuple[str, str, str, list[Registered]]] = [
    (
        "demo-storefront",
        "Storefront",
        "Online shop: orders, invoices, customer mail",
        [
            Registered("gmail", [f"{GOOGLE}gmail.send", f"{GOOGLE}gmail.readonly", *GOOGLE_BASICS]),
            Registered("googlecalendar", [f"{GOOGLE}calendar.events", *GOOGLE_BASICS]),
            Registered("hubspot", ["oauth", *_objects("contacts", "deals"), "crm.lists.read"]),
            Registered("notion", []),
            Registered("slackbot", ["chat:write", "chat:write.public", "channels:read", "files:write"]),
            Registered("googledrive", [f"{GOOGLE}drive.readonly", *GOOGLE_BASICS]),
        ],
    ),
    (
        "demo-helpdesk",
        "Helpdesk",
        "Support inbox, tickets and on-call",
        [
            Registered(
                "gmail",
                [f"{GOOGLE}gmail.modify", f"{GOOGLE}gmail.labels", f"{GOOGLE}gmail.send", *GOOGLE_BASICS],
                status="expired",
            ),
            Registered("linear", ["read", "issues:create"], account=COLLEAGUE),
            Registered("salesforce", ["api", "refresh_token", "id"]),
            Registered(
                "slack",
                ["channels:history", "channels:read", "users:read", "users:read.email", "reactions:write", "identify"],
            ),
        ],
    ),
    (
        "demo-insights",
        "Insights",
        "Weekly reports for sales and finance",
        [
            Registered("googlesheets", [f"{GOOGLE}drive.file", f"{GOOGLE}spreadsheets.readonly", *GOOGLE_BASICS]),
            Registered(
                "hubspot",
                ["oauth", *(f"crm.objects.{name}.read" for name in ("contacts", "companies", "deals"))],
                status="disconnected",
            ),
            Registered("notion", []),
            Registered("salesforce", ["api", "refresh_token", "openid"], account=COLLEAGUE),
            Registered("slackbot", ["chat:write"]),
            Registered("share_point", ["Sites.Read.All", "User.Read"], config={"subdomain": "sites/insights"}),
        ],
    ),
    ("demo-careers", "Careers", "Job offers and applications", [Registered("googlecalendar", [f"{GOOGLE}calendar"])]),
    ("demo-intranet", "Intranet", "News, people, rooms", [Registered("slack", ["identify", "users:read"])]),
    ("demo-newsletter", "Newsletter", "Monthly letter", []),
    ("demo-timesheets", "Timesheets", "Hours and approvals", [Registered("airtable", ["data.records:read"])]),
    ("demo-warehouse", "Warehouse", "Scanner at the gate", [Registered("googlesheets", [f"{GOOGLE}spreadsheets"])]),
]

SEEDS = {"demo": seed_demo, "empty": seed_empty}
