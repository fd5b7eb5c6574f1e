"""Do the standard deviation maps of a checkpoint mean what they say? Coverage before and after one factor.

    python -m pipelines.calibrate_uncertainty --checkpoint mri-small --data ROOT --out DIR [--config ...] [--limit n]
        [--write-card FOLDER]

Writes uncertainty.json and uncertainty.png: the calibration curve, and the error against the predicted standard
deviation. With --write-card the result goes into the card of a checkpoint folder or file, JSON and Markdown; from then
on its standard deviations are multiplied by the factor.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from mrirecon.evaluation.table import aligned
from mrirecon.jobs.compare import CompareOptions
from mrirecon.jobs.compare_uncertainty import calibrate_uncertainty, load_uncertainty_config, uncertainty_card
from mrirecon.jobs.reporting import StandardError
from mrirecon.training.card import read_card
from mrirecon.training.checkpoint import find_checkpoint, record_uncertainty

CHECKOUT = Path(__file__).parents[1]


def main(*argv: str) -> None:
    p = argparse.ArgumentParser(formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    p.add_argument("--config", type=Path, default=CHECKOUT / "configs" / "compare-uncertainty-mri.yaml")
    p.add_argument("--checkpoint", required=True)
    p.add_argument("--data", type=Path, help="root of the data; MRIRECON_DATA when left out")
    p.add_argument("--specs", type=Path, default=CHECKOUT / "data_specs", help="data specifications")
    p.add_argument("--out", type=Path, required=True)
    p.add_argument("--limit", type=int, help="images per subject and setting")
    p.add_argument("--device", default="cpu")
    p.add_argument("--write-card", type=Path, metavar="CHECKPOINT", help="folder or .safetensors file of these weights")
    arguments = p.parse_args(argv or None)
    options = CompareOptions(arguments.data, arguments.specs, limit=arguments.limit, device=arguments.device)
    config = load_uncertainty_config(arguments.config)
    card = None  # read before hours of sampling
    if arguments.write_card is not None:
        card = read_card(find_checkpoint(arguments.write_card).with_suffix(".json"))
    report = calibrate_uncertainty(config, arguments.checkpoint, arguments.out, options, StandardError())
    if card is not None:
        command = f"python -m pipelines.calibrate_uncertainty --config configs/{arguments.config.name}"
        limit = "" if arguments.limit is None else f" --limit {arguments.limit}"
        found = uncertainty_card(report, config, card, f"{command} --checkpoint {card.name}{limit}")
        record_uncertainty(arguments.write_card, found)
    rows = [
        [name, f"{100 * c['coverage_before']:.1f}", f"{100 * c['coverage_after']:.1f}"]
        for name, c in [("all", report), *report["by_subject"].items(), *report["by_setting"].items()]
    ]
    print(f"factor {report['factor']:.3f}; rank correlation of |error| and std {report['rank_correlation']:.2f}\n")
    print(aligned([f"coverage of the {100 * report['level']:g} % interval, %", "as sampled", "after the factor"], rows))


if __name__ == "__main__":
    main()
