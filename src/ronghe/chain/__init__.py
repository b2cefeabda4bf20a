"""The chain: stock, shop and trucks planned as one. Inventory says what there is and what to order, scheduling when each order is made, and
logistics when it arrives; each hands its times to the next (docs/chain.md).

    facts = read(Path("example"))                  # stock/, shop/, trucks/, chain.csv
    plan = run(facts, seconds=10)                  # → Outcome: plans, figures, reasons
    other = run(apply(facts, "late source=PO-7 by=4h"), seconds=10, before=plan)
"""

from ronghe.chain.events import apply
from ronghe.chain.facts import Facts, read
from ronghe.chain.outcome import Figures, Outcome
from ronghe.chain.reasons import Step, changes
from ronghe.chain.run import run

__all__ = ["Facts", "Figures", "Outcome", "Step", "apply", "changes", "read", "run"]
