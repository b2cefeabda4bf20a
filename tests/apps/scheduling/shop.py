"""A small shop as tables, for the tests of formats, exports and the app."""

from __future__ import annotations

from pathlib import Path

TABLES = {
    "settings": "key,value\nzone,+08:00\nstart,2026-03-02 08:00\ntick,1 min\n",
    "machines": "machine,family,power_kw\npress1,red,12\npress2,,12\n",
    "orders": "order,product,quantity,due,weight\nA1,box,100,2026-03-02T09:00,3\nA2,box,50,2026-03-02T16:00,1\nA3,lid,10,2026-03-03,\n",
    "routings": (
        "product,step,machine,Duration (min),per_piece_s,family,people\n"
        "box,cut,press1,10,6,red,op\nbox,cut,press2,10,7,,\nbox,fold,press2,5 min,3,blue,\nlid,cut,press1,0:30,,blue,op:1\n"
    ),
    "setups": "from,to,minutes\nred,blue,20\nblue,red,30\n",
    "people": "people,size\nop,1\n",
    "calendar": "machine,from,to,why,repeat\n*,2026-03-02T20:00,2026-03-03T08:00,night,1 d\n",
    "bom": "product,material,quantity\nbox,sheet,1.5\n",
    "stock": "material,quantity\nsheet,200\n",
    "arrivals": "material,at,quantity,source\nsheet,2026-03-02T10:00+08:00,100,PO1\n",
}


def put(folder: Path, encoding: str = "utf-8", **changed: str | None) -> Path:
    """Writes the tables, some of them changed or, with None, left out."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in {**TABLES, **changed}.items():
        if text is not None:
            (folder / f"{name}.csv").write_bytes(text.encode(encoding))
    return folder
