"""Everything about connectors; docs/architecture.md says what is where."""

__version__ = "0.1.0"
"""As pyproject.toml has it: stands in figures, on the operations page and in the record of running processes."""
