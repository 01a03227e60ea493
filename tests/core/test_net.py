"""The guard for addresses that a user may set: what it refuses, and that it connects to what it has judged."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

import pytest

from connectors.core.net import AddressRefusedError, Allowed, NoAnswerError, Resolver, is_public, judge, post
from tests.servers.certificates import certificate_for
from tests.servers.webhook_receiver import WebhookReceiver, webhook_receiver

NOBODY = Allowed()
LOOPBACK = Allowed.of(["127.0.0.1"])
PUBLIC = "93.184.216.34"


def resolving(*addresses: str) -> Resolver:
    return lambda host, port: list(addresses)


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",
        "10.0.0.1",
        "100.64.0.1",
        "100.100.100.200",
        "127.0.0.1",
        "127.1.2.3",
        "168.63.129.16",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.192",
        "192.0.2.1",
        "192.168.1.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::7f00:1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::a00:1",
        "100::1",
        "2001::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "2002:a00:1::1",
        "3fff::1",
        "5f00::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "ff02::1",
        "2a00:1450::5efe:7f00:1",
    ],
)
def test_an_address_that_is_not_the_public_internets_is_refused(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))
    with pytest.raises(AddressRefusedError):
        judge("https://hooks.example.com/x", NOBODY, resolver=resolving(address))


@pytest.mark.parametrize("address", [PUBLIC, "2606:2800:220:1::1", "64:ff9b::5db8:d822", "::ffff:5db8:d822"])
def test_a_public_address_is_taken(address: str) -> None:
    assert judge("https://hooks.example.com/x", NOBODY, resolver=resolving(address)).addresses == (address,)


def test_one_private_address_among_public_ones_refuses_all() -> None:
    with pytest.raises(AddressRefusedError):
        judge("https://hooks.example.com", NOBODY, resolver=resolving(PUBLIC, "10.0.0.1"))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1", "0x7f000001", "2130706433", "0177.0.0.1", "[::1]", "localhost"])
def test_no_spelling_of_this_machine_gets_through(host: str) -> None:
    with pytest.raises((AddressRefusedError, NoAnswerError)):
        judge(f"https://{host}/", NOBODY)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hooks.example.com",
        "ftp://hooks.example.com",
        "file:///etc/passwd",
        "gopher://hooks.example.com",
        "https://",
        "https://user@hooks.example.com",
        "https://user:word@hooks.example.com",
        "https://hooks.example.com\\@10.0.0.1/",
        "https://hooks.example.com:0/",
        "https://hooks.example.com:99999/",
        "https://hooks.example.com/a b",
        "https://hooks.example.com/a\r\nX: y",
        "https://[fe80::1%25eth0]/",
        "https://hooks.example.com/" + "x" * 3000,
    ],
)
def test_what_is_no_plain_web_address_is_refused(url: str) -> None:
    with pytest.raises(AddressRefusedError):
        judge(url, NOBODY, resolver=resolving(PUBLIC))


def test_plain_http_is_refused_where_it_is_not_allowed() -> None:
    with pytest.raises(AddressRefusedError, match="https"):
        judge("http://hooks.example.com", NOBODY, resolver=resolving(PUBLIC))
    assert judge("http://relay.corp", Allowed.of(["relay.corp"]), resolver=resolving("10.0.0.1")).port == 80


def test_allowing_a_network_opens_it_and_nothing_beside_it() -> None:
    allowed = Allowed.of(["10.1.0.0/16", "fd12::/16"])
    assert judge("https://a.corp", allowed, resolver=resolving("10.1.2.3")).addresses == ("10.1.2.3",)
    assert judge("https://a.corp", allowed, resolver=resolving("::ffff:10.1.2.3"))
    with pytest.raises(AddressRefusedError):
        judge("https://a.corp", allowed, resolver=resolving("10.2.0.1"))


@pytest.mark.parametrize("entry", ["", "10.0.0.0/40", "http://x", "a b", "256.1.1.1", "*"])
def test_an_entry_that_is_no_host_and_no_network_is_said_so(entry: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - it holds the entry, whatever that is
        Allowed.of([entry])


def test_the_name_is_resolved_once_and_the_judged_address_is_used(receiver: WebhookReceiver) -> None:
    asked: list[str] = []

    def rebinding(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["10.255.255.1"]

    url = f"http://hooks.example.com:{receiver.port}/hook?key=k"
    assert post(url, b"{}", {}, allowed=LOOPBACK, resolver=rebinding).status == 204
    assert asked == ["hooks.example.com"]
    assert receiver.calls[0].headers["host"] == f"hooks.example.com:{receiver.port}"
    assert receiver.calls[0].path == "/hook?key=k"


def test_a_redirect_is_not_followed(receiver: WebhookReceiver) -> None:
    receiver.answer(302, Location=receiver.url)
    assert post(receiver.url, b"{}", {}, allowed=LOOPBACK).status == 302
    assert len(receiver.calls) == 1


def test_an_endless_answer_is_read_a_little_and_left(receiver: WebhookReceiver) -> None:
    receiver.answer(200)
    receiver.endless = True
    assert post(receiver.url, b"{}", {}, allowed=LOOPBACK).status == 200


def test_who_does_not_answer_is_cut_off_and_the_error_hides_the_path(receiver: WebhookReceiver) -> None:
    receiver.hold = True
    with pytest.raises(NoAnswerError) as caught:
        post(f"{receiver.url}?key=hidden", b"{}", {}, allowed=LOOPBACK, timeout=0.3)
    assert str(caught.value) == "127.0.0.1 did not answer in time."


def test_nobody_at_the_port_is_a_plain_sentence() -> None:
    with pytest.raises(NoAnswerError, match=r"No connection to 127\.0\.0\.1 could be made"):
        post("http://127.0.0.1:9/hook/hidden", b"{}", {}, allowed=LOOPBACK)


def test_the_certificate_is_checked_against_the_name_and_not_the_address() -> None:
    certificate = certificate_for("hooks.example.com")
    with webhook_receiver(certificate.server) as receiver:
        there = resolving("127.0.0.1")
        reply = post(
            f"https://hooks.example.com:{receiver.port}/hook",
            b"{}",
            {},
            allowed=LOOPBACK,
            resolver=there,
            tls=certificate.client,
        )
        assert reply.status == 204
        with pytest.raises(NoAnswerError, match="certificate"):
            post(
                f"https://other.example.com:{receiver.port}/hook",
                b"{}",
                {},
                allowed=LOOPBACK,
                resolver=there,
                tls=certificate.client,
            )
        with pytest.raises(NoAnswerError, match="certificate"):
            post(f"https://hooks.example.com:{receiver.port}/hook", b"{}", {}, allowed=LOOPBACK, resolver=there)
        assert len(receiver.calls) == 1
