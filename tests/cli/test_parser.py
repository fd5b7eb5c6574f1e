"""The command line as a whole: every command explains itself, and explaining costs no framework."""

import subprocess
import sys

import pytest

from mrirecon.cli import COMMANDS, main, parser

HEAVY = ("torch", "numpy", "scipy", "monai", "pydicom", "nibabel", "h5py", "matplotlib")


def test_help_imports_no_framework():
    """In a new process, with the options of every command declared."""
    code = f"import sys; from mrirecon.cli import parser; parser(); print(*set({HEAVY!r}) & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == ""


def test_every_command_has_help_and_something_to_run(capsys):
    commands = next(action for action in parser()._actions if action.dest == "command").choices
    assert len(commands) == len(COMMANDS)
    for name in commands:
        with pytest.raises(SystemExit) as leaving:
            main([name, "--help"])
        assert leaving.value.code == 0
        assert f"mrirecon {name}" in capsys.readouterr().out


def test_an_unknown_command_is_named(capsys):
    with pytest.raises(SystemExit) as leaving:
        main(["reconstruct"])
    assert leaving.value.code == 2
    assert "reconstruct" in capsys.readouterr().err


def test_the_module_runs_as_a_program():
    found = subprocess.run(
        [sys.executable, "-m", "mrirecon.cli", "--version"], capture_output=True, text=True, check=True
    )
    assert found.stdout.startswith("mrirecon ")
