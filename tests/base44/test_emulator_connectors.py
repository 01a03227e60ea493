"""What the emulated Base44 does with scopes, as the wire contract says."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from connectors.core.base44 import contract
from connectors.core.base44.emulator import Emulator
from connectors.core.base44.emulator.catalog import Integration, default_integrations
from connectors.core.base44.emulator.connecting import decide, effective_scopes, request_scopes
from connectors.core.base44.emulator.seed import COLLEAGUE, OWNER
from connectors.core.base44.emulator.state import World
from tests.servers.http import Reply, ask

AUTH = "/api/apps/shop/external-auth"
SCOPES = ["chat:write", "channels:read"]


def put(emulator: Emulator, integration_type: str, scopes: list[str], **more: object) -> Reply:
    path = f"{AUTH}/integrations/{integration_type}"
    return ask(emulator.url, "PUT", path, {"scopes": scopes, **more}, token=emulator.pat)


def initiate(emulator: Emulator, integration_type: str, scopes: list[str], **more: object) -> Reply:
    body = {"integration_type": integration_type, "scopes": scopes, **more}
    return ask(emulator.url, "POST", f"{AUTH}/initiate", body, token=emulator.pat)


def get(emulator: Emulator, path: str, *, token: str = "") -> Reply:
    return ask(emulator.url, "GET", path, token=token or emulator.pat)


def listed(emulator: Emulator) -> dict[str, Any]:
    rows = get(emulator, f"{AUTH}/list").json["integrations"]
    return {row["integration_type"]: row for row in rows}


# setting scopes


def test_new_scopes_need_consent(emulator: Emulator) -> None:
    answer = put(emulator, "slackbot", SCOPES).json
    assert answer["redirect_url"].startswith(f"{emulator.url}/connect/")
    assert (answer["already_authorized"], answer["error"]) == (False, None)


def test_every_answer_to_setting_scopes_has_all_six_keys(emulator: Emulator) -> None:
    emulator.register("shop", "slackbot", SCOPES)
    assert set(put(emulator, "slackbot", SCOPES).json) == set(contract.SetScopesAnswer.model_fields)


def test_the_same_scopes_in_another_order_are_already_authorized(emulator: Emulator) -> None:
    emulator.register("shop", "slackbot", SCOPES)
    assert put(emulator, "slackbot", SCOPES[::-1]).json["already_authorized"] is True


def test_narrowing_needs_consent_and_the_old_scopes_serve_until_then(emulator: Emulator) -> None:
    emulator.register("shop", "slackbot", SCOPES)
    assert put(emulator, "slackbot", SCOPES[:1]).json["redirect_url"]
    assert listed(emulator)["slackbot"]["scopes"] == SCOPES
    emulator.consent("shop", "slackbot")
    assert listed(emulator)["slackbot"]["scopes"] == SCOPES[:1]


def test_each_needless_request_makes_another_link(emulator: Emulator) -> None:
    links = {put(emulator, "slackbot", SCOPES).json["redirect_url"] for _ in range(2)}
    assert len(links) == 2


def test_auto_added_scopes_are_granted_and_are_no_difference(emulator: Emulator) -> None:
    put(emulator, "slack", ["users:read"])
    emulator.consent("shop", "slack")
    assert listed(emulator)["slack"]["scopes"] == ["users:read", "identify"]
    assert put(emulator, "slack", ["users:read"]).json["already_authorized"] is True


def test_unallowed_scopes_vanish_silently(emulator: Emulator) -> None:
    emulator.set_scope_rules("slackbot", unallowed=["admin*"])
    put(emulator, "slackbot", ["chat:write", "admin.users:read"])
    emulator.consent("shop", "slackbot")
    assert listed(emulator)["slackbot"]["scopes"] == ["chat:write"]


def test_a_colleague_s_connection_with_the_same_scopes_is_a_different_user(emulator: Emulator) -> None:
    emulator.register("shop", "slackbot", SCOPES, account=COLLEAGUE)
    reply = put(emulator, "slackbot", SCOPES)
    assert (reply.status, reply.json["error"], reply.json["other_user_email"]) == (200, "different_user", COLLEAGUE)


def test_an_expired_connection_needs_consent_for_the_same_scopes(emulator: Emulator) -> None:
    emulator.register("shop", "slackbot", SCOPES)
    emulator.expire("shop", "slackbot")
    assert put(emulator, "slackbot", SCOPES).json["redirect_url"]


def test_an_unknown_type_is_refused(emulator: Emulator) -> None:
    assert put(emulator, "myspace", []).status == 400


def test_a_required_connection_config_field_must_be_given(emulator: Emulator) -> None:
    reply = put(emulator, "share_point", ["Sites.Read.All"])
    assert (reply.status, reply.json["message"]) == (400, "Missing required connection config field: subdomain")


def test_a_connection_config_value_must_fit_its_pattern(emulator: Emulator) -> None:
    reply = put(emulator, "share_point", [], connection_config={"subdomain": "no blanks please"})
    assert (reply.status, "Use letters" in reply.json["message"]) == (400, True)


def test_another_connection_config_needs_consent(emulator: Emulator) -> None:
    emulator.register("shop", "share_point", ["Sites.Read.All"], connection_config={"subdomain": "sites/a"})
    same = put(emulator, "share_point", ["Sites.Read.All"], connection_config={"subdomain": "sites/a"}).json
    other = put(emulator, "share_point", ["Sites.Read.All"], connection_config={"subdomain": "sites/b"}).json
    assert (same["already_authorized"], other["already_authorized"]) == (True, False)


def test_a_body_that_is_no_json_is_unprocessable(emulator: Emulator) -> None:
    reply = ask(emulator.url, "PUT", f"{AUTH}/integrations/gmail", "not an object", token=emulator.pat)
    assert reply.status == 422


# adding scopes


def test_initiate_adds_to_the_scopes_that_are_there(emulator: Emulator) -> None:
    emulator.register("shop", "slackbot", SCOPES[:1])
    initiate(emulator, "slackbot", SCOPES[1:])
    emulator.consent("shop", "slackbot")
    assert listed(emulator)["slackbot"]["scopes"] == SCOPES


def test_force_reconnect_takes_a_colleague_s_connection_over(emulator: Emulator) -> None:
    emulator.register("shop", "slackbot", SCOPES, account=COLLEAGUE)
    assert initiate(emulator, "slackbot", SCOPES, force_reconnect=True).json["redirect_url"]
    emulator.consent("shop", "slackbot")
    assert listed(emulator)["slackbot"]["user_email"] == OWNER


# consent and its status


def status_after(emulator: Emulator, approve: bool | list[str]) -> str:
    connection_id = put(emulator, "slackbot", SCOPES).json["connection_id"]
    emulator.consent("shop", "slackbot", approve=approve)
    path = f"{AUTH}/status?integration_type=slackbot&connection_id={connection_id}"
    return str(get(emulator, path).json["status"])


def test_consent_makes_the_status_active(emulator: Emulator) -> None:
    assert status_after(emulator, approve=True) == "ACTIVE"


def test_denial_makes_the_status_failed_and_keeps_the_old_connection(emulator: Emulator) -> None:
    emulator.register("shop", "slackbot", SCOPES[:1])
    assert status_after(emulator, approve=False) == "FAILED"
    assert listed(emulator)["slackbot"]["scopes"] == SCOPES[:1]


def test_consent_to_some_scopes_grants_only_these(emulator: Emulator) -> None:
    assert status_after(emulator, approve=["channels:read"]) == "ACTIVE"
    assert listed(emulator)["slackbot"]["scopes"] == ["channels:read"]


def test_an_abandoned_link_stays_pending(emulator: Emulator) -> None:
    connection_id = put(emulator, "slackbot", SCOPES).json["connection_id"]
    emulator.advance(7 * 24 * 3600)
    path = f"{AUTH}/status?integration_type=slackbot&connection_id={connection_id}"
    assert get(emulator, path).json == {"status": "PENDING"}


def test_somebody_else_s_link_always_reads_pending(emulator: Emulator) -> None:
    connection_id = put(emulator, "slackbot", SCOPES).json["connection_id"]
    emulator.consent("shop", "slackbot")
    path = f"{AUTH}/status?integration_type=slackbot&connection_id={connection_id}"
    assert get(emulator, path, token=emulator.add_token(email=COLLEAGUE)).json == {"status": "PENDING"}


def test_the_status_of_an_unknown_connection_is_not_found(emulator: Emulator) -> None:
    assert get(emulator, f"{AUTH}/status?integration_type=slackbot&connection_id=x").status == 404


def test_the_status_wants_both_parameters(emulator: Emulator) -> None:
    assert get(emulator, f"{AUTH}/status?integration_type=slackbot").status == 422


# listing and removing


def test_a_connector_nobody_authorised_is_not_listed(emulator: Emulator) -> None:
    put(emulator, "slackbot", SCOPES)
    assert listed(emulator) == {}


def test_listing_finds_out_that_a_connection_ran_out(emulator: Emulator) -> None:
    emulator.register("shop", "slackbot", SCOPES, expires_in=60)
    assert listed(emulator)["slackbot"]["status"] == "active"
    emulator.advance(61)
    assert listed(emulator)["slackbot"]["status"] == "expired"


def test_a_connection_through_a_workspace_s_own_client_is_not_listed(emulator: Emulator) -> None:
    emulator.register("shop", "slackbot", SCOPES, hidden=True)
    assert listed(emulator) == {}


def test_a_connection_without_an_account_has_no_user_email(emulator: Emulator) -> None:
    emulator.register("shop", "slackbot", SCOPES, account="")
    assert "user_email" not in listed(emulator)["slackbot"]


def test_removing_succeeds_also_when_there_is_nothing(emulator: Emulator) -> None:
    emulator.register("shop", "slackbot", SCOPES)
    path = f"{AUTH}/integrations/slackbot/remove"
    replies = [ask(emulator.url, "DELETE", path, token=emulator.pat) for _ in range(2)]
    assert [reply.json for reply in replies] == [{"status": "removed", "integration_type": "slackbot"}] * 2
    assert listed(emulator) == {}


def test_a_disconnected_connector_stays_listed_with_its_scopes(emulator: Emulator) -> None:
    emulator.register("shop", "slackbot", SCOPES)
    ask(emulator.url, "DELETE", f"{AUTH}/integrations/slackbot", token=emulator.pat)
    assert (listed(emulator)["slackbot"]["status"], listed(emulator)["slackbot"]["scopes"]) == ("disconnected", SCOPES)


def test_a_deployment_removes_what_it_does_not_declare(emulator: Emulator) -> None:
    emulator.register("shop", "slackbot", SCOPES)
    emulator.register("shop", "notion")
    body = {"connectors": [{"integration_type": "notion", "scopes": []}]}
    path = "/api/apps/shop/deployment/connectors"
    key = emulator.add_token("key")
    reply = ask(emulator.url, "PUT", path, body, headers={"api_key": key})
    assert (reply.json, list(emulator.app("shop").connections)) == (body, ["notion"])


# the catalogue


def test_the_catalogue_fits_the_contract_and_never_lists_stripe(emulator: Emulator) -> None:
    reply = get(emulator, f"{AUTH}/available-integrations")
    types = [row.integration_type for row in contract.AvailableIntegrations.model_validate(reply.json).integrations]
    assert types == list(default_integrations())
    assert "stripe" not in types


def test_auto_added_scopes_need_no_credential(emulator: Emulator) -> None:
    reply = ask(emulator.url, "GET", "/api/external-auth/auto-added-scopes")
    assert (reply.status, reply.json["slack"]) == (200, ["identify"])


# properties

TYPES = sorted(entry.type for entry in default_integrations().values() if not entry.config_fields)
ANY_SCOPES = st.lists(st.sampled_from(["a", "b", "c", "admin.x", "openid", "identify", "User.Read"]), max_size=5)


@given(st.sampled_from(TYPES), ANY_SCOPES, ANY_SCOPES)
def test_after_full_consent_the_same_request_needs_nothing(
    integration_type: str, before: list[str], after: list[str]
) -> None:
    world = World()
    app = world.add_app("app", workspace="w")
    for asked in (before, after):
        outcome = request_scopes(world, app, integration_type, asked, email=OWNER)
        if outcome.link:
            decide(world, outcome.link, outcome.link.scopes)
        again = request_scopes(world, app, integration_type, asked, email=OWNER)
        assert (again.link, again.other_user) == (None, "")


@given(ANY_SCOPES)
def test_effective_scopes_are_a_fixed_point(asked: list[str]) -> None:
    entry = Integration("x", "X", "", auto_added=("openid",), unallowed=("admin*",))
    once = effective_scopes(entry, asked)
    assert effective_scopes(entry, once) == once
