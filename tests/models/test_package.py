"""Model packages: what is written is what is read, and nothing else is read."""

from __future__ import annotations

import contextlib
import hashlib
import io
import zipfile
from pathlib import Path

import msgspec
import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ronghe.errors import ModelError
from ronghe.models import Input, Manifest, Output, Package, Training, load, save, training_hash
from ronghe.models.signature import public_key

KEY = bytes(range(32))


def manifest(**changes: object) -> Manifest:
    made = Manifest(
        name="pump",
        version="3",
        kind="maintenance.detect/1",
        created=1_700_000_000_000_000_000,
        ronghe="0.1.0",
        inputs=(Input(name="line1/pump1/pressure", property="pressure", unit="bar", low=1.0, high=4.0),),
        outputs=(Output(name="score"),),
        training=Training(sha256="ab" * 32, rows=400),
        metrics={"f1": 0.8},
        settings={"window": 20},
    )
    return msgspec.structs.replace(made, **changes)


def package() -> Package:
    return Package(manifest(), {"center": np.array([1.5, 2.5]), "run": np.array([3, 4])}, b"graph")


def rewrite(path: Path, change: dict[str, bytes | None]) -> None:
    """Puts other bytes (or none) under some names of a zip."""
    with zipfile.ZipFile(path) as old:
        content = {i.filename: old.read(i) for i in old.infolist()}
    content |= {k: v for k, v in change.items() if v is not None}
    with zipfile.ZipFile(path, "w") as new:
        for name, data in content.items():
            if change.get(name, b"") is not None:
                new.writestr(name, data)


@pytest.mark.parametrize("folder", [False, True])
def test_what_was_saved_is_loaded(tmp_path: Path, folder: bool) -> None:
    path = tmp_path / "pump.model"
    if folder:
        path.mkdir()
    digest = save(path, package())
    back = load(path)
    assert back.hash == digest
    assert back.onnx == b"graph"
    assert back.signed_by == ""
    np.testing.assert_array_equal(back.arrays["center"], [1.5, 2.5])
    assert back.arrays["run"].dtype == np.int64
    assert msgspec.structs.replace(back.manifest, files={}) == manifest()


def test_same_content_has_the_same_bytes_and_another_has_another_hash(tmp_path: Path) -> None:
    a, b, c = tmp_path / "a", tmp_path / "b", tmp_path / "c"
    assert save(a, package()) == save(b, package())
    assert a.read_bytes() == b.read_bytes()
    changed = Package(manifest(), {**package().arrays, "center": np.array([1.5, 2.6])}, b"graph")
    assert save(c, changed) != save(a, package())


def test_folder_and_file_have_the_same_hash(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    assert save(tmp_path / "folder", package()) == save(tmp_path / "file", package())


def test_saving_into_a_folder_again_leaves_nothing_behind(tmp_path: Path) -> None:
    folder = tmp_path / "m"
    folder.mkdir()
    save(folder, package())
    save(folder, Package(manifest(), {"other": np.zeros(2)}))
    assert set(load(folder).arrays) == {"other"}


@pytest.mark.parametrize("name", ["arrays/center.npy", "model.onnx"])
def test_a_changed_file_is_named(tmp_path: Path, name: str) -> None:
    path = tmp_path / "m"
    save(path, package())
    rewrite(path, {name: b"something else"})
    with pytest.raises(ModelError, match=name):
        load(path)


def test_a_missing_and_an_added_file_are_named(tmp_path: Path) -> None:
    path = tmp_path / "m"
    save(path, package())
    rewrite(path, {"model.onnx": None})
    with pytest.raises(ModelError, match=r"model\.onnx: is missing"):
        load(path)
    save(path, package())
    rewrite(path, {"arrays/extra.npy": b"x"})
    with pytest.raises(ModelError, match=r"arrays/extra\.npy"):
        load(path)


def test_every_flipped_byte_is_seen(tmp_path: Path) -> None:
    path, bad = tmp_path / "m", tmp_path / "bad"
    whole = save(path, package())
    data = path.read_bytes()
    rng = np.random.default_rng(0)
    for at in rng.integers(0, len(data), 200).tolist():
        bad.write_bytes(data[:at] + bytes([data[at] ^ 0x41]) + data[at + 1 :])
        with contextlib.suppress(ModelError):
            assert load(bad).hash == whole  # a byte of the zip's own book-keeping, e.g. a date


def test_pickles_are_never_loaded(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    np.save(buffer, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    evil = buffer.getvalue()
    path = tmp_path / "m"
    save(path, package())
    text = manifest(files={"arrays/center.npy": hashlib.sha256(evil).hexdigest()})
    with zipfile.ZipFile(path, "w") as z:
        z.writestr("manifest.json", msgspec.json.encode(text))
        z.writestr("arrays/center.npy", evil)
    with pytest.raises(ModelError, match="no array of numbers"):
        load(path)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04rubbish", b"hello" * 100])
def test_what_is_no_package_is_said(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m"
    path.write_bytes(content)
    with pytest.raises(ModelError, match="not a model package"):
        load(path)
    with pytest.raises(ModelError, match="no such model package"):
        load(tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match=r"manifest\.json is missing"):
        load(tmp_path / "empty")


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m"
    save(path, Package(manifest(format=99)))
    with pytest.raises(ModelError, match="newer"):
        load(path)


def test_signature(tmp_path: Path) -> None:
    path = tmp_path / "m"
    save(path, package(), key=KEY)
    mine = public_key(KEY)
    assert load(path).signed_by == mine
    assert load(path, trusted=[mine]).signed_by == mine
    other = public_key(Ed25519PrivateKey.generate().private_bytes_raw())
    with pytest.raises(ModelError, match="trusted"):
        load(path, trusted=[other])
    save(path, package())
    with pytest.raises(ModelError, match="trusted"):
        load(path, trusted=[mine])


def test_a_signature_of_something_else_is_not_true(tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    save(a, package(), key=KEY)
    save(b, Package(manifest(version="4")), key=KEY)
    with zipfile.ZipFile(b) as z:
        stolen = z.read("signature.json")
    rewrite(a, {"signature.json": stolen})
    with pytest.raises(ModelError, match="not true"):
        load(a)
    rewrite(a, {"signature.json": b"{}"})
    with pytest.raises(ModelError, match="not true"):
        load(a)


def test_errors_are_in_both_languages(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as e:
        load(tmp_path / "nothing")
    assert "没有这个模型包" in e.value.in_("zh")


def test_training_hash_is_of_the_numbers_not_of_their_layout() -> None:
    rows = np.arange(12.0).reshape(3, 4)
    assert training_hash(rows) == training_hash(np.asfortranarray(rows)) == training_hash(rows.astype(">f8"))
    assert training_hash(rows) != training_hash(rows.reshape(4, 3))
    assert training_hash(rows) != training_hash(rows + 1e-12)


@settings(deadline=None, max_examples=40)
@given(
    st.dictionaries(
        st.from_regex(r"[a-z_]{1,8}", fullmatch=True),
        hnp.arrays(st.sampled_from([np.float64, np.int64, np.bool_]), hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)),
        max_size=4,
    )
)
def test_any_arrays_round_trip(tmp_path_factory: pytest.TempPathFactory, arrays: dict[str, np.ndarray]) -> None:
    path = tmp_path_factory.mktemp("p") / "m"
    save(path, Package(manifest(), arrays))
    back = load(path).arrays
    assert back.keys() == arrays.keys()
    for name, array in arrays.items():
        assert (back[name].dtype, back[name].shape) == (array.dtype, array.shape)
        assert back[name].tobytes() == np.ascontiguousarray(array).tobytes()
