"""Recipes cut to a training time: by invented paces, and by measured ones of a tiny recipe."""

import math

import pytest
from tiny_training import make_work

from kidneyseg import cli
from kidneyseg.errors import InputError
from kidneyseg.recipe import load_recipe
from kidneyseg.training.time_budget import StageTiming, fit_epochs, measure


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    return make_work(tmp_path_factory.mktemp("budget"))


@pytest.fixture
def recipe(work):
    """Of its two stages of 100 epochs, validated every 10, the fine one takes three times as long."""
    recipe = load_recipe(work.parent / "tiny.yaml")
    stages = tuple(
        stage.model_copy(
            update={
                "train": stage.train.model_copy(
                    update={
                        "epochs": 100,
                        "validate_every": 10,
                        "schedule": stage.train.schedule.model_copy(update={"warmup": 600}),
                    }
                )
            }
        )
        for stage in recipe.stages
    )
    return recipe.model_copy(update={"stages": stages})


PACES = {
    "coarse": StageTiming(steps=60, step=0.1, validation=5.0, once=20.0),
    "fine": StageTiming(steps=60, step=0.3, validation=15.0, once=40.0),
}


def seconds(stage, pace):
    train = stage.train
    steps = train.sampler.per_epoch // train.batch_size if train.sampler.per_epoch else pace.steps
    return train.epochs * steps * pace.step + math.ceil(train.epochs / train.validate_every) * pace.validation


@pytest.mark.parametrize("minutes", [1.7, 2.5, 5, 13.3, 43.4, 100])
def test_stages_share_the_time_as_their_own_epochs_would(recipe, minutes):
    fitted = fit_epochs(recipe, PACES, minutes)
    taken = {stage.name: seconds(stage, PACES[stage.name]) for stage in fitted.stages}
    assert sum(taken.values()) + 60 == pytest.approx(60 * minutes, rel=0.06)
    assert taken["fine"] == pytest.approx(3 * taken["coarse"], rel=0.1)
    for stage in fitted.stages:
        share = stage.train.schedule.warmup / 600
        steps = (stage.train.sampler.per_epoch or 120) // 2 * stage.train.epochs
        assert share == pytest.approx(min(1, steps / 6000), abs=0.002)
        assert 10 / 2 < math.ceil(stage.train.epochs / stage.train.validate_every) <= 10 or minutes < 10
        assert stage.model_copy(update={"train": recipe.stage(stage.name).train}) == recipe.stage(stage.name)


def test_the_recipes_own_time_leaves_it_as_it_is(recipe):
    own = sum(seconds(stage, PACES[stage.name]) for stage in recipe.stages) + 60
    assert fit_epochs(recipe, PACES, own / 60) == recipe


def test_decays_reach_what_they_would_have_reached(recipe):
    coarse = recipe.stage("coarse")
    schedule = coarse.train.schedule.model_copy(update={"kind": "exponential", "factor": 0.97})
    side = coarse.loss.side.model_copy(update={"decay": 0.8, "every": 10})
    decaying = coarse.model_copy(
        update={
            "train": coarse.train.model_copy(update={"schedule": schedule}),
            "loss": coarse.loss.model_copy(update={"side": side}),
        }
    )
    fitted = fit_epochs(recipe.model_copy(update={"stages": (decaying, recipe.stage("fine"))}), PACES, 10).stage(
        "coarse"
    )
    epochs = fitted.train.epochs
    assert epochs < 60
    assert fitted.train.schedule.factor**epochs == pytest.approx(0.97**100)
    assert epochs / fitted.loss.side.every == pytest.approx(10, rel=0.2)


def test_too_little_time_is_refused_with_what_would_do(recipe):
    with pytest.raises(InputError, match="about 2 or more"):
        fit_epochs(recipe, PACES, 1.05)
    assert fit_epochs(recipe, PACES, 2)


def test_measures_every_stage_and_keeps_nothing(work, monkeypatch):
    monkeypatch.setattr("kidneyseg.training.time_budget.SECONDS", 0.0)
    recipe = load_recipe(work.parent / "tiny.yaml")
    before = sorted(path for path in work.rglob("*"))
    for stage in recipe.stages:
        pace = measure(recipe, stage, work, 0, "CPU")
        assert pace.steps == 6 and 0 < pace.step < 5 and 0 < pace.validation < 20 and 0 <= pace.once < 200
    assert sorted(path for path in work.rglob("*")) == before


def test_the_command_writes_a_recipe_that_trains(work, monkeypatch, capsys):
    monkeypatch.setattr("kidneyseg.training.time_budget.measure", lambda recipe, stage, *args: PACES[stage.name])
    out = work.parent / "cut.yaml"
    arguments = ["-c", str(work.parent / "tiny.yaml"), "--work", str(work), "-o", str(out)]
    assert cli.main(["budget", *arguments, "--minutes", "5"]) == 0
    assert load_recipe(out) == fit_epochs(load_recipe(work.parent / "tiny.yaml"), PACES, 5)
    assert "fine: 0.300 s a step" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        cli.main(["budget", *arguments, "--minutes", "-5"])
