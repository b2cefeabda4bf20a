"""A plant folder is read whole, and each thing that can be wrong with it is told with its file, line and what was probably meant."""

from __future__ import annotations

import logging
import os
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import ronghe.plant
from ronghe.errors import PlantError, RongheError
from ronghe.plant.folder import examine
from ronghe.plant.model import GuardSpec, Plant
from ronghe.text import Text

T, D, P = "tags.csv", "dictionary.csv", "plant.toml"


def test_a_valid_folder_is_a_plant(folder: Any) -> None:
    plant = ronghe.plant.load(folder.path, **folder.find)
    assert (plant.path, plant.name.zh, plant.folder) == ("acme/shanghai/water", "泵站", str(folder.path.resolve()))
    assert list(plant.tags) == [
        "line1/pump1/pressure",
        "line1/pump1/speed_setpoint",
        "line1/pump1/running",
        "line1/meter/power",
        "line1/pump1/remark",
    ]
    power = plant.tags["line1/meter/power"]
    assert (power.every, power.unit, power.scale, power.offset, power.writable) == (5.0, "W", 10.0, 0.0, False)
    assert plant.tags["line1/pump1/speed_setpoint"].writable
    assert plant.dictionary["speed"].high == 3000.0
    assert plant.dictionary["power"].high is None
    options = plant.connections["plc1"].options
    assert options.password == "correct horse"
    assert options.trust == folder.path.resolve() / "certificates/plc1.pem"
    assert plant.apps["pump-health"].options.limit == 0.9
    guard = plant.guards["line1/pump1/speed_setpoint"]
    assert guard.worth is not None
    assert (guard.mode, guard.worth.before, guard.worth.after) == ("approve", "5min", "10min")
    assert [t.tag for t in plant.tags_under("line1/meter")] == ["line1/meter/power"]


def test_worth_may_be_measured_in_what_an_app_computes(folder: Any) -> None:
    folder.change(P, 'tag = "line1/meter/power"', 'tag = "apps/pump-health/score"')
    plant = ronghe.plant.load(folder.path, **folder.find)
    worth = plant.guards["line1/pump1/speed_setpoint"].worth
    assert worth is not None
    assert worth.tag == "apps/pump-health/score"
    folder.change(P, 'tag = "apps/pump-health/score"', 'tag = "apps/nobody/score"')
    with pytest.raises(PlantError, match="no tag 'apps/nobody/score'"):
        ronghe.plant.load(folder.path, **folder.find)


def test_a_plant_that_is_printed_shows_no_secret(folder: Any) -> None:
    plant = ronghe.plant.load(folder.path, **folder.find)
    assert "plc1" in repr(plant)
    assert "correct horse" not in repr(plant)


@pytest.mark.parametrize(("written", "read"), [("certs", "{home}/certs"), ("/etc/certs", "/etc/certs"), ("none", "none"), ("", "")])
def test_a_text_that_is_a_path_is_below_the_folder(folder: Any, written: str, read: str) -> None:
    folder.change(P, "port = 502", f"port = 502\nkeys = '{written}'")
    options = ronghe.plant.load(folder.path, **folder.find).connections["meter"].options
    assert options.keys == read.format(home=folder.path.resolve())


def test_names_may_be_plain_or_absent(folder: Any) -> None:
    folder.change(P, 'name = { en = "Pump station", zh = "泵站" }', 'name = "Pumps"')
    assert ronghe.plant.load(folder.path, **folder.find).name.in_("zh") == "Pumps"
    folder.change(P, 'name = "Pumps"', "")
    assert ronghe.plant.load(folder.path, **folder.find).name.en == "water"


def test_equipment_is_called_by_its_name_or_the_last_part_of_its_path(folder: Any) -> None:
    plant = ronghe.plant.load(folder.path, **folder.find)
    assert plant.equipment_name("line1/pump1") == Text("Pump 1", "1 号泵")
    assert plant.equipment_name("line1/meter") == Text("meter")
    assert plant.equipment_name("") == plant.name
    folder.change(P, '[equipment."line1/pump1"]\nname = { en = "Pump 1", zh = "1 号泵" }', '[equipment.line1]\nname = "First line"')
    plant = ronghe.plant.load(folder.path, **folder.find)
    assert (plant.equipment_name("line1"), plant.equipment_name("line1/pump1")) == (Text("First line"), Text("pump1"))


