"""Bad input to every command: exit status 2, one line on stderr that helps, and nothing left behind."""

from __future__ import annotations

import pytest
from bad_inputs import Good, Inputs

from kidneyseg import cli

CHECK = "cohort check {data} "
SPLIT = "cohort split {data} --folds 2 --workers 1 "
PREPARE = "prepare -c {recipe} --data {data} --work {tmp}/out --folds 2 --workers 1 "
TRAIN = "train -c {recipe} --stage fine --device CPU "
EVAL = "eval --work {work} --device CPU "
PREDICT = "predict -m {model} -o {tmp}/out --device CPU -i "

ROWS = [  # command line, and what its error must say beside "expected" and "found"
    ("cohort check {tmp}/none", ["none", "no such folder", "Check the path"]),
    ("cohort check {file}", ["file", "a data folder", "Check the path"]),
    ("cohort check {dicom}", ["dicom", "DICOM files such as IM0001", "dcm2niix"]),
    ("cohort check {empty}", ["empty", "an empty folder", "Rename the files"]),
    (CHECK + "--workers 0", ["--workers", "at least 1", "Give 1 or more"]),
    ("cohort fingerprint {tmp}/none", ["none", "no such folder", "Check the path"]),
    ("cohort fingerprint {broken_scans} --workers 1", ["case_00000/imaging.nii.gz", "Copy or download it again"]),
    ("cohort fingerprint {nan_scans} --workers 1", ["imaging.nii.gz", "finite HU", "Convert the scan again"]),
    ("cohort fingerprint {other_spacing} --workers 1", ["segmentation.nii.gz", "affine", "drawn on this scan"]),
    (SPLIT + "--work {tmp}/out --folds 9", ["folds", "2 to 4", "fewer folds"]),
    (SPLIT + "--work {tmp}/out --seed -1", ["--seed", "0 or more"]),
    (SPLIT + "--work {file}", ["file", "a folder", "Give another"]),
    (SPLIT + "--work {broken_splits}", ["splits.json", "JSON", "Make it again"]),
    (SPLIT + "--work {other_splits}", ["splits.json", "other folds", "--overwrite"]),
    ("cohort split {no_masks} --work {tmp}/out", ["no_masks", "case_00001", "add the masks"]),
    ("cohort split {broken_masks} --work {tmp}/out --folds 2 --workers 1", ["segmentation.nii.gz", "download it"]),
    ("simulate {tmp}/out", ["--phantom N", "one folder", "Give the folder of masks"]),
    ("simulate {empty} {tmp}/out", ["empty", "KiTS masks", "case folders"]),
    ("simulate {data} {tmp}/out --cases case_7", ["data", "no case_7", "Check --cases"]),
    ("simulate {data} {tmp}/out --spacing 0 1 1", ["--spacing", "above 0 mm", "3.22 1.62 1.62"]),
    ("simulate {data} {foreign}", ["foreign", "files of other origin", "Give another folder"]),
    ("simulate {data} {other_simulation}", ["other_simulation", "one made with", "delete this one"]),
    ("simulate {data} {file}/out", ["file", "a folder", "Give another"]),
    ("simulate {data} {tmp}/out --seed -1", ["--seed", "0 or more"]),
    ("simulate {data} {tmp}/out --workers 0", ["--workers", "at least 1", "Give 1 or more"]),
    ("simulate {data} {tmp}/out --cysts", ["--cysts", "masks", "one or the other"]),
    ("simulate {data} {tmp}/out --phantom 2", ["LABELS", "--phantom", "one or the other"]),
    ("simulate {tmp}/out --phantom 2 --kits19", ["--kits19", "one or the other"]),
    ("simulate {tmp}/out --phantom 0", ["--phantom", "at least 1", "number of phantoms"]),
    ("simulate {tmp}/out --phantom 1 --workers 0", ["--workers", "at least 1"]),
    ("simulate {data} {tmp}/out --copies 2", ["--copies", "masks alone", "one or the other"]),
    ("simulate {data} {tmp}/out --onto {data} --copies 0", ["--copies", "at least 1", "Give 1 or more"]),
    ("simulate {data} {tmp}/out --onto {data} --spacing 3 2 2", ["--spacing", "--onto", "one or the other"]),
    ("simulate {data} {tmp}/out --onto {empty}", ["empty", "an empty folder", "Rename the files"]),
    ("simulate {data} {tmp}/out --onto {no_mask}", ["no_mask", "case_00001", "add the masks"]),
    ("simulate {tmp}/out --onto {data}", ["--phantom N", "one folder", "Give the folder of masks"]),
    ("simulate {tmp}/out --phantom 2 --onto {data}", ["--onto", "--phantom", "one or the other"]),
    ("simulate {foreign} --phantom 1", ["foreign", "files of other origin"]),
    ("doctor stages.fine.train.epochs=2", ["stages.fine.train.epochs=2", "-c RECIPE", "Name the recipe"]),
    ("prepare -c {tmp}/none.yaml --data {data} --work {tmp}/out", ["none.yaml", "No such file", "configs/mplab.yaml"]),
    ("prepare -c {not_yaml} --data {data} --work {tmp}/out", ["not_yaml.yaml", "valid YAML", "Correct that line"]),
    ("prepare -c {a_list} --data {data} --work {tmp}/out", ["a_list.yaml", "a mapping", "configs/mplab.yaml"]),
    ("prepare -c {misspelt} --data {data} --work {tmp}/out", ["misspelt.yaml", "epochz", "name"]),
    (PREPARE + "stages.fine.sampling.sise=3", ["tiny.yaml", "sise", "Did you mean 'size'?"]),
    (PREPARE + "stages.fine.region.crop=none", ["stages.1.region", "crop: none", "masked or confined"]),
    (PREPARE + "--folds 9", ["folds", "2 to 4", "fewer folds"]),
    (PREPARE + "--folds 0", ["folds", "2 to 4", "at least 2"]),
    (PREPARE + "--workers 0", ["--workers", "at least 1", "Give 1 or more"]),
    (PREPARE + "--seed -1", ["--seed", "0 or more"]),
    (PREPARE + "--data {tmp}/none", ["none", "no such folder", "Check the path"]),
    (PREPARE + "--data {empty}", ["empty", "an empty folder", "Rename the files"]),
    (PREPARE + "--data {no_masks}", ["no_masks", "case_00001", "add the masks"]),
    (PREPARE + "--data {same_names}", ["a.nii", "is called 'a' too", "Rename one of them"]),
    (PREPARE + "--data {label_7}", ["2 of 2 cases", "also [7]", "Correct or remove them"]),
    (PREPARE + "--data {other_shape}", ["segmentation.nii.gz", "shape", "Correct or remove them"]),
    (PREPARE + "--work {file}", ["file", "a folder", "Give another"]),
    (PREPARE + "--work {work} --folds 4", ["splits.json", "used by fold0", "Give another --work"]),
    (TRAIN + "--work {tmp}/none", ["none", "prepared data", "Run `kidneyseg prepare`"]),
    (TRAIN + "--work {broken_splits}", ["splits.json", "JSON", "Make it again"]),
    (TRAIN + "--work {work} --stage fin", ["stage 'fin'", "Did you mean 'fine'?"]),
    (TRAIN + "--work {work} --fold 2", ["fold 2", "0 to 1", "Name one of these folds"]),
    (TRAIN + "--work {work} --fold -1", ["--fold", "0 or more", "'-1'"]),
    (TRAIN + "--work {work} --device {absent}", ["device {absent}", "no {absent}", "--device CPU"]),
    (TRAIN + "--work {work} epochs", ["override 'epochs'", "KEY=VALUE", "stages.coarse.train.epochs=2"]),
    (TRAIN + "--work {work} stages.fin.train.epochs=2", ["'fin'", "Did you mean 'fine'?"]),
    (TRAIN + "--work {work} stages.fine.train.epochs=0", ["epochs", "greater than or equal to 1", "Correct the value"]),
    (TRAIN + "--work {untrained} stages.fine.network.name=unet4d", ["network.name", "'unet4d'", "Did you mean"]),
    (TRAIN + "--work {untrained} stages.fine.loss.name=dise", ["loss.name", "'dise'", "Did you mean"]),
    (TRAIN + "--work {untrained} stages.fine.train.precision=bfloat16", ["train.precision", "precision=float32"]),
    (TRAIN + "--work {untrained} stages.fine.sampling.size=[64,64]", ["prepared/", "others", "Run kidneyseg prepare"]),
    (TRAIN + "--work {no_case_json} --overwrite", ["case_00001", "no case.json", "Run kidneyseg prepare"]),
    (TRAIN + "--work {no_records} --overwrite", [".fine.mindrecord", "no such file", "run kidneyseg prepare"]),
    (TRAIN + "--work {cut_records} --overwrite", [".fine.mindrecord", "a broken MindRecord", "kidneyseg prepare"]),
    (TRAIN + "--work {changed_records} --overwrite", [".fine.mindrecord", "another SHA-256", "run kidneyseg prepare"]),
    (TRAIN + "--work {earlier_run}", ["fold0/fine", "one that was started before", "--resume", "--overwrite"]),
    (TRAIN + "--work {earlier_run} --resume stages.fine.train.seed=5", ["recipe.yaml", "another value of train"]),
    (TRAIN + "--work {earlier_run} --resume", ["fine/last.ckpt", "damaged", "Copy it again"]),
    ("eval --work {work} --fold one", ["--fold", "0 or more", "'one'"]),
    ("eval", ["options of eval", "--work DIR", "none", "--help"]),
    ("eval --work {work} --pred {masks}", ["options of eval", "--work and --pred", "--help"]),
    ("eval --pred {masks}", ["options of eval", "--truth", "--help"]),
    ("eval --work {tmp}/none", ["none", "prepared data", "Run `kidneyseg prepare`"]),
    (EVAL + "--fold 7", ["fold 7", "0 to 1", "Name one of these folds"]),
    (EVAL + "--fold 1", ["fold1", "model folder", "no such folder", "Give WORK/fold0"]),
    (EVAL + "--fold all -m {model}", ["--model", "--fold all", "Name the fold"]),
    (EVAL + "--data {no_mask}", ["no_mask", "case_0000", "`kidneyseg prepare` read"]),
    (EVAL + "-m {cut_checkpoint}", ["fine/best.ckpt", "damaged", "Copy it again"]),
    (EVAL + "stages.coarse.inference.overlp=0.5", ["overlp", "Did you mean 'overlap'?"]),
    (EVAL + "--device {absent}", ["device {absent}", "--device CPU"]),
    (EVAL + "--json {file}/scores.json", ["file", "a folder", "Give another"]),
    ("eval --work {moved_data} --device CPU", ["gone", "no such file", "--data"]),
    ("eval --pred {tmp}/none --truth {data}", ["none", "no such folder", "Check the path"]),
    ("eval --pred {empty} --truth {data}", ["empty", "none in it", "rename the masks"]),
    ("eval --pred {masks} --truth {empty}", ["empty", "none in it", "rename the masks"]),
    ("eval --pred {strangers} --truth {data}", ["strangers", "named like the truth", "Rename the predictions"]),
    ("eval --pred {masks_of_other_shape} --truth {data}", ["case_00000.nii.gz", "shape", "drawn on this scan"]),
    ("eval --pred {masks_elsewhere} --truth {data}", ["case_00000.nii.gz", "mm away", "drawn on this scan"]),
    ("eval --pred {soft_masks} --truth {data}", ["case_00000.nii.gz", "whole numbers", "Give the mask"]),
    ("eval --pred {masks} --truth {data} --workers 0", ["--workers", "at least 1", "Give 1 or more"]),
    ("eval --pred {masks} --truth {data} --out {file}/scores", ["file", "a folder", "Give another"]),
    ("predict -m {tmp}/none -o {tmp}/out -i {scan}", ["none", "model folder", "Give WORK/fold0"]),
    ("predict -m {no_checkpoint} -o {tmp}/out -i {scan}", ["fine/best.ckpt", "no such file", "--stage fine"]),
    ("predict -m {cut_checkpoint} -o {tmp}/out -i {scan} --device CPU", ["fine/best.ckpt", "damaged", "Copy it again"]),
    ("predict -m {other_network} -o {tmp}/out -i {scan} --device CPU", ["fine/best.ckpt", "of this recipe's network"]),
    (PREDICT + "{tmp}/ct.nii.gz", ["ct.nii.gz", "no such file", "Check the path"]),
    (PREDICT + "{empty}", ["empty", "an empty folder", "Rename the files"]),
    (PREDICT + "{truncated}", ["truncated/ct.nii.gz", "a broken one", "Copy or download it again"]),
    (PREDICT + "{one_bit}", ["one_bit/ct.nii.gz", "a broken one", "Copy or download it again"]),
    (PREDICT + "{eight_bits}", ["ct.nii.gz", "HU", "values from 0 to 255", "its DICOM files"]),
    (PREDICT + "{micrometres}", ["ct.nii.gz", "3000 x 1500 x 1500 mm", "micrometres"]),
    (PREDICT + "{dicom}", ["dicom", "DICOM files such as IM0001", "dcm2niix"]),
    (PREDICT + "{dicom}/IM0001", ["IM0001", "a DICOM file", "dcm2niix"]),
    (PREDICT + "{not_nifti}", ["not_nifti/ct.nii.gz", "a broken one", "Copy or download it again"]),
    (PREDICT + "{dicom_name}", ["ct.dcm", "ends in .nii.gz", "Convert it to NIfTI"]),
    (PREDICT + "{four_axes}", ["ct.nii.gz", "one 3-D volume", "(8, 8, 8, 2)", "one file per volume"]),
    (PREDICT + "{not_a_number}", ["ct.nii.gz", "1 voxels that are NaN", "Convert the scan again"]),
    (PREDICT + "{singular}", ["ct.nii.gz", "can be inverted", "Correct the sform"]),
    (PREDICT + "{no_orientation}", ["ct.nii.gz", "sform_code and qform_code 0", "set the sform"]),
    (PREDICT + "{two_of_one_name}/a/ct.nii.gz {two_of_one_name}/b/ct.nii.gz", ["b/ct.nii.gz", "different names"]),
    (PREDICT + "{scan} --device {absent}", ["device {absent}", "--device CPU"]),
    (PREDICT + "{scan} --json {file}/summary.json", ["file", "a folder", "Give another"]),
    (PREDICT + "{scan} --runtime openvino --device GPU", ["--runtime openvino", "--device CPU", "--runtime mindspore"]),
    (PREDICT + "{scan} --runtime openvino --precision float16", ["float32", "float16", "bfloat16"]),
    ("predict -m {model} -i {scan} -o {file}", ["file", "a folder", "Give another"]),
    ("predict -m {model} -i {scan} -o {scan_folder} --overwrite", ["scan", "scans in it", "Give another"]),
    ("budget -c {tmp}/none.yaml --work {tmp} --minutes 1 -o {tmp}/out/r.yaml", ["none.yaml", "No such file"]),
    ("budget -c {recipe} --work {tmp} --minutes 0 -o {tmp}/out/r.yaml", ["--minutes", "above 0", "'0'"]),
    ("compare -c {tmp}/none.yaml --data {data} --work {tmp}/out", ["none.yaml", "No such file"]),
    ("compare -c {recipe} --data {empty} --work {tmp}/out", ["empty", "an empty folder", "Rename the files"]),
    ("compare -c {recipe} --data {data} --work {file}", ["file", "a folder", "Give another"]),
    ("deploy {tmp}/none {scan} --program /bin/false --out {tmp}/out", ["none", "graphs", "kidneyseg export"]),
    ("deploy {model} {scan} --program /bin/false --out {tmp}/out", ["expected", "kidneyseg export"]),
    ("deploy {tmp}/none {scan} --program /bin/false --device-id one", ["--device-id", "0 or more", "'one'"]),
    ("export -m {tmp}/none -o {tmp}/out", ["none", "model folder", "Give WORK/fold0"]),
    ("export -m {no_checkpoint} -o {tmp}/out", ["fine/best.ckpt", "no such file", "--stage fine"]),
    ("export -m {empty_checkpoint} -o {tmp}/out", ["fine/best.ckpt", "damaged", "Copy it again"]),
    ("export -m {other_network} -o {tmp}/out", ["fine/best.ckpt", "parameters", "Use the recipe"]),
    ("export -m {model} -o {file}", ["file", "a folder", "Give another"]),
    ("export -m {model} -o {tmp}/out --batch 0", ["--batch", "from 1, dynamic or both", "'0'"]),
    ("report --work {work} --fold 3", ["fold3/scores.json", "No such file", "Run `kidneyseg eval` first"]),
    ("report --work {work} --fold -1", ["--fold", "0 or more", "'-1'"]),
    ("report --work {work}", ["scores.json", "No such file", "Run `kidneyseg eval` first"]),
    ("report --work {broken_scores}", ["scores.json", "cases: Input should be", "Run `kidneyseg eval` first"]),
    ("demo --work {tmp}/out --cases 1", ["--cases", "5 or more"]),
    ("demo --work {tmp}/out -c {tmp}/none.yaml", ["none.yaml", "No such file", "configs/mplab.yaml"]),
    ("demo --work {tmp}/out stages.fine.train.epochz=2", ["epochz", "Did you mean 'epochs'?"]),
    ("demo --work {tmp}/out --device {absent}", ["device {absent}", "--device CPU"]),
    ("demo --work {file}", ["file", "a folder", "Give another"]),
    ("benchmark --repeats 0", ["--repeats", "1 or more", "at least one step"]),
    ("benchmark --json {file}/speed.json", ["file", "a folder", "Give another"]),
    ("benchmark --small predict -m {model} -i {file}", ["--small", "predict after it", "Leave it out"]),
]


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    return Good.make(tmp_path_factory.mktemp("good"))


