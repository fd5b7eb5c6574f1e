"""Dependencies point downwards, and every third-party package is confined to its rooms: read from the imports."""

import ast
import sys
from functools import lru_cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "mrirecon"

# The layer diagram: what a room may import besides itself. Rooms in one row do not know each other.
FOUNDATION = {"errors", "shapes", "records", "memory"}
LINALG = FOUNDATION | {"linalg"}
MRI = LINALG | {"mri"}
SCAN = FOUNDATION | {"linalg", "scan"}
IO = SCAN | {"io"}
OPERATORS = LINALG | {"operators"}
PRIORS = OPERATORS | {"priors"}
NETWORKS = LINALG | {"networks"}
DIFFUSION = PRIORS | NETWORKS | {"diffusion"}
RECONSTRUCTION = DIFFUSION | MRI | IO | {"reconstruction"}
EDGE = RECONSTRUCTION | {"transforms", "data", "metrics"}
TRAINING = EDGE | {"checkpoints", "training"}  # loading a checkpoint finds the released ones in their folder
APPLIED = TRAINING | {"evaluation", "serving"}
CONFIG = APPLIED | {"config"}
JOBS = CONFIG | {"jobs"}
ALLOWED = {
    "": {"errors"},
    "errors": set(),
    "shapes": set(),
    "records": {"errors"},
    "memory": set(),
    "linalg": LINALG,
    "operators": OPERATORS,
    "mri": MRI,
    "scan": SCAN,
    "io": IO,
    "priors": PRIORS,
    "networks": NETWORKS,
    "diffusion": DIFFUSION,
    "reconstruction": RECONSTRUCTION,
    "metrics": LINALG | {"metrics"} | PRIORS,
    "transforms": EDGE - {"metrics", "data"},
    "data": EDGE - {"metrics", "transforms"},
    "checkpoints": set(),
    "training": TRAINING,
    "evaluation": EDGE | {"evaluation"},
    "serving": EDGE | {"serving"},
    "config": CONFIG,
    "jobs": JOBS,
    "cli": JOBS | {"cli"},
}

ANYWHERE = {"numpy", "torch", "scipy", "einops", "yaml"}
CONFINED = {
    "monai": ("transforms/", "data/"),
    "pydicom": ("io/dicom/",),
    "pynetdicom": ("serving/dicom_network",),  # of the `pacs` extra: associations with an archive
    "highdicom": ("io/dicom/",),
    "nibabel": ("io/nifti/",),
    "h5py": ("io/fastmri", "io/ismrmrd/", "io/hdf5"),
    "ismrmrd": ("io/ismrmrd/",),
    "twixtools": ("io/twix/",),
    "PIL": ("io/raster/", "io/picture"),
    "pywt": ("linalg/wavelet", "linalg/lattice"),
    "tqdm": ("cli", "jobs/"),
    "safetensors": ("training/", "networks/", "metrics/perceptual"),
    "sigpy": ("operators/external",),
    "deepinv": ("operators/external",),
    "mrpro": ("operators/external",),
    "fastmri": ("reconstruction/learned/",),
    "lpips": ("metrics/perceptual",),
    "cryptography": ("evaluation/readers/key",),  # of the `study` extra: keys of reader studies with a passphrase
    "matplotlib": ("evaluation/plots", "evaluation/report/plots"),  # of the `study` extra: the figures of reports
    "pyarrow": ("evaluation/study/tables",),  # of the `tables` extra: scores.parquet beside scores.csv
    "dask": ("jobs/study/dask_cluster",),
    "distributed": ("jobs/study/dask_cluster",),  # of the `cluster` extra, with Dask and dask-jobqueue
    "dask_jobqueue": ("jobs/study/dask_cluster",),
    "torchvision": (),
    "dipy": (),
}

FILES = sorted(PACKAGE.rglob("*.py"))


