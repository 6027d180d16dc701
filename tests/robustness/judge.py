"""What is wrong with how a command took its input."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
from cases import Case
from damage import OTHER, SAME
from runner import Outcome

DAMAGED_CASE = "case_00001"  # the item of a batch whose file is damaged, see `cases`
OURS = {"stdout", "stderr"}  # of the fork server
KEPT = {".lock", ".kidneyseg"}  # hidden, but no leftovers: the lock of `prepare`, what `predict` notes of its masks
# Keys of what differs from run to run: times, places, the digest of a MindIR, which MindSpore never writes the same.
PASSING = {"seconds", "samples_per_s", "started", "modified", "image", "label", "git", "machine", "sha256"}


@dataclass(frozen=True)
class Reference:
    """How the command took the undamaged input: its exit status and all files afterwards, see `read_files`."""

    status: int
    files: dict[str, str]


def read_files(folder: Path) -> dict[str, str]:
    """What every file below ``folder`` says, as a digest, by its path; hidden files too.

    Masks count by their voxels and geometry, JSON without times and places, other files byte for byte.
    """
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): _digest(path) for path in files}


def faults(
    case: Case, effect: str, reference: Reference, outcome: Outcome, before: dict[str, str], after: dict[str, str]
) -> list[str]:
    """What must not be, in words; nothing when all is well.

    Args:
        effect: of the damage, see `damage`.
        before, after: `read_files` of the folder the command ran in.
    """
    if outcome.hung:
        return ["hung"]
    return [
        *_ending(case, outcome),
        *_leftovers(before, after),
        *_lost(case, outcome, reference, before, after),
        *_results(case, effect, reference, outcome, after),
    ]


def _ending(case: Case, outcome: Outcome) -> list[str]:
    said = outcome.stdout + outcome.stderr
    found = []
    if "Traceback (most recent call last)" in said:
        found.append("traceback")
    elif outcome.status not in (0, 1, 2):
        found.append(f"died: status {outcome.status}")
    elif outcome.status and not case.line.startswith("cohort check"):
        if not all(word in outcome.stderr for word in (": error: ", "expected ", "found ")):
            found.append("no error in the form of InputError")
    if outcome.left:
        found.append(f"{outcome.left} processes left behind")
    return found


def _leftovers(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """Temporary files: hidden ones, and those in tmp/."""
    return [
        f"left behind: {path}"
        for path in sorted(after.keys() - before.keys())
        if path.startswith("tmp/") or is_hidden(path)
    ]


def is_hidden(path: str) -> bool:
    """Whether a part of ``path`` is hidden, other than those that commands keep."""
    return any(part.startswith(".") and part not in KEPT for part in Path(path).parts)


def _lost(
    case: Case, outcome: Outcome, reference: Reference, before: dict[str, str], after: dict[str, str]
) -> list[str]:
    """After a refusal: files that are gone, or neither as they were nor as a run that succeeds leaves them."""
    if outcome.status == 0:
        return []
    found = [f"gone: {path}" for path in before.keys() - after.keys()]
    for path in sorted(after.keys() - OURS):
        if path in case.shared and not after[path].startswith("unreadable") and DAMAGED_CASE in outcome.stderr:
            continue
        if after[path] not in (before.get(path), reference.files.get(path)) and not KEPT & set(Path(path).parts):
            found.append(f"{'changed' if path in before else 'half-written'}: {path}")
    return found


def _results(case: Case, effect: str, reference: Reference, outcome: Outcome, after: dict[str, str]) -> list[str]:
    found = [
        f"not done because of another file: {path}" for path in case.others if after.get(path) != reference.files[path]
    ]
    if effect == SAME and outcome.status != reference.status:
        return [*found, "a legal file of the same meaning is refused"]
    if outcome.status == 0:
        for path in case.results:
            if path not in after or after[path].startswith("unreadable"):
                found.append(f"exit status 0 without a readable {path}")
            elif effect != OTHER and after[path] != reference.files[path]:
                found.append(f"exit status 0 with another {path}")
    return found


def _digest(path: Path) -> str:
    try:
        if path.name.endswith((".nii.gz", ".nii")):
            content = _image(path)
        elif path.suffix == ".json" or path.name == "stdout":
            content = _json(path.read_text())
        elif path.suffix == ".jsonl":
            content = b"\n".join(map(_json, path.read_text().splitlines()))
        else:
            content = path.read_bytes()
    except Exception:  # nibabel raises whatever it trips over; damaged inputs are looked at here too
        return f"unreadable: {hashlib.sha256(path.read_bytes()).hexdigest()}"
    return hashlib.sha256(content).hexdigest()


def _image(path: Path) -> bytes:
    image = nib.load(path)
    voxels = np.asanyarray(image.dataobj)
    return repr((voxels.shape, voxels.dtype, image.affine.tolist())).encode() + voxels.tobytes()


def _json(text: str) -> bytes:
    return json.dumps(_lasting(json.loads(text)), sort_keys=True).encode()


def _lasting(tree: object) -> object:
    """JSON without what differs from run to run."""
    if isinstance(tree, dict):
        return {key: _lasting(value) for key, value in tree.items() if key not in PASSING}
    return [_lasting(value) for value in tree] if isinstance(tree, list) else tree
