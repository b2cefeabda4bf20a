"""Which models are served: looks at a folder or a registry again and again, loads what is new, and lets go of what is gone."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Hashable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, Protocol

from ronghe.cloud.serving.kinds import Served, serve
from ronghe.cloud.serving.lanes import Lane
from ronghe.cloud.spec import ModelSpec
from ronghe.errors import ModelError, RongheError
from ronghe.models import Package, load
from ronghe.models.package import MANIFEST, ONNX
from ronghe.models.registry import Registry
from ronghe.text import Text

log = logging.getLogger(__name__)

EVERY: Final = 1.0  # s
VERSIONS: Final = 3  # newest of a name that are kept loaded
_SUFFIXES: Final = (".model", ".zip")


@dataclass(frozen=True, slots=True)
class Offer:
    """A package that may be served. `order` grows with the releases of a name; None: known only once it is loaded."""

    where: str
    load: Callable[[], Package]
    name: str = ""
    order: int | None = None


class Source(Protocol):
    """Where packages come from."""

    def look(self) -> Mapping[Hashable, Offer]:
        """All there is now. A key stands for the content: what has the same key is not loaded again."""
        ...


@dataclass(frozen=True, slots=True)
class Folder:
    """Package files (*.model, *.zip) and package folders in a folder. With `trusted`, only those signed by one of these keys (hex)."""

    path: Path
    trusted: Collection[str] | None = None

    def look(self) -> dict[Hashable, Offer]:
        """Files that changed are new."""
        found: dict[Hashable, Offer] = {}
        for path in sorted(self.path.iterdir()) if self.path.is_dir() else []:
            proof = path / MANIFEST if path.is_dir() else path
            if proof.is_file() and (path.is_dir() or path.suffix in _SUFFIXES):
                seen = proof.stat()
                found[str(path), seen.st_mtime_ns, seen.st_size] = Offer(str(path), partial(load, path, trusted=self.trusted))
        return found


@dataclass(frozen=True, slots=True)
class Released:
    """What nodes may run of a registry: releases signed by a trusted key, in force, not withdrawn; the newest `VERSIONS` of each name."""

    registry: Registry
    clock: Callable[[], int]

    def look(self) -> dict[Hashable, Offer]:
        """By hash."""
        found: dict[Hashable, Offer] = {}
        count: dict[str, int] = {}
        now, trusted = self.clock(), self.registry.trusted()
        for r in sorted(self.registry.list(), key=lambda r: -r.serial):
            in_force = r.since <= now and not 0 < r.until <= now
            if r.serial and r.signed_by in trusted and in_force and r.withdrawn is None and count.setdefault(r.name, 0) < VERSIONS:
                count[r.name] += 1
                found[r.hash] = Offer(r.name, partial(self.registry.open, r.hash), r.name, r.serial)
        return found


@dataclass(frozen=True, slots=True)
class Model:
    """A model that is served."""

    name: str
    version: str
    order: int
    package_hash: str
    graph: str
    """SHA-256 of the ONNX file, of a model that is nothing but its graph."""
    kind: str
    signed_by: str
    columns: tuple[str, ...]
    """Names of the package's inputs, for kinds that take them as columns."""
    lane: Lane


class Shelf:
    """What is loaded. `find` costs one look-up; `look` is called by a thread of its own between `start` and `stop`."""

    def __init__(self, source: Source, specs: Mapping[str, ModelSpec]) -> None:
        self._source, self._specs = source, specs
        self._loaded: dict[Hashable, Model] = {}
        self._failed: dict[Hashable, tuple[str, RongheError]] = {}
        self._by_name: dict[tuple[str, str], Model] = {}
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None

    def find(self, name: str, version: str = "") -> Model | None:
        """The newest of a name, or one version of it."""
        return self._by_name.get((name, version))

    def versions(self, name: str) -> list[str]:
        """Those served of a name, the newest first."""
        return [m.version for m in self.models if m.name == name]

    @property
    def models(self) -> list[Model]:
        """All, by name and age."""
        return sorted((m for (_, v), m in self._by_name.items() if v), key=lambda m: (m.name, -m.order))

    @property
    def failed(self) -> dict[str, RongheError]:
        """Where → why, of packages that cannot be served."""
        return dict(self._failed.values())

    def look(self) -> None:
        """Loads what is new and lets go of what is gone; what cannot be loaded is logged once, and tried again when it has changed."""
        offers = self._source.look()
        for key in set(self._loaded) - set(offers):
            log.info("no longer served: %s %s", self._loaded[key].name, self._loaded.pop(key).version)
        self._failed = {k: v for k, v in self._failed.items() if k in offers}
        for key, offer in offers.items():
            if key in self._loaded or key in self._failed:
                continue
            try:
                self._loaded[key] = self._load(offer)
                log.info("served: %s %s", self._loaded[key].name, self._loaded[key].version)
            except RongheError as e:
                log.warning("not served: %s", e)
                self._failed[key] = offer.where, e
        by_name: dict[tuple[str, str], Model] = {}
        for m in sorted(self._loaded.values(), key=lambda m: m.order):
            by_name[m.name, ""] = by_name[m.name, m.version] = m
        self._by_name = by_name

    def start(self) -> None:
        """Loads what there is, then goes on looking."""
        self.look()
        self._thread = threading.Thread(target=self._run, name="shelf", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends the looking. Safe to call twice."""
        self._ending.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._ending.wait(EVERY):
            try:
                self.look()
            except (RongheError, OSError) as e:
                log.warning("models cannot be looked at: %s", e)
            except Exception:  # nobody else would hear of it, and from then on nothing would be added or withdrawn
                log.exception("models cannot be looked at")

    def _load(self, offer: Offer) -> Model:
        package = offer.load()
        m = package.manifest
        name = offer.name or m.name
        return Model(
            name=name,
            version=m.version,
            order=m.created if offer.order is None else offer.order,
            package_hash=package.hash,
            graph=m.files.get(ONNX, "") if m.kind == "onnx" else "",
            kind=m.kind,
            signed_by=package.signed_by,
            columns=tuple(i.name for i in m.inputs),
            lane=Lane(_served(package, offer.where), self._specs.get(name, ModelSpec())),
        )


def _served(package: Package, where: str) -> Served:
    """Raises ModelError for whatever its kind raises, which may be somebody else's code: the other models are served all the same."""
    try:
        return serve(package, where)
    except RongheError:
        raise
    except Exception as e:
        log.exception("%s", where)
        kind = package.manifest.kind
        what = Text(f"its kind {kind!r} failed: {type(e).__name__}", f"其类型 {kind!r} 加载失败：{type(e).__name__}")
        raise ModelError(what, where=where, todo=Text("see the log", "请查看日志")) from e
