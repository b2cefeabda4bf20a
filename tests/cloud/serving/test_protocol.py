"""What an independent client sees: Triton's own, over HTTP and gRPC, and plain HTTP."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import numpy as np
import pytest
import tritonclient.grpc as by_grpc
import tritonclient.http as by_http
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from ronghe.cloud.serving import Serving
from ronghe.cloud.spec import ServingSpec

from .conftest import WEIGHT, served

X = np.arange(8, dtype=np.float32).reshape(2, 4)
WAYS = ("http binary", "http json", "grpc")


class Asking:
    """One of the ways to ask."""

    def __init__(self, way: str, server: Serving) -> None:
        self.way = way
        self.module = by_grpc if way == "grpc" else by_http
        url = server.grpc_url if way == "grpc" else server.url.removeprefix("http://")
        self.client = self.module.InferenceServerClient(url)

    def infer(self, model: str, x: np.ndarray, version: str = "", **more: str) -> np.ndarray:
        binary = self.way == "http binary"
        given = self.module.InferInput("x", list(x.shape), np_to_triton_dtype(x.dtype))
        if self.way == "grpc":
            given.set_data_from_numpy(x)
            wanted = [by_grpc.InferRequestedOutput("y")]
        else:
            given.set_data_from_numpy(x, binary_data=binary)
            wanted = [by_http.InferRequestedOutput("y", binary_data=binary)]
        return self.client.infer(model, [given], model_version=version, outputs=wanted, **more).as_numpy("y")


@pytest.fixture(params=WAYS)
def asking(request: pytest.FixtureRequest, open_server: Serving) -> Asking:
    return Asking(request.param, open_server)


def test_health_and_metadata(asking: Asking) -> None:
    client = asking.client
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("product")
    assert client.is_model_ready("product", "1")
    assert not client.is_model_ready("product", "3")
    as_json = {"as_json": True} if asking.way == "grpc" else {}
    assert client.get_server_metadata(**as_json)["name"] == "ronghe"
    said = client.get_model_metadata("product", **as_json)
    assert said["versions"] == ["2", "1"]
    assert said["platform"] == "onnx_onnxv1"
    assert [int(d) for d in said["inputs"][0]["shape"]] == [-1, 4]
    assert said["outputs"][0]["datatype"] == "FP32"


def test_the_newest_version_answers_unless_another_is_named(asking: Asking) -> None:
    np.testing.assert_allclose(asking.infer("product", X), X @ (2 * WEIGHT), rtol=1e-5)
    np.testing.assert_allclose(asking.infer("product", X, "1"), X @ WEIGHT, rtol=1e-5)


@pytest.mark.parametrize("element", ["uint8", "int64", "bool"])
def test_every_type_comes_back_as_it_went(asking: Asking, element: str) -> None:
    x = np.array([[0, 1, 1], [1, 0, 1]]).astype(element)
    x = x if element == "bool" else x * np.array(7, element)
    y = asking.infer(element, x)
    assert y.dtype == x.dtype
    np.testing.assert_array_equal(y, x)


@pytest.mark.parametrize("way", ["http binary", "grpc"])  # the client sends no FP16 in JSON
def test_half_precision_comes_back_as_it_went(open_server: Serving, way: str) -> None:
    x = np.array([[0.1, np.inf, 65504]], np.float16)
    np.testing.assert_array_equal(Asking(way, open_server).infer("float16", x), x)


def test_what_does_not_fit_is_refused_in_words(asking: Asking) -> None:
    for model, x, word in [
        ("nothing", X, "no such model"),
        ("product", X[:, :3].copy(), "shape"),
        ("product", X.astype(np.int64), "FP32"),
    ]:
        with pytest.raises(InferenceServerException, match=word):
            asking.infer(model, x)


def _post(server: Serving, model: str, **body: object) -> httpx.Response:
    return httpx.post(f"{server.url}/v2/models/{model}/infer", **body)


def test_plain_json(open_server: Serving) -> None:
    x = {"name": "x", "shape": [2, 4], "datatype": "FP32", "data": [[0, 1, 2, 3], [4, 5, 6, None]]}
    said = _post(open_server, "product", json={"id": "42", "inputs": [x]})
    assert said.status_code == 200
    answer = said.json()
    assert (answer["id"], answer["model_name"], answer["model_version"]) == ("42", "product", "2")
    (y,) = answer["outputs"]
    assert (y["datatype"], y["shape"]) == ("FP32", [2, 3])
    np.testing.assert_allclose(y["data"][:3], X[0] @ (2 * WEIGHT), rtol=1e-5)
    assert y["data"][3:] == [None] * 3  # NaN
    assert float(said.headers["Ronghe-Compute-Ms"]) > 0


def test_a_body_may_be_the_only_input(open_server: Serving) -> None:
    said = _post(open_server, "product", content=X[0].tobytes(), headers={"Inference-Header-Content-Length": "0"})
    np.testing.assert_allclose(said.json()["outputs"][0]["data"], X[0] @ (2 * WEIGHT), rtol=1e-5)


def _head(head: dict[str, object], tail: bytes = b"", length: int | None = None) -> dict[str, object]:
    text = json.dumps(head).encode()
    return {"content": text + tail, "headers": {"Inference-Header-Content-Length": str(len(text) if length is None else length)}}


def _x(**changed: object) -> dict[str, object]:
    return {"inputs": [{"name": "x", "shape": [1, 4], "datatype": "FP32", "data": [1, 2, 3, 4], **changed}]}


def _binary(size: object) -> dict[str, object]:
    return {"inputs": [{"name": "x", "shape": [1, 4], "datatype": "FP32", "parameters": {"binary_data_size": size}}]}


@pytest.mark.parametrize(
    "request_",
    [
        {"content": b""},
        {"content": b"{"},
        {"content": b"[]"},
        {"content": b"[" * 100_000},
        {"json": {}},
        {"json": {"inputs": []}},
        {"json": _x(name="z")},
        {"json": _x(shape=[4])},
        {"json": _x(shape=[2, 4])},
        {"json": _x(shape=[-1, 4])},
        {"json": _x(shape=[1 << 62, 1 << 62])},
        {"json": _x(shape=[1] * 40)},
        {"json": _x(datatype="FP8")},
        {"json": _x(data=["1", "2", "3", "4"])},
        {"json": _x(data=[1, 2, 3, {"a": 4}])},
        {"json": _x(data=[1, 2, 3, True])},
        {"json": _x(data=7)},
        {"json": _x() | {"outputs": [{"name": "z"}]}},
        {"json": {"inputs": _x()["inputs"] * 2}},  # type: ignore[operator]
        _head(_binary(16), b"\0" * 15),
        _head(_binary(16), b"\0" * 17),
        _head(_binary(15), b"\0" * 15),
        _head(_binary(-1)),
        _head(_binary("16"), b"\0" * 16),
        _head(_binary(16), b"\0" * 16, 10_000),
        {"json": _x(), "headers": {"Content-Encoding": "gzip"}},
        {"content": b"\0" * 15, "headers": {"Inference-Header-Content-Length": "0"}},
    ],
)
def test_a_wrong_request_is_a_400_with_a_reason(open_server: Serving, request_: dict[str, object]) -> None:
    said = _post(open_server, "product", **request_)
    assert said.status_code == 400, said.text
    assert set(said.json()) == {"error"}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v2/models/product/infer", 405),
        ("POST", "/v2/models/product", 405),
        ("GET", "/", 404),
        ("GET", "/v2/models", 404),
        ("GET", "/v2/models/product/versions/2/x", 404),
        ("POST", "/v2/models/product/explain", 404),
    ],
)
def test_paths(open_server: Serving, method: str, path: str, status: int) -> None:
    assert httpx.request(method, open_server.url + path).status_code == status


def test_what_is_too_large_is_not_read(models: Path) -> None:
    with served(models, None, ServingSpec(port=0, grpc=0, largest=1000)) as server:
        for content in (b"x" * 1001, iter([b"x" * 600] * 2)):
            assert _post(server, "product", content=content).status_code == 413
        x = np.zeros((100, 4), np.float32)
        with pytest.raises(InferenceServerException, match="larger than max"):
            Asking("grpc", server).infer("product", x)
