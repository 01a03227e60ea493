"""The real SDK reads a connection's token from the emulator, as an app's backend code does."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from connectors.core.base44.emulator import Emulator
from tests.servers.base44_cli import TIMEOUT, sdk_folder

pytestmark = pytest.mark.cli

SCRIPT = """
import { createClient } from '@base44/sdk';
const [serverUrl, appId, serviceToken, type] = process.argv.slice(1);
const client = createClient({ serverUrl, appId, serviceToken, requiresAuth: false });
try {
  console.log(JSON.stringify(await client.asServiceRole.connectors.getConnection(type)));
} catch (error) {
  console.log(JSON.stringify({ status: error.status, code: error.code ?? null, message: error.message }));
}
"""


def get_connection(emulator: Emulator, integration_type: str, *, token: str = "") -> Any:
    """What `getConnection` gives, or status, code and message of the error it raises."""
    token = token or emulator.add_token("service", app="shop")
    done = subprocess.run(
        ["node", "--input-type=module", "-e", SCRIPT, emulator.url, "shop", token, integration_type],
        cwd=sdk_folder(),
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert done.stdout, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_sdk_reads_the_access_token(emulator: Emulator) -> None:
    emulator.register("shop", "slackbot", ["chat:write"])
    found = get_connection(emulator, "slackbot")
    assert found == {"accessToken": "emulated-access-shop-slackbot", "connectionConfig": None}


def test_sdk_reads_the_connection_config(emulator: Emulator) -> None:
    emulator.register("shop", "share_point", connection_config={"subdomain": "sites/shop"})
    assert get_connection(emulator, "share_point")["connectionConfig"] == {"subdomain": "sites/shop"}


def test_sdk_gets_no_token_of_an_expired_connection(emulator: Emulator) -> None:
    emulator.register("shop", "slackbot", status="expired")
    assert get_connection(emulator, "slackbot")["status"] == 404


def test_sdk_is_sent_to_the_proxy_for_metered_types(emulator: Emulator) -> None:
    emulator.register("shop", "slackbot")
    emulator.state.metered.add("slackbot")
    found = get_connection(emulator, "slackbot")
    assert (found["status"], found["code"]) == (403, "metered_connector_requires_proxy")


def test_sdk_cannot_read_another_app_s_token(emulator: Emulator) -> None:
    emulator.register("shop", "slackbot")
    emulator.add_app("other")
    found = get_connection(emulator, "slackbot", token=emulator.add_token("service", app="other"))
    assert found["status"] == 403
