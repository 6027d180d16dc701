"""The commands of the campaign: what each is given, which of its files is damaged, and what must come out.

Paths are relative to a folder of the case's own, with a copy of those of the world's files that it names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from damage import Damage
from damage_itk import MHA, NRRD
from damage_nifti import NII, NII_GZ
from damage_records import BINARY
from damage_text import JSON, JSONL, YAML
from damage_zip import ZIP


@dataclass(frozen=True)
class Case:
    """A command with one file of its input damaged.

    Attributes:
        line: its words.
        damaged: the file.
        damages: what may be done to it.
        files: files and folders of the world that are copied, ``damaged`` among them.
        results: what it writes ("stdout" too), to be compared with that of the undamaged file.
        others: those of its outputs that do not depend on the damaged file: they must be there whatever happens to it.
        shared: those that tell of all items of a batch: where one failed they tell of the others, and name it.
        every: of its damages one in so many is tried in the shortest campaign.
    """

    line: str
    damaged: str
    damages: Mapping[str, Damage]
    files: tuple[str, ...]
    results: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    shared: tuple[str, ...] = ()
    every: int = 1


SCAN, MASK = "data/case_00001/imaging.nii.gz", "data/case_00001/segmentation.nii.gz"
FOLD = "work/fold0"
PREDICT = "predict -m package.zip -o out --device CPU -i "
PREPARE = "prepare -c tiny.yaml --data data --work new --folds 2 --workers 1"
PREPARED = ("new/splits.json", "new/prepared/case_00001/case_00001.fine.mindrecord")
NEIGHBOUR = "new/prepared/case_00002/case_00002.fine.mindrecord"
RESUME = "train -c tiny.yaml --work work --device CPU --resume --stage fine"
ANEW = "train -c tiny.yaml --work work --device CPU --overwrite --stage fine"
EVAL_WORK = "eval --work work --fold 0 --runtime openvino --no-oracle --device CPU --data data"
EVAL_MASKS = "eval --pred masks --truth data --json scores.json"
TOO_FAR = "--fold 7"  # which there is not: said after all files have been read, before the work begins
COHORT = ("data",)
TRAINED = ("tiny.yaml", "work", "data")

CASES = {
    # every kind of scan
    "predict-nii-gz": Case(
        PREDICT + "scans",
        "scans/ct.nii.gz",
        NII_GZ,
        ("package.zip", "scans/ct.nii.gz", "scans/other.nii.gz"),
        ("out/ct.nii.gz",),
        ("out/other.nii.gz",),
    ),
    "predict-nii": Case(
        PREDICT + "scans/ct.nii", "scans/ct.nii", NII, ("package.zip", "scans/ct.nii"), ("out/ct.nii.gz",)
    ),
    "predict-nrrd": Case(
        PREDICT + "scans/ct.nrrd", "scans/ct.nrrd", NRRD, ("package.zip", "scans/ct.nrrd"), ("out/ct.nii.gz",)
    ),
    "predict-mha": Case(
        PREDICT + "scans/ct.mha", "scans/ct.mha", MHA, ("package.zip", "scans/ct.mha"), ("out/ct.nii.gz",)
    ),
    # every kind of model
    "predict-package": Case(
        PREDICT + "scans/ct.nii.gz", "package.zip", ZIP, ("package.zip", "scans/ct.nii.gz"), ("out/ct.nii.gz",), every=2
    ),
    "predict-checkpoint": Case(
        "predict -m work/fold0 -o out --device CPU --runtime openvino -i scans/ct.nii.gz",
        f"{FOLD}/fine/best.ckpt",
        BINARY,
        (FOLD, "scans/ct.nii.gz"),
        ("out/ct.nii.gz",),
    ),
    "predict-recipe": Case(
        "predict -m work/fold0 -o out --device CPU --runtime openvino -i scans/ct.nii.gz",
        f"{FOLD}/recipe.yaml",
        YAML,
        (FOLD, "scans/ct.nii.gz"),
        ("out/ct.nii.gz",),
        every=2,
    ),
    "deploy-package": Case(
        "deploy package.zip data --program /bin/false --device CPU --out out",
        "package.zip",
        ZIP,
        ("package.zip", *COHORT),
        every=6,
    ),
    "export-checkpoint": Case(
        "export -m work/fold0 --batch 2 -o out", f"{FOLD}/coarse/best.ckpt", BINARY, (FOLD,), ("out/recipe.yaml",)
    ),
    "export-recipe": Case("export -m work/fold0 --batch 2 -o out", f"{FOLD}/recipe.yaml", YAML, (FOLD,), every=4),
    # cohorts
    "check-scan": Case("cohort check data --workers 1 --json", SCAN, NII_GZ, COHORT, ("stdout",), every=3),
    "check-mask": Case("cohort check data --workers 1 --json", MASK, NII_GZ, COHORT, ("stdout",), every=3),
    "fingerprint-scan": Case("cohort fingerprint data --workers 1 --json", SCAN, NII_GZ, COHORT, ("stdout",), every=6),
    "split-mask": Case(
        "cohort split data --workers 1 --work new --folds 2", MASK, NII_GZ, COHORT, ("new/splits.json",), every=6
    ),
    "split-splits": Case(
        "cohort split data --workers 1 --work work --folds 2 --overwrite",
        "work/splits.json",
        JSON,
        ("data", "work/splits.json"),
        ("work/splits.json",),
        every=3,
    ),
    "simulate-mask": Case(
        "simulate data new --spacing 6 4 4 --workers 1",
        MASK,
        NII_GZ,
        COHORT,
        ("new/case_00001/imaging.nii.gz",),
        every=6,
    ),
    "simulate-note": Case(
        "simulate data simulated --spacing 6 4 4 --workers 1",
        "simulated/simulation.json",
        JSON,
        ("data", "simulated"),
        ("simulated/case_00001/imaging.nii.gz",),
        every=3,
    ),
    # scores
    "eval-prediction": Case(
        EVAL_MASKS,
        "masks/case_00001.nii.gz",
        NII_GZ,
        ("masks", *COHORT),
        ("scores.json",),
        shared=("scores.json",),
        every=3,
    ),
    "eval-truth": Case(
        EVAL_MASKS, MASK, NII_GZ, ("masks", *COHORT), ("scores.json",), shared=("scores.json",), every=6
    ),
    "eval-splits": Case(f"{EVAL_WORK} {TOO_FAR}", "work/splits.json", JSON, ("work", *COHORT), every=3),
    "report-scores": Case("report --work work", f"{FOLD}/scores.json", JSON, TRAINED, every=4),
    "report-run": Case("report --work work", f"{FOLD}/run.json", JSON, TRAINED, every=4),
    "report-log": Case("report --work work", f"{FOLD}/fine/log.jsonl", JSONL, TRAINED, every=4),
    # preparation and training
    "prepare-scan": Case(PREPARE, SCAN, NII_GZ, ("tiny.yaml", *COHORT), PREPARED, (NEIGHBOUR,), every=6),
    "prepare-mask": Case(PREPARE, MASK, NII_GZ, ("tiny.yaml", *COHORT), PREPARED, (NEIGHBOUR,), every=6),
    "prepare-recipe": Case(PREPARE, "tiny.yaml", YAML, ("tiny.yaml", *COHORT), PREPARED, every=2),
    "train-recipe": Case(f"{RESUME} {TOO_FAR}", "tiny.yaml", YAML, TRAINED, every=2),
    "train-splits": Case(RESUME, "work/splits.json", JSON, TRAINED, every=2),
    "train-case": Case(RESUME, "work/prepared/case_00001/case.json", JSON, TRAINED, every=2),
    "train-last": Case(RESUME, f"{FOLD}/fine/last.ckpt", BINARY, TRAINED, (f"{FOLD}/fine/last.ckpt",)),
    "train-run": Case(RESUME, f"{FOLD}/run.json", JSON, TRAINED, every=2),
    "train-log": Case(RESUME, f"{FOLD}/fine/log.jsonl", JSONL, TRAINED, every=2),
    "train-fold-recipe": Case(RESUME, f"{FOLD}/recipe.yaml", YAML, TRAINED, every=2),
    "train-records": Case(
        ANEW, "work/prepared/case_00001/case_00001.fine.mindrecord", BINARY, TRAINED, (f"{FOLD}/fine/last.ckpt",)
    ),
    "train-records-index": Case(
        ANEW,
        "work/prepared/case_00001/case_00001.fine.mindrecord.db",
        BINARY,
        TRAINED,
        (f"{FOLD}/fine/last.ckpt",),
        every=2,
    ),
    # several recipes
    "compare-recipe": Case(
        "compare -c tiny.yaml --data data --work work --folds 7", "tiny.yaml", YAML, TRAINED, every=2
    ),
    "compare-splits": Case(
        "compare -c tiny.yaml --data data --work work --folds 7", "work/splits.json", JSON, TRAINED, every=2
    ),
    "budget-recipe": Case(
        f"budget -c tiny.yaml --work work --minutes 9 -o out.yaml {TOO_FAR}", "tiny.yaml", YAML, TRAINED, every=2
    ),
}
