"""What findings say of where they are."""

from __future__ import annotations

import pytest

from ronghe.apps.maintenance import wording
from ronghe.apps.maintenance.cause import Cause, Measured
from ronghe.plant import Equipment, Plant, Property, Tag
from ronghe.text import Text

TAG = "hall/rig/cooler/efficiency"
PLANT = Plant(
    path="a/b/c",
    name=Text("c"),
    dictionary={"efficiency": Property(property="efficiency")},
    tags={TAG: Tag(tag=TAG, property="efficiency")},
    equipment={
        "hall/rig": Equipment(name=Text("Hydraulic test rig", "液压试验台")),
        "hall/rig/cooler": Equipment(name=Text("Cooler", "冷却器")),
    },
)


@pytest.mark.parametrize(
    ("equipment", "en", "zh"),
    [
        ("hall/rig", "Hydraulic test rig / Cooler", "液压试验台/冷却器"),
        ("hall/rig/cooler", "Cooler", "冷却器"),
        ("", "hall / Hydraulic test rig / Cooler", "hall/液压试验台/冷却器"),
    ],
)
def test_a_place_is_named_from_the_equipment_watched_downwards(equipment: str, en: str, zh: str) -> None:
    assert wording.place(PLANT, equipment, TAG) == Text(en, zh)


def test_a_tag_of_the_plant_itself_has_no_place() -> None:
    plant = Plant(path="a", name=Text("a"), tags={"level": Tag(tag="level", property="level")})
    measured = Measured("level", "level", Text("level", "液位"), "m", Text("level", "液位"))
    assert wording.back_to_normal(Cause(0, measured, "low", 1.0, 2.0), wording.place(plant, "", "level")) == Text(
        "Level is back to normal", "液位已恢复正常"
    )


def test_a_finding_reads_as_people_speak() -> None:
    name = Text("cooling efficiency", "冷却效率")
    cause = Cause(0, Measured(TAG, "efficiency", name, "%", name), "low", 28.0, 40.0)
    said = wording.departed(cause, [], wording.place(PLANT, "hall/rig", TAG))
    assert said.en == "Cooling efficiency of Hydraulic test rig / Cooler is 30 % below what normal operation would show"
    assert said.zh == "液压试验台/冷却器的冷却效率比正常运行应有的值低 30 %"
