"""A centre folder: made new, and its cloud.toml read with every problem told at once."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Final

from ronghe.cloud.fleet.authority import Authority
from ronghe.cloud.spec import CloudSpec
from ronghe.errors import CloudError
from ronghe.plant.fields import read_fields
from ronghe.plant.locate import Lines
from ronghe.plant.problems import Problems
from ronghe.plant.textfile import read_text
from ronghe.text import Text

FILE: Final = "cloud.toml"
HOME: Final = ".ronghe"
_STARTER: Final = """\
# A centre: many plants in one store, models released and rolled out, a fleet of nodes. 中心：多厂数据、模型发布与下发、节点管理。
# Every line may be left out. 各项均可省略。
name = {{ en = "Centre", zh = "中心" }}
address = "{address}"            # host name or address by which nodes reach this machine 节点访问本机所用的主机名或地址

[fleet]
port = 8443                      # nodes join and ask here (HTTPS) 节点加入与查询端口

[hub]
servers = 1                      # 3: one may die 设为 3 时允许一台故障
port = 4222                      # nodes send here (TLS) 节点上传端口

[metrics]
# listen = "127.0.0.1:9464"      # GET /metrics, Prometheus
# otlp = "http://127.0.0.1:4318" # an OpenTelemetry collector 采集器地址
"""


def make(folder: Path, address: str, clock: Callable[[], int]) -> list[Path]:
    """Writes cloud.toml and makes the certificate authority; gives what it wrote. Raises CloudError for a folder that holds anything."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        what = Text("something is here already", "此处已有内容")
        raise CloudError(what, where=str(folder), todo=Text("name a new folder", "请指定新的文件夹"))
    if not re.fullmatch(r"[A-Za-z0-9.-]+", address):
        raise CloudError(Text(f"{address[:80]!r} is no host name or IPv4 address", f"{address[:80]!r} 不是主机名或 IPv4 地址"))
    folder.mkdir(parents=True, exist_ok=True)
    authority = Authority.create(folder / HOME / "ca", clock)
    (folder / FILE).write_text(_STARTER.format(address=address), encoding="utf-8")
    return [folder / FILE, authority.certificate]


def read(folder: Path) -> CloudSpec:
    """cloud.toml. Raises CloudError with every problem, each with its line."""
    path = folder / FILE
    if not path.is_file():
        raise CloudError(
            Text("no centre here: there is no cloud.toml", "此处没有中心：没有 cloud.toml"),
            where=str(folder),
            todo=Text("make one with `ronghe cloud new`", "可用 `ronghe cloud new` 新建"),
        )
    problems = Problems()
    spec: CloudSpec | None = None
    text = read_text(path, problems)
    try:
        table = tomllib.loads(text) if text is not None else {}
    except tomllib.TOMLDecodeError as e:
        at = re.search(r"line (\d+)", str(e))
        problems.error(FILE, int(at[1]) if at else 0, f"not valid TOML: {e}", f"TOML 语法错误：{e}")
    else:
        spec = read_fields(CloudSpec, table, file=FILE, line=Lines(text or "").of, problems=problems)
    if spec is None or problems.errors():
        told = {lang: "".join(f"\n  {p.in_(lang)}" for p in problems.sorted()) for lang in ("en", "zh")}
        raise CloudError(Text(f"the centre cannot be used:{told['en']}", f"无法使用该中心：{told['zh']}"), where=str(folder))
    return spec
