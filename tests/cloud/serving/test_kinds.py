"""Each kind of package as a service gives what it gives in process."""

from __future__ import annotations

import base64
import io
import logging
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from ronghe.apps.maintenance.cause import Measured
from ronghe.apps.maintenance.normal import learn
from ronghe.apps.maintenance.packing import pack, unpack
from ronghe.apps.maintenance.scorer import Scorer
from ronghe.apps.quality.boards import judge as boards
from ronghe.apps.quality.boards.template import Comparer
from ronghe.apps.quality.inspector import packing as inspection
from ronghe.apps.quality.inspector.learn import learn as teach
from ronghe.cloud.serving import Serving
from ronghe.cloud.serving.kinds import serve
from ronghe.cloud.serving.tensors import strings
from ronghe.errors import ModelError
from ronghe.models import Package, save
from ronghe.text import Text

from .conftest import package, product, served

COLUMNS = ("pump/pressure", "pump/flow", "pump/power")


def state_model() -> Package:
    """Normal operation of a pump."""
    rng = np.random.default_rng(3)
    load = rng.normal(size=(400, 1))
    rows = np.array([5.0, 80.0, 11.0]) + load * [0.2, 3.0, 0.5] + rng.normal(size=(400, 3)) * [0.05, 0.5, 0.1]
    return pack(learn(rows), [Measured(c, c, Text(c), "") for c in COLUMNS], rows, name="pump", created=1)


def board(spot: bool = False) -> np.ndarray:
    """A board of tracks; with a mousebite where `spot`."""
    picture = np.full((240, 240), 20, np.uint8)
    for y in range(20, 230, 30):
        picture[y : y + 12, 10:230] = 220
    for x in range(30, 230, 50):
        picture[15:225, x : x + 10] = 220
    if spot:
        picture[80:92, 120:135] = 20
    return picture


def disc(seed: int, spot: bool = False) -> np.ndarray:
    """A turned part; with a pit where `spot`."""
    y, x = np.mgrid[:96, :96]
    r = np.hypot(y - 48, x - 48)
    picture = 130 + 40 * np.sin(r / 4) * (r < 40) + np.random.default_rng(seed).normal(0, 4, (96, 96))
    if spot:
        picture[40:50, 60:70] = 20
    return np.clip(picture, 0, 255).astype(np.uint8)


def png(pixels: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> object:
    folder = tmp_path_factory.mktemp("kinds")
    save(folder / "pump.model", state_model())
    save(folder / "board.model", boards.pack(boards.Templates(["a"], board()[None], Comparer()), name="board", created=1))
    with served(folder, None) as serving:
        yield serving


def _infer(server: Serving, model: str, **body: object) -> dict[str, list[object]]:
    said = httpx.post(f"{server.url}/v2/models/{model}/infer", **body)  # type: ignore[arg-type]
    assert said.status_code == 200, said.text
    return {o["name"]: o["data"] for o in said.json()["outputs"]}


def test_a_picture_goes_in_as_it_is_and_a_verdict_comes_out(server: Serving) -> None:
    raw = {"Inference-Header-Content-Length": "0"}
    good = _infer(server, "board", content=png(board()), headers=raw)
    bad = _infer(server, "board", content=png(board(spot=True)), headers=raw)
    assert good["verdict"] == ["pass"]
    assert bad["verdict"] == ["reject"]
    assert bad["score"][0] > 1 > good["score"][0]
    index, x0, y0, x1, y1, _ = bad["where"][:6]
    assert index == 0
    assert x0 * 240 <= 128 <= x1 * 240
    assert y0 * 240 <= 86 <= y1 * 240


def test_an_inspector_taught_from_good_parts_says_what_it_says_in_process(tmp_path: Path) -> None:
    inspector = teach([disc(seed) for seed in range(6)], false_reject=0.05, review=0.1)
    saved = inspection.pack(inspector, name="disc", created=1)
    model = serve(saved)
    pictures = [disc(7), disc(8, spot=True)]
    said = model.run({"image": strings([png(p) for p in pictures])})
    expected = [inspector.judge(p) for p in pictures]
    assert said["score"].tolist() == [e.score for e in expected]
    assert said["verdict"].tolist() == [e.verdict.encode() for e in expected]
    assert said["verdict"][1] == b"reject"
    assert said["where"][-1, 0] == 1


def test_several_pictures_by_json_or_one_as_numbers(server: Serving) -> None:
    files = [base64.b64encode(png(board(s))).decode() for s in (True, False)]
    image = {"name": "image", "shape": [2], "datatype": "BYTES", "parameters": {"content_type": "base64"}, "data": files}
    assert _infer(server, "board", json={"inputs": [image]})["verdict"] == ["reject", "pass"]
    pixels = {"name": "pixels", "shape": [240, 240, 1], "datatype": "UINT8", "data": board(True).ravel().tolist()}
    assert _infer(server, "board", json={"inputs": [pixels]})["verdict"] == ["reject"]
    for inputs in ([image, pixels], [{**pixels, "shape": [120, 120, 4]}], [{**image, "data": [*files[:1], "AAAA"]}]):
        said = httpx.post(f"{server.url}/v2/models/board/infer", json={"inputs": inputs})
        assert said.status_code == 400
        assert "/" in said.json()["error"]  # both languages


def test_rows_of_measurements_give_the_scores_of_the_app(server: Serving) -> None:
    rng = np.random.default_rng(4)
    rows = np.array([5.0, 80.0, 11.0]) + rng.normal(size=(60, 3)) * [0.05, 0.5, 0.1]
    rows[30:, 2] += 3.0
    rows[3, 0] = np.nan
    given = [[None if np.isnan(v) else v for v in r] for r in rows]
    said = _infer(server, "pump", json={"inputs": [{"name": "rows", "shape": [60, 3], "datatype": "FP64", "data": given}]})
    scorer = Scorer(unpack(state_model()))
    expected = [scorer.step(r) for r in rows]
    got = [float("nan") if s is None else s for s in said["score"]]
    np.testing.assert_array_equal(got, expected)
    assert said["score"][0] is None
    assert said["cause"][-1] == "pump/power"
    assert said["abnormal"][-1] is True
    assert said["abnormal"][25] is False
    told = httpx.get(f"{server.url}/v2/models/pump").json()
    assert told["parameters"]["columns"] == list(COLUMNS)
    assert told["parameters"]["kind"] == "maintenance.detect/1"


def test_logs_and_errors_hold_no_data(server: Serving, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    secret = "d1e-c4st"
    image = {"name": "image", "shape": [1], "datatype": "BYTES", "data": [secret]}
    rows = {"name": "rows", "shape": [1, 3], "datatype": "FP64", "data": [secret] * 3}
    for model, given in (("board", image), ("pump", rows)):
        said = httpx.post(f"{server.url}/v2/models/{model}/infer", json={"inputs": [given]})
        assert said.status_code == 400
    assert secret not in "".join(r.getMessage() + str(r.exc_text) for r in caplog.records if r.name.startswith(("ronghe", "uvicorn")))


def test_a_kind_that_is_no_function_of_its_inputs_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"'acme\.wear/1' are not served"):
        serve(package("wear", product(), kind="acme.wear/1"))
