"""Each provider's habit, and each kind of difference, as an admin reads it."""

from __future__ import annotations

import pytest

from connectors.core.ledger import Comparer, ScopeVerdict, Side, Sides, Verdict, worst
from connectors.core.scopes import ScopeRules

GOOGLE = "https://www.googleapis.com/auth/"
SEND, MODIFY, READONLY = (f"{GOOGLE}gmail.{name}" for name in ("send", "modify", "readonly"))
EMAIL = f"{GOOGLE}userinfo.email"
GRAPH = "https://graph.microsoft.com/"

comparer = Comparer(ScopeRules(auto_added={"gmail": ["openid", "email"]}))


def verdicts(type_: str, sides: Sides) -> dict[str, ScopeVerdict]:
    return {found.scope: found for found in comparer.compare(type_, sides)}


def one(type_: str, scope: str, sides: Sides) -> ScopeVerdict:
    return verdicts(type_, sides)[scope]


def words(type_: str, sides: Sides) -> dict[str, Verdict]:
    return {scope: found.verdict for scope, found in verdicts(type_, sides).items()}


def test_what_all_known_sides_list_agrees_and_the_reason_names_them() -> None:
    found = one("slack", "chat:write", Sides(("chat:write",), ("chat:write",), ("chat:write",)))
    assert found == ScopeVerdict(
        "chat:write",
        Verdict.AGREES,
        "Declared, in the repository's file and registered at Base44.",
        declared=True,
        repository=True,
        registered=True,
        granted=None,
        spelled="chat:write",
    )


def test_verdicts_come_in_the_order_of_first_appearance_without_blanks_and_repeats() -> None:
    sides = Sides(declared=("b", " ", "a", "b"), registered=("c", "", "a "), granted=("d", "c"))
    assert [found.scope for found in comparer.compare("slack", sides)] == ["b", "a", "c", "d"]


# --- providers' habits


def test_github_drops_a_scope_that_a_broader_one_contains() -> None:
    sides = Sides(declared=("repo", "repo:status"), registered=("repo",), granted=("repo",), held=True)
    found = one("github", "repo:status", sides)
    assert (found.verdict, found.declared, found.registered, found.granted) == (Verdict.IMPLIED, True, False, False)
    assert "The broader repo, which contains it, is registered at Base44 and granted." in found.reason


def test_a_broader_scope_that_nobody_declared_explains_nothing() -> None:
    found = verdicts("github", Sides(declared=("repo:status",), registered=("repo",)))
    assert (found["repo:status"].verdict, found["repo"].verdict) == (Verdict.DRIFT, Verdict.EXCESS)
    assert "The broader repo, which contains it, is registered at Base44 instead" in found["repo:status"].reason
    assert "will fail" not in found["repo:status"].reason


def test_a_token_that_lists_part_of_a_declared_scope_by_name_can_do_nothing_more() -> None:
    found = one("github", "repo:status", Sides(declared=("repo",), granted=("repo", "repo:status")))
    assert found.verdict is Verdict.IMPLIED
    assert "allows the token nothing more" in found.reason


def test_base44_listing_part_of_a_declared_scope_by_name_would_be_changed_by_the_next_plan() -> None:
    found = one("github", "repo:status", Sides(declared=("repo",), registered=("repo", "repo:status")))
    assert found.verdict is Verdict.EXCESS
    assert found.reason.startswith("Registered at Base44, but not declared. The declared repo contains it")


def test_a_file_without_the_broader_scope_does_not_make_base44_wrong() -> None:
    sides = Sides(declared=("repo", "repo:status"), repository=("repo:status",), registered=("repo",))
    assert words("github", sides) == {"repo": Verdict.DRIFT, "repo:status": Verdict.IMPLIED}


def test_the_broader_scope_beside_it_decides_anew_for_each_connector() -> None:
    covered = words("github", Sides(declared=("repo", "repo:invite"), registered=("repo",)))
    replaced = words("github", Sides(declared=("repo:invite",), registered=("repo",)))
    absent = words("github", Sides(declared=("repo:invite",), registered=()))
    found = [verdicts["repo:invite"] for verdicts in (covered, replaced, absent)]
    assert found == [Verdict.IMPLIED, Verdict.DRIFT, Verdict.MISSING]


def test_googles_short_and_long_names_are_one_scope() -> None:
    found = one("gmail", EMAIL, Sides(declared=("email",), registered=("email",), granted=(EMAIL,), held=True))
    assert (found.verdict, found.spelled) == (Verdict.ALIAS, "email")
    assert f"email (declared and registered at Base44) and {EMAIL} (granted)" in found.reason


def test_one_other_name_that_all_sides_use_is_agreement() -> None:
    found = one("gmail", EMAIL, Sides(declared=("email",), registered=("email",)))
    assert (found.verdict, found.spelled) == (Verdict.AGREES, "email")


