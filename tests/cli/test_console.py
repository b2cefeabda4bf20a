"""`ronghe user …` as a person uses it."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ronghe.cli.console import user
from ronghe.console.users import Users, UsersError

GOOD = "correct horse battery"


@pytest.fixture
def plant(tmp_path: Path) -> Path:
    """A folder that has a plant.toml."""
    (tmp_path / "plant.toml").write_text("")
    return tmp_path


@pytest.fixture
def users(plant: Path) -> Iterator[Users]:
    """The same people as the commands see, as a running node has them open."""
    users = Users(plant / ".ronghe" / "users.sqlite", time.time_ns)
    yield users
    users.close()


def run(*words: str | Path, typed: str = "") -> Result:
    return CliRunner().invoke(user, [str(w) for w in words], input=typed, env={"RONGHE_LANG": "en"}, catch_exceptions=False)


def token(result: Result) -> str:
    found = re.search(r"#/link/([\w-]+)", result.output)
    assert found is not None
    return found[1]


def test_the_life_of_a_person(plant: Path, users: Users) -> None:
    assert "nobody yet" in run("list", plant).output
    assert users.redeem(token(run("link", plant)), "wang", GOOD).name == "wang"
    made = run("add", plant, "li", "operator")
    assert users.redeem(token(made), "", GOOD).name == "li"
    assert run("role", plant, "li", "engineer").output == "li is now engineer\n"
    assert run("password", plant, "li", typed=f"{GOOD} 2\n{GOOD} 2\n").exit_code == 0
    assert users.sign_in("li", f"{GOOD} 2") is not None
    listed = run("list", plant).output
    assert re.search(r"^li +engineer +last seen 20", listed, re.M)
    assert re.search(r"^wang +administrator +never signed in", listed, re.M)
    assert run("remove", plant, "li").exit_code == 0
    assert [u.name for u in users.everyone()] == ["wang"]


def test_a_password_is_never_on_the_command_line(plant: Path, users: Users) -> None:
    run("add", plant, "li", "operator")
    result = run("password", plant, "li", typed=f"{GOOD}\n{GOOD}\n")
    assert GOOD not in result.output
    assert run("password", plant, "li", GOOD).exit_code == 2


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("role", "nobody", "viewer"), "nobody is called"),
        (("password", "nobody"), "nobody is called"),
        (("link", "nobody"), "nobody is called"),
        (("add", "a b", "viewer"), "cannot be a user name"),
    ],
)
def test_mistakes(plant: Path, words: tuple[str, ...], what: str) -> None:
    with pytest.raises(UsersError, match=what):
        run(words[0], plant, *words[1:])


def test_not_a_plant_folder(tmp_path: Path) -> None:
    with pytest.raises(UsersError, match="neither a plant folder"):
        run("list", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_role_is_refused_by_name(plant: Path) -> None:
    result = run("add", plant, "li", "king")
    assert result.exit_code == 2
    assert "administrator" in result.output
