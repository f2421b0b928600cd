"""Every recommender there is has a contract test class, a name of its own, and a row in docs/models.md."""

import importlib
import inspect
import pkgutil
from pathlib import Path

import ml.models
from ml.models.recommender import Recommender
from tests.ml.models.recommender_contract import RecommenderContract

CONTRACT = ("fit", "score", "fold_in", "save", "load")
HERE = Path(__file__).resolve().parent


def recommenders() -> set[type]:
    """Named classes of ml.models that do what the contract asks."""
    modules = [importlib.import_module(found.name) for found in pkgutil.walk_packages(ml.models.__path__, "ml.models.")]
    classes = {found for module in modules for _, found in inspect.getmembers(module, inspect.isclass)}
    return {
        found
        for found in classes
        if found is not Recommender
        and found.__module__.startswith("ml.models")
        and isinstance(getattr(found, "name", None), str)
        and all(hasattr(found, method) for method in CONTRACT)
    }


def held_to_the_contract() -> set[type]:
    """What the contract's subclasses build, over all test modules beside this one."""
    modules = [importlib.import_module(f"tests.ml.models.{path.stem}") for path in sorted(HERE.glob("test_*.py"))]
    classes = {found for module in modules for _, found in inspect.getmembers(module, inspect.isclass)}
    return {type(found().build()) for found in classes if issubclass(found, RecommenderContract) and found is not RecommenderContract}


def test_the_search_finds_models_at_all() -> None:
    assert {"popularity", "user_knn", "item_knn", "ease", "ials", "node2vec", "graph_sage", "gat"} <= {
        found.name for found in recommenders()
    }


def test_every_model_is_held_to_the_contract() -> None:
    missing = {found.__qualname__ for found in recommenders() - held_to_the_contract()}
    assert not missing, f"give each a test class that inherits RecommenderContract: {sorted(missing)}"


def test_names_are_unique() -> None:
    names = [found.name for found in recommenders()]
    assert len(names) == len(set(names))


def test_every_model_has_a_row_in_the_docs(repository) -> None:
    page = (repository / "docs/models.md").read_text(encoding="utf-8")
    missing = {found.name for found in recommenders() if f"| `{found.name}` |" not in page}
    assert not missing, f"describe in docs/models.md: {sorted(missing)}"
