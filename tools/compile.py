"""Compiles what the planning apps compute with, so that no first run has to: `python tools/compile.py`, after installing.

numba keeps what it has compiled beside the package. Where this was not run, a machine's first plan takes some 20 s longer.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from ronghe.apps.scheduling.live import warm

ROUND = """NAME : round
TYPE : CVRP
DIMENSION : 4
EDGE_WEIGHT_TYPE : EUC_2D
CAPACITY : 5
NODE_COORD_SECTION
1 0 0
2 3 0
3 0 4
4 3 4
DEMAND_SECTION
1 0
2 2
3 2
4 2
DEPOT_SECTION
1
-1
EOF
"""

if __name__ == "__main__":
    warm.main()
    with tempfile.TemporaryDirectory() as folder:
        works, tour = str(Path(folder) / "works"), Path(folder) / "round.vrp"
        tour.write_text(ROUND)
        for command in (
            ["plan", "--example", works],
            ["inventory", "plan", f"{works}/stock"],
            ["logistics", "solve", str(tour), "--seconds", "6"],
        ):
            subprocess.run([sys.executable, "-m", "ronghe", *command], check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - ours
