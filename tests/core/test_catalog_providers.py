"""The companies behind the integration types."""

from __future__ import annotations

from connectors.core.catalog import load_catalog
from connectors.core.catalog.providers import provider, provider_name, providers


def test_every_type_belongs_to_exactly_one_provider() -> None:
    found = [info.slug for one in providers() for info in one.types]
    assert sorted(found) == sorted(load_catalog().types)


def test_no_provider_is_called_by_its_id_when_people_call_it_otherwise() -> None:
    assert not [one.id for one in providers() if one.name == one.id]


def test_a_provider_of_many_types_has_the_companys_name_and_one_of_a_single_type_that_types() -> None:
    assert [provider_name(id_) for id_ in ("google", "hugging_face")] == ["Google", "Hugging Face"]


def test_an_unknown_provider_is_called_by_its_id() -> None:
    assert (provider("zoo"), provider_name("zoo")) == (None, "zoo")