def test_a_box_left_unticked_at_google_is_missing_and_says_so() -> None:
    sides = Sides(declared=(SEND, READONLY), granted=(SEND, "openid"), held=True)
    found = one("gmail", READONLY, sides)
    assert found.verdict is Verdict.MISSING
    assert "Calls that need “Read all mail, attachments and settings” will fail" in found.reason
    assert "Google lets people untick single scopes at consent" in found.reason
    assert "leave its box ticked" in found.reason


def test_what_base44_and_the_provider_add_is_no_alarm() -> None:
    google = one("gmail", "openid", Sides(declared=(SEND,), registered=(SEND, "openid")))
    slack = one("slack", "identify", Sides(declared=("chat:write",), granted=("chat:write", "identify")))
    assert (google.verdict, slack.verdict) == (Verdict.AUTO_ADDED, Verdict.AUTO_ADDED)
    assert "added by Base44 by itself" in google.reason
    assert "added by the provider by itself" in slack.reason


def test_an_auto_added_scope_that_came_into_the_file_by_a_pull_is_no_alarm() -> None:
    sides = Sides(declared=(SEND,), repository=(SEND, "openid"), registered=(SEND, "openid"))
    assert one("gmail", "openid", sides).verdict is Verdict.AUTO_ADDED


def test_slack_keeps_what_was_once_granted_until_it_is_revoked() -> None:
    found = one("slack", "files:read", Sides(declared=("chat:write",), granted=("chat:write", "files:read"), held=True))
    assert found.verdict is Verdict.EXCESS
    assert "authorising again never takes a scope away" in found.reason
    assert "revoke the token and authorise the connector again" in found.reason


def test_a_microsoft_token_carries_what_other_connectors_asked_for() -> None:
    sides = Sides(declared=("Mail.Read",), granted=(f"{GRAPH}Mail.Read", "Files.Read", "User.Read"), held=True)
    found = verdicts("outlook", sides)
    assert found["Files.Read"].verdict is Verdict.EXCESS
    assert "may come from another connector" in found["Files.Read"].reason
    assert (found["Mail.Read"].verdict, found["User.Read"].verdict) == (Verdict.ALIAS, Verdict.AUTO_ADDED)


def test_microsoft_never_reports_offline_access() -> None:
    sides = Sides(("Mail.Read", "offline_access"), None, ("Mail.Read",), ("Mail.Read",), held=True)
    found = one("outlook", "offline_access", sides)
    assert (found.verdict, found.granted) == (Verdict.AGREES, False)
    assert "Microsoft never reports this scope back" in found.reason


def test_a_file_is_no_report_so_offline_access_has_to_stand_in_it() -> None:
    sides = Sides(declared=("Mail.Read", "offline_access"), repository=("Mail.Read",))
    assert one("outlook", "offline_access", sides).verdict is Verdict.DRIFT


@pytest.mark.parametrize(("type_", "scope"), [("box", "root_readwrite"), ("wrike", "wsReadWrite")])
def test_a_provider_that_never_says_what_it_granted_leaves_it_unknowable(type_: str, scope: str) -> None:
    found = one(type_, scope, Sides(declared=(scope,), registered=(scope,), held=True))
    assert (found.verdict, found.granted) == (Verdict.UNKNOWABLE, None)
    assert "never says which scopes it granted" in found.reason


def test_hubspot_that_has_not_said_what_it_granted_can_be_asked() -> None:
    found = one("hubspot", "tickets", Sides(declared=("tickets",), registered=("tickets",), held=True))
    assert found.verdict is Verdict.UNKNOWABLE
    assert "HubSpot has not said yet which scopes it granted. The token's page can ask it." in found.reason


def test_hubspot_leaves_out_scopes_that_the_plan_does_not_cover() -> None:
    found = one("hubspot", "tickets", Sides(declared=("tickets",), granted=("oauth",), held=True))
    assert found.verdict is Verdict.MISSING
    assert "HubSpot leaves out, without an error" in found.reason


def test_a_token_that_base44_holds_lets_the_known_sides_decide() -> None:
    assert words("box", Sides(("root_readwrite",), None, ("root_readwrite",))) == {"root_readwrite": Verdict.AGREES}


def test_a_real_difference_counts_even_where_grants_are_never_reported() -> None:
    found = words("box", Sides(declared=("root_readwrite",), registered=(), held=True))
    assert found == {"root_readwrite": Verdict.MISSING}


def test_scopes_declared_for_stripe_mean_nothing() -> None:
    found = one("stripe", "read_write", Sides(declared=("read_write",), repository=(), registered=()))
    assert found.verdict is Verdict.AGREES
    assert "Stripe has no OAuth scopes" in found.reason


