"""The integration types the emulated Base44 offers.

Types and display names are those of Base44's public documentation (autumn 2026). Of the connection config fields only
`share_point`'s `subdomain` and its pattern are documented; the others are modelled on it. Which scopes Base44 adds by
itself, and which it drops, is a guess that follows what the providers do.
"""

from __future__ import annotations

from dataclasses import dataclass

from connectors.core.base44.contract import AvailableIntegration, IntegrationField

GOOGLE_BASICS = ("openid", "https://www.googleapis.com/auth/userinfo.email")


@dataclass(frozen=True, slots=True)
class Integration:
    """One entry of `available-integrations`, with the emulator's rules for its scopes.

    `auto_added` scopes are in every grant, asked for or not; `unallowed` are patterns (as of `fnmatch`) of scopes
    that vanish silently from a request.
    """

    type: str
    display_name: str
    description: str
    config_fields: tuple[IntegrationField, ...] = ()
    auto_added: tuple[str, ...] = ()
    unallowed: tuple[str, ...] = ()

    def as_wire(self) -> AvailableIntegration:
        """The entry as `available-integrations` answers it."""
        return AvailableIntegration(
            integration_type=self.type,
            display_name=self.display_name,
            description=self.description,
            connection_config_fields=self.config_fields,
        )


SHAREPOINT_SITE = IntegrationField(
    name="subdomain",
    display_name="Site path",
    description="The path of the SharePoint site, as it stands after the host name.",
    placeholder="sites/mysite",
    required=True,
    validation_pattern="^[a-zA-Z0-9/_-]+$",
    validation_error="Use letters, digits, slashes, underscores and hyphens only.",
)


def _subdomain(display_name: str, description: str, placeholder: str) -> IntegrationField:
    return IntegrationField(
        name="subdomain",
        display_name=display_name,
        description=description,
        placeholder=placeholder,
        required=True,
        validation_pattern="^[a-zA-Z0-9._-]+$",
        validation_error="Use letters, digits, dots, underscores and hyphens only.",
    )


BAMBOOHR_COMPANY = _subdomain("Company domain", "The first part of your BambooHR address.", "acme")
SNOWFLAKE_ACCOUNT = _subdomain("Account identifier", "Organisation and account, as in your sign-in URL.", "org-account")
DATABRICKS_HOST = IntegrationField(
    name="workspace_host",
    display_name="Workspace host",
    description="The host name of your Databricks workspace, without https://.",
    placeholder="adb-1234567890123456.7.azuredatabricks.net",
    required=True,
    validation_pattern="^[a-zA-Z0-9.-]+$",
    validation_error="Give the host name only.",
)
SALESFORCE_HOST = IntegrationField(
    name="login_host",
    display_name="Login host",
    description="Where your users sign in; leave empty for login.salesforce.com.",
    placeholder="acme.my.salesforce.com",
    required=False,
    validation_pattern="^[a-zA-Z0-9.-]+$",
    validation_error="Give the host name only.",
)

_GOOGLE = (
    ("gmail", "Gmail", "Read, draft and send e-mail"),
    ("google_analytics", "Google Analytics", "Read reports of your properties"),
    ("google_classroom", "Google Classroom", "Work with courses, rosters and coursework"),
    ("google_search_console", "Google Search Console", "Read search performance of your sites"),
    ("googleads", "Google Ads", "Manage campaigns and read their reports"),
    ("googlebigquery", "Google BigQuery", "Query and load data sets"),
    ("googlecalendar", "Google Calendar", "Read and manage events"),
    ("googledocs", "Google Docs", "Create and edit documents"),
    ("googledrive", "Google Drive", "Find, read and store files"),
    ("googlemeet", "Google Meet", "Create meetings and read their records"),
    ("googlesheets", "Google Sheets", "Read and write spreadsheets"),
    ("googleslides", "Google Slides", "Create and edit presentations"),
    ("googletasks", "Google Tasks", "Manage task lists"),
)
_MICROSOFT = (
    ("microsoft_teams", "Microsoft Teams", "Post messages and read channels"),
    ("one_drive", "OneDrive", "Find, read and store files"),
    ("outlook", "Outlook", "Read and send mail, manage calendars"),
)
_PLAIN = (
    ("airtable", "Airtable", "Read and write the records of your bases"),
    ("box", "Box", "Find, read and store files"),
    ("calendly", "Calendly", "Read and manage scheduled events"),
    ("clickup", "ClickUp", "Manage tasks, lists and spaces"),
    ("contentful", "Contentful", "Manage content types and entries"),
    ("discord", "Discord", "Read servers and members, post messages"),
    ("dropbox", "Dropbox", "Find, read and store files"),
    ("github", "GitHub", "Work with repositories, issues and pull requests"),
    ("gitlab", "GitLab", "Work with projects, issues and merge requests"),
    ("hubspot", "HubSpot", "Work with contacts, companies and deals"),
    ("hugging_face", "Hugging Face", "Use models, data sets and inference"),
    ("instagram", "Instagram", "Publish media and read insights"),
    ("linkedin", "LinkedIn", "Share posts and read profiles"),
    ("notion", "Notion", "Read and write pages and databases"),
    ("quickbooks", "QuickBooks", "Read and write accounting data"),
    ("splitwise", "Splitwise", "Read and record shared expenses"),
    ("square", "Square", "Work with payments, orders and catalogues"),
    ("supabase", "Supabase", "Manage projects and databases"),
    ("tiktok", "TikTok", "Publish videos and read profiles"),
    ("typeform", "Typeform", "Read forms and their responses"),
    ("wix", "Wix", "Work with sites and their data"),
    ("wrike", "Wrike", "Manage tasks and folders"),
)
_SPECIAL = (
    Integration("bamboohr", "BambooHR", "Read employees and time off", (BAMBOOHR_COMPANY,), ("openid",)),
    Integration("databricks", "Databricks", "Run queries and jobs", (DATABRICKS_HOST,), ("offline_access",)),
    Integration("linear", "Linear", "Manage issues and projects", auto_added=("read",)),
    Integration("salesforce", "Salesforce", "Work with records of your organisation", (SALESFORCE_HOST,)),
    Integration("share_point", "SharePoint", "Work with sites, lists and files", (SHAREPOINT_SITE,), ("User.Read",)),
    Integration("slack", "Slack User", "Act in Slack as yourself", auto_added=("identify",), unallowed=("admin*",)),
    Integration("slackbot", "Slack Bot", "Post and read as a bot", unallowed=("admin*",)),
    Integration("snowflake", "Snowflake", "Query your warehouse", (SNOWFLAKE_ACCOUNT,)),
)


def default_integrations() -> dict[str, Integration]:
    """Every integration type by its name, in alphabetical order; `stripe` is never among them."""
    plain = [Integration(*entry) for entry in _PLAIN]
    google = [Integration(*entry, auto_added=GOOGLE_BASICS) for entry in _GOOGLE]
    microsoft = [Integration(*entry, auto_added=("User.Read",)) for entry in _MICROSOFT]
    entries = [*plain, *google, *microsoft, *_SPECIAL]
    return {entry.type: entry for entry in sorted(entries, key=lambda entry: entry.type)}
