from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from ronghe.apps.scheduling.formats import b2mml
from ronghe.apps.scheduling.formats.table import read as read_table
from ronghe.apps.scheduling.problem import Assigned, Choice, Fixed, Plan
from ronghe.errors import AppError

from .shop import put

OUTSIDE: dict[str, Any] = {
    "OperationsSchedule": {
        "ID": {"Value": "week 10"},
        "StartTime": "2026-03-02T08:00:00+08:00",
        "OperationsRequest": {
            "ID": "WO-1",
            "EndTime": "2026-03-02T02:00:00Z",
            "Priority": 5,
            "SegmentRequirement": [
                {
                    "ID": "WO-1.10",
                    "Duration": "PT1H30M",
                    "EquipmentRequirement": [{"EquipmentID": [{"Value": "press1"}], "Quantity": [{"QuantityString": "1"}]}],
                    "MaterialRequirement": [{"MaterialDefinitionID": "sheet", "Quantity": {"QuantityString": "2.5"}}],
                }
            ],
        },
    }
}


def put_json(path: Path, body: object) -> Path:
    path.write_bytes(msgspec.json.encode(body))
    return path


def test_what_others_write_is_read(tmp_path: Path) -> None:
    p = b2mml.read(put_json(tmp_path / "x.json", OUTSIDE))
    job = p.jobs[0]
    assert (p.name, job.name, job.due, job.weight) == ("week 10", "WO-1", 7200, 5.0)
    assert (job.operations[0].choices, job.operations[0].uses) == ((Choice("press1", 5400),), {"sheet": 2.5})
    assert [m.name for m in p.machines] == ["press1"]


def test_what_is_written_reads_as_it_was(tmp_path: Path) -> None:
    p = read_table(put(tmp_path / "shop"))
    p = msgspec.structs.replace(p, now=5, fixed=(Fixed(operation="A1/cut", machine="press2", start=0, end=30),))
    b2mml.write(p, tmp_path / "x.json")
    assert b2mml.read(tmp_path / "x.json") == p


def test_a_plan_gives_windows_and_what_was_done(tmp_path: Path) -> None:
    p = msgspec.structs.replace(read_table(put(tmp_path / "shop")), now=60)
    first = Assigned(operation="A1/cut", machine="press1", setup_start=0, start=0, end=20)
    said = b2mml.document(p, Plan(assigned=(first,), objective=0.0))
    segment = said["OperationsSchedule"]["OperationsRequest"][0]["SegmentRequirement"][0]
    assert (segment["EarliestStartTime"], segment["LatestEndTime"], segment["PlannedEquipmentID"]) == (
        "2026-03-02T00:00:00Z",
        "2026-03-02T00:20:00Z",
        "press1",
    )
    done = said["OperationsPerformance"]["OperationsResponse"][0]
    assert (done["OperationsRequestID"], done["ResponseState"]) == ("A1", "Running")


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("Duration",), "90 min", "SegmentRequirement[0]: Duration is '90 min'"),
        (("Duration",), None, "Duration is missing"),
        (("EquipmentRequirement",), [], "EquipmentRequirement is missing"),
        (("EquipmentRequirement",), ["press1"], "EquipmentRequirement[0]: must be an object"),
        (("MaterialRequirement",), [{"MaterialDefinitionID": "sheet", "Quantity": -1}], "Quantity is '-1'"),
        (("PersonnelRequirement",), [{"PersonnelClassID": "op"}], "PersonnelCapability of 'op' is missing"),
        (("ActualStartTime",), "yesterday", "ActualStartTime: 'yesterday' is not a time"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, path: tuple[str], value: object, said: str) -> None:
    body = msgspec.json.decode(msgspec.json.encode(OUTSIDE))
    body["OperationsSchedule"]["OperationsRequest"]["SegmentRequirement"][0][path[0]] = value
    with pytest.raises(AppError) as e:
        b2mml.read(put_json(tmp_path / "x.json", body))
    assert said in e.value.in_("en")


@pytest.mark.parametrize("body", [b"[1]", b"{", b'{"OperationsSchedule": 3}', b'{"OperationsSchedule": {}}', b"\xff\xfe"])
def test_what_is_no_schedule_is_refused(tmp_path: Path, body: bytes) -> None:
    (tmp_path / "x.json").write_bytes(body)
    with pytest.raises(AppError):
        b2mml.read(tmp_path / "x.json")
