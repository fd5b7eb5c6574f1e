#!/usr/bin/env python3
"""Make an environment and run something in it, with nothing but Python:

    python3 dev.py demo [arguments]     install, then run `mrirecon demo`
    python3 dev.py test [arguments]     install with the development tools, then run pytest

The environment is the folder .venv, or the one named by MRIRECON_VENV. It is installed into once, and again only when
pyproject.toml or constraints.txt change. MRIRECON_TORCH_INDEX names an additional package index for torch, for example
https://download.pytorch.org/whl/cpu for a build without CUDA.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent
INPUTS = ("pyproject.toml", "constraints.txt")
JOBS = {
    "demo": ("demo", ["-m", "mrirecon.cli", "demo"]),
    "test": ("dev", ["-m", "pytest"]),
}
OLDEST = (3, 11)


def main(arguments):
    """Run a job; the exit status is that of what was run."""
    if sys.version_info < OLDEST:
        return complain(
            f"Python {OLDEST[0]}.{OLDEST[1]} or newer is needed, this is {sys.version.split()[0]}: {sys.executable}"
        )
    if not arguments or arguments[0] in ("-h", "--help"):
        return complain(__doc__.strip())
    if arguments[0] not in JOBS:
        return complain(f"there is no job {arguments[0]!r}; choose one of: {', '.join(JOBS)}")
    extra, command = JOBS[arguments[0]]
    environment = folder(os.environ)
    try:
        prepare(environment, extra, os.environ)
    except subprocess.CalledProcessError as error:
        return complain(
            f"this step failed with status {error.returncode}: {' '.join(map(str, error.cmd))}\n"
            f"Its own message is above. If the environment is broken, delete {environment} and try again."
        )
    except OSError as error:
        return complain(f"{environment} cannot be made: {error}\nMRIRECON_VENV names another folder for it.")
    return subprocess.run([str(python_of(environment)), *command, *arguments[1:]], cwd=ROOT, check=False).returncode


def folder(variables):
    """Where the environment is."""
    named = variables.get("MRIRECON_VENV")
    return Path(named).expanduser().resolve() if named else ROOT / ".venv"


def python_of(environment, *, system=os.name):
    """The interpreter inside an environment."""
    return environment / ("Scripts/python.exe" if system == "nt" else "bin/python")


def fingerprint(root=ROOT):
    """Changes when what is to be installed changes."""
    digest = hashlib.sha256()
    for name in INPUTS:
        digest.update((root / name).read_bytes())
    return digest.hexdigest()


def is_ready(environment, extra, wanted):
    """Whether `extra` was installed there from the present inputs."""
    mark = marker(environment, extra)
    return python_of(environment).exists() and mark.is_file() and mark.read_text() == wanted


def marker(environment, extra):
    """The file that says so."""
    return environment / f".ready-{extra}"


def install_command(environment, extra, variables):
    """The pip call."""
    index = variables.get("MRIRECON_TORCH_INDEX")
    return [
        python_of(environment), "-m", "pip", "install", "--disable-pip-version-check",
        "--constraint", "constraints.txt", *(["--extra-index-url", index] if index else []),
        "--editable", f".[{extra}]",
    ]  # fmt: skip


def prepare(environment, extra, variables):
    """Make the environment and install into it, if that has not been done."""
    wanted = fingerprint()
    if is_ready(environment, extra, wanted):
        return
    if not python_of(environment).exists():
        say(f"Making the environment {environment}")
        create(environment)
    if subprocess.run([str(python_of(environment)), "-c", "import pip"], capture_output=True, check=False).returncode:
        run([python_of(environment), "-m", "ensurepip", "--upgrade"])  # made by uv, which leaves pip out
    say("Installing (a few minutes the first time: torch alone is about 200 MB without CUDA, 3 GB with it)")
    run(install_command(environment, extra, variables))
    marker(environment, extra).write_text(wanted)


def create(environment):
    """An environment with pip; by virtualenv or uv where Python came without ensurepip, as Debian's does."""
    try:
        venv.create(environment, with_pip=True)
        return
    except (subprocess.CalledProcessError, SystemExit):
        shutil.rmtree(environment, ignore_errors=True)
    if shutil.which("uv"):
        run(["uv", "venv", "--seed", "--python", sys.executable, environment])
    elif subprocess.run([sys.executable, "-c", "import virtualenv"], capture_output=True, check=False).returncode == 0:
        run([sys.executable, "-m", "virtualenv", environment])
    else:
        raise OSError(
            "this Python cannot make environments (no ensurepip). Install one of: "
            f"the package python{sys.version_info[0]}.{sys.version_info[1]}-venv, virtualenv, or uv"
        )


def run(command):
    """Run one step in the repository; CalledProcessError if it fails."""
    subprocess.run([str(part) for part in command], check=True, cwd=ROOT)


def say(text):
    """Progress goes to standard error: standard output is the job's."""
    print(text, file=sys.stderr, flush=True)


def complain(text):
    """Say what is wrong; the exit status for it."""
    say(text)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
