"""Cuts the small part of the public recordings that ships with the demonstration plant. Run by hand; the result is committed.

    python tools/make_demo_data.py HYDRAULIC_DIR STEEL_CSV

HYDRAULIC_DIR holds the 1 Hz sensors and profile.txt of "Condition monitoring of hydraulic systems" (UCI 447, CC BY 4.0), STEEL_CSV the
"Steel industry energy consumption" table (UCI 851, CC BY 4.0).
"""

from __future__ import annotations

import csv
import gzip
import sys
from pathlib import Path

OUT = Path(__file__).parent.parent / "src/ronghe/demo/data"
SENSORS = ("CE", "CP", "SE", "TS1", "TS2", "TS3", "TS4", "VS1")
CYCLES = {100: 49, 20: 30, 3: 8}  # how many stable cycles of each cooler condition (%); valve and pump without fault in all


def hydraulic(source: Path) -> None:
    """One line a second: cycle (row of profile.txt, from 0), second, cooler condition, the eight sensors."""
    profile = [tuple(map(int, line.split())) for line in (source / "profile.txt").read_text().splitlines()]
    data = {}
    for sensor in SENSORS:
        with gzip.open(source / f"{sensor}.txt.gz", "rt") as f:
            data[sensor] = [line.split() for line in f]
    with gzip.GzipFile(OUT / "hydraulic.csv.gz", "wb", mtime=0) as raw:
        lines = ["cycle,second,cooler," + ",".join(SENSORS)]
        for cooler, count in CYCLES.items():
            alike = [i for i, p in enumerate(profile) if p[:3] == (cooler, 100, 0) and p[4] == 0]
            lines += [
                f"{i},{s},{cooler}," + ",".join(f"{float(data[x][i][s]):g}" for x in SENSORS) for i in alike[:count] for s in range(60)
            ]
            print(cooler, len(alike), "stable cycles, taken", min(count, len(alike)))
        raw.write(("\n".join(lines) + "\n").encode())


def steel(source: Path) -> None:
    """January and February 2018: time, active energy (kWh in 15 min), lagging reactive energy (kVArh), power factor (%), CO2 (t)."""
    with source.open(newline="") as f, gzip.GzipFile(OUT / "steel_energy.csv.gz", "wb", mtime=0) as raw:
        lines = ["time,active_kwh,reactive_kvarh,power_factor,co2_t"]
        for row in list(csv.DictReader(f))[: 59 * 96]:
            values = (row["date"], row["Usage_kWh"], row["Lagging_Current_Reactive.Power_kVarh"])
            lines.append(",".join((*values, row["Lagging_Current_Power_Factor"], row["CO2(tCO2)"])))
        raw.write(("\n".join(lines) + "\n").encode())


if __name__ == "__main__":
    hydraulic(Path(sys.argv[1]))
    steel(Path(sys.argv[2]))
