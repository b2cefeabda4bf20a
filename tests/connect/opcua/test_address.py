from __future__ import annotations

import pytest
from asyncua import ua
from hypothesis import given, settings
from hypothesis import strategies as st

from ronghe.connect.opcua import address

SPACES = ["http://opcfoundation.org/UA/", "urn:server", "http://acme.com/plc", "http://acme.com/a;b%c"]


@pytest.mark.parametrize(
    "text",
    ["i=2258", "ns=2;s=Pump.Speed", "ns=3;s=a;b=c", "ns=1;g=09087e75-8e5e-499b-954f-f2a9603db28a", "ns=1;b=M/RbKBsRVkePCePcx24oRA==", "nsu=http://acme.com/plc;s=泵.转速"],
)  # fmt: skip
def test_the_standards_examples_are_addresses(text: str) -> None:
    assert address.problem(text) is None
    node = address.node_id(text, SPACES)
    assert node is not None
    again = address.node_id(address.written(node, SPACES), SPACES)
    assert again == node


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "missing"),
        ("Pump.Speed", "nsu="),
        ("ns=2", "not a NodeId"),
        ("ns=x;s=a", "not a NodeId"),
        ("ns=70000;s=a", "65535"),
        ("ns=2;i=Speed", "s=Speed"),
        ("i=4294967296", "4294967295"),
        ("g=123", "GUID"),
        ("b=&&", "Base64"),
        ("ns=2;s=", "not a NodeId"),
    ],
)
def test_what_is_wrong_is_said(text: str, says: str) -> None:
    said = address.problem(text)
    assert said is not None
    assert says in said.en
    assert says in said.zh or any("\u4e00" <= c <= "\u9fff" for c in said.zh)
    assert address.node_id(text, SPACES) is None


def test_a_namespace_by_uri_follows_the_server() -> None:
    text = "nsu=http://acme.com/plc;s=Speed"
    assert address.node_id(text, SPACES) == ua.NodeId("Speed", 2)
    assert address.node_id(text, ["", "http://acme.com/plc"]) == ua.NodeId("Speed", 1)
    assert address.node_id(text, ["only"]) is None


identifiers = st.one_of(st.integers(0, 2**32 - 1), st.text(min_size=1, max_size=30), st.uuids(), st.binary(min_size=1, max_size=12))


@settings(deadline=None)
@given(identifiers, st.integers(0, 6))
def test_every_node_has_an_address_that_leads_back(identifier: object, space: int) -> None:
    node = ua.NodeId(identifier, space)
    text = address.written(node, SPACES)
    assert address.problem(text) is None
    assert address.node_id(text, SPACES) == node


@settings(deadline=None)
@given(st.text(max_size=40))
def test_any_text_is_answered(text: str) -> None:
    assert (address.problem(text) is None) == (address.node_id(text.replace("nsu=", "ns="), [text] * 9) is not None) or "nsu=" in text
