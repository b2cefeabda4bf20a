"""What happens to a request, whichever protocol it came by: who asks, may they, does it fit, run it, count it.

A tenant learns of the models that its key names, and of nothing else: whether another is there, not there, not ready or somebody
else's, the answer is the same, and what is looked up for it is the same.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import ronghe
from ronghe.cloud.serving.lanes import Lanes
from ronghe.cloud.serving.refusal import Refusal, absent, bad, nobody
from ronghe.cloud.serving.shelf import Model, Shelf
from ronghe.cloud.serving.tenants import Grant, Tenants
from ronghe.cloud.serving.tensors import DTYPE, Array, Tensor
from ronghe.errors import AppError, ModelError, PictureError, RongheError
from ronghe.text import Text

log = logging.getLogger(__name__)

NAME: Final = "ronghe"
VERSION: Final = ronghe.__version__
EXTENSIONS: Final = ("binary_tensor_data",)
_BEARER: Final = "bearer "


@dataclass(frozen=True, slots=True)
class Answered:
    """`outputs` as asked for. `took` in ns: from the request read to its outputs, its turn waited for; the rest is the network's."""

    model: Model
    outputs: dict[str, Array]
    took: int


class Answering:
    """Without `tenants` nobody needs a key: for a server that only its own machine reaches."""

    def __init__(self, shelf: Shelf, lanes: Lanes, tenants: Tenants | None) -> None:
        self.shelf, self._lanes, self._tenants = shelf, lanes, tenants

    def describe(self, authorization: str, name: str, version: str) -> Model:
        """The model that is asked about. Raises Refusal."""
        return self._find(self._who(authorization, "metadata"), "metadata", name, version)

    def list(self, authorization: str) -> list[Model]:
        """The models that the key is for. Raises Refusal."""
        grant = self._who(authorization, "metadata")
        return [m for m in self.shelf.models if grant is None or grant.may("metadata", m.name)]

    def open(self, authorization: str, name: str, version: str) -> tuple[Grant | None, Model]:
        """Who wants to infer, by which model, and whether the limits let it in: before any of the data is looked at. Raises Refusal.

        Whoever was let in comes to `infer`, or to `unread`.
        """
        grant = self._who(authorization, "infer")
        model = self._find(grant, "infer", name, version)
        self._admit(grant, model)
        return grant, model

    def unread(self, grant: Grant | None, model: Model) -> None:
        """Its data cannot be read: it does not come to run, and was a call all the same."""
        if grant is not None and self._tenants is not None:
            self._tenants.done(grant, model.name, None)

    async def infer(
        self, grant: Grant | None, model: Model, feed: dict[str, Array], wanted: Sequence[str], within: float | None
    ) -> Answered:
        """Runs it `within` so many seconds, counts it. Raises Refusal."""
        begun = time.perf_counter_ns()
        compute: int | None = None
        try:
            fitting = _fit(model.lane.model.inputs, model.lane.model.optional, feed)
            _known(model.lane.model.outputs, wanted)
            most = model.lane.spec.timeout_s
            outputs, compute = await self._lanes.run(model.lane, fitting, most if within is None else min(within, most))
        except Refusal:
            raise
        except (PictureError, AppError) as e:  # made for whoever sent the data, and of nothing but the data
            raise Refusal(400, e.what) from e
        except ModelError as e:
            log.warning("%s %s does not take an input: %s", model.name, model.version, type(e.__cause__ or e).__name__)
            raise bad("the model does not take this input", "模型无法处理此输入") from e
        except RongheError as e:
            log.warning("%s %s: %s", model.name, model.version, e.what.en)
            raise Refusal(500, Text("the model failed", "模型运行失败")) from e
        finally:
            if grant is not None and self._tenants is not None:
                self._tenants.done(grant, model.name, compute)
        chosen = {n: outputs[n] for n in wanted} if wanted else outputs
        return Answered(model, chosen, time.perf_counter_ns() - begun)

    def _who(self, authorization: str, scope: str) -> Grant | None:
        if self._tenants is None:
            return None
        if authorization[: len(_BEARER)].lower() != _BEARER:
            raise nobody()
        grant = self._tenants.grant(authorization[len(_BEARER) :].strip())
        if scope not in grant.scopes:
            self._tenants.refused(grant)
            raise Refusal(403, Text(f"the key is not for {scope}", f"密钥无 {scope} 权限"))
        return grant

    def _find(self, grant: Grant | None, scope: str, name: str, version: str) -> Model:
        found = self.shelf.find(name, version)
        if grant is None:
            if found is None:
                raise absent()
            return found
        if (not grant.may(scope, name)) | (found is None):
            assert self._tenants is not None
            self._tenants.refused(grant)
            raise absent()
        assert found is not None
        return found

    def _admit(self, grant: Grant | None, model: Model) -> None:
        if grant is None or self._tenants is None:
            return
        try:
            self._tenants.admit(grant)
        except Refusal:
            self._tenants.refused(grant, model.name)
            raise


def _fit(inputs: Sequence[Tensor], optional: frozenset[str], feed: Mapping[str, Array]) -> dict[str, Array]:
    """The inputs in the model's order, each of its type and shape."""
    known = {t.name for t in inputs}
    unknown = sorted(set(feed) - known)
    if unknown:
        raise bad(
            f"no input {unknown[0]!r}; there is {', '.join(sorted(known))}", f"没有输入 {unknown[0]!r}，可用 {'、'.join(sorted(known))}"
        )
    fitting: dict[str, Array] = {}
    for t in inputs:
        array = feed.get(t.name)
        if array is None:
            if t.name not in optional:
                raise bad(f"the input {t.name!r} is missing", f"缺少输入 {t.name!r}")
            continue
        kind = t.datatype
        if array.ndim != len(t.shape) or any(d not in (-1, s) for d, s in zip(t.shape, array.shape, strict=False)):
            raise bad(f"{t.name} has the shape {list(t.shape)}, −1 may vary", f"{t.name} 的形状应为 {list(t.shape)}，−1 可变")
        if array.dtype != DTYPE[kind]:
            raise bad(f"{t.name} is {kind}", f"{t.name} 的类型应为 {kind}")
        fitting[t.name] = array
    return fitting


def _known(outputs: Sequence[Tensor], wanted: Sequence[str]) -> None:
    names = [t.name for t in outputs]
    unknown = [w for w in wanted if w not in names]
    if unknown:
        raise bad(f"no output {unknown[0]!r}; there is {', '.join(names)}", f"没有输出 {unknown[0]!r}，可用 {'、'.join(names)}")
