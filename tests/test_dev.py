"""The pure parts of dev.py; no environment is made here."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def dev():
    spec = importlib.util.spec_from_file_location("dev", ROOT / "dev.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def made_environment(dev, folder):
    python = dev.python_of(folder)
    python.parent.mkdir(parents=True)
    python.write_text("")
    return folder


def test_the_environment_can_be_elsewhere(dev, tmp_path):
    assert dev.folder({}) == ROOT / ".venv"
    assert dev.folder({"MRIRECON_VENV": str(tmp_path / "x")}) == tmp_path / "x"
    assert dev.folder({"MRIRECON_VENV": ""}) == ROOT / ".venv"


def test_windows_keeps_its_interpreter_elsewhere(dev):
    assert dev.python_of(Path("e"), system="nt") == Path("e/Scripts/python.exe")
    assert dev.python_of(Path("e"), system="posix") == Path("e/bin/python")


def test_installation_is_repeated_only_when_its_inputs_change(dev, tmp_path):
    for name in dev.INPUTS:
        (tmp_path / name).write_text("a")
    first = dev.fingerprint(tmp_path)
    assert dev.fingerprint(tmp_path) == first
    environment = made_environment(dev, tmp_path / "e")
    assert not dev.is_ready(environment, "demo", first)
    dev.marker(environment, "demo").write_text(first)
    assert dev.is_ready(environment, "demo", first)
    assert not dev.is_ready(environment, "dev", first)
    (tmp_path / "constraints.txt").write_text("b")
    assert not dev.is_ready(environment, "demo", dev.fingerprint(tmp_path))


def test_a_ready_environment_is_left_alone(dev, tmp_path, monkeypatch):
    environment = made_environment(dev, tmp_path / "e")
    dev.marker(environment, "demo").write_text(dev.fingerprint())
    monkeypatch.setattr(dev.subprocess, "run", lambda *a, **k: pytest.fail("nothing must be run"))
    dev.prepare(environment, "demo", {})


def test_pip_gets_the_extra_the_constraints_and_the_index(dev):
    command = [
        str(c) for c in dev.install_command(Path("e"), "dev", {"MRIRECON_TORCH_INDEX": "https://example.org/cpu"})
    ]
    assert command[-2:] == ["--editable", ".[dev]"]
    assert command[command.index("--constraint") + 1] == "constraints.txt"
    assert command[command.index("--extra-index-url") + 1] == "https://example.org/cpu"
    assert "--extra-index-url" not in dev.install_command(Path("e"), "dev", {})


def test_a_python_without_ensurepip_is_told_what_to_install(dev, tmp_path, monkeypatch):
    def refuse(folder, *, with_pip):
        raise subprocess.CalledProcessError(1, "ensurepip")

    monkeypatch.setattr(dev.venv, "create", refuse)
    monkeypatch.setattr(dev.shutil, "which", lambda name: None)
    monkeypatch.setattr(dev.subprocess, "run", lambda *a, **k: subprocess.CompletedProcess(a, 1))
    with pytest.raises(OSError, match="-venv, virtualenv, or uv"):
        dev.create(tmp_path / "e")


def test_a_failing_step_says_what_to_do(dev, tmp_path, monkeypatch, capsys):
    def fail(*arguments):
        raise subprocess.CalledProcessError(7, ["pip", "install"])

    monkeypatch.setenv("MRIRECON_VENV", str(tmp_path / "e"))
    monkeypatch.setattr(dev, "prepare", fail)
    assert dev.main(["demo"]) == 2
    message = capsys.readouterr().err
    assert "status 7: pip install" in message
    assert str(tmp_path / "e") in message


@pytest.mark.parametrize(("arguments", "words"), [([], "dev.py demo"), (["build"], "choose one of: demo, test")])
def test_it_says_how_it_is_used(arguments, words):
    done = subprocess.run(
        [sys.executable, str(ROOT / "dev.py"), *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert words in done.stderr


def test_it_needs_nothing_but_the_standard_library():
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import runpy; runpy.run_path({str(ROOT / 'dev.py')!r})"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
