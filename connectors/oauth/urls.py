"""Addresses outside the admin: where an authorisation starts, and where providers answer."""

from __future__ import annotations

from django.urls import path

from connectors.oauth import consent_links, views

urlpatterns = [
    path("oauth/connectors/<int:connector_id>/start/", views.start, name="oauth_start"),
    path("oauth/<slug:slug>/callback/", views.callback, name="oauth_callback"),
    path("consent/<int:pk>/", consent_links.page, name="consent_link_page"),
    path("consent/<int:pk>/result/", consent_links.result, name="consent_link_result"),
    path("consent/<int:pk>/status/", consent_links.status, name="consent_link_status"),
    path("consent/over/<slug:why>/", consent_links.refused, name="consent_link_refused"),
    path("consent/<str:token>/", consent_links.enter, name="consent_link"),
]
