"""Homes for the transforms' tests. An invocation of dbt costs seconds: what only reads shares `built_home`."""

import shutil
from pathlib import Path

import pytest

from tests.transforms.dbt_home import DAY_3, FIRST_DAY, Home, new_home, succeeded


@pytest.fixture(scope="session")
def built_home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Three days built in one invocation, unit tests included. Nobody changes it: take `own_home` for that."""
    home = new_home(tmp_path_factory.mktemp("built"))
    assert succeeded(home.build(FIRST_DAY, DAY_3))
    return home


@pytest.fixture
def own_home(built_home: Home, tmp_path: Path) -> Home:
    """A home of one's own, already built like `built_home`."""
    shutil.copytree(built_home.root, tmp_path / "home")
    return Home(tmp_path / "home")


@pytest.fixture
def raw_home(tmp_path: Path) -> Home:
    """The same raw tables, nothing built, in a folder whose name needs quoting."""
    return new_home(tmp_path / "o'neill 的 home")
