"""The demo, end to end, on as little as will go through: everything it promises is there and says the same."""

from __future__ import annotations

import json

import nibabel as nib

from kidneyseg.cli import main

TINY = [
    "stages.coarse.train.epochs=1",
    "stages.coarse.train.sampler.per_epoch=4",
    "stages.coarse.network.depth=2",
    "stages.fine.train.epochs=1",
    "stages.fine.train.sampler.per_epoch=16",
    "stages.fine.network.depth=2",
    "stages.fine.sampling.size=[32,32]",
]


def test_demo_leaves_everything_it_names(tmp_path, capsys):
    work = tmp_path / "demo"
    status = main(["demo", "--work", str(work), "--cases", "5", "--device", "CPU", *TINY])
    printed = capsys.readouterr().out
    scores = json.loads((work / "fold0/scores.json").read_text())
    good = scores["mean"]["kidney"] >= 0.9 and scores["mean"]["tumour"] >= 0.6
    assert status == (0 if good else 1)
    for name in ("data", "fold0/coarse/best.ckpt", "fold0/fine/best.ckpt", "fold0/report.html", "mindir/fine.mindir"):
        assert (work / name).exists(), name
    held_out = json.loads((work / "splits.json").read_text())["folds"][0]["val"]
    assert [case["case"] for case in scores["cases"]] == held_out
    assert all(f"{case['kidney']:.3f}" in (work / "fold0/report.html").read_text() for case in scores["cases"])
    scan = nib.load(work / f"data/{held_out[0]}/imaging.nii.gz")
    mask = nib.load(work / f"predicted/{held_out[0]}.nii.gz")
    assert mask.shape == scan.shape and (mask.affine == scan.affine).all()
    assert str(work / "fold0/report.html") in printed and "| **mean** |" in printed
