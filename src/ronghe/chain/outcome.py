"""What one run of the chain gives: the plans, the stock that goes with them, and what it all costs, serves and emits."""

from __future__ import annotations

import msgspec

from ronghe.apps.logistics.problem import Plan as Trucks
from ronghe.apps.logistics.problem import Problem as TrucksProblem
from ronghe.apps.scheduling.problem import Plan as Schedule
from ronghe.apps.scheduling.problem import Problem as Shop
from ronghe.text import Text


class Served(msgspec.Struct, frozen=True, kw_only=True):
    """One order through the chain; times in ns, None where it does not come that far."""

    order: str
    customer: str = ""
    quantity: float = 0.0
    weight: float = 1.0
    begins: int | None = None  # its first operation
    ready: int | None = None  # its last operation ends
    due: int | None = None  # when it should be ready
    vehicle: str = ""
    arrives: int | None = None  # work at the customer starts
    until: int | None = None  # when it should have arrived
    why: Text | None = None  # why it is not served, or ready late

    @property
    def in_time(self) -> bool:
        """Whether the customer has it in time; of an order that no truck brings, whether it is ready in time."""
        if not self.customer:
            return self.ready is not None and (self.due is None or self.ready <= self.due)
        return self.arrives is not None and (self.until is None or self.arrives <= self.until)


class Level(msgspec.Struct, frozen=True, kw_only=True):
    """One material: how its stock goes. `course`: (ns, on hand after it). `orders`: what inventory says to order now, 0 for nothing."""

    material: str
    unit: str = ""
    course: tuple[tuple[int, float], ...]
    lowest: float
    holding: float | None = None  # money over the plan
    orders: float = 0.0
    arrives: int | None = None  # when that would come, ns
    text: Text | None = None


class Moved(msgspec.Struct, frozen=True, kw_only=True):
    """What moving operations to cheap, clean hours is worth, against each as early as it can be."""

    operations: int
    money: float
    carbon: float | None  # kg CO2e


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """Sums. Money is in the currency of chain.csv; None where no price or factor is stated, and then its key is in `missing`."""

    production: float | None
    setup: float | None
    holding: float | None
    transport: float | None
    tardiness: float | None
    energy_cost: float | None  # by the tariff; None without one
    cost: float  # of those that are stated
    orders: int
    in_time: int
    fill_rate: float | None  # part of the ordered quantity that the customers have in time, 0..1
    energy: float | None  # kWh; None where no machine states its power
    carbon_energy: float | None  # kg CO2e
    carbon_transport: float | None
    carbon: float  # of those that are stated
    distance: float | None  # km
    missing: tuple[str, ...] = ()


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """One plan for the whole chain. `wrong`: what the checkers say against it; then it is no plan to work by."""

    shop: Shop
    schedule: Schedule
    trucks: TrucksProblem | None
    routes: Trucks | None
    orders: tuple[Served, ...]
    stock: tuple[Level, ...]
    figures: Figures
    moved: Moved | None = None
    wrong: tuple[Text, ...] = ()
    event: Text | None = None
