"""Workflow files for builds: valid, about the right folders, and with no way for a folder's name to give orders."""

from __future__ import annotations

import shlex
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from connectors.core.ci_files import SECRET, Place, folders_to_send, github_workflow, gitlab_job, shell_script

ADDRESS = "https://portal.example.com/api/check/"
SHOP = Place("apps/shop", "apps/shop/base44/connectors")
NAMES = st.lists(st.text(min_size=1, max_size=6), min_size=1, max_size=3).map("/".join)
PLACES = st.lists(st.builds(Place, NAMES | st.just(""), NAMES | st.just("")), min_size=1, max_size=3)


def workflow(*places: Place, branch: str = "main") -> Any:
    read = yaml.safe_load(github_workflow(ADDRESS, branch, places))
    read["on"] = read.pop(True)  # YAML 1.1, which only this reader speaks, takes the word for a truth value
    return read


@pytest.mark.parametrize(
    ("place", "folders"),
    [
        (Place(""), ("base44",)),
        (Place("apps/shop"), ("apps/shop/base44",)),
        (SHOP, ("apps/shop/base44",)),
        (Place("apps/shop", "apps/shop/connectors"), ("apps/shop",)),
        (Place("apps/shop", "apps/shop/shared"), ("apps/shop",)),
        (Place("base44/connectors", "base44/connectors"), ("base44/connectors*",)),
        (Place("", "connectors"), (":(glob)*", "connectors")),
        (Place("", "shared/connectors"), (".",)),
        (Place("", ""), ("base44",)),
        (Place("apps/[s]hop"), (":(literal)apps/[s]hop/base44",)),
        (Place("-x"), (":(literal)-x/base44",)),
        (Place("a\nb"), ("a?b/base44",)),
    ],
)
def test_what_is_sent_holds_connectors_config_and_lock_file(place: Place, folders: tuple[str, ...]) -> None:
    assert folders_to_send([place]) == folders


def test_everything_is_sent_once_when_one_project_needs_everything() -> None:
    assert folders_to_send([SHOP, Place("", "elsewhere")]) == (".",)


def test_projects_are_sent_together() -> None:
    assert folders_to_send([SHOP, Place(""), SHOP]) == ("apps/shop/base44", "base44")


def test_github_runs_it_for_the_branch_and_for_what_would_change_it() -> None:
    on = workflow(SHOP)["on"]
    assert on["push"] == {"branches": ["main"], "paths": ["apps/shop/base44/**/*"]}
    assert on["pull_request"] == {"paths": ["apps/shop/base44/**/*"]}
    assert on["schedule"]


def test_github_gives_the_job_nothing_but_the_token_and_a_checkout() -> None:
    read = workflow(SHOP)
    checkout, compare = read["jobs"]["connectors"]["steps"]
    assert read["permissions"] == {"contents": "read"}
    assert checkout["with"]["persist-credentials"] is False
    assert compare["env"] == {SECRET: f"${{{{ secrets.{SECRET} }}}}"}
    assert "${{" not in compare["run"]


def test_githubs_schedule_looks_at_the_branch_that_the_portal_reads() -> None:
    checkout = workflow(SHOP, branch="release/2")["jobs"]["connectors"]["steps"][0]
    assert checkout["with"]["ref"] == "${{ github.event_name == 'schedule' && 'release/2' || github.sha }}"


def test_an_odd_branch_gets_into_no_expression() -> None:
    assert "ref" not in workflow(SHOP, branch="x'}}y")["jobs"]["connectors"]["steps"][0]["with"]


def test_gitlab_runs_it_for_the_branch_and_for_what_would_change_it() -> None:
    job = yaml.safe_load(gitlab_job(ADDRESS, 'r"1', [SHOP]))["connectors"]
    assert job["rules"][1]["if"].endswith("$CI_COMMIT_BRANCH == 'r\"1'")
    assert job["rules"][1]["changes"] == ["apps/shop/base44/**/*"]
    assert len(job["script"]) == 1


def test_a_branch_with_signs_of_a_pattern_means_itself() -> None:
    assert workflow(SHOP, branch="c++")["on"]["push"]["branches"] == ["c\\+\\+"]


@given(PLACES)
def test_whatever_a_folder_is_called_the_files_stay_what_they_are(places: list[Place]) -> None:
    steps = workflow(*places)["jobs"]["connectors"]["steps"]
    job = yaml.safe_load(gitlab_job(ADDRESS, "main", places))
    assert (len(steps), list(job)) == (2, ["connectors"])
    for script in (steps[1]["run"], job["connectors"]["script"][0]):
        sent = shlex.split(script.split("status=")[0].replace(" \\\n", " "))
        assert tuple(sent[5:]) == folders_to_send(places)


@given(PLACES)
def test_no_folder_begins_a_line_of_the_script(places: list[Place]) -> None:
    assert len(shell_script(ADDRESS, places).splitlines()) == 8 + len(folders_to_send(places))
