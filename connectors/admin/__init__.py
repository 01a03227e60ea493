"""Pages, buttons and permissions; the rules are in `connectors.flows`.

Django registers the admins by importing this package.
"""

from connectors.admin import connector, event, integration_type, project, sync_run, users, workspace

__all__ = ["connector", "event", "integration_type", "project", "sync_run", "users", "workspace"]
