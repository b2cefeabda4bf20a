"""/api/tenants: who may call models as a service, with which keys, how much, and what it came to."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Response, get, post, put
from litestar.params import FromPath, JSONBody, QueryParameter

from ronghe.console.centre.desk import centre_of
from ronghe.console.desk import Call, needs, person
from ronghe.console.roles import Role


class NewTenant(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant's short name."""

    name: str


class NewKey(msgspec.Struct, frozen=True, kw_only=True):
    """What a key may do, and with which models."""

    scopes: list[str]
    models: list[str]


class KeyMade(msgspec.Struct, frozen=True, kw_only=True):
    """A key: shown once, kept nowhere."""

    key: str


class Quota(msgspec.Struct, frozen=True, kw_only=True):
    """How much a tenant may use; None: no limit."""

    calls_per_day: int | None = None
    compute_s_per_day: float | None = None
    rate_per_s: float | None = None


@get("/api/tenants", opt=needs(Role.VIEWER), sync_to_thread=False)
def tenants(request: Call) -> Any:
    """Every tenant, with keys, quota and today's use."""
    return centre_of(request).tenants.view()


@post("/api/tenants", opt=needs(Role.ADMINISTRATOR), status_code=204, sync_to_thread=False)
def add(request: Call, data: JSONBody[NewTenant]) -> None:
    """A new tenant, who may do nothing yet."""
    centre_of(request).tenants.add(data.name, who=person(request).name)


@post("/api/tenants/{name:str}/keys", opt=needs(Role.ADMINISTRATOR), sync_to_thread=False)
def add_key(request: Call, name: FromPath[str], data: JSONBody[NewKey]) -> KeyMade:
    """A new key of a tenant."""
    return KeyMade(key=centre_of(request).tenants.key(name, data.scopes, data.models, who=person(request).name))


@post("/api/tenants/{name:str}/keys/{key:str}/revoke", opt=needs(Role.ADMINISTRATOR), status_code=204, sync_to_thread=False)
def revoke(request: Call, name: FromPath[str], key: FromPath[str]) -> None:
    """Ends a key at once."""
    centre_of(request).tenants.revoke(name, key, who=person(request).name)


@put("/api/tenants/{name:str}/quota", opt=needs(Role.ADMINISTRATOR), status_code=204, sync_to_thread=False)
def quota(request: Call, name: FromPath[str], data: JSONBody[Quota]) -> None:
    """How much a tenant may use from now on."""
    centre_of(request).tenants.quota(name, data, who=person(request).name)


@get("/api/tenants/{name:str}/usage", opt=needs(Role.VIEWER), sync_to_thread=False)
def usage(
    request: Call,
    name: FromPath[str],
    start: Annotated[int, QueryParameter(name="from", description="ms")],
    end: Annotated[int, QueryParameter(name="to", description="ms")],
) -> Any:
    """What a tenant used, by day and model."""
    return centre_of(request).tenants.usage(name, start, end)


@get("/api/tenants/{name:str}/invoice", opt=needs(Role.VIEWER), sync_to_thread=False)
def invoice(
    request: Call, name: FromPath[str], month: Annotated[str, QueryParameter(pattern=r"^\d{4}-(0[1-9]|1[0-2])$", description="YYYY-MM")]
) -> Response[str]:
    """A month's use as CSV."""
    made = centre_of(request).tenants.invoice(name, month)
    file = f'attachment; filename="{name}-{month}.csv"'
    return Response(made, media_type="text/csv; charset=utf-8", headers={"Content-Disposition": file})


HANDLERS = [tenants, add, add_key, revoke, quota, usage, invoice]
