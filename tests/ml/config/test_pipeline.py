"""A profile says every wrong field, and the shipped ones hold."""

import pytest

from ml.config import PipelineConfig, load_profile
from ml.config.changes import changed, changed_content, setting
from ml.config.pipeline import SearchConfig
from ml.config.ranges import Range
from ml.config.sections.search import SEARCHABLE
from ml.errors import ConfigError


def test_shipped_profiles_hold(repository) -> None:
    for path in (repository / "orchestration" / "profiles").glob("*.yaml"):
        load_profile(path)
    assert load_profile(repository / "orchestration" / "profiles" / "default.yaml") == PipelineConfig()


def test_every_wrong_field_is_named(tmp_path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("model: {epochs: 0, embeding_size: 3}\ntext: {device: tpu}\n")
    with pytest.raises(ConfigError) as caught:
        load_profile(path)
    for name in ("model.epochs", "model.embeding_size", "text.device"):
        assert name in str(caught.value)


def test_missing_and_broken_files_say_so(tmp_path) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        load_profile(tmp_path / "none.yaml")
    path = tmp_path / "broken.yaml"
    path.write_text("model: [")
    with pytest.raises(ConfigError, match="not valid YAML"):
        load_profile(path)


def test_every_field_has_a_description() -> None:
    for name, field in PipelineConfig.model_fields.items():
        for inner, inner_field in field.annotation.model_fields.items():
            assert inner_field.description, f"{name}.{inner}"


@pytest.mark.parametrize(
    ("space", "said"),
    [
        ("{model.temprature: {low: 0.1, high: 0.2}}", "model.temprature is no setting .* nearest one is model.temperature"),
        ("{text.dimension: {low: 1, high: 2}}", "text.dimension is no setting that a search can change"),
        ("{model.seed: {choices: [1, 2]}}", "model.seed is no setting that a search can change"),
        ("{model.num_layers: {low: 1, high: 9}}", "model.num_layers cannot be 9: .* less than or equal to 4"),
        ("{model.num_layers: {low: 1, high: 2.5}}", "model.num_layers takes whole numbers, high is 2.5"),
        ("{model.embedding_size: {choices: [16, 0]}}", "model.embedding_size cannot be 0"),
        ("{graph.half_life_days: {low: 0, high: 9}}", "graph.half_life_days cannot be 0"),
        ("{model.temperature: {low: 0.3, high: 0.2}}", "not above high"),
        ("{model.temperature: {low: .nan, high: 0.2}}", "not above high"),
        ("{model.temperature: {low: 0.1}}", "give low and high, or choices"),
        ("{model.temperature: {low: 0.1, high: 0.2, choices: [0.1]}}", "choices stand alone"),
        ("{model.regularization: {low: 0, high: 0.1, log: true}}", "log needs low above 0"),
        ("{model.temperature: {low: 0.1, high: 0.2, stepp: 0.1}}", "stepp"),
        ("{}", "at least 1"),
    ],
)
def test_a_space_that_does_not_hold_names_the_setting(tmp_path, space, said) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(f"search: {{space: {space}}}\n")
    with pytest.raises(ConfigError, match=said):
        load_profile(path)


def test_every_problem_of_a_space_is_said_at_once(tmp_path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("search: {space: {model.num_layers: {low: 0, high: 9}, graph.halflife: {choices: [1]}}}\n")
    with pytest.raises(ConfigError) as caught:
        load_profile(path)
    for said in ("cannot be 0", "cannot be 9", "graph.half_life_days"):
        assert said in str(caught.value)


def test_the_usual_space_holds_and_so_do_the_usual_settings_in_it() -> None:
    space = PipelineConfig().search.space
    assert SearchConfig(space=space).space == space
    assert all(given.holds(setting(PipelineConfig(), name)) for name, given in space.items())


@pytest.mark.parametrize(
    ("given", "inside", "outside"),
    [
        (Range(low=1, high=4), [1, 4], [0, 5, "1"]),
        (Range(low=0.1, high=0.5, step=0.2), [0.1, 0.3, 0.5], [0.2, 0.7]),
        (Range(choices=(16, 64)), [16, 64], [32]),
    ],
)
def test_a_range_holds_what_a_search_could_come_to(given, inside, outside) -> None:
    assert all(given.holds(value) for value in inside)
    assert not any(given.holds(value) for value in outside)


def test_settings_are_changed_by_name_and_checked() -> None:
    config = changed(PipelineConfig(), {"model.num_layers": 3, "graph.half_life_days": 30.0})
    assert (setting(config, "model.num_layers"), config.graph.half_life_days) == (3, 30.0)
    assert config.model.temperature == PipelineConfig().model.temperature
    with pytest.raises(ConfigError, match=r"model\.num_layers"):
        changed(config, {"model.num_layers": 9})
    assert changed_content({"graph": None, "text": {"device": "cpu"}}, {"graph.half_life_days": 3.0}) == {
        "graph": {"half_life_days": 3.0},
        "text": {"device": "cpu"},
    }


def test_only_settings_that_exist_can_be_searched() -> None:
    for name in SEARCHABLE:
        assert isinstance(setting(PipelineConfig(), name), int | float), name