@lru_cache
def imports(path):
    """(module, line, lazy) of every import in a file, relative ones resolved, `from x import y` as x and x.y."""
    package = ["mrirecon", *path.relative_to(PACKAGE).parts[:-1]]
    found = []
    tree = ast.parse(path.read_text())
    top = set(map(id, tree.body))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, node.lineno, id(node) not in top) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            found.append((module, node.lineno, id(node) not in top))
            if module == "mrirecon":
                found += [(f"{module}.{alias.name}", node.lineno, id(node) not in top) for alias in node.names]
    return tuple(found)


def room_of(path):
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return "" if parts == ("__init__",) or parts == ("__main__",) else parts[0]


def is_room(name):
    return (PACKAGE / name).is_dir() or (PACKAGE / f"{name}.py").is_file()


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.relative_to(PACKAGE).as_posix())
def test_imports_point_downwards(path):
    room = room_of(path)
    assert room in ALLOWED, f"{path} is in no room of the layer diagram; add `{room}` to it in design and test"
    allowed = ALLOWED[room] | {room}
    for module, line, _ in imports(path):
        parts = module.split(".")
        if parts[0] != "mrirecon" or len(parts) == 1 or not is_room(parts[1]):
            continue
        assert parts[1] in allowed, (
            f"{path.relative_to(ROOT)}:{line} imports {module}; `{room or 'mrirecon'}` may import only from: "
            f"{', '.join(sorted(allowed - {room}))}"
        )


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.relative_to(PACKAGE).as_posix())
def test_third_party_packages_stay_in_their_rooms(path):
    place = path.relative_to(PACKAGE).with_suffix("").as_posix()
    for module, line, _ in imports(path):
        name = module.split(".")[0]
        if name in sys.stdlib_module_names or name in ANYWHERE or name == "mrirecon":
            continue
        where = f"{path.relative_to(ROOT)}:{line} imports {name}"
        assert name in CONFINED, f"{where}, which is no dependency of the package; add it to the list and say where"
        assert any(place.startswith(room) for room in CONFINED[name]), (
            f"{where}, which belongs to {', '.join(CONFINED[name]) or 'the tests only'}"
        )


def test_nothing_else_is_imported_relatively_or_dynamically():
    """Dynamic imports would escape this test."""
    allowed = {"io/base.py"}
    for path in FILES:
        place = path.relative_to(PACKAGE).as_posix()
        names = {node.id for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Name)}
        assert "__import__" not in names or place in allowed, f"{place} imports dynamically"
        if any(module == "importlib" for module, _, _ in imports(path)):
            text = path.read_text()
            assert "import_module" not in text or place in allowed, f"{place} imports dynamically"


def test_the_layers_have_no_cycle():
    """The table itself is an order: no two rooms may import each other."""
    for room, allowed in ALLOWED.items():
        for other in allowed - {room}:
            assert room not in ALLOWED[other] or room == other, f"{room} and {other} may import each other"


def test_files_are_lower_case_and_not_catch_alls():
    for path in FILES:
        assert path.name == path.name.lower()
        assert path.stem not in {"utils", "util", "helpers", "helper", "manager", "handler", "misc", "common"}, path


def test_the_walk_sees_a_breach(tmp_path, monkeypatch):
    """This test can fail: a file of `linalg` that imports `jobs` and pydicom is caught."""
    monkeypatch.setitem(globals(), "PACKAGE", tmp_path)
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    (tmp_path / "linalg").mkdir()
    (tmp_path / "jobs").mkdir()
    bad = tmp_path / "linalg" / "bad.py"
    bad.write_text("def f():\n    from ..jobs import reconstruct\n    import pydicom\n")
    with pytest.raises(AssertionError, match=r"linalg/bad.py:2 imports mrirecon.jobs"):
        test_imports_point_downwards(bad)
    with pytest.raises(AssertionError, match="io/dicom"):
        test_third_party_packages_stay_in_their_rooms(bad)
