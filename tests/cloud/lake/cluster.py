"""What is asked of a Ray cluster, beside the same without one: run by test_on_ray in a process of its own, `python cluster.py LAKE FOLDER`.

Prints one JSON object: for each query whether the answers are the same; what fan-outs gave.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import work

from ronghe.cloud.lake import Lake
from ronghe.cloud.lake.fanout import fanout

QUERIES = [
    "SELECT count(*) FROM samples",
    "SELECT * FROM samples WHERE time BETWEEN '2026-03-01T00:00:10Z' AND '2026-03-01T00:00:20.5Z' AND tag LIKE '%p1%' ORDER BY value DESC",
    """SELECT plant, tag, date_trunc('minute', time) AS minute, count(*) AS n, count(value) AS given, avg(value) AS mean, min(value) AS low,
           max(value) AS high, sum(value) AS total, stddev_pop(value) AS spread, count(DISTINCT tag) AS tags,
           sum(CASE WHEN quality = 0 THEN 1 ELSE 0 END) AS good
       FROM samples WHERE month = '2026-03' GROUP BY plant, tag, date_trunc('minute', time) HAVING count(*) > 3
       ORDER BY 3 DESC, tag LIMIT 7""",
    "SELECT DISTINCT tag FROM samples WHERE NOT (value > 5 AND value IS NOT NULL) ORDER BY tag DESC",
    """WITH level AS (SELECT tag, avg(value) AS mean FROM samples GROUP BY tag)
       SELECT s.tag AS tag, round(s.value - l.mean, 1) AS off, coalesce(s.text, '-') AS text, hour(s.time) AS hour, length(s.plant) AS n
       FROM samples AS s JOIN level AS l ON s.tag = l.tag
       WHERE abs(s.value - l.mean) > 100 AND s.tag IN ('line/p0/flow', 'line/p1/flow')""",
    "SELECT CASE WHEN value > 150 THEN 'high' WHEN value > 50 THEN 'middle' END AS band, count(*) AS n FROM samples GROUP BY 1",
    "SELECT sum(value) AS s, max(tag) AS t, count(*) AS n FROM samples WHERE tag = 'nothing'",
]


def same(one: pa.Table, other: pa.Table) -> bool:
    """Alike, floats to 1e-9 of their size."""
    if one.schema != other.schema or one.num_rows != other.num_rows:
        return False
    for a, b in zip(one.columns, other.columns, strict=True):
        if not pa.types.is_floating(a.type):
            if a.to_pylist() != b.to_pylist():
                return False
        elif not np.allclose(a.to_numpy(zero_copy_only=False), b.to_numpy(zero_copy_only=False), rtol=1e-9, atol=0, equal_nan=True):
            return False
    return True


def main(lake: Lake, folder: Path) -> dict[str, object]:
    """Asks it all."""
    found: dict[str, object] = {"same": [same(lake.query(q, "ray"), lake.query(q)) for q in QUERIES]}
    found["squares"] = fanout(work.square, range(5), on="ray")
    try:
        fanout(work.root, [1, -4], on="ray")
    except ValueError as e:
        found["raised"] = str(e)
    found["done"] = fanout(work.dies_once, [str(folder / n) for n in ("a", "kill1", "b")], on="ray")
    return found


if __name__ == "__main__":
    print(json.dumps(main(Lake(sys.argv[1]), Path(sys.argv[2]))))
