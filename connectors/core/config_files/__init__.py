"""Connector files: where they lie, what they declare, and how they are written without losing a comment."""

from __future__ import annotations

from connectors.core.config_files.export import FileChange, plan_export, unified_diff
from connectors.core.config_files.locate import (
    ProjectFiles,
    connectors_directory,
    connectors_folder,
    locate_at,
    locate_file,
    locate_project,
    locate_projects,
    locate_upload,
    outline_projects,
    read_directory,
)
from connectors.core.config_files.read import MAX_BYTES, ConnectorFile, parse_connector
from connectors.core.config_files.render import render_edited, render_new
from connectors.core.config_files.tree import read_zip
from connectors.core.config_files.write import write_changes, zip_changes

__all__ = [
    "MAX_BYTES",
    "ConnectorFile",
    "FileChange",
    "ProjectFiles",
    "connectors_directory",
    "connectors_folder",
    "locate_at",
    "locate_file",
    "locate_project",
    "locate_projects",
    "locate_upload",
    "outline_projects",
    "parse_connector",
    "plan_export",
    "read_directory",
    "read_zip",
    "render_edited",
    "render_new",
    "unified_diff",
    "write_changes",
    "zip_changes",
]
