"""A lake in a bucket: moto's server, which is not ours, speaks S3."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator

import pytest

from ronghe.cloud.lake import Lake
from ronghe.errors import CloudError

from .conftest import table_of


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(urllib.request.Request(f"{url}/plants", method="PUT")).close()
                break
            except OSError:
                assert server.poll() is None
                time.sleep(0.05)
        yield url
    finally:
        server.terminate()
        server.wait()


def test_a_bucket_holds_a_lake(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAKE_KEY", "testing")
    options = {"endpoint": endpoint, "region": "us-east-1", "key": {"env": "LAKE_KEY"}, "secret": {"env": "LAKE_KEY"}}
    lake = Lake("s3://plants/lake", options)
    assert lake.open() is None
    assert lake.view() == []
    assert lake.add("acme/s", table_of(100), ("acme/s", 1)).new == 100
    assert lake.add("acme/s", table_of(100, first=50), ("acme/s", 1)).known == 50
    changed = lake.add("acme/s", table_of(10, value=0.25), ("acme/s", 1))
    assert (changed.new, changed.changed) == (0, 10)
    sql = "SELECT tag, count(*) AS n, sum(value) AS s FROM samples WHERE time >= '2026-03-01T00:01:00Z' GROUP BY tag ORDER BY tag"
    assert lake.query(sql).to_pydict() == {"tag": [f"line/p{i}/flow" for i in range(3)], "n": [30] * 3, "s": [3105.0, 3135.0, 3165.0]}
    assert [v.rows for v in Lake("s3://plants/lake", options).view()] == [150]

    # Two writers that do not know of one another: the second is told, and has written nothing.
    mine, other = lake.open(), lake.open()
    rows = mine.to_pyarrow_table().slice(0, 1)  # type: ignore[union-attr]
    lake._append(mine, rows, ("acme/s", 2))  # type: ignore[arg-type]
    with pytest.raises(Exception, match="Concurrent transaction"):
        lake._append(other, rows, ("acme/s", 2))  # type: ignore[arg-type]
    assert lake.view()[0].rows == 151
    with pytest.raises(CloudError, match="cannot be used"):
        Lake("s3://nobody/lake", {**options, "endpoint": "http://127.0.0.1:9"}).names()