def test_samples_are_kept_for_ever_unless_the_plant_says_otherwise(folder: Any) -> None:
    assert ronghe.plant.load(folder.path, **folder.find).historian.keep == "400d"
    folder.change(P, '[historian]\nkeep = "400d"', "")
    assert ronghe.plant.load(folder.path, **folder.find).historian.keep == ""


def test_what_goes_to_the_centre_is_chosen_by_path_or_pattern(folder: Any) -> None:
    whole = ronghe.plant.load(folder.path, **folder.find).centre
    assert (whole.bandwidth, whole.most) == ("", "20 GB")
    assert whole.sends("line1/pump1/pressure")
    folder.change(P, "[historian]", '[centre]\nsend = ["line1/pump1", "*/power", "apps/pump-health/sc*"]\n[historian]')
    centre = ronghe.plant.load(folder.path, **folder.find).centre
    tags = ["line1/pump1/pressure", "line1/meter/power", "apps/pump-health/score", "line1/pump12/pressure", "apps/pump-health/learned"]
    assert [centre.sends(tag) for tag in tags] == [True, True, True, False, False]


WRONG = [
    # file, written, changed to, line, words of the problem, meant
    (P, 'path = "acme/shanghai/water"', 'path = "acme/shang hai"', 2, "path", "acme/shang_hai"),
    (P, 'path = "acme/shanghai/water"', "path = 3", 2, "text in quotes", ""),
    (P, 'path = "acme/shanghai/water"\n', "", 1, "'path' is missing", ""),
    (P, "zh = ", "cn = ", 3, "unknown key 'cn'", ""),
    (P, "[plant]", "[plnt]", 1, "unknown table 'plnt'", "plant"),
    (P, "name = {", "nam = {", 3, "unknown key 'nam'", "name"),
    (P, "[connections.plc1]", "[connections.'plc 1']", 5, "not one word", "plc_1"),
    (P, 'driver = "probe"', 'driver = "pro"', 6, "cannot be loaded", ""),
    (P, 'driver = "probe"\nurl = "opc', 'drivr = "probe"\nurl = "opc', 5, "'driver' is missing", "drivr"),
    (P, 'driver = "probe"', "driver = 1", 6, "driver: expected a text", ""),
    (P, 'url = "tcp', 'ulr = "tcp', 13, "unknown key 'ulr'", "url"),
    (P, "port = 502", "port = 70000", 14, "<= 65535", ""),
    (P, "port = 502", "port = '502'", 14, "expected a whole number, found a text", ""),
    (P, "port = 502\n", "", 11, "tcp needs a port", ""),
    (P, "port = 502", "port = 502\nmode = 'pol'", 15, "none of poll, subscribe", "poll"),
    (P, "port = 502", "port = 502\nretries = [1, 'a']", 15, "[1]: expected a whole number", ""),
    (P, "port = 502", "port = 502\ncode = 'abc'", 15, "code: does not have the form of two letters, e.g. AB", ""),
    (P, '{ env = "TEST_PLC1_PASSWORD" }', '"geheim"', 8, "plain text", ""),
    (P, '{ env = "TEST_PLC1_PASSWORD" }', '{ env = "NO_SUCH_VARIABLE" }', 8, "'NO_SUCH_VARIABLE' is not set", ""),
    (P, "opc.tcp://plc1", "opc.tcp://user:pass@plc1", 7, "user and password", ""),
    (P, 'uses = "test.detect"', 'uses = "test.detct"', 17, "cannot be loaded", ""),
    (P, 'uses = "test.detect"', 'use = "test.detect"', 16, "'uses' is missing", "use"),
    (P, 'equipment = "line1/pump1"', 'equipment = "line1/pmp1"', 18, "no tag lies below", "line1/pump1"),
    (P, "limit = 0.9", 'limit = "high"', 19, "expected a number, found a text", ""),
    (
        P,
        'guards."line1/pump1/speed_setpoint"]\nmode',
        'guards."line1/pump1/speed_setpont"]\nmode',
        21,
        "no tag",
        "line1/pump1/speed_setpoint",
    ),
    (P, 'guards."line1/pump1/speed_setpoint"]\nmode', 'guards."line1/pump1/pressure"]\nmode', 21, "not writable", ""),
    (P, 'mode = "approve"', 'mode = "aprove"', 22, "none of advise, approve, auto", "approve"),
    (P, 'envelope = "600..1450 1/min"', 'envelope = "600..1450 bar"', 23, "does not convert", ""),
    (P, 'envelope = "600..1450 1/min"', 'envelope = "600-1450 rpm"', 23, '"600..1450 1/min"', ""),
    (P, 'envelope = "600..1450 1/min"', 'envelope = "600..4000 1/min"', 23, "beyond the range", ""),
    (P, 'envelope = "600..1450 1/min"\n', "", 21, "'envelope' is missing", ""),
    (P, 'rate = "50 1/min per 1 min"', 'rate = "50 bar per 1 min"', 24, "does not convert", ""),
    (P, 'rate = "50 1/min per 1 min"', 'rate = "50 1/min"', 24, "not a rate", ""),
    (P, 'interlock = "line1', 'interlock = "??line1', 25, "unknown word", ""),
    (P, 'hold = "1min"', 'hold = "1m"', 27, "not a duration", ""),
    (P, 'hold = "1min"', 'hold = "1min"\napprovals = 3', 28, "<= 2", ""),
    (P, 'tag = "line1/meter/power"', 'tag = "line1/meter/powr"', 30, "no tag", "line1/meter/power"),
    (P, 'before = "5min"', 'before = "5"', 31, "not a duration", ""),
    (P, 'before = "5min"', 'befor = "5min"', 31, "unknown key 'befor'", "before"),
    (P, 'keep = "400d"', 'keep = "400"', 37, "not a duration", ""),
    (P, 'keep = "400d"', 'keep = "400ms"', 37, "less than an hour", ""),
    (P, 'keep = "400d"', "keep = 400", 37, "keep: expected a text", ""),
    (P, 'keep = "400d"', 'kep = "400d"', 37, "unknown key 'kep'", "keep"),
    (P, "[historian]", "[center]\n[historian]", 36, "unknown table 'center'", "centre"),
    (P, "[historian]", '[centre]\nsend = ["line1/pmp1"]\n[historian]', 37, "no tag is called 'line1/pmp1'", "line1/pump1"),
    (P, "[historian]", '[centre]\nsend = ["apps/pump-helth/*"]\n[historian]', 37, "no tag is called", "apps/pump-health"),
    (P, "[historian]", '[centre]\nbandwidth = "2 Mbps"\n[historian]', 37, '"2 Mbit/s"', ""),
    (P, "[historian]", '[centre]\nbandwidth = "2 bar"\n[historian]', 37, "bandwidth: '2 bar' is not a bandwidth", ""),
    (P, "[historian]", '[centre]\nmost = "20"\n[historian]', 37, "not a size", ""),
    (P, "[historian]", '[centre]\nmost = ""\n[historian]', 37, "not a size", ""),
    (P, '[equipment."line1/pump1"]', '[equipment."line1/pmp1"]', 33, "no tag lies below", "line1/pump1"),
    (P, '[equipment."line1/pump1"]', "[equipment.line1.pump1]", 33, "in quotes", ""),
    (P, 'name = { en = "Pump 1"', 'nam = { en = "Pump 1"', 34, "unknown key 'nam'", "name"),
    (P, 'name = { en = "Pump 1", zh = "1 号泵" }', "", 33, "'name' is missing", ""),
    (P, '[guards."line1/pump1/speed_setpoint"]', "[guards.line1.pump1.speed_setpoint]", 21, "in quotes", ""),
    (P, "[apps.pump-health]", "[apps]\npump = 3\n[apps.pump-health]", 17, "pump must be a table", ""),
    (P, "[plant]", "[plant", 1, "not valid TOML", ""),
    (P, 'driver = "probe"', "driver = “probe”", 6, "full-width", ""),
    (P, 'driver = "probe"', 'driver = "C:\\data"', 6, "single quotes", ""),
    (P, 'driver = "probe"', 'driver = "probe"\ndriver = "probe"', 7, "not valid TOML", ""),
    (T, "tag,property", "tag,properti", 1, "no column is called 'properti'", "property"),
    (T, "tag,property", "tag,properti", 1, "'property' is missing", ""),
    (T, "scale,offset", "scale,scale", 1, "appears twice", ""),
    (T, "tag,property,connection", "tag，property，connection", 1, "'，'", ""),
    (T, "line1/pump1/pressure,pressure", "/line1/pump1/pressure,pressure", 2, "is not a path", "line1/pump1/pressure"),
    (T, "line1/pump1/pressure,pressure", "line1/pump 1/pressure,pressure", 2, "is not a path", "line1/pump_1/pressure"),
    (T, "line1/pump1/remark,remark", "apps/pump/remark,remark", 7, "kept for what apps compute", ""),
    (T, "line1/pump1/pressure,pressure", ",pressure", 2, "tag is empty", ""),
    (T, "line1/pump1/pressure,pressure", "line1/pump1/running,pressure", 4, "already given in line 2", ""),
    (T, "line1/pump1/pressure,pressure", "line1/pump1/pressure,presure", 2, "no property 'presure'", "pressure"),
    (T, "pressure,plc1", "pressure,plc", 2, "no connection 'plc'", "plc1"),
    (T, "@pressure", "pressure", 2, "begins with @", ""),
    (T, "@pressure", "", 2, "address is missing", ""),
    (T, "line1/pump1/remark,remark,,", "line1/pump1/remark,remark,,@x", 7, "without a connection", ""),
    (T, "1s,kPa", "1,kPa", 2, "not a duration", "1s"),
    (T, "1s,kPa", "0s,kPa", 2, "more than 0", ""),
    (T, "1s,kPa", "1s,Cel", 2, "does not convert", ""),
    (T, "1s,kPa", "1s,kpa", 2, "not a UCUM unit", "kPa"),
    (T, "W,10", 'W,"1,5"', 6, "not a number", "1.5"),
    (T, "W,10", "W,inf", 6, "not a finite number", ""),
    (T, "W,10", "W,0", 6, "scale is 0", ""),
    (T, "@speed,100ms,,,,true", "@speed,100ms,,,,maybe", 3, "neither true nor false", ""),
    (T, "@running,1s,", "@running,1s,bar", 4, "neither unit nor scale", ""),
    (T, "@running,1s,,,,", "@running,1s,,,,,,7", 4, "cells, but the header has 9", ""),
    (T, "@running", '"@running', 4, "never closed", ""),
    (T, "@running", '"@run"ning', 4, "not valid CSV", ""),
    (D, "pressure,0173", "speed,0173", 3, "already given in line 2", ""),
    (D, "bar,float", "Bar,float", 2, "not a UCUM unit", "bar"),
    (D, "1/min,float", "rpm,float", 3, "not a UCUM unit", "1/min"),
    (D, "bar,float", "bar,flot", 2, "none of float, int, bool, text", "float"),
    (D, "float,0,16", "float,16,0", 2, "not below", ""),
    (D, "float,0,16", "float,0,x", 2, "not a number", ""),
    (D, "remark,,Remark", "re mark,,Remark", 6, "not one word", "re_mark"),
    (D, "备注,,text", "备注,bar,text", 6, "a text has neither unit", ""),
    (D, "property,irdi", "properti,irdi", 1, "'property' is missing", ""),
]


