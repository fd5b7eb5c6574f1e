"""An acceleration study from end to end: scans to scores, figures and a report, in minutes on two cores.

    python -m pipelines.acceleration_study --data ROOT --out DIR [--workers 2] [--config configs/study-small.yaml]

Run from the checkout. DIR gets the converted knee, the configuration as it was run, and ``study/`` with the cells,
``scores.csv`` and ``report.html``. Run it again after an interruption: it goes on where it stopped.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import yaml
from scipy.io import loadmat

from mrirecon.data.spec import load_data_spec, split_files
from mrirecon.data.volumes import data_root
from mrirecon.io.atomic import atomic_file
from mrirecon.jobs.reporting import StandardError
from mrirecon.jobs.study.run import StudyOptions, run_study
from mrirecon.jobs.study.status import describe_study
from mrirecon.jobs.study_report import write_report

CHECKOUT = Path(__file__).parents[1]
KNEE = "single-coil-knee"


def converted_knee(root: Path, folder: Path) -> Path:
    """The knee's MATLAB array as a NumPy file (coil, ky, kx) with a card that says what it is."""
    (source,) = split_files(load_data_spec(CHECKOUT / "data_specs" / f"{KNEE}.yaml"), "test", root)
    path = folder / f"{KNEE}.npy"
    if not path.is_file():
        kspace = np.asarray(loadmat(source)["dat"], dtype=np.complex64)[np.newaxis]
        with atomic_file(path.with_suffix(".json"), overwrite=True) as temporary:
            temporary.write_text(json.dumps({"phase_encoding_axis": "y", "body_part": "KNEE"}), encoding="utf-8")
        with atomic_file(path) as temporary, temporary.open("wb") as file:
            np.save(file, kspace)
    return path


def configured(template: Path, root: Path, out: Path) -> Path:
    """The configuration with the knee where it was converted to."""
    content = yaml.safe_load(template.read_text(encoding="utf-8"))
    for choice in content["inputs"].values():
        if choice.get("files") == f"{KNEE}.npy":
            choice["files"] = str(converted_knee(root, out).absolute())
    path = out / template.name
    with atomic_file(path, overwrite=True) as temporary:
        temporary.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return path


def main(*argv: str) -> None:
    p = argparse.ArgumentParser(formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    p.add_argument("--config", type=Path, default=CHECKOUT / "configs" / "study-small.yaml")
    p.add_argument("--data", type=Path, help="root of the data; MRIRECON_DATA when left out")
    p.add_argument("--out", type=Path, required=True)
    p.add_argument("--workers", type=int, default=2)
    arguments = p.parse_args(argv or None)
    root = data_root(arguments.data)
    config = configured(arguments.config, root, arguments.out)
    options = StudyOptions(
        data=root,
        specs=CHECKOUT / "data_specs",
        workers=arguments.workers,
        command=f"python -m pipelines.acceleration_study --config {arguments.config.name}",
    )
    reporter = StandardError()
    outcome = run_study(config, arguments.out / "study", options, reporter)
    write_report(arguments.out / "study", reporter)
    print(describe_study(outcome.results))


if __name__ == "__main__":
    main()
