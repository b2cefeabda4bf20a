"""Servers that `ronghe bench serve` measures, each a process: ours, and a bare endpoint as one would write it on an afternoon.

python -m ronghe.bench.serve_servers ronghe|unbatched FOLDER TENANTS     prints its port and a key
python -m ronghe.bench.serve_servers bare GRAPH                          prints its port
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any


def main() -> None:
    """Serves until the process is ended."""
    what, place, *more = sys.argv[1:]
    if what == "bare":
        _bare(Path(place))
    else:
        asyncio.run(_ours(Path(place), Path(more[0]), batch=32 if what == "ronghe" else 1))


async def _ours(folder: Path, file: Path, batch: int) -> None:
    from ronghe.cloud.serving import Serving, Tenants
    from ronghe.cloud.spec import ModelSpec, ServingSpec

    tenants = Tenants(file)
    tenants.add("bench")
    models = {path.stem: ModelSpec(batch=batch) for path in folder.glob("*.model")}
    serving = Serving(folder, tenants, ServingSpec(port=0, grpc=0, models=models))
    await serving.start()
    print(serving.url.rpartition(":")[2], tenants.key("bench", models=sorted(models)), flush=True)
    await asyncio.Event().wait()


def _bare(graph: Path) -> None:
    """Open Inference v2 and no more: one model, one input in binary, no keys, no limits, nothing counted; run in the event loop."""
    import msgspec
    import numpy as np
    import onnxruntime as ort
    import uvicorn

    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(graph.read_bytes(), options, providers=["CPUExecutionProvider"])

    async def app(scope: dict[str, Any], receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message["body"], message.get("more_body", False)
        end = int(dict(scope["headers"])[b"inference-header-content-length"])
        shape = msgspec.json.decode(body[:end])["inputs"][0]["shape"]
        (y,) = session.run(None, {"x": np.frombuffer(body, np.float32, offset=end).reshape(shape)})
        raw = y.tobytes()
        out = {"name": "y", "datatype": "FP32", "shape": y.shape, "parameters": {"binary_data_size": len(raw)}}
        head = msgspec.json.encode({"model_name": "m", "outputs": [out]})
        headers = [(b"content-length", b"%d" % (len(head) + len(raw))), (b"inference-header-content-length", b"%d" % len(head))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": head + raw})

    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    sock.bind(("127.0.0.1", 0))
    print(sock.getsockname()[1], "", flush=True)
    config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", ws="none", proxy_headers=False)
    asyncio.run(uvicorn.Server(config).serve(sockets=[sock]))


def free_port() -> int:
    """A port that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


def reachable(port: int, within: float) -> bool:
    """Whether somebody listens there, soon."""
    end = time.monotonic() + within
    while time.monotonic() < end:
        with socket.socket() as sock:
            if sock.connect_ex(("127.0.0.1", port)) == 0:
                return True
        time.sleep(0.1)
    return False


def environment() -> dict[str, str]:
    """Of a server: one thread a matrix product, as everything else here."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


if __name__ == "__main__":
    main()
