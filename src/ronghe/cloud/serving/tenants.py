"""Tenants: who may use which models, how much of them, and what they used.

Looking a key up, and asking whether one call more is within the limits, is done in memory: microseconds, and the same for a model that is
not there and one that is not theirs. What another process changes in the file (`ronghe tenant …`) is seen within a second.
"""

from __future__ import annotations

import math
import re
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec

from ronghe.cloud.serving.meter import Meter
from ronghe.cloud.serving.money import DayUse, Invoice, Price, lines
from ronghe.cloud.serving.refusal import Refusal, nobody
from ronghe.cloud.serving.tenantfile import TenantFile
from ronghe.errors import CloudError
from ronghe.text import Text

SCOPES: Final = ("infer", "metadata")
EVERY_MODEL: Final = "*"
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_CURRENCY: Final = re.compile(r"[A-Z]{3}")
_MONTH: Final = re.compile(r"\d{4}-(0[1-9]|1[0-2])")
_S: Final = 1_000_000_000
_NONE: Final = b"\0" * 32


class Quota(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a tenant may use; None: without limit. Days are the tenant's own. `compute_s_per_day` may be passed by what is under way."""

    calls_per_day: int | None = None
    compute_s_per_day: float | None = None
    rate_per_s: float | None = None


@dataclass(frozen=True, slots=True)
class Grant:
    """What a key opens."""

    tenant: str
    key: str
    scopes: frozenset[str]
    models: frozenset[str]
    quota: Quota
    zone: ZoneInfo

    def may(self, scope: str, model: str) -> bool:
        """Whether it is for this scope and this model, whether or not there is such a model."""
        return (scope in self.scopes) & ((model in self.models) | (EVERY_MODEL in self.models))


@dataclass(slots=True)
class _Today:
    """Of one tenant: its day until `until` (ns), what it used in it, what is under way; and its token bucket."""

    day: str = ""
    until: int = 0
    calls: int = 0
    compute: int = 0
    under_way: int = 0
    tokens: float = math.inf
    at: int = 0


class Tenants:
    """The tenants of a centre. Safe between threads and processes. Raises CloudError for what cannot be done or written."""

    def __init__(self, path: Path | str, clock: Callable[[], int] = time.time_ns) -> None:
        self._file, self._clock = TenantFile(Path(path)), clock
        self.meter = Meter(self._file, clock, self._look_again)
        self._lock = threading.RLock()
        self._grants: dict[str, tuple[bytes, Grant]] = {}
        self._today: dict[str, _Today] = {}
        self._version = -1
        self._load()

    def close(self) -> None:
        """Writes down what was counted and closes the file. Safe to call twice."""
        self.meter.stop()
        if self.meter.unwritten():
            self.meter.flush()
        self._file.close()

    # who they are

    def add(self, name: str, *, title: str = "", currency: str = "CNY", timezone: str = "Asia/Shanghai") -> None:
        """A new tenant, without a key. Its days and months are those of `timezone` (IANA), its bills in `currency` (ISO 4217)."""
        if not _NAME.fullmatch(name):
            raise CloudError(
                Text(f"{name!r} cannot be a tenant's name", f"{name!r} 不能用作租户名"),
                todo=Text("use 1 to 63 of a-z, 0-9 and -", "请使用 1 至 63 个小写字母、数字或 -"),
            )
        try:
            ZoneInfo(timezone)
        except (KeyError, ValueError, OSError) as e:
            raise CloudError(Text(f"{timezone!r} is not a time zone", f"{timezone!r} 不是时区"), todo="Asia/Shanghai, Europe/Berlin") from e
        if not _CURRENCY.fullmatch(currency):
            raise CloudError(Text(f"{currency!r} is not a currency", f"{currency!r} 不是货币代码"), todo="CNY, EUR, USD")
        with self._file.whole():
            if self._file.rows("SELECT 1 FROM tenant WHERE name = ?", name):
                raise CloudError(Text(f"{name!r} is taken", f"租户名 {name!r} 已存在"))
            self._file.rows("INSERT INTO tenant VALUES (?,?,?,?,?,NULL,NULL,NULL)", name, title or name, self._clock(), currency, timezone)

    def key(self, tenant: str, *, scopes: Sequence[str] = SCOPES, models: Sequence[str]) -> str:
        """A new key for these models ("*": all, also later ones). It is shown here and never again: only its hash is kept."""
        self._tenant(tenant)
        wrong = [s for s in scopes if s not in SCOPES]
        if wrong or not scopes:
            raise CloudError(
                Text(f"no such scope: {', '.join(wrong)}", f"没有此权限范围：{'、'.join(wrong)}"),
                todo=Text(" or ".join(SCOPES), "、".join(SCOPES)),
            )
        if not models:
            raise CloudError(
                Text("a key is for models", "密钥须指定模型"), todo=Text("name them, or * for all", "请列出模型，或用 * 表示全部")
            )
        id, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
        given = msgspec.json.encode(sorted(set(scopes))).decode(), msgspec.json.encode(sorted(set(models))).decode()
        self._file.rows("INSERT INTO key VALUES (?,?,?,?,?,?,NULL)", id, tenant, self._file.hash(secret), *given, self._clock())
        self._load()
        return f"rk-{id}-{secret}"

    def revoke(self, tenant: str, key: str) -> None:
        """Ends a key, at once."""
        self._tenant(tenant)
        if not self._file.rows("UPDATE key SET revoked = ? WHERE id = ? AND tenant = ? RETURNING id", self._clock(), key, tenant):
            raise CloudError(Text(f"{tenant} has no key {key!r}", f"{tenant} 没有密钥 {key!r}"))
        self._load()

    def quota(self, tenant: str, quota: Quota) -> None:
        """What it may use from now on."""
        self._tenant(tenant)
        q = quota
        if any(v is not None and not (v >= 0 and math.isfinite(v)) for v in (q.calls_per_day, q.compute_s_per_day, q.rate_per_s)):
            raise CloudError(Text("a limit is a number from 0 up", "限额须为不小于 0 的数"))
        sql = "UPDATE tenant SET calls_per_day = ?, compute_s_per_day = ?, rate_per_s = ? WHERE name = ?"
        self._file.rows(sql, q.calls_per_day, q.compute_s_per_day, q.rate_per_s, tenant)
        self._load()

    # what they used, and what it costs

    def price(self, model: str, *, currency: str, since: str, per_call: str = "0", per_compute_s: str = "0") -> None:
        """What a model costs from the day `since` (YYYY-MM-DD) on. A price once given is never changed: a later one takes over."""
        _day(since)
        try:
            amounts = [Decimal(per_call), Decimal(per_compute_s)]
        except InvalidOperation as e:
            raise CloudError(Text("a price is a decimal number", "价格须为十进制数")) from e
        if not _CURRENCY.fullmatch(currency) or not all(a.is_finite() and a >= 0 for a in amounts):
            raise CloudError(Text("a price is a number from 0 up, in a currency such as CNY", "价格须为不小于 0 的数，并注明货币，如 CNY"))
        with self._file.whole():
            if self._file.rows("SELECT 1 FROM price WHERE (model, currency, since) = (?, ?, ?)", model, currency, since):
                raise CloudError(
                    Text(f"{model} has a price in {currency} since {since}", f"{model} 自 {since} 起已有 {currency} 价格"),
                    todo=Text("give one from a later day", "请设定更晚日期起的价格"),
                )
            self._file.rows("INSERT INTO price VALUES (?,?,?,?,?)", model, currency, since, *map(str, amounts))

    def prices(self) -> list[Price]:
        """The whole list."""
        rows = self._file.rows("SELECT model, currency, since, per_call, per_compute_s FROM price ORDER BY model, currency, since")
        return [Price(model=m, currency=c, since=s, per_call=Decimal(a), per_compute_s=Decimal(b)) for m, c, s, a, b in rows]

    def usage(self, tenant: str, start: str = "0000-00-00", end: str = "9999-99-99") -> list[DayUse]:
        """By day and model, from the day `start` up to and without `end`; what is not yet on disk included."""
        self._tenant(tenant)
        self.meter.flush()
        rows = self._file.rows(
            "SELECT day, model, sum(calls), sum(compute_ns), sum(refused) FROM use WHERE tenant = ? AND day >= ? AND day < ?"
            " GROUP BY day, model ORDER BY day, model",
            *(tenant, start, end),
        )
        return [DayUse(day=d, model=m, calls=c, compute_ns=n, refused=r) for d, m, c, n, r in rows]

    def invoice(self, tenant: str, month: str) -> Invoice:
        """The bill of a month (YYYY-MM, the tenant's own)."""
        _, title, currency, zone = self._tenant(tenant)
        if not _MONTH.fullmatch(month):
            raise CloudError(Text(f"{month!r} is not a month", f"{month!r} 不是月份"), todo="2026-11")
        found = lines(self.usage(tenant, month, month + "-99"), self.prices(), currency)
        today = _local(self._clock(), ZoneInfo(zone)).strftime("%Y-%m")
        total = sum((x.amount for x in found), Decimal(0))
        return Invoice(
            tenant=tenant, title=title, month=month, timezone=zone, currency=currency, final=month < today, lines=found, total=total
        )

    # while serving

    def grant(self, key: str) -> Grant:
        """What a key opens. Raises Refusal, the same for one never given, one revoked and one with a wrong end."""
        parts = key.split("-", 2)
        id, secret = (parts[1], parts[2]) if len(parts) == 3 and parts[0] == "rk" else ("", "")
        kept, grant = self._grants.get(id, (_NONE, None))
        if not self._file.same(secret, kept) or grant is None:
            raise nobody()
        return grant

    def admit(self, grant: Grant) -> None:
        """Lets one call begin, to be ended by `done`. Raises Refusal with the time after which it is worth asking again."""
        quota, now = grant.quota, self._clock()
        with self._lock:
            t = self._day_of(grant, now)
            if quota.rate_per_s is not None:
                burst = max(quota.rate_per_s, 1.0) if quota.rate_per_s else 0.0
                t.tokens = min(burst, t.tokens + max(now - t.at, 0) / _S * quota.rate_per_s)
                t.at = now
                if t.tokens < 1:
                    wait = math.ceil((1 - t.tokens) / quota.rate_per_s) if quota.rate_per_s else 3600
                    raise Refusal(429, Text("too many calls at once", "调用过于频繁"), after=max(wait, 1))
            midnight = max(1, -(-(t.until - now) // _S))
            if quota.calls_per_day is not None and t.calls + t.under_way >= quota.calls_per_day:
                raise Refusal(429, Text("today's calls are used up", "今日调用次数已用完"), after=midnight)
            if quota.compute_s_per_day is not None and t.compute >= quota.compute_s_per_day * _S:
                raise Refusal(429, Text("today's computing time is used up", "今日计算时长已用完"), after=midnight)
            if self.meter.behind:
                raise Refusal(503, Text("the use of models cannot be written down", "用量暂时无法记录"), after=10)
            t.tokens -= 1
            t.under_way += 1

    def done(self, grant: Grant, model: str, compute: int | None) -> None:
        """A call that was let in is over: answered, with `compute` ns; or None, for nothing."""
        with self._lock:
            t = self._day_of(grant, self._clock())
            t.under_way -= 1
            if compute is not None:
                t.calls += 1
                t.compute += compute
            counted = {"refused": 1} if compute is None else {"calls": 1, "compute": compute}
            self.meter.count((grant.tenant, grant.key, model, t.day), **counted)

    def refused(self, grant: Grant, model: str = "") -> None:
        """A request was turned away."""
        with self._lock:
            day = self._day_of(grant, self._clock()).day
            self.meter.count((grant.tenant, grant.key, model, day), refused=1)

    # views

    def view(self) -> dict[str, Any]:
        """As the console shows them; times in ms."""
        self.meter.flush()
        keys: dict[str, list[dict[str, Any]]] = {}
        sql = "SELECT tenant, id, scopes, models, created, revoked FROM key ORDER BY created"
        used = dict(self._file.rows("SELECT key, max(last) FROM use GROUP BY key"))
        for tenant, id, scopes, models, created, revoked in self._file.rows(sql):
            keys.setdefault(tenant, []).append(
                {
                    "id": id,
                    "scopes": msgspec.json.decode(scopes),
                    "models": msgspec.json.decode(models),
                    "created": created // 1_000_000,
                    "last": used[id] // 1_000_000 if id in used else None,
                    "state": "active" if revoked is None else "revoked",
                }
            )
        return {"tenants": [self._view_of(row, keys.get(row[0], [])) for row in self._file.rows("SELECT * FROM tenant ORDER BY name")]}

    def _view_of(self, row: tuple[Any, ...], keys: list[dict[str, Any]]) -> dict[str, Any]:
        name, title, created, currency, zone, calls, compute, rate = row
        day = _local(self._clock(), ZoneInfo(zone)).strftime("%Y-%m-%d")
        used = self._file.rows("SELECT total(calls), total(compute_ns), total(refused) FROM use WHERE tenant = ? AND day = ?", name, day)[0]
        alive = [k for k in keys if k["state"] == "active"]
        return {
            "name": name,
            "title": title,
            "created": created // 1_000_000,
            "state": "active" if alive else "no_key",
            "currency": currency,
            "timezone": zone,
            "keys": keys,
            "quota": {"calls_per_day": calls, "compute_s_per_day": compute, "rate_per_s": rate},
            "today": {"calls": int(used[0]), "compute_s": round(used[1] / _S, 3), "refused": int(used[2])},
            "models": sorted({m for k in alive for m in k["models"]}),
        }

    def usage_view(self, tenant: str, start: str = "0000-00-00", end: str = "9999-99-99") -> dict[str, Any]:
        """`usage` as the console shows it: the time of a day is its midnight, in ms since 1970 UTC."""
        zone = ZoneInfo(self._tenant(tenant)[3])
        days = [
            {
                "time": int(datetime.fromisoformat(u.day).replace(tzinfo=zone).timestamp()) * 1000,
                "model": u.model,
                "calls": u.calls,
                "compute_s": round(u.compute_ns / _S, 3),
                "refused": u.refused,
            }
            for u in self.usage(tenant, start, end)
        ]
        return {"days": days}

    # within

    def _tenant(self, name: str) -> tuple[str, str, str, str]:
        """Name, title, currency, time zone."""
        found = self._file.rows("SELECT name, title, currency, timezone FROM tenant WHERE name = ?", name)
        if not found:
            raise CloudError(
                Text(f"there is no tenant {name!r}", f"没有租户 {name!r}"),
                todo=Text("see `ronghe tenant list`", "请查看 `ronghe tenant list`"),
            )
        a, b, c, d = found[0]
        return a, b, c, d

    def _look_again(self) -> None:
        if self._file.version() == self._version:
            return
        self._load()
        with self._lock:
            for t in self._today.values():
                t.until = 0  # another process may serve too: read anew what was used

    def _load(self) -> None:
        """Keys and limits as they are in the file."""
        with self._lock:
            self._version = self._file.version()
            grants = {}
            sql = "SELECT k.id, k.hash, k.scopes, k.models, t.* FROM key k JOIN tenant t ON t.name = k.tenant WHERE k.revoked IS NULL"
            for id, hash, scopes, models, name, _, _, _, zone, calls, compute, rate in self._file.rows(sql):
                quota = Quota(calls_per_day=calls, compute_s_per_day=compute, rate_per_s=rate)
                opens = frozenset(msgspec.json.decode(scopes)), frozenset(msgspec.json.decode(models))
                grants[id] = hash, Grant(name, id, *opens, quota, ZoneInfo(zone))
            self._grants = grants

    def _day_of(self, grant: Grant, now: int) -> _Today:
        """The tenant's day, begun anew at its midnight, with what was used in it so far."""
        t = self._today.setdefault(grant.tenant, _Today(at=now))
        if now >= t.until:
            local = _local(now, grant.zone)
            t.day = local.strftime("%Y-%m-%d")
            t.until = int((local.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)).timestamp()) * _S
            t.calls, t.compute = self.meter.used(grant.tenant, t.day)
        return t


def _local(ns: int, zone: ZoneInfo) -> datetime:
    return datetime.fromtimestamp(ns // _S, zone)


def _day(text: str) -> None:
    try:
        if len(text) == 10 and datetime.fromisoformat(text):
            return
    except ValueError:
        pass
    raise CloudError(Text(f"{text!r} is not a day", f"{text!r} 不是日期"), todo="2026-11-01")
