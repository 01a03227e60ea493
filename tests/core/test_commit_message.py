"""What commits and pull requests say, whatever names and scopes hold."""

from __future__ import annotations

import re
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.core.commit_message import FileNote, ProjectNote, commit_message
from connectors.core.pull_request_body import FindingNote, LeftNote, pull_request_body

GMAIL = FileNote("gmail.jsonc", "edited", ("gmail.send",), ("gmail.readonly",), "changed in the portal by ann")
SLACK = FileNote("slack.jsonc", "new", ("chat:write",))
CRM = ProjectNote("CRM", "apps/crm/base44/connectors", (GMAIL, SLACK))
SHOP = ProjectNote("Shop", "base44/connectors", (FileNote("notion.jsonc", "removed"),))

texts = st.text(max_size=60) | st.sampled_from(
    ["#1 fix", "--- a/x", "diff --git a/x b/x", "x\n\nSigned-off-by: eve <e@x>", "[skip ci]", "`|`", "@eve", "\x1b[31m"]
)
files = st.builds(FileNote, texts, st.sampled_from(["new", "edited", "removed"]), st.tuples(texts), st.tuples(), texts)
projects = st.lists(
    st.builds(ProjectNote, texts, texts, st.lists(files, max_size=3).map(tuple)), min_size=1, max_size=3
)


def trailers(message: str) -> list[str]:
    """What git itself takes for the message's trailers."""
    command = ["git", "interpret-trailers", "--parse"]
    return subprocess.run(command, input=message, capture_output=True, text=True, check=True).stdout.splitlines()


def test_a_message_lists_what_changed_by_whom_and_who_asked() -> None:
    assert commit_message([CRM], actor="ann", reason="A plan was applied.") == (
        "Update connectors of CRM: gmail.jsonc, slack.jsonc\n"
        "\n"
        "A plan was applied.\n"
        "\n"
        "Project CRM (apps/crm/base44/connectors):\n"
        "\n"
        "- gmail.jsonc: edited, changed in the portal by ann\n"
        "    + gmail.send\n"
        "    - gmail.readonly\n"
        "- slack.jsonc: new\n"
        "    + chat:write\n"
        "\n"
        "Requested-by: ann\n"
    )


@pytest.mark.parametrize(
    ("notes", "subject"),
    [
        ([SHOP], "Remove connectors of Shop: notion.jsonc"),
        ([ProjectNote("CRM", "", (SLACK,))], "Add connectors of CRM: slack.jsonc"),
        ([CRM, SHOP], "Update connectors of 2 projects: 3 files"),
        ([ProjectNote("CRM", "", (GMAIL,) * 9)], "Update connectors of CRM: 9 files"),
    ],
)
def test_the_subject_names_files_while_they_fit(notes: list[ProjectNote], subject: str) -> None:
    assert commit_message(notes, actor="ann").splitlines()[0] == subject


def test_a_template_is_filled_in_and_keeps_what_it_does_not_know() -> None:
    message = commit_message(
        [CRM], actor="ann", template="$projects: config for $5 by $actor [skip ci]\r\n\r\n$changes"
    )
    assert message.startswith("CRM: config for $5 by ann [skip ci]\n\nProject CRM")


def test_the_reason_follows_the_subject_of_a_template_that_does_not_place_it() -> None:
    template = "$summary\n\nTicket: OPS-1"
    message = commit_message([CRM], actor="ann", reason="For the newsletter.", template=template)
    assert message.splitlines()[1:4] == ["", "For the newsletter.", ""]
    assert trailers(message) == ["Ticket: OPS-1", "Requested-by: ann"]


def test_the_reason_is_where_a_template_places_it() -> None:
    message = commit_message([CRM], actor="ann", reason="For the newsletter", template="${reason}: $summary")
    assert message.startswith("For the newsletter: Update")
    assert message.count("newsletter") == 1


def test_the_trailer_joins_those_of_the_template() -> None:
    message = commit_message([CRM], actor="ann", template="$summary\n\nTicket: OPS-1")
    assert trailers(message) == ["Ticket: OPS-1", "Requested-by: ann"]


@pytest.mark.parametrize("template", ["  \n ", "$projects"])
def test_a_template_of_which_nothing_is_left_gives_the_own_message(template: str) -> None:
    nameless = ProjectNote("\n", "", (SLACK,))
    assert commit_message([nameless], actor="ann", template=template).startswith("Add connectors of")


def test_what_would_be_an_order_to_a_host_is_none_in_a_name() -> None:
    assert "[skip ci]" not in commit_message([ProjectNote("CRM [skip ci]", "", (SLACK,))], actor="[ci skip]")


def test_very_many_files_are_counted() -> None:
    message = commit_message([ProjectNote("CRM", "", (SLACK,) * 250)], actor="ann")
    assert message.count("slack.jsonc") == 200
    assert "And 50 more files." in message


@given(projects, texts, texts, texts | st.sampled_from(["$summary\n$changes", "#$actor", "--- $projects"]))
def test_no_line_can_be_misread(notes: list[ProjectNote], actor: str, reason: str, template: str) -> None:
    lines = commit_message(notes, actor=actor, reason=reason, template=template).split("\n")
    assert lines[0].strip()
    assert lines[1] == lines[-1] == ""
    assert lines[-2].startswith("Requested-by: ")
    for line in lines:
        assert line.isprintable()
        assert not re.match(r"#|---|diff |Index: |From ", line)


@settings(max_examples=25)
@given(projects, texts, texts)
def test_git_finds_one_trailer_whatever_the_names(notes: list[ProjectNote], actor: str, reason: str) -> None:
    (trailer,) = trailers(commit_message(notes, actor=actor, reason=reason))
    assert trailer.startswith("Requested-by: ")


def test_a_pull_request_shows_plan_policies_what_is_left_and_the_way_to_the_portal() -> None:
    finding = FindingNote("CRM", "No mail", "Block", "gmail", "gmail.send is forbidden: the policy names it.")
    left = LeftNote("CRM", "notion.jsonc", "It was changed on both sides.")
    body = pull_request_body([CRM], actor="ann", findings=[finding], left=[left], link="https://portal.example/r/1/")
    assert "| `gmail.jsonc` | edited | `gmail.send` | `gmail.readonly` | changed in the portal by ann |" in body
    assert "- **Block** · `gmail` of `CRM`: gmail.send is forbidden: the policy names it. Policy: `No mail`" in body
    assert "- `notion.jsonc` of `CRM`: It was changed on both sides." in body
    assert body.endswith("[Open it in the portal](https://portal.example/r/1/)\n")


def test_a_pull_request_says_that_no_policy_is_broken() -> None:
    assert "Nothing here breaks a policy." in pull_request_body([CRM], actor="ann")


@given(projects, texts, texts)
def test_no_name_leaves_its_cell_or_becomes_markup(notes: list[ProjectNote], actor: str, reason: str) -> None:
    body = pull_request_body(notes, actor=actor, reason=reason)
    outside = re.sub(r"\\.|`[^`]*`", "", body)
    assert not re.search(r"`|<(?!br>)|!\[|(?<!\w)@\w", outside)
    for row in (line for line in outside.splitlines() if line.startswith("| ")):
        assert row.count("|") == 6