def test_notion_has_no_scopes_and_a_token_says_nothing_about_any() -> None:
    found = one("notion", "read_content", Sides(declared=("read_content",), registered=(), held=True))
    assert found.verdict is Verdict.UNKNOWABLE
    assert "Notion has no OAuth scopes" in found.reason


def test_base44_listing_a_scope_that_notion_does_not_have_counts_all_the_same() -> None:
    assert words("notion", Sides(declared=(), registered=("x",))) == {"x": Verdict.EXCESS}


# --- differences


def test_declared_and_not_registered_is_missing_while_nobody_knows_what_was_granted() -> None:
    found = one("slack", "chat:write", Sides(declared=("chat:write",), registered=()))
    assert found.verdict is Verdict.MISSING
    assert found.reason == (
        "Declared, but not registered at Base44. Calls that need “Post messages” will fail: the app cannot change what "
        "it covers. Apply the project's plan: Base44 then asks somebody for consent."
    )


def test_declared_and_granted_but_not_registered_is_drift_for_the_calls_do_not_fail() -> None:
    found = one("slack", "chat:write", Sides(declared=("chat:write",), registered=(), granted=("chat:write",)))
    assert found.verdict is Verdict.DRIFT
    assert found.reason.startswith("Declared and granted, but not registered at Base44.")


def test_registered_and_no_longer_declared_is_excess() -> None:
    sides = Sides(declared=(), registered=("chat:write", "im:read"))
    assert words("slackbot", sides) == {"chat:write": Verdict.EXCESS, "im:read": Verdict.EXCESS}


def test_registered_but_neither_declared_nor_granted_is_drift() -> None:
    found = one("linear", "admin", Sides(declared=("read",), registered=("read", "admin"), granted=("read",)))
    assert found.verdict is Verdict.DRIFT
    assert found.reason.startswith("Registered at Base44, but not declared and not granted.")


@pytest.mark.parametrize(
    ("declared", "repository", "start"),
    [
        (("chat:write",), (), "Declared, but not in the repository's file."),
        ((), ("chat:write",), "In the repository's file, but not declared."),
    ],
)
def test_a_file_that_says_something_else_is_drift(
    declared: tuple[str, ...], repository: tuple[str, ...], start: str
) -> None:
    found = one("slack", "chat:write", Sides(declared=declared, repository=repository))
    assert found.verdict is Verdict.DRIFT
    assert found.reason.startswith(f"{start} Import the file to declare what it says, or export the connector")


def test_without_a_declaration_the_other_sides_are_compared() -> None:
    found = words("slack", Sides(registered=("chat:write", "im:read"), granted=("chat:write",)))
    assert found == {"chat:write": Verdict.AGREES, "im:read": Verdict.DRIFT}


def test_a_side_alone_is_never_called_agreement() -> None:
    found = one("slack", "chat:write", Sides(declared=("chat:write",)))
    assert found.verdict is Verdict.UNKNOWABLE
    assert "nothing to compare with" in found.reason


def test_a_missing_refresh_scope_is_said_to_end_access() -> None:
    found = one("salesforce", "refresh_token", Sides(declared=("refresh_token",), granted=("api",), held=True))
    assert found.verdict is Verdict.MISSING
    assert "Access will end with the first token" in found.reason


def test_unknown_types_and_scopes_compare_by_their_exact_spelling() -> None:
    found = words("brand_new", Sides(declared=("Read",), registered=("read",)))
    assert found == {"Read": Verdict.MISSING, "read": Verdict.EXCESS}


# --- the rest of the interface


def test_the_gravest_verdict_stands_for_a_connector() -> None:
    sides = Sides(declared=("chat:write", "im:read"), registered=("chat:write", "files:read"))
    assert worst(comparer.compare("slack", sides)) is Verdict.EXCESS
    assert worst(comparer.compare("slack", Sides(declared=()))) is None


def test_missing_excess_and_drift_are_alarms_and_graver_than_all_others() -> None:
    assert [verdict for verdict in Verdict if verdict.is_alarm] == [Verdict.DRIFT, Verdict.MISSING, Verdict.EXCESS]
    assert sorted(Verdict, key=lambda verdict: verdict.rank)[-3:] == [Verdict.DRIFT, Verdict.MISSING, Verdict.EXCESS]
    assert all(verdict.title[0].isupper() for verdict in Verdict)


def test_sides_are_named_as_the_fields_of_a_connector() -> None:
    assert [side.value for side in Side] == ["declared", "repository", "registered", "granted"]


def test_names_without_number_do_not_fill_the_memory() -> None:
    small = Comparer(ScopeRules(), keep=100)
    for number in range(500):
        sides = Sides(declared=(f"scope-{number}", "chat:write"), registered=(f"scope-{number}",))
        first, second = small.compare(f"type-{number % 7}", sides)
        assert (first.verdict, second.verdict) == (Verdict.AGREES, Verdict.MISSING)
        assert small.kept <= 100
