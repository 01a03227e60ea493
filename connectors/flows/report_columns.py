"""The columns of every report. Their keys are a contract with programs that read the files: docs/reports.md lists them.

New columns are added at the end; none is renamed or removed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from connectors.core.reports import Column

_WORKSPACE = Column("workspace", "Workspace", "The Base44 workspace that the project is in.")
_PROJECT = Column("project", "Project", "The project's short name, as commands take it. It is unique.", on_paper=False)
_PROJECT_NAME = Column("project_name", "Project name", "The project's name, as the portal's pages show it.")
_ENVIRONMENT = Column("environment", "Environment", "development, staging or production.")
_TYPE = Column("type", "Type", "The connector's integration type, as connector files name it, such as gmail.")
_PROVIDER = Column(
    "provider", "Provider", "The service that grants the scope, such as google. Empty: not known.", on_paper=False
)
_SCOPE = Column("scope", "Scope", "The permission, as its provider spells it.")
_TITLE = Column("title", "What it allows", "What the scope lets the app do, in words. Empty: nobody knows.")
_SENSITIVITY = Column(
    "sensitivity",
    "Sensitivity",
    "How much harm it can do: low, medium, high or critical; what the team says counts before what is shipped. "
    "Empty: nobody has judged it, which does not mean that it is harmless.",
)
_SIDES = (
    Column("declared", "Declared", "Whether the portal asks for it."),
    Column("repository", "In the repository", "Whether the connector file asked for it when it was last read."),
    Column("registered", "Registered", "Whether Base44 had it when it was last asked."),
    Column("granted", "Granted", "Whether the token that the portal holds can use it."),
)
_VERDICT = Column(
    "verdict",
    "Verdict",
    "What follows: agrees, implied (another scope contains it), alias (the same by another name), auto_added (added by "
    "Base44 or the provider), unknowable, missing (calls will fail), excess (nobody asked for it), drift.",
)
_REASON = Column("reason", "Reason", "The verdict in words.")
_ACCOUNT = Column("account", "Account", "Whose account the app works through, such as a mailbox. Empty: not known.")
_PERSON = Column("person", "Authorised by", "Who agreed to it through the portal. Empty: not known.")

LEDGER = (
    _WORKSPACE,
    _PROJECT,
    _PROJECT_NAME,
    _ENVIRONMENT,
    _TYPE,
    _PROVIDER,
    _SCOPE,
    _TITLE,
    _SENSITIVITY,
    *_SIDES,
    _VERDICT,
    Column(
        "differs",
        "Differs",
        "Whether the verdict asks for somebody: true for missing, excess and drift.",
        on_paper=False,
    ),
    _REASON,
    _ACCOUNT,
    _PERSON,
    Column(
        "policy",
        "Policy",
        "The gravest that the team's rules say: excepted, warn, approval or block. Empty: no rule is broken.",
    ),
    Column("since", "Since (UTC)", "Since when it has been listed somewhere without a break."),
)

_GROUP_FIGURES = (
    Column("differing", "Differing", "How many of the entries have a verdict that asks for somebody."),
    Column("worst_verdict", "Gravest verdict", "The gravest verdict among the entries."),
)
_ENTRIES = Column("entries", "Entries", "How many lines of the ledger are counted here: scopes of connectors.")
_HOLDING = Column("usable", "Usable now", "How many of the entries can be used now.")
_CONNECTORS = Column("connectors", "Connectors", "How many connectors there are among them.")
_PROJECTS = Column("projects", "Projects", "How many projects there are among them.")
_GRAVEST = Column("sensitivity", "Gravest sensitivity", "The gravest sensitivity among them. Empty: none is judged.")
_TYPES = Column("types", "Types", "The integration types among them.")

BY_SCOPE = (
    replace(_PROVIDER, on_paper=True),
    _SCOPE,
    _TITLE,
    _SENSITIVITY,
    _ENTRIES,
    _HOLDING,
    _CONNECTORS,
    _PROJECTS,
    Column("accounts", "Accounts", "Through how many known accounts it is used."),
    *_GROUP_FIGURES,
)
BY_ACCOUNT = (
    _ACCOUNT,
    _GRAVEST,
    _ENTRIES,
    _HOLDING,
    _CONNECTORS,
    _PROJECTS,
    Column("scopes", "Scopes", "How many different scopes it reaches."),
    *_GROUP_FIGURES,
    _TYPES,
)
BY_PERSON = (
    _PERSON,
    _GRAVEST,
    _ENTRIES,
    _HOLDING,
    _CONNECTORS,
    _PROJECTS,
    Column("accounts", "Accounts", "Through how many known accounts."),
    Column("scopes", "Scopes", "How many different scopes they authorised."),
    *_GROUP_FIGURES,
    _TYPES,
)

_THEN_PROJECT = Column(
    "project", "Project", "The project's short name. Empty: the project was deleted since.", on_paper=False
)
HISTORY = (
    Column("at", "At (UTC)", "The moment that the row is about."),
    _THEN_PROJECT,
    _PROJECT_NAME,
    _TYPE,
    _SCOPE,
    _TITLE,
    *_SIDES,
    Column("verdict", "Verdict", "As in the ledger; it follows from what was listed then, by today's catalogue."),
    _REASON,
    _ACCOUNT,
)
CHANGES = (
    Column("at", "At (UTC)", "When it changed, or when the portal found out."),
    _THEN_PROJECT,
    _PROJECT_NAME,
    _TYPE,
    Column("side", "Side", "Where it changed: declared, repository, registered or granted."),
    Column("change", "Change", "added, removed, or side: something else became of the side, see details."),
    Column("scope", "Scope", "The scope that was added or removed. Empty for a change of the side."),
    Column("details", "Details", "What became of the side, in words."),
    Column("through", "Through", "What made the change, as the activity record names it, such as project.synced."),
    Column("by", "By", "Who or what made the change."),
    Column("run", "Run", "The number of the sync run that found it. Empty: it was no sync."),
)
REVIEW = (
    Column("project_name", "Project", "As it was called when the review was opened, like all up to since."),
    _ENVIRONMENT,
    _TYPE,
    _SCOPE,
    _TITLE,
    _SENSITIVITY,
    *_SIDES,
    _VERDICT,
    _REASON,
    _ACCOUNT,
    _PERSON,
    Column("since", "Since (UTC)", "Since when it had been listed without a break."),
    Column("owner", "Owner", "Who had to decide. Empty: nobody was found."),
    Column("decision", "Decision", "keep, narrow or remove. Empty: not decided."),
    Column("narrow_to", "Narrow to", "The scope that shall take its place."),
    Column("decision_reason", "Reason for the decision", "In the words of whoever decided."),
    Column("decided_by", "Decided by", "Who decided."),
    Column("decided_at", "Decided (UTC)", "When they decided."),
    Column("outcome", "Outcome", "What became of it: waiting, declared, done or failed. Empty: nothing to do."),
    Column("outcome_note", "Note on the outcome", "Why it could not be carried out."),
    Column("snapshot_digest", "Fingerprint", "SHA-256 over the frozen rows of the whole review; the same in each row."),
)
HOLDINGS = (
    Column("person", "Person", "About whom it is."),
    Column("kind", "Kind", "connector, workspace, consent-link, project, exception, review or alert-route."),
    Column("name", "Name", "What hangs on them, in words."),
    _PROJECT,
    Column("type", "Type", "The connector's integration type. Empty: it is about no connector."),
    Column("way", "Way", "portal: the portal holds the token. hosted: Base44 does. Empty: it is about no connector."),
    _ACCOUNT,
    Column("fate", "Fate", "stops, may_stop or goes_on when their own account is closed. Empty: about no connector."),
    _SENSITIVITY,
    Column("scopes", "Scopes", "What it can do, as far as that is known."),
    Column("details", "Details", "What becomes of it, in words."),
)
AUDIT = (
    replace(_PROJECT, on_paper=True),
    _ENVIRONMENT,
    Column("type", "Type", "The connector's integration type. Empty: it is about the whole project."),
    Column("action", "Kind", "drift, policy (a rule is broken), policy-warn (one that only warns) or unknown."),
    Column("word", "Finding", "The verdict (missing, excess, drift, unknowable), the rule's effect, or unknown."),
    Column("scopes", "Scopes", "The scopes that it is about. Empty: it is about the whole connector or project."),
    Column("sensitivity", "Sensitivity", "The gravest among them: low, medium, high or critical. Empty: not judged."),
    Column("policy", "Policy", "The name of the rule that is broken. Empty: it is about no rule."),
    _ACCOUNT,
    Column("since", "Since (UTC)", "Since when the scope has been listed, or the rule been broken. Empty: not known."),
    Column("reason", "Reason", "What is wrong, in words."),
)

REPORTS: Mapping[str, tuple[Column, ...]] = {
    "ledger": LEDGER,
    "ledger-by-scope": BY_SCOPE,
    "ledger-by-account": BY_ACCOUNT,
    "ledger-by-person": BY_PERSON,
    "ledger-history": HISTORY,
    "ledger-changes": CHANGES,
    "connector-timeline": CHANGES,
    "person-holdings": HOLDINGS,
    "access-review": REVIEW,
    "audit": AUDIT,
}
"""Every report by its name."""
