"""`ronghe furnace mpc`: one closed loop on a simulated plant with a model that is off, beside control that knows everything."""

from __future__ import annotations

import json

import click

from ronghe.errors import AppError
from ronghe.text import Text


def _t(en: str, zh: str) -> str:
    return str(Text(en, zh))


PLANTS = ("tanks-minimum", "tanks-nonminimum", "cstr")


@click.command(help=_t("Control a simulated plant with a model that is off.", "用失配模型控制仿真装置（模型预测控制）。"))
@click.option("--plant", type=click.Choice(PLANTS), default=PLANTS[0], show_default=True, help=_t("which plant", "仿真装置"))
@click.option(
    "--off", multiple=True, metavar="NAME=FACTOR", help=_t("a parameter of the model is off, e.g. k1=0.8", "模型参数失配，如 k1=0.8")
)
@click.option("--seed", type=int, default=0, show_default=True, help=_t("of the sensors' noise", "传感器噪声随机种子"))
@click.option("--json", "as_json", is_flag=True, help=_t("with every step, for programs", "供程序读取，含每一步"))
def mpc(plant: str, off: tuple[str, ...], seed: int, as_json: bool) -> None:
    """Runs one."""
    from ronghe.apps.furnace.control import trial
    from ronghe.apps.furnace.control.cases import CASES

    case, corner = CASES[plant](), dict(_factor(o) for o in off)
    best, ours = trial.run(case, trial.knowing(case), seed), trial.run(case, trial.learning(case, corner), seed)
    ratio = ours.cost / best.cost
    if as_json:
        said = {"plant": plant, "off": corner, "cost": ours.cost, "knowing_cost": best.cost, "ratio": ratio, "violations": ours.violations}
        names = {"states": [s.name for s in case.process.states], "inputs": [i.name for i in case.process.inputs]}
        path = {"time": ours.time.tolist(), "x": ours.states.tolist(), "u": ours.inputs.tolist()}
        click.echo(json.dumps(said | names | path))
        return
    every = max(1, len(ours.time) // 25)
    click.echo("".join(f"{n:>11}" for n in ("s", *(s.name for s in case.process.states), *(i.name for i in case.process.inputs))))
    for k in range(0, len(ours.time), every):
        click.echo(f"{ours.time[k]:>11.0f}" + "".join(f"{v:>11.4g}" for v in (*ours.states[k], *ours.inputs[k])))
    click.echo(
        _t(
            f"cost {ours.cost:.4g}, {ratio:.3f} times that of control which knows everything; limits passed: {ours.violations}",
            f"代价 {ours.cost:.4g}，为全知控制的 {ratio:.3f} 倍；越限点数：{ours.violations}",
        )
    )


def _factor(text: str) -> tuple[str, float]:
    name, _, value = text.partition("=")
    try:
        return name, float(value)
    except ValueError:
        raise AppError(Text(f"{text!r} is not NAME=FACTOR", f"{text!r} 不是“参数名=倍数”的形式"), where="--off") from None
