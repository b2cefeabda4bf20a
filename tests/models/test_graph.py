from __future__ import annotations

import numpy as np
import pytest

from ronghe.errors import ModelError
from ronghe.models import graph
from ronghe.models.runtime import Session


def _two_ways() -> bytes:
    """x → double (x * two), halved (x * half)."""
    return graph.model(
        [graph.node("Mul", ["x", "two"], ["double"]), graph.node("Mul", ["x", "half"], ["halved"])],
        [graph.tensor("two", np.float32([2])), graph.tensor("half", np.float32([0.5]))],
        [graph.value("x", "float32", ["n"])],
        [graph.value("double", "float32", ["n"]), graph.value("halved", "float32", ["n"])],
    )


def test_a_written_graph_runs() -> None:
    session = Session(_two_ways())
    assert (session.inputs, session.outputs) == (("x",), ("double", "halved"))
    double, halved = session.run(np.float32([1, -3]))
    assert double.tolist() == [2, -6]
    assert halved.tolist() == [0.5, -1.5]


def test_cut_keeps_only_what_leads_to_the_output() -> None:
    small = graph.cut(_two_ways(), ["halved"])
    assert b"half" in small
    assert b"two" not in small
    assert Session(small).run(x=np.float32([4]))[0].tolist() == [2]


def test_cut_names_the_outputs_there_are() -> None:
    with pytest.raises(ModelError, match=r"no output 'third'.*double, halved"):
        graph.cut(_two_ways(), ["third"])


def test_extend_adds_nodes_after_and_replaces_the_outputs() -> None:
    more = graph.extend(
        _two_ways(),
        [graph.node("LeakyRelu", ["double"], ["leaky"], alpha=0.25), graph.node("Transpose", ["leaky"], ["y"], perm=[0])],
        [],
        [graph.value("y", "float32", ["n"])],
    )
    assert Session(more).run(np.float32([-2, 2]))[0].tolist() == [-1, 4]
    assert b"halved" not in more


@pytest.mark.parametrize("element", ["float32", "uint8", "int8", "int32", "int64", "bool", "float16"])
def test_every_element_type_arrives(element: str) -> None:
    numbers = np.array([[0, 1], [1, 0]]).astype(element)
    same = graph.model(
        [graph.node("Identity", ["c"], ["y"]), graph.node("Identity", ["x"], ["z"])],
        [graph.tensor("c", numbers)],
        [graph.value("x", element, [2, "m"])],
        [graph.value("y", element, [2, 2]), graph.value("z", element, [2, "m"])],
    )
    constant, given = Session(same).run(numbers)
    assert np.array_equal(constant, numbers)
    assert np.array_equal(given, numbers)


@pytest.mark.parametrize("damage", [b"", b"\xff\xff\xff", b"not a graph"])
def test_damage_is_a_model_error(damage: bytes) -> None:
    with pytest.raises(ModelError):
        graph.cut(damage, ["y"])
    with pytest.raises(ModelError):
        Session(damage)


def test_a_wrong_input_is_a_model_error() -> None:
    with pytest.raises(ModelError, match="does not take this input"):
        Session(_two_ways()).run(np.zeros((2, 2), np.float64))


def test_truncation_is_a_model_error() -> None:
    whole = _two_ways()
    for end in range(1, len(whole) - 4, 7):
        with pytest.raises(ModelError):
            graph.cut(whole[:end], ["double"])
