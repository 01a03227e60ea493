"""Wiring only: settings, URLs, the Celery application, the look. Rules live in `connectors`."""

from portal.celery import app as celery_app

__all__ = ["celery_app"]