@pytest.mark.parametrize("line, words", ROWS, ids=[line for line, _ in ROWS])
def test_bad_input_is_one_line_and_status_2_and_leaves_nothing(good, tmp_path, monkeypatch, capsys, line, words):
    monkeypatch.chdir(tmp_path)
    inputs = Inputs(tmp_path, good)
    argv = [word.format_map(inputs) for word in line.split()]
    before = everything(tmp_path, good.data.parent)
    assert status_of(argv) == 2
    error = error_of(capsys.readouterr().err)
    assert error.startswith(f"kidneyseg {argv[0]}") and ": error: " in error
    for word in ("expected ", "found ", *words):
        assert word.format_map(inputs) in error
    assert everything(tmp_path, good.data.parent) == before


def status_of(argv):
    """Exit status; argparse, which checks the form of options, exits by itself."""
    try:
        return cli.main(argv)
    except SystemExit as stop:
        return stop.code


def error_of(stderr):
    """The one line on ``stderr``, beside the usage that argparse prints before it."""
    (error,) = (line for line in stderr.splitlines() if not line.startswith(("usage: ", " ")))
    return error


def everything(*folders):
    """All that is in ``folders`` with the time of its last change, hidden files too."""
    return {path: path.stat().st_mtime_ns for folder in folders for path in folder.rglob("*")}


def test_every_command_is_in_the_table():
    assert {line.split()[0] for line, _ in ROWS} == set(cli.COMMANDS)
