"""Workflow files that let a build compare its files with the portal, for GitHub Actions and GitLab CI. No I/O.

They need git, curl and a POSIX shell, which runners have. The token comes from the host's store of secrets and reaches
curl through a pipe: it is in no file of the repository and on no command line.
"""

from __future__ import annotations

import json
import re
import shlex
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

SECRET = "CONNECTOR_CHECK_TOKEN"  # noqa: S105 - the name under which the host keeps it

_PLAIN_BRANCH = re.compile(r"[A-Za-z0-9._/-]+")
_SPECIAL = re.compile(r"([*?+!\[\]{}\\])")


@dataclass(frozen=True, slots=True)
class Place:
    """Where one project lies: its folder, and its connectors directory as last seen, both from the repository's top."""

    path: str
    connectors_dir: str = ""


def folders_to_send(places: Iterable[Place]) -> tuple[str, ...]:
    """Pathspecs of git that cover the projects' connector files, configs and lock files, and little else.

    Example: a project at "apps/shop" -> "apps/shop/base44"; one at the top -> "base44".
    """
    found = {spec for place in places for spec, _ in _covered(place)}
    return (".",) if "." in found else tuple(sorted(found))


def github_workflow(address: str, branch: str, places: Sequence[Place]) -> str:
    """`.github/workflows/connectors.yml`; Gitea and Forgejo read the same. `address` is that of the portal's check."""
    watched = _watched(places, 6)
    return f"""\
# Fails when connector files, the connector portal and Base44 say different things.
# Settings > Secrets and variables > Actions: add the check token as {SECRET}.
name: Connectors
on:
  push:
    branches:
      - {_text(_glob(branch))}
    paths:
{watched}\
  pull_request:
    paths:
{watched}\
  schedule:
    - cron: "23 5 * * *" # the portal and Base44 change without a commit
  workflow_dispatch:
permissions:
  contents: read
jobs:
  connectors:
    # Pull requests from forks get no secrets.
    if: github.event_name != 'pull_request' || github.event.pull_request.head.repo.full_name == github.repository
    runs-on: ubuntu-latest
    timeout-minutes: 10
    steps:
      - uses: actions/checkout@v5
        with:
          persist-credentials: false
{_schedules(branch)}\
      - name: Compare with the connector portal
        env:
          {SECRET}: ${{{{ secrets.{SECRET} }}}}
        run: |
{_script(f"{address}?format=github&ref=", places, 10)}"""


def gitlab_job(address: str, branch: str, places: Sequence[Place]) -> str:
    """A job for `.gitlab-ci.yml`, or for a file that it includes. `address` is that of the portal's check."""
    quote = "'" if '"' in branch else '"'
    return f"""\
# Fails when connector files, the connector portal and Base44 say different things.
# Settings > CI/CD > Variables: add the check token as {SECRET}, masked and hidden.
connectors:
  stage: test
  image: buildpack-deps:bookworm-scm # any image with git and curl
  timeout: 10 minutes
  rules:
    # A schedule is worth it: the portal and Base44 change without a commit.
    - if: $CI_PIPELINE_SOURCE == "schedule" || $CI_PIPELINE_SOURCE == "web"
    - if: {_text(f'$CI_PIPELINE_SOURCE == "merge_request_event" || $CI_COMMIT_BRANCH == {quote}{branch}{quote}')}
      changes:
{_watched(places, 8)}\
  script:
    - |
{_script(f"{address}?format=text&ref=", places, 6)}"""


def shell_script(address: str, places: Sequence[Place]) -> str:
    """The same for any other system that can run a shell script in a checkout. `address` as above."""
    head = f"# {SECRET} is the check token: let your system hand it over as a variable of the environment.\nset -e\n"
    return head + _script(f"{address}?format=text&ref=", places, 0)


def _watched(places: Iterable[Place], indent: int) -> str:
    """Lines of YAML with the files whose change starts a build."""
    found = sorted({folder for place in places for _, folder in _covered(place)})
    return "".join(f"{' ' * indent}- {_text(f'{_glob(folder)}/**/*' if folder else '**/*')}\n" for folder in found)


def _schedules(branch: str) -> str:
    """The line that lets a schedule, which GitHub starts for the main branch alone, look at the portal's branch."""
    if not _PLAIN_BRANCH.fullmatch(branch):  # an expression could end in it
        return ""
    return f"          ref: ${{{{ github.event_name == 'schedule' && '{branch}' || github.sha }}}}\n"


def _script(address: str, places: Iterable[Place], indent: int) -> str:
    """Lines of shell: send what HEAD has, show the answer, fail unless everything agrees."""
    folders = " \\\n".join(f"  {shlex.quote(spec)}" for spec in folders_to_send(places))
    script = f"""\
git archive --format=zip --output=connectors.zip HEAD \\
{folders}
status=$(printf 'Authorization: Bearer %s\\n' "${SECRET}" |
  curl --silent --show-error --max-time 60 --retry 2 --header @- --data-binary @connectors.zip \\
    --output answer.txt --write-out '%{{http_code}}' {shlex.quote(address)}"$(git rev-parse HEAD)")
cat answer.txt
test "$status" = 200
"""
    return textwrap.indent(script, " " * indent)


def _covered(place: Place) -> list[tuple[str, str]]:
    """Pathspecs for what is to be sent of one project, each with the folder whose changes matter for it."""
    path, directory = place.path, place.connectors_dir
    usual = f"{path}/base44" if path else "base44"
    if not directory or directory.startswith(f"{usual}/"):
        return [(_literal(usual), usual)]
    if path and directory == path:  # the connectors directory itself; its lock file lies beside it
        return [(f"{_glob(path)}*", path.rpartition("/")[0])]
    if path:
        return [(_literal(path), path)]
    if directory == "connectors":  # with its config file at the top
        return [(":(glob)*", ""), ("connectors", "")]
    return [(".", "")]  # the config file names some other place, and may itself lie in one of two


def _literal(path: str) -> str:
    """The path as a pathspec that means nothing else."""
    if not path.isprintable():
        return _glob(path)
    return f":(literal){path}" if path.startswith((":", "-")) or _SPECIAL.search(path) else path


def _glob(text: str) -> str:
    """The text as a pattern that matches it; what could end a line of the file is matched by a question mark."""
    visible = "".join(sign if sign.isprintable() else "\0" for sign in text)
    return _SPECIAL.sub(r"\\\1", visible).replace("\0", "?")


def _text(value: str) -> str:
    """A string of YAML, which takes JSON's."""
    return json.dumps(value, ensure_ascii=False)
