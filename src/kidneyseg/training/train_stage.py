"""Training of one stage of a recipe on one fold: checks the folders, builds the loop and runs it."""

from __future__ import annotations

import shutil
from pathlib import Path

import mindspore as ms

from kidneyseg import device as devices
from kidneyseg import losses, nets
from kidneyseg.cohort.folds import fold_cases
from kidneyseg.errors import InputError
from kidneyseg.model_folder import checkpoint, run_record
from kidneyseg.model_folder.checkpoint import TrainingState
from kidneyseg.model_folder.epoch_log import read_rows
from kidneyseg.model_folder.folder import BEST, LAST, RECIPE
from kidneyseg.nets.layers.sum_over_ranks import keep_to_own_rank
from kidneyseg.recipe import Recipe, Stage, Train, load_recipe
from kidneyseg.training import distributed, optimizer
from kidneyseg.training.distributed import Ranks
from kidneyseg.training.loop import Loop
from kidneyseg.training.step import TrainStep
from kidneyseg.training.validation import Validator, region_names
from kidneyseg.training_data.batches import Batches
from kidneyseg.training_data.training_batches import TrainingBatches


def train_stage(
    recipe: Recipe,
    stage_name: str,
    work: str | Path,
    fold: int,
    *,
    resume: bool = False,
    overwrite: bool = False,
    init: str | Path | None = None,
    device: str = "auto",
) -> dict:
    """Train a stage of ``recipe`` on the prepared data in ``work`` and write to ``WORK/fold<K>/<stage>/``.

    Under msrun, all ranks call this with the same arguments and share the batch of each step.

    Args:
        recipe: the recipe.
        stage_name: name of the stage.
        work: folder that ``kidneyseg prepare`` filled.
        fold: fold of ``WORK/splits.json`` that is held out for validation.
        resume: continue from ``last.ckpt``, with results bit-identical to an uninterrupted run; if it does not exist,
            start. The recipe may have more epochs than before, except with a cosine schedule.
        overwrite: delete an earlier run of this stage, and the scores of the fold.
        init: model folder with the initial weights of a new run; None: random weights from the seed.
        device: "auto", "CPU", "GPU" or "Ascend".

    Returns:
        {"stage", "fold", "epochs", "best_dice" (mean over regions) or "best_loss" (with ``best: loss`` in the recipe),
        "best_epoch", "checkpoint"}.

    Raises:
        InputError: no prepared data, no such stage or fold, an earlier run without ``resume`` or ``overwrite``, a
            resumed run of another recipe or number of ranks, a damaged checkpoint, a loss that is not finite.
    """
    chosen, ranks = distributed.start(device)
    stage = recipe.stage(stage_name)
    cases = fold_cases(Path(work), fold)
    folder = Path(work) / f"fold{fold}"
    _check_earlier_run(folder, stage, resume, overwrite)
    last = folder / stage.name / LAST
    resumed = resume and last.exists()
    loop = build_loop(
        recipe, stage, Path(work), folder / stage.name, cases, chosen, ranks, pretrained=init is None and not resumed
    )
    if init is not None:
        checkpoint.load_weights(loop.network, Path(init) / stage.name / BEST)
    if resumed:
        loop.restore(last)
        _require_ranks(last, loop.progress, ranks)
    # The first rank writes only after every rank has checked its input.
    _require_same_start(last, ranks.gather((loop.progress.epoch, loop.progress.step)))
    if ranks.first:
        _prepare_folder(folder, recipe, stage, overwrite)
        run_record.record(
            folder,
            stage.name,
            {
                "recipe": recipe.name,
                "seed": stage.train.seed,
                "device": chosen,
                "ranks": ranks.size,
                "precision": nets.choose_precision(stage.train.precision, chosen),
                "init": None if init is None else str(init),
                "first_epoch": loop.progress.epoch,
                "first_step": loop.progress.step,
                "cases": cases,
            },
        )
    done = loop.run()
    assert done.best is not None  # the last epoch is validated
    ranks.barrier()  # every rank returns only after the files are written
    return {
        "stage": stage.name,
        "fold": fold,
        "epochs": done.epoch,
        f"best_{stage.train.best}": abs(done.best),
        "best_epoch": done.best_epoch,
        "checkpoint": str(folder / stage.name / BEST),
    }


