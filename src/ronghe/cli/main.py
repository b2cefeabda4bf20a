"""The `ronghe` command. Every sub-command is an entry point in the group `ronghe.commands`, imported only when it is called."""

from __future__ import annotations

import os
import sys
from importlib.metadata import entry_points

# Before NumPy is imported: models here are small, and threads inside a matrix product cost milliseconds at the worst moment.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import click

import ronghe
from ronghe.errors import RongheError
from ronghe.text import Text, language

_SUMMARIES = {
    "new": Text("write a first plant folder", "新建工厂文件夹"),
    "check": Text("check a plant folder whole", "检查工厂文件夹"),
    "browse": Text("list what a device offers; write a first tags.csv", "浏览设备地址空间，生成 tags.csv"),
    "up": Text("run a plant folder: acquire, infer, guard, record, show", "运行工厂文件夹：采集、推理、守护、记录、展示"),
    "query": Text("read the historian: table, CSV, Parquet, SQL", "查询历史库：表格、CSV、Parquet、SQL"),
    "ledger": Text("show and verify what was done and what it was worth", "查看与校验账本：做了什么、值多少"),
    "maintenance": Text("state detection on files: fit, evaluate, run", "设备状态检测：训练、评估、运行"),
    "quality": Text("visual inspection: fit, evaluate, run, classify, boards", "外观检测：训练、评估、运行、分类、样板比对"),
    "safety": Text("danger zones and voted limits: watch", "危险区与表决限值：监视"),
    "scheduling": Text("which machine does what, and when: solve, check, evaluate", "生产排程：求解、校验、评测"),
    "inventory": Text("what to keep and when to order: plan, forecast, simulate, solve", "库存：计划、预测、仿真、求解"),
    "logistics": Text("which vehicle serves whom, and when: solve, evaluate, milkrun", "物流：求解、评测、循环取送"),
    "plan": Text("stock, shop and trucks as one chain; what an event does to it", "库存、车间与车辆统一计划，并推演事件影响"),
    "energy": Text("replay a tariff and a battery; baselines, savings, carbon", "能源：电价与储能回放，基准、节能量、碳"),
    "furnace": Text("silicon, mass and heat balance, tuning while it runs, control", "炉窑：硅预报、物料热平衡、在线寻优、控制"),
    "twin": Text("try set-points on a model of the plant", "在工厂模型上试算设定值"),
    "cloud": Text("the centre of many plants: make it, run it", "多工厂中心：建立与运行"),
    "fleet": Text("the nodes of a centre: invite, look at, configure, ask, remove", "中心的节点：邀请、查看、配置、询问、移除"),
    "join": Text("let a plant join a centre, with a token", "凭令牌让工厂加入中心"),
    "keys": Text("keys that sign models: make, rotate, retire, trust", "模型签名密钥：生成、轮换、停用、信任"),
    "models": Text("releases of models: add, sign, withdraw, bundle, install", "模型发布：登记、签名、撤回、打包、安装"),
    "lake": Text("history of all plants: sync, SQL on one machine or a cluster, train", "各厂历史：同步、单机或集群 SQL、训练"),
    "serve": Text("models as a service, Open Inference Protocol v2", "模型即服务（Open Inference v2 协议）"),
    "tenant": Text("who may call which model: keys, quotas, usage, invoices", "租户：密钥、配额、用量、账单"),
    "place": Text("where a model should run, by deadline and measured link", "按时限与实测链路安置模型"),
    "user": Text("users and roles of the console", "控制台用户与角色"),
    "demo": Text("the demonstration plant, real recordings over real protocols", "演示工厂：真实录波，真实协议"),
    "bench": Text("measure against named peers", "与同类产品对比测量"),
}


class _Commands(click.Group):
    """Commands by entry point; `--help` lists them without importing any."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        found = {e.name for e in entry_points(group="ronghe.commands")}
        return [n for n in _SUMMARIES if n in found] + sorted(found - set(_SUMMARIES))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        for entry in entry_points(group="ronghe.commands", name=cmd_name):
            command: click.Command = entry.load()
            return command
        return None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = [(name, str(_SUMMARIES.get(name, ""))) for name in self.list_commands(ctx)]
        with formatter.section(str(Text("Commands", "命令"))):
            formatter.write_dl(rows)


@click.command(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    help=str(
        Text(
            "Ronghe: one loop from device to measured value. In Chinese: RONGHE_LANG=zh.",
            "融合：从设备到可度量价值的闭环。英文界面：RONGHE_LANG=en。",
        )
    ),
)
@click.version_option(ronghe.__version__, prog_name="ronghe")
def cli() -> None:
    """The group; its help text is above, in the language of the process."""


def main() -> None:
    """Runs the command line; an expected error is one clear message on stderr and exit code 1."""
    try:
        cli(standalone_mode=True)
    except RongheError as e:
        click.echo(e.in_(language()), err=True)
        sys.exit(1)
    except BrokenPipeError:  # the reader of a pipe (head, less) has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
