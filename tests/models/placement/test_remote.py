"""The client of the Open Inference Protocol, against a served model."""

from __future__ import annotations

import http.server
import threading
from typing import Any

import numpy as np
import pytest
from tests.models.placement.conftest import network

from ronghe.errors import BadFrame, Rejected, Unreachable
from ronghe.models.remote import Endpoint
from ronghe.models.runtime import Session


def test_gives_the_numbers_of_a_run_here(server: str) -> None:
    x = np.random.default_rng(1).normal(size=(3, 24)).astype(np.float32)
    endpoint = Endpoint(server)
    for wanted in (("z", "y"), ("y",), ()):
        answer = endpoint.infer("plain", {"x": x}, wanted)
        here = dict(zip(("y", "z"), Session(network()).run(x), strict=True))
        assert list(answer.outputs) == list(wanted or here)
        for name, array in answer.outputs.items():
            assert array.dtype == here[name].dtype
            assert array.flags.writeable
            np.testing.assert_array_equal(array, here[name])
        assert answer.compute_ms is not None
        assert 0 < answer.compute_ms < answer.total_ms
    endpoint.close()


def test_models_are_found_by_what_is_in_them(server: str) -> None:
    endpoint = Endpoint(server)
    assert endpoint.ping() > 0
    assert sorted(endpoint.models()) == [("biased", "1"), ("plain", "1")]
    plain, biased = endpoint.describe("plain"), endpoint.describe("biased", "1")
    assert (plain.name, plain.version, len(plain.graph), len(plain.hash)) == ("plain", "1", 64, 64)
    assert plain.graph != biased.graph
    endpoint.close()


def test_a_refusal_says_why_and_the_connection_goes_on(server: str) -> None:
    endpoint = Endpoint(server)
    with pytest.raises(Rejected, match="404"):
        endpoint.infer("nobody", {"x": np.zeros((1, 24), np.float32)})
    with pytest.raises(Rejected, match="400"):
        endpoint.infer("plain", {"x": np.zeros((1, 23), np.float32)})
    kept = endpoint.socket
    endpoint.ping()
    assert endpoint.socket is kept
    endpoint.close()


class _Odd(http.server.BaseHTTPRequestHandler):
    """Answers one request on each connection, with what is no tensor, and closes it without a word."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._say(b"not json")

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._say(b'{"outputs":[{"name":"y","shape":[2,3],"datatype":"FP32","data":[1,2]}]}')

    def _say(self, data: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
        self.close_connection = True

    def log_message(self, *_: Any) -> None: ...


def test_what_is_not_the_protocol_is_said_to_be_that() -> None:
    with http.server.HTTPServer(("127.0.0.1", 0), _Odd) as other:
        thread = threading.Thread(target=other.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        endpoint = Endpoint(f"http://127.0.0.1:{other.server_port}")
        endpoint.ping()
        endpoint.ping()  # it has closed the connection meanwhile, which is no failure
        with pytest.raises(BadFrame, match="Open Inference"):
            endpoint.describe("x")
        with pytest.raises(BadFrame, match="Open Inference"):
            endpoint.infer("x", {"x": np.zeros(1)})
        endpoint.close()
        other.shutdown()
        thread.join()
    with pytest.raises(Unreachable):
        endpoint.ping()
    for address in ("127.0.0.1:8200", "http://127.0.0.1:99999", "http://127.0.0.1:x", "http://[::1"):
        with pytest.raises(Unreachable, match="no http"):
            Endpoint(address)
