"""An archive from a build: whatever is in it, it is compared or refused in words."""

from __future__ import annotations

from contextlib import suppress
from io import BytesIO
from zipfile import ZIP_DEFLATED, ZipFile

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.core.errors import PortalError
from connectors.flows.check_archive import check_archive
from connectors.models import Placement, Project, Repository
from tests.factories import make_connector, make_placement, make_repository

pytestmark = pytest.mark.django_db

NOW = timezone.now()
SLACK = b'{"type": "slack", "scopes": ["a"]}'


def zipped(**files: bytes) -> bytes:
    buffer = BytesIO()
    with ZipFile(buffer, "w", ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


WHOLE = zipped(
    **{
        "base44/config.jsonc": b"{}",
        "base44/connectors/slack.jsonc": SLACK,
        "base44/connectors.lock.json": b"{}",
        "base44/.app.jsonc": b'{"id": "app-crm"}',
    }
)


@pytest.fixture
def repository(project: Project) -> Repository:
    make_connector(project, "slack", ["a"], registered=["a"])
    return make_placement(project, make_repository("Shops")).repository


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.integers(0, len(WHOLE) - 1), st.integers(0, 255), max_size=6), st.integers(0, len(WHOLE)))
def test_a_damaged_archive_is_compared_or_refused_in_words(
    repository: Repository, damage: dict[int, int], length: int
) -> None:
    raw = bytearray(WHOLE)
    for place, byte in damage.items():
        raw[place] = byte
    with suppress(PortalError):  # any other error would be a page for the build's log that nobody understands
        (checked,) = check_archive(repository, bytes(raw[: length or None]), NOW)
        assert checked.result.project.slug == "crm"


def test_a_file_that_is_a_link_is_named(repository: Repository) -> None:
    buffer = BytesIO()
    with ZipFile(buffer, "w") as archive:
        archive.writestr("base44/connectors/slack.jsonc", "/etc/passwd")
        archive.infolist()[0].external_attr = 0o120777 << 16
    (checked,) = check_archive(repository, buffer.getvalue(), NOW)
    fault = checked.result.rows[0]
    assert (fault.file, "symbolic link" in fault.reason) == ("base44/connectors/slack.jsonc", True)


def test_the_lock_file_lies_beside_a_connectors_directory_that_has_a_place_itself(repository: Repository) -> None:
    Placement.objects.update(path="base44/connectors", writes_lock_file=True)
    (checked,) = check_archive(repository, WHOLE, NOW)
    assert [row.file for row in checked.result.rows if row.lock == "differs"] == ["base44/connectors.lock.json"]
