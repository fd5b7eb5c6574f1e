"""Does the shift alarm of a checkpoint tell other anatomy, contrast and phantoms from scans like its training?

    python -m pipelines.shift_alarm --checkpoint mri-small --data ROOT --out DIR [--config ...] [--write-card FILE]

Simulates scans of training people (to fit), of other people (for the threshold), and of knee, heart, phantom and
neck, all alike; and takes measured data as they are. Prints the AUROC of every group with its interval, and writes
shift.json. With --write-card the calibration goes into the card of a checkpoint folder or file, JSON and Markdown;
from then on `mrirecon recon --method unfolded` judges scans with it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from mrirecon.evaluation.table import aligned
from mrirecon.jobs.calibrate_shift import calibrate_shift, load_shift_config
from mrirecon.jobs.reporting import StandardError
from mrirecon.training.card import read_card
from mrirecon.training.checkpoint import find_checkpoint, record_shift

CHECKOUT = Path(__file__).parents[1]


def main(*argv: str) -> None:
    p = argparse.ArgumentParser(formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    p.add_argument("--config", type=Path, default=CHECKOUT / "configs" / "shift-alarm-mri.yaml")
    p.add_argument("--checkpoint", required=True)
    p.add_argument("--data", type=Path, help="root of the data; MRIRECON_DATA when left out")
    p.add_argument("--specs", type=Path, default=CHECKOUT / "data_specs", help="data specifications")
    p.add_argument("--out", type=Path, required=True)
    p.add_argument("--device", default="cpu")
    p.add_argument("--write-card", type=Path, metavar="CHECKPOINT", help="folder or .safetensors file of these weights")
    arguments = p.parse_args(argv or None)
    if arguments.write_card is not None:  # before hours of profiles
        sources = (arguments.checkpoint, arguments.write_card)
        used, written = (read_card(find_checkpoint(source).with_suffix(".json")) for source in sources)
        if written.weights_sha256 != used.weights_sha256:
            p.error(f"--write-card {arguments.write_card} holds other weights than --checkpoint {arguments.checkpoint}")
    config = load_shift_config(arguments.config)
    name = Path(arguments.checkpoint).name
    command = f"python -m pipelines.shift_alarm --config configs/{arguments.config.name} --checkpoint {name}"
    found = calibrate_shift(
        config,
        arguments.checkpoint,
        arguments.out,
        StandardError(),
        specs=arguments.specs,
        root=arguments.data,
        command=command,
        device=arguments.device,
    )
    if arguments.write_card is not None:
        record_shift(arguments.write_card, found.card)
    rows = [
        [s.group + kind, f"{s.auroc:.3f}", f"{s.low:.3f} to {s.high:.3f}", f"{100 * s.detected:.0f}", f"{s.scans}",
         f"{s.subjects}"]
        for kind, some in (("", found.card.separations), (", measured", found.measured))
        for s in some
    ]  # fmt: skip
    rate = 100 * found.card.false_alarm_rate
    print(f"threshold {found.card.threshold:.3f}, exceeded by {rate:g} % of {', '.join(found.card.subjects)}\n")
    print(aligned(["group", "AUROC", "95 % interval", "found, %", "scans", "subjects"], rows))
    alarms = {**found.false_alarms, **found.measured_false_alarms}
    print("\nfalse alarms, % (people: threshold of the others)")
    print(aligned(["usual scans", "%"], [[who, f"{100 * share:.0f}"] for who, share in alarms.items()]))


if __name__ == "__main__":
    main()