def build_loop(
    recipe: Recipe,
    stage: Stage,
    work: Path,
    folder: Path,
    cases: dict[str, list[str]],
    device: str,
    ranks: Ranks,
    pretrained: bool = True,
) -> Loop:
    """Build the loop that trains ``stage``, before its first step. The seed determines all weights, on every rank.

    Args:
        recipe: the recipe.
        stage: a stage of the recipe.
        work: folder that ``kidneyseg prepare`` filled.
        folder: folder for checkpoints and log.
        cases: names of the "train" and "val" cases.
        device: CPU, GPU or Ascend.
        ranks: the ranks.
        pretrained: whether to read the encoder's weights, if the recipe names a file.
    """
    spec = stage.train
    ms.set_seed(spec.seed)
    precision = nets.choose_precision(spec.precision, device)
    network = devices.prepare_network(
        nets.build_network(stage.network, stage.classes, stage.channels, pretrained), precision, device
    )
    options = {"batch_size": spec.batch_size, "rank": ranks.rank, "ranks": ranks.size}
    train = TrainingBatches(work, stage, cases["train"], seed=spec.seed, **options)
    val = Batches(work, stage, cases["val"], **options)
    uncertain = train.uncertain | val.uncertain
    loss = losses.build_loss(stage.loss, uncertain)
    own_loss = keep_to_own_rank(losses.build_loss(stage.loss, uncertain))
    step = TrainStep(
        network,
        loss,
        optimizer.build(spec, network),
        clip_norm=spec.clip_norm,
        precision=precision,
        ranks=ranks,
        mixup=spec.augment.mixup > 0,
    )
    return Loop(
        stage=stage.name,
        folder=folder,
        spec=spec,
        network=network,
        step=step,
        validator=Validator(network, own_loss, region_names(recipe, stage), uncertain, ranks),
        train=train,
        val=val,
        ranks=ranks,
        progress=TrainingState(ranks=ranks.size),
    )


def _check_earlier_run(folder: Path, stage: Stage, resume: bool, overwrite: bool) -> None:
    """Check that an earlier run allows this one.

    Also reads all files that the training will extend, so that damaged files are reported before anything is computed
    or deleted.
    """
    last, trained = folder / stage.name / LAST, folder / RECIPE
    run_record.known_sessions(folder)
    if trained.exists():
        load_recipe(trained)
    if overwrite:
        return
    read_rows(folder / stage.name / "log.jsonl")
    if not last.exists():
        return
    if not resume:
        raise InputError(
            last.parent,
            expected="no earlier run",
            found="one that was started before",
            remedy="Give --resume to continue it or --overwrite to start again",
        )
    before = load_recipe(trained).stage(stage.name)
    kept = ("region", "intensity", "sampling", "targets", "network", "loss", "train")
    changed = [key for key in kept if getattr(before, key) != getattr(stage, key)]
    if changed == ["train"] and _only_more_epochs(before.train, stage.train):
        _require_open_end(f"{trained}: {stage.name}", before.train, stage.train)
    elif changed:
        raise InputError(
            f"{trained}: {stage.name}",
            expected="the recipe with which this run was started",
            found=f"another value of {', '.join(changed)}",
            remedy="Resume with the recipe and overrides of the first call, or give --overwrite",
        )


def _only_more_epochs(before: Train, now: Train) -> bool:
    return now.epochs > before.epochs and now == before.model_copy(update={"epochs": now.epochs})


def _require_open_end(subject: str, before: Train, now: Train) -> None:
    """Raise InputError if the learning rate of the finished epochs depends on the total number of epochs."""
    if now.schedule.kind == "cosine":
        raise InputError(
            subject,
            expected=f"{before.epochs} epochs, because the cosine schedule of this run ends there",
            found=f"{now.epochs}",
            remedy="Resume with the epochs of the first call; to continue from the best weights with a new schedule, "
            "give --init WORK/fold<K> --overwrite and the number of further epochs",
        )


def _require_ranks(last: Path, progress: TrainingState, ranks: Ranks) -> None:
    """Raise InputError for another number of ranks: each rank takes a batch per step, so steps would differ."""
    if progress.ranks != ranks.size:
        raise InputError(
            last,
            expected=f"a run on {ranks.size} devices, like this one",
            found=f"one that was started on {progress.ranks}",
            remedy=f"Resume on {progress.ranks} devices, or give --overwrite to start again",
        )


def _require_same_start(last: Path, starts: list[tuple[int, int]]) -> None:
    """``starts``: epoch and step of every rank. They differ where machines do not see the same checkpoint."""
    if len(set(starts)) > 1:
        raise InputError(
            last,
            expected="the same checkpoint on every machine",
            found=f"ranks that begin at (epoch, step) {', '.join(map(str, dict.fromkeys(starts)))}",
            remedy="Give a --work folder that all machines share",
        )


def _prepare_folder(folder: Path, recipe: Recipe, stage: Stage, overwrite: bool) -> None:
    target = folder / stage.name
    if overwrite:
        for session in (stage.name, "eval"):
            run_record.forget(folder, session)
        for scores in (*folder.glob("scores.*"), *folder.glob("scores_oracle.*")):  # scores of the old weights
            scores.unlink()
        for name in (BEST, LAST, "log.jsonl"):
            (target / name).unlink(missing_ok=True)
        shutil.rmtree(target / "tensorboard", ignore_errors=True)
    target.mkdir(parents=True, exist_ok=True)
    checkpoint.sweep(target)
    run_record.save_fold_recipe(folder, recipe, stage.name)
