"""What `cloud.toml` says: where the centre is, and what it offers. All of it has a default; an empty file is a centre on one machine."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from ronghe.text import Text


class HubSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `[hub]` table: the JetStream servers that nodes send to. By default Ronghe starts one from its own wheel."""

    servers: Annotated[int, Meta(description="how many are started here: 1, or 3 of which one may die", ge=1, le=3)] = 1
    port: Annotated[int, Meta(description="where nodes reach the first; 0: a free one", ge=0, le=65535)] = 4222
    url: Annotated[str, Meta(description="tls://host:port of servers that you run yourself; then none is started")] = ""
    keep: Annotated[str, Meta(description="how long what was taken from it stays, for other readers")] = "7d"
    most: Annotated[str, Meta(description="the most that it may hold, e.g. 50 GB")] = "50 GB"


class LakeSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `[lake]` table: where history is kept for long periods."""

    url: Annotated[str, Meta(description="a folder, or s3://bucket/prefix")] = "lake"
    options: Annotated[dict[str, Any], Meta(description="of S3: endpoint, region; keys as { env = NAME }")] = {}


class FleetSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `[fleet]` table: where nodes join and ask (HTTPS)."""

    port: Annotated[int, Meta(description="0: a free one", ge=0, le=65535)] = 8443


class ModelSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A `[serving.models.NAME]` table: how one model is run as a service."""

    batch: Annotated[
        int, Meta(description="most rows that are run as one, of a model that takes rows; 1: every request by itself", ge=1)
    ] = 32
    wait_us: Annotated[int, Meta(description="how long a request may be held for others to come, µs", ge=0, le=1_000_000)] = 0
    queue: Annotated[int, Meta(description="requests that may wait; one more is refused", ge=1)] = 256
    timeout_s: Annotated[float, Meta(description="until a request is given up", gt=0)] = 30.0


class ServingSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `[serving]` table: models as a service, Open Inference Protocol v2. With a certificate it is served by TLS."""

    port: Annotated[int, Meta(description="REST; 0: a free one", ge=0, le=65535)] = 8200
    grpc: Annotated[int, Meta(description="gRPC; 0: a free one", ge=0, le=65535)] = 8201
    certificate: Annotated[str, Meta(description="PEM file; empty: plain, for 127.0.0.1 or behind a proxy")] = ""
    key: Annotated[str, Meta(description="PEM file of its private key")] = ""
    threads: Annotated[int, Meta(description="models that run at once; 0: as many as there are cores", ge=0)] = 0
    largest: Annotated[int, Meta(description="most bytes of a request", ge=1)] = 64 << 20
    models: Annotated[dict[str, ModelSpec], Meta(description="by name, where the defaults do not do")] = {}


class MetricsSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `[metrics]` table: what all nodes and the centre measure of themselves, for other tools."""

    listen: Annotated[str, Meta(description="host:port of `GET /metrics` for Prometheus, e.g. 127.0.0.1:9464; empty: none")] = ""
    otlp: Annotated[str, Meta(description="an OpenTelemetry collector, e.g. http://127.0.0.1:4318; empty: none")] = ""
    every: Annotated[float, Meta(gt=0, description="s between two exports to it")] = 30.0


class CloudSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All of cloud.toml."""

    name: Text = Text("Centre", "中心")
    address: Annotated[str, Meta(description="the host name or address by which nodes reach the centre; in its certificate")] = "127.0.0.1"
    hub: HubSpec = HubSpec()
    lake: LakeSpec = LakeSpec()
    fleet: FleetSpec = FleetSpec()
    serving: ServingSpec = ServingSpec()
    metrics: MetricsSpec = MetricsSpec()
