"""Addresses for machines, below /api/."""

from __future__ import annotations

from django.urls import path

from connectors.api.check import check
from connectors.api.git_webhook import git_webhook

app_name = "api"
urlpatterns = [
    path("check/", check, name="check"),
    path("git/<uuid:public_id>/", git_webhook, name="git_webhook"),
]
