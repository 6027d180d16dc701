"""Imports run one way: a package knows those before it in the order below, and none after it. CONTRIBUTING.md has the
same order. ``cli`` loads commands by their names, and a command may run others through it."""

import ast
from pathlib import Path

import kidneyseg

ORDER = (
    "errors",
    "system",
    "recipe",
    "volume",
    "cohort",
    "simulation",
    "preprocessing",
    "nets",
    "losses",
    "cpu_kernels",
    "ascend_cells",
    "device",
    "training_data",
    "model_folder",
    "metrics",
    "report",
    "training",
    "export",
    "runtime",
    "inference",
    "evaluation",
    "deploy",
    "doctor",
    "benchmark",
    "cli",
    "commands",
    "__main__",
)
SOURCE = Path(kidneyseg.__file__).parent
MODULES = {
    ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__"): path
    for path in SOURCE.rglob("*.py")
}


def imports(module):
    """The modules of this project that one names in its imports, those inside functions and for types alone, too."""
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("kidneyseg."):
            package = node.module.removeprefix("kidneyseg.")
            for name in node.names:
                yield f"{package}.{name.name}" if f"{package}.{name.name}" in MODULES else package
        elif isinstance(node, ast.ImportFrom) and node.module == "kidneyseg":
            yield from (name.name for name in node.names if name.name in MODULES)
        elif isinstance(node, ast.Import):
            yield from (
                name.name.removeprefix("kidneyseg.") for name in node.names if name.name.startswith("kidneyseg.")
            )


def room(module):
    return module.split(".")[0]


def test_every_package_has_its_place_in_the_order():
    assert {room(module) for module in MODULES} - {"__init__"} == set(ORDER)


def test_no_import_runs_upwards():
    upward = [
        f"{module} imports {other}"
        for module in MODULES
        if room(module) != "__init__"
        for other in imports(module)
        if ORDER.index(room(other)) > ORDER.index(room(module))
    ]
    assert not upward


def test_no_imports_run_in_a_circle():
    """Within a package, too. A package's own ``__init__`` gathers its modules and is not counted."""
    known = {
        module: {other for other in imports(module) if other != module and not f"{module}.".startswith(f"{other}.")}
        for module in MODULES
    }
    while leaves := {module for module, others in known.items() if not others & known.keys()}:
        known = {module: others for module, others in known.items() if module not in leaves}
    assert not known
