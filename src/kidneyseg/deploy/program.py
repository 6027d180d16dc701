"""The C++ program that runs a stage's graph on all its tensors."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from kidneyseg.errors import InputError
from kidneyseg.system.environment import given_environment

LEFT_OUT = 1  # exit status if tensors were left out; they are named on stderr


@dataclass(frozen=True)
class Program:
    """The program ``kidneyseg_infer`` of ``ascend310_infer``, for one device.

    Attributes:
        path: path of the compiled program.
        device: CPU or Ascend310.
        device_id: number of the NPU.
    """

    path: Path
    device: str
    device_id: int

    def compute(self, graph: Path, batch: int, tensors: Path, out: Path, timing: Path) -> bool:
        """Run ``graph`` on a list of tensors.

        Args:
            graph: the exported graph.
            batch: batch size.
            tensors: manifest of the input tensors.
            out: folder for the results and their manifest.
            timing: file for the times.

        Returns:
            Whether all tensors were computed.

        Raises:
            InputError: the program does not exist, or failed completely.
        """
        command = [
            self.path,
            "--model",
            graph,
            "--batch",
            batch,
            "--manifest",
            tensors,
            "--out",
            out,
            "--timing",
            timing,
            "--device",
            self.device,
            "--device-id",
            self.device_id,
        ]
        try:
            done = subprocess.run(
                [str(word) for word in command], stderr=subprocess.PIPE, text=True, check=False, env=given_environment()
            )
        except OSError as error:
            raise InputError(
                self.path,
                expected="the inference program",
                found=error.strerror or str(error),
                remedy="Build it: bash ascend310_infer/build.sh",
            ) from None
        sys.stderr.write(done.stderr)
        if done.returncode not in (0, LEFT_OUT):
            raise InputError(
                graph,
                expected="a graph that the inference program can run",
                found=f"exit status {done.returncode}",
                remedy="See the program's messages above",
            )
        return done.returncode == 0
