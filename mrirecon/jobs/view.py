"""The `view` job: a page on this machine that shows a folder of results, until it is interrupted."""

from __future__ import annotations

import html
import os
import tempfile
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mrirecon.jobs.reporting import Reporter
from mrirecon.serving.viewer.folder import study_folders
from mrirecon.serving.viewer.server import ViewerServer


@dataclass(frozen=True)
class ViewOptions:
    """What `view` was asked for, beside the folder.

    Parameters
    ----------
    reference, classical
        Results, a DICOM series or a NIfTI file to show beside the reconstruction.
    port
        0 takes a free one.
    browser
        Whether to open the page in the user's browser.
    """

    reference: Path | None = None
    classical: Path | None = None
    port: int = 0
    browser: bool = True


def view(folder: Path, options: ViewOptions, reporter: Reporter) -> None:
    """Serve the page of a folder on the loopback interface until the keyboard interrupt.

    Raises
    ------
    FormatError
        If the folder holds nothing to show.
    OutputError
        If the port cannot be had.
    """
    folders = study_folders(folder)
    with (
        ViewerServer(folders, reference=options.reference, classical=options.classical, port=options.port) as server,
        _doorway(server.url) as door,
    ):
        server.prepare()
        reporter.say(f"{folder}: {len(folders)} {'study' if len(folders) == 1 else 'studies'}, at")
        reporter.say(f"  {server.url}")
        reporter.say("Whoever has this address sees the images from this machine; Ctrl-C ends it.")
        if options.browser and not webbrowser.open(door.as_uri()):
            reporter.say("No browser was found; open the address in one.")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            reporter.say("ended")


@contextmanager
def _doorway(url: str) -> Iterator[Path]:
    """A file that only this user can read and that leads to `url`.

    The browser is started with its name instead of the address, because other users can see the arguments of programs.
    """
    with tempfile.TemporaryDirectory(prefix="mrirecon-view-") as folder:
        path = Path(folder) / "open.html"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            quoted = html.escape(url, quote=True)
            file.write(
                '<!DOCTYPE html><meta charset="utf-8"><meta name="referrer" content="no-referrer">'
                f'<meta http-equiv="refresh" content="0;url={quoted}"><a href="{quoted}">mrirecon view</a>\n'
            )
        yield path