@pytest.mark.parametrize(("file", "old", "new", "line", "words", "meant"), WRONG, ids=lambda v: str(v)[:24] if isinstance(v, str) else "")
def test_each_wrong_thing_is_told_with_its_line(folder: Any, file: str, old: str, new: str, line: int, words: str, meant: str) -> None:
    plant, problems = folder.change(file, old, new).examine()
    assert plant is None
    told = [p for p in problems if p.file == file and p.line == line and words in p.what.en]
    assert told, "\n".join(p.in_("en") for p in problems)
    assert told[0].severity == "error"
    assert told[0].meant == meant
    assert told[0].what.zh
    assert told[0].what.zh != told[0].what.en


def test_one_wrong_thing_is_one_problem(folder: Any) -> None:
    """What depends on a wrong cell or key is not blamed as well."""
    for file, old, new, *_ in [w for w in WRONG if w[4] in ("not a UCUM unit", "not a number", "not a duration", "begins with @")]:
        original = (folder.path / file).read_text(encoding="utf-8")
        problems = folder.change(file, old, new).problems()
        assert len(problems) == 1, "\n".join(p.in_("en") for p in problems)
        (folder.path / file).write_text(original, encoding="utf-8")


def test_all_problems_of_all_files_are_told_at_once(folder: Any) -> None:
    folder.change(P, 'mode = "approve"', 'mode = "aprove"').change(P, "port = 502", 'port = "x"')
    folder.change(T, "1s,kPa", "1,kpa").change(T, "pressure,plc1", "presure,plc2")
    folder.change(D, "1/min,float", "rpm,float")
    with pytest.raises(PlantError) as caught:
        ronghe.plant.load(folder.path, **folder.find)
    told = {(p.file, p.line) for p in caught.value.problems}
    assert told == {(P, 14), (P, 22), (T, 2), (D, 3)}
    assert len([p for p in caught.value.problems if p.file == T]) == 4 - 1  # its property is unknown, so its unit cannot be judged
    assert "tags.csv:2: " in caught.value.in_("en")
    assert "是否想写" in caught.value.in_("zh")


