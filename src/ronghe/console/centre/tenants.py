"""/api/tenants: who may call models as a service, with which keys, how much, and what it came to."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from litestar import Response, get, post, put
from litestar.params import FromPath, JSONBody, QueryParameter

from ronghe.cloud.serving.tenants import Quota
from ronghe.console.centre.desk import centre_of, tenants_of
from ronghe.console.desk import Call, needs, person
from ronghe.console.roles import Role

_DAY: Final = r"^\d{4}-\d\d-\d\d$"
_MONTH: Final = r"^\d{4}-(0[1-9]|1[0-2])$"


class NewTenant(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant's short name, and what people call it."""

    name: str
    title: str = ""


class NewKey(msgspec.Struct, frozen=True, kw_only=True):
    """What a key may do, and with which models."""

    scopes: list[str]
    models: list[str]


class KeyMade(msgspec.Struct, frozen=True, kw_only=True):
    """A key: shown once, kept nowhere."""

    key: str


@get("/api/tenants", opt=needs(Role.VIEWER), sync_to_thread=True)
def tenants(request: Call) -> Any:
    """Every tenant, with keys, quota and today's use."""
    return tenants_of(request).view()


@post("/api/tenants", opt=needs(Role.ADMINISTRATOR), status_code=204, sync_to_thread=True)
def add(request: Call, data: JSONBody[NewTenant]) -> None:
    """A new tenant, who may do nothing yet."""
    tenants_of(request).add(data.name, title=data.title)
    _note(request, "added", data.name)


@post("/api/tenants/{name:str}/keys", opt=needs(Role.ADMINISTRATOR), sync_to_thread=True)
def add_key(request: Call, name: FromPath[str], data: JSONBody[NewKey]) -> KeyMade:
    """A new key of a tenant."""
    key = tenants_of(request).key(name, scopes=data.scopes, models=data.models)
    _note(request, "key", name, key=key.split("-")[1], scopes=data.scopes, models=data.models)
    return KeyMade(key=key)


@post("/api/tenants/{name:str}/keys/{key:str}/revoke", opt=needs(Role.ADMINISTRATOR), status_code=204, sync_to_thread=True)
def revoke(request: Call, name: FromPath[str], key: FromPath[str]) -> None:
    """Ends a key at once."""
    tenants_of(request).revoke(name, key)
    _note(request, "revoked", name, key=key)


@put("/api/tenants/{name:str}/quota", opt=needs(Role.ADMINISTRATOR), status_code=204, sync_to_thread=True)
def quota(request: Call, name: FromPath[str], data: JSONBody[Quota]) -> None:
    """How much a tenant may use from now on."""
    tenants_of(request).quota(name, data)
    _note(request, "quota", name, quota=msgspec.to_builtins(data))


@get("/api/tenants/{name:str}/usage", opt=needs(Role.VIEWER), sync_to_thread=True)
def usage(
    request: Call,
    name: FromPath[str],
    start: Annotated[str, QueryParameter(name="from", pattern=_DAY, description="YYYY-MM-DD, the tenant's own day")],
    end: Annotated[str, QueryParameter(name="to", pattern=_DAY, description="YYYY-MM-DD, not included")],
) -> Any:
    """What a tenant used, by day and model."""
    return tenants_of(request).usage_view(name, start, end)


@get("/api/tenants/{name:str}/invoice", opt=needs(Role.VIEWER), sync_to_thread=True)
def invoice(
    request: Call, name: FromPath[str], month: Annotated[str, QueryParameter(pattern=_MONTH, description="YYYY-MM, the tenant's own")]
) -> Response[str]:
    """A month's bill as CSV."""
    bill = tenants_of(request).invoice(name, month).csv()
    file = f'attachment; filename="{name}-{month}.csv"'
    return Response(bill, media_type="text/csv", headers={"Content-Disposition": file})


def _note(request: Call, event: str, name: str, **more: Any) -> None:
    centre_of(request).note(f"tenant.{event}", {"who": person(request).name, "tenant": name, **more})


HANDLERS = [tenants, add, add_key, revoke, quota, usage, invoice]
