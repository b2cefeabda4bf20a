"""A works with a shop, a store, trucks and a line that changes over: a real node with the real apps of the chain."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from pump_station import Station

APPS = """
[apps.shop]
uses = "scheduling.plan"
folder = "shop"
seconds = 1

[apps.store]
uses = "inventory.stock"
folder = "store"

[apps.trucks]
uses = "logistics.dispatch"
folder = "trucks"
seconds = 1

[apps.change]
uses = "scheduling.changeover"
equipment = "line1/pump1"
"""
RECIPE = """
name = {{ en = "{en}", zh = "{zh}" }}
product = "{en}-1"
version = "2"
within = "3s"

[formula]
"speed" = "{speed} 1/min"

[confirm.valve]
title = {{ en = "The valve is open", zh = "阀门已打开" }}

[proof.pressure]
title = {{ en = "Pressure is there", zh = "压力正常" }}
when = "pressure > {pressure} bar"
"""


class Works(Station):
    """The pump station, and what is planned around it. Everything begins at the full hour before."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.zero = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
        plant = folder / "plant.toml"
        plant.write_text(plant.read_text(encoding="utf-8") + APPS, encoding="utf-8")
        (folder / "recipes").mkdir()
        for en, zh, speed, pressure in (("Fast", "高速", 1000, 0), ("Hard", "高压", 1050, 24.9)):  # that pressure never comes
            recipe = RECIPE.format(en=en, zh=zh, speed=speed, pressure=pressure)
            (folder / "recipes" / f"{en.lower()}.toml").write_text(recipe, encoding="utf-8")
        self._shop(folder / "shop")
        self._store(folder / "store")
        self._trucks(folder / "trucks")

    def at(self, hours: float) -> str:
        """A time so many hours after the beginning, as tables write it."""
        return (self.zero + timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M+00:00")

    def _write(self, folder: Path, **tables: str) -> None:
        folder.mkdir()
        for name, text in tables.items():
            (folder / f"{name}.csv").write_text(text, encoding="utf-8")

    def _shop(self, folder: Path) -> None:
        orders = "".join(f"SO-{k},{'ab'[k % 2]},{10 + k},{self.at(6 + k / 2)},1\n" for k in range(1, 31))  # too many to be proven at once
        self._write(
            folder,
            settings=f"key,value\nstart,{self.at(0)}\ntick,1 min\ntardiness,1\nsetup,0.2\nmakespan,0.1\n",
            machines="machine,family,batch\nsaw,,1\nmill1,,1\nmill2,,1\n",
            setups="machine,from,to,minutes\nmill1,a,b,20\nmill1,b,a,20\nmill2,a,b,20\nmill2,b,a,20\n",
            orders=f"order,product,quantity,due,weight\n{orders}",
            routings="product,step,machine,fixed (min),per_piece (min),family\n"
            "a,saw,saw,10,1,\na,mill,mill1,10,2,a\na,mill,mill2,10,2.5,a\nb,saw,saw,10,1,\nb,mill,mill1,10,2,b\nb,mill,mill2,10,2.5,b\n",
        )

    def _store(self, folder: Path) -> None:
        days = [self.zero - timedelta(days=k) for k in range(70, 0, -1)]
        demand = "".join(f"{day:%Y-%m-%d},bolt,{20 + 7 * (k % 5)}\n" for k, day in enumerate(days))
        items = "item,name,unit,lead_time,cost,holding_rate,order_cost,service,on_hand\nbolt,Bolt M8,pcs,3,0.5,0.2,20,0.97,15\n"
        self._write(folder, items=items, demand=f"time,item,quantity\n{demand}")

    def _trucks(self, folder: Path) -> None:
        places = "name,title,x,y,depot\nworks,Works,0,0,yes\nN,North,0,12,\nE,East,15,2,\nS,South,-3,-14,\n"
        vehicles = "name,title,start,quantity,per_km,shift_start,shift_end,kg_co2_per_km\n"
        vehicles += "".join(f"T{k},Truck {k},works,20,1.5,{self.at(1)},{self.at(12)},0.6\n" for k in (1, 2))
        orders = "name,place,quantity,latest,service\n" + "".join(f"D-{p},{p},9,{self.at(10)},10min\n" for p in "NES")
        settings = f"name,value\nstart,{self.at(0)}\nspeed_kmh,40\n"
        self._write(folder, places=places, vehicles=vehicles, orders=orders, settings=settings)