def test_warnings_let_the_plant_run(folder: Any, caplog: pytest.LogCaptureFixture) -> None:
    folder.change(T, "@running", "@speed").change(D, "0173-1#02-AAR550#003", "none")
    folder.change(P, "[apps.pump-health]", '[connections.spare]\ndriver = "probe"\nurl = "x"\n\n[apps.pump-health]')
    with caplog.at_level(logging.WARNING):
        plant = ronghe.plant.load(folder.path, **folder.find)
    assert len(plant.connections) == 3
    assert {(p.file, p.line, p.severity) for p in folder.problems()} == {(D, 2, "warning"), (P, 16, "warning"), (T, 4, "warning")}
    assert "same address as in line 3" in caplog.text


def test_without_secrets_a_missing_variable_is_a_warning(folder: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEST_PLC1_PASSWORD")
    assert folder.examine()[0] is None
    plant, problems = folder.examine(secrets=False)
    assert plant is not None
    assert [(p.line, p.severity) for p in problems] == [(8, "warning")]
    assert plant.connections["plc1"].options.password == ""


def test_a_number_may_come_from_the_environment(folder: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.change(P, "port = 502", 'port = { env = "TEST_PORT" }')
    monkeypatch.setenv("TEST_PORT", "1502")
    assert ronghe.plant.load(folder.path, **folder.find).connections["meter"].options.port == 1502
    monkeypatch.setenv("TEST_PORT", "many")
    assert [(p.file, p.line) for p in folder.problems()] == [(P, 14)]


def test_a_name_that_is_not_installed_is_a_problem(folder: Any) -> None:
    folder.change(P, 'driver = "probe"', 'driver = "opcu"').change(P, 'uses = "test.detect"', 'uses = "maintenance.detec"')
    plant, problems = examine(folder.path)
    assert plant is None
    told = {(p.line, p.meant) for p in problems}
    assert (6, "opcua") in told
    assert (17, "maintenance.detect") in told
    assert next(p for p in problems if p.line == 6).what.en.startswith("no driver is called 'opcu'; installed: ")


def test_a_driver_whose_module_is_broken_is_a_problem(folder: Any) -> None:
    def broken(name: str) -> Any:
        raise SyntaxError("in a third party's module")

    plant, problems = examine(folder.path, drivers=broken, apps=lambda name: object())
    assert plant is None
    assert {p.line for p in problems} == {6, 12, 17}


@pytest.mark.parametrize("name", [P, T, D])
def test_a_missing_file_is_a_problem_among_others(folder: Any, name: str) -> None:
    (folder.path / name).unlink()
    problems = folder.problems()
    assert (name, 0) in {(p.file, p.line) for p in problems}
    assert any("missing" in p.what.en for p in problems)


def test_a_missing_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(PlantError, match="no such folder"):
        ronghe.plant.load(tmp_path / "nowhere")
    (tmp_path / "plant.toml").write_text("")
    with pytest.raises(PlantError, match="is a file") as caught:
        ronghe.plant.load(tmp_path / "plant.toml")
    assert caught.value.problems[0].meant == str(tmp_path)


def test_a_file_that_is_a_folder_is_a_problem(folder: Any) -> None:
    (folder.path / T).unlink()
    (folder.path / T).mkdir()
    assert (T, 0) in {(p.file, p.line) for p in folder.problems()}


def test_spreadsheets_of_all_kinds_are_read(folder: Any) -> None:
    tags, words = (folder.path / n for n in (T, D))
    text, spoken = tags.read_text(encoding="utf-8"), words.read_text(encoding="utf-8")
    expected = ronghe.plant.load(folder.path, **folder.find)
    for separator, end, encoding in [(";", "\r\n", "utf-8-sig"), ("\t", "\r", "utf-16"), (",", "\n", "utf-8"), (",", "\r\n", "gb18030")]:
        tags.write_bytes(("\n\n" + text + ",,,,\n").replace(",", separator).replace("\n", end).encode(encoding))
        words.write_bytes(spoken.replace("\n", end).encode(encoding))
        plant, problems = folder.examine()
        assert plant == expected, problems
        assert [p.file for p in problems] == ([D] if encoding == "gb18030" else [])


def test_lines_are_counted_through_cells_of_several_lines(folder: Any) -> None:
    folder.change(D, "Pressure,压力", '"Pressure\nof the water","压\n力"').change(D, "bool,,", "bol,,")
    assert [(p.file, p.line) for p in folder.problems()] == [(D, 6)]


def test_what_a_guards_condition_lacks_is_told_once(folder: Any) -> None:
    def check_guard(guard: GuardSpec, plant: Plant) -> list[tuple[str, RongheError]]:
        return [("envelope", RongheError("the same in other words")), ("watch", RongheError("unknown tag"))]

    folder.change(P, 'envelope = "600..1450 1/min"', 'envelope = "600..1450 bar"')
    _, problems = examine(folder.path, **folder.find, check_guard=check_guard)
    assert [p.line for p in problems] == [23, 26]


def test_what_is_no_text_is_said(folder: Any) -> None:
    (folder.path / T).write_bytes(b"tag,property\n\xff\xff\xff\xff")
    assert (T, 2) in {(p.file, p.line) for p in folder.problems() if "UTF-8" in p.what.en}
    (folder.path / T).write_bytes(b"tag,property\na,b\nc\0,d")
    assert (T, 3) in {(p.file, p.line) for p in folder.problems() if "NUL" in p.what.en}
    (folder.path / T).write_bytes(b"")
    assert any(p.file == T and "empty" in p.what.en for p in folder.problems())
    (folder.path / P).write_text("x = " + "[" * 5000)
    assert any(p.file == P for p in folder.problems())
    (folder.path / P).write_text("x = " + "9" * 5000)
    assert any(p.file == P for p in folder.problems())


def test_a_hundred_thousand_wrong_lines_are_told_in_short(folder: Any) -> None:
    (folder.path / T).write_text("tag,property,connection,address\n" + "a b,c,d,e\n" * 100_000)
    assert len(folder.problems()) < 300


def test_many_tags_are_read(folder: Any) -> None:
    lines = [f"line{i % 7}/pump/pressure{i},pressure,plc1,@{i},1s,kPa,,,\n" for i in range(20_000)]
    with (folder.path / T).open("a", encoding="utf-8") as f:
        f.writelines(lines)
    assert len(ronghe.plant.load(folder.path, **folder.find).tags) == 20_005


def check_only_problems(folder: Any) -> None:
    plant, problems = folder.examine()
    assert (plant is None) == any(p.severity == "error" for p in problems)
    for p in problems:
        assert p.in_("en")
        assert p.in_("zh")
        assert p.line >= 0


NASTY = [*"[]{}\"'=#.,;\t\n\r\\\0 /-+1e%<>中“，", '"""', "[[", "\ufeff", "\u2028", "1e999", "env", "nan", "..", "\ud800", "é"]


def mutated(text: str, rng: random.Random) -> bytes:
    for _ in range(rng.choice([1, 1, 1, 2, 5, 20])):
        at = rng.randrange(len(text) + 1)
        end = min(len(text), at + rng.choice([0, 1, 1, 5, 40]))
        how = rng.randrange(4)
        if how == 0:
            text = text[:at] + text[end:]
        elif how == 1:
            text = text[:at] + rng.choice(NASTY) + text[end:]
        elif how == 2:
            other = rng.randrange(len(text) + 1)
            text = text[:other] + text[at:end] + text[other:]
        else:
            lines = text.split("\n")
            rng.shuffle(lines)
            text = "\n".join(lines) if rng.random() < 0.3 else text[::-1] if rng.random() < 0.1 else text
    return text.encode("utf-8", "surrogatepass")


@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**32), st.sampled_from([[P], [T], [D], [P, T, D]]))
def test_no_mutation_of_a_folder_makes_a_traceback(folder: Any, seed: int, files: list[str]) -> None:
    rng = random.Random(seed)
    for name in (P, T, D):
        text = {P: folder.plant, T: folder.tags, D: folder.dictionary}[name]
        (folder.path / name).write_bytes(mutated(text, rng) if name in files else text.encode())
    check_only_problems(folder)


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=400) | st.text(max_size=200).map(lambda t: t.encode("utf-8", "replace")), st.sampled_from([P, T, D]))
def test_random_bytes_make_no_traceback(folder: Any, data: bytes, name: str) -> None:
    (folder.path / name).write_bytes(data)
    check_only_problems(folder)


def test_a_file_far_too_large_is_not_read(folder: Any) -> None:
    os.truncate(folder.path / T, 100_000_000)
    assert any(p.file == T and "too large" in p.what.en for p in folder.problems())
