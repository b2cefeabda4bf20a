"""A model on rows after its training, as they would have come: each row is forecast before its assay is learned."""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from ronghe.apps.furnace.silicon.features import HOUR
from ronghe.apps.furnace.silicon.forecaster import replay
from ronghe.apps.furnace.silicon.heats import SMOOTHING, Heats
from ronghe.apps.furnace.silicon.packing import KIND, unpack
from ronghe.apps.furnace.silicon.scores import Scores, score
from ronghe.errors import AppError
from ronghe.models import Package
from ronghe.signals.when import format_time
from ronghe.text import Text

PROTOCOL: Final = Text(
    "each row is forecast from its own process variables and what came before; the assay of an earlier row is known {delay} after its "
    "time; adapting: coefficients and interval learn from each known assay; frozen: as at the end of training, only the level follows "
    "the assays",
    "逐行预测：仅用该行过程变量与此前信息；较早各行的化验值在其时间之后 {delay} 方可知；在线自适应：系数与区间随每个已知化验值更新；"
    "冻结：系数与区间保持训练结束时的值，仅水平随化验值变化",
)


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The scores asked for at the top: adapting, or frozen where `adapt` is false. `passed_over` rows lie in the time of the training,
    `outside` rows beyond the model's limits (they are forecast all the same); `gap_hours` lies between training and the first row."""

    mse: float
    hit_rate: float
    r2: float
    coverage_90: float
    width: float
    adapt: bool
    rows: int
    start: str
    end: str
    passed_over: int
    outside: int
    gap_hours: float
    delay_s: float
    adapting: Scores
    frozen: Scores
    persistence: Scores
    ridge: Scores
    model: str
    protocol: Text


def evaluate(package: Package, heats: Heats, *, where: str = "", adapt: bool = True, delay: int = 0) -> Report:
    """Raises ModelError for another kind of package, AppError where columns are missing or no row is later than the training."""
    trained = unpack(package, where)
    heats = _columns(heats, trained.names)
    end = package.manifest.training.end
    later = heats.time > end
    passed = int((~later).sum())
    if not later.any():
        raise AppError(
            Text(
                f"no row is later than the model's training, which ends {format_time(end)}",
                f"没有晚于训练结束时间 {format_time(end)} 的数据",
            ),
            todo=Text("give later rows, or fit on earlier ones", "请提供更晚的数据，或用更早的数据训练"),
        )
    rows = heats.cut(slice(passed, None))  # by time: the later ones are the last
    adapting, frozen = trained.forecaster, trained.forecaster.copy()
    frozen.freeze()
    said, still = replay(adapting, rows, delay=delay), replay(frozen, rows, delay=delay)
    persistence, ridge = trained.ridge.scores(rows, _former(rows, said.known, delay))
    a, f = (score(rows.silicon, r.mean, r.low, r.high) for r in (said, still))
    return Report(
        **msgspec.structs.asdict(a if adapt else f),
        adapt=adapt,
        rows=len(rows),
        start=format_time(int(rows.time[0])),
        end=format_time(int(rows.time[-1])),
        passed_over=passed,
        outside=int(((rows.process < trained.low) | (rows.process > trained.high)).any(axis=1).sum()),
        gap_hours=(int(rows.time[0]) - end) / HOUR,
        delay_s=delay / 1e9,
        adapting=a,
        frozen=f,
        persistence=persistence,
        ridge=ridge,
        model=package.hash,
        protocol=Text(PROTOCOL.en.format(delay=_duration(delay)), PROTOCOL.zh.format(delay=_duration(delay))),
    )


def _columns(heats: Heats, names: tuple[str, ...]) -> Heats:
    missing = [n for n in names if n not in heats.names]
    if missing:
        raise AppError(
            Text(
                f"columns that the {KIND} model needs are missing: {', '.join(missing)}", f"缺少 {KIND} 模型需要的列：{'、'.join(missing)}"
            )
        )
    order = [heats.names.index(n) for n in names]
    return Heats(names, heats.time, heats.process[:, order], heats.silicon, heats.former)


def _former(rows: Heats, known: NDArray[np.int64], delay: int) -> NDArray[np.float64]:
    """The earlier assays smoothed, of those known at each row; as the file has it where nothing is late."""
    if not delay:
        return rows.former
    after = np.append(rows.former, rows.former[-1] + SMOOTHING * (rows.silicon[-1] - rows.former[-1]))
    return after[known]


def _duration(ns: int) -> str:
    return f"{ns / 60e9:g} min"
