"""The server itself: TLS, an address that is taken, what it tells of itself."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import ssl
from pathlib import Path

import httpx
import pytest
import tritonclient.grpc as by_grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ronghe.cloud.serving import Serving
from ronghe.cloud.spec import ServingSpec
from ronghe.errors import CloudError

from .conftest import package, product, save, served


def _certificate(folder: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "models")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "models.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    (folder / "models.key").write_bytes(key.private_bytes(pem, form, serialization.NoEncryption()))


def test_with_a_certificate_both_ways_are_by_tls(tmp_path: Path) -> None:
    _certificate(tmp_path)
    save(tmp_path / "a.model", package("a", product()))
    spec = ServingSpec(port=0, grpc=0, certificate="models.pem", key="models.key")
    serving = Serving(tmp_path, None, spec, host="127.0.0.1", home=tmp_path)
    asyncio.run(serving.start())
    try:
        known = ssl.create_default_context(cafile=str(tmp_path / "models.pem"))
        assert httpx.get(f"{serving.url}/v2/models/a", verify=known).json()["name"] == "a"
        with pytest.raises(httpx.HTTPError):
            httpx.get(serving.url.replace("https", "http") + "/v2")
        with by_grpc.InferenceServerClient(serving.grpc_url, ssl=True, root_certificates=str(tmp_path / "models.pem")) as client:
            assert client.is_model_ready("a")
    finally:
        asyncio.run(serving.stop())


@pytest.mark.parametrize("which", ["port", "grpc"])
def test_an_address_that_is_taken_is_named(open_server: Serving, tmp_path: Path, which: str) -> None:
    taken = int((open_server.url if which == "port" else open_server.grpc_url).rpartition(":")[2])
    serving = Serving(tmp_path, None, ServingSpec(**{"port": 0, "grpc": 0, which: taken}))
    with pytest.raises(CloudError, match=f"127.0.0.1:{taken}: models cannot be served there"):
        asyncio.run(serving.start())
    asyncio.run(serving.stop())


def test_what_it_tells_of_itself(tmp_path: Path) -> None:
    save(tmp_path / "a.model", package("a", product()))
    (tmp_path / "b.model").write_bytes(b"nothing")
    with served(tmp_path, None) as serving:
        x = {"name": "x", "shape": [1, 4], "datatype": "FP32", "data": [1, 2, 3, 4]}
        for _ in range(3):
            assert httpx.post(f"{serving.url}/v2/models/a/infer", json={"inputs": [x]}).status_code == 200
        view = serving.view()
    (a,) = view["models"]
    assert (a["name"], a["calls"], a["waiting"], a["refused"], a["batched"]) == ("a", 3, 0, 0, True)
    assert a["compute_s"] > 0
    (b,) = view["failed"]
    assert b["where"].endswith("b.model")
    assert b["text"]["zh"]
