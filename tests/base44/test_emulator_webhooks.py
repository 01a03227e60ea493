"""The emulator's receiver of webhooks: what an alert route sends can be looked at."""

from __future__ import annotations

from connectors.core.base44.emulator import Emulator
from connectors.core.base44.emulator.webhooks import KEPT
from tests.servers.http import ask


def shown(emulator: Emulator) -> str:
    return ask(emulator.url, "GET", "/webhooks").text


def test_what_is_sent_is_shown_the_newest_first(emulator: Emulator) -> None:
    assert "None yet" in shown(emulator)
    for title in ("first", "second"):
        assert ask(emulator.url, "POST", "/webhooks", {"title": title}).status == 204
    page = shown(emulator)
    assert -1 < page.index("second") < page.index("first")


def test_markup_in_a_webhook_is_shown_as_text(emulator: Emulator) -> None:
    ask(emulator.url, "POST", "/webhooks", {"title": "<script>alert(1)</script>"})
    assert "<script>" not in shown(emulator)


def test_old_webhooks_make_room_for_new_ones(emulator: Emulator) -> None:
    for number in range(KEPT + 1):
        ask(emulator.url, "POST", "/webhooks", {"title": f"number {number}."})
    page = shown(emulator)
    assert "number 0." not in page
    assert "number 1." in page
