"""A page in a real headless browser: Chromium, spoken to over a pipe in its DevTools protocol, without a driver.

https://chromedevtools.github.io/devtools-protocol/ ; messages are JSON, ended by a zero byte, on descriptors 3 and 4.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import time
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


def chromium() -> str:
    """The browser's path, or skip: MRIRECON_CHROMIUM, or one of the usual names."""
    named = os.environ.get("MRIRECON_CHROMIUM")
    found = named or next((path for name in NAMES if (path := shutil.which(name))), None)
    if not found:
        pytest.skip("no headless browser: install chromium, or name one in MRIRECON_CHROMIUM")
    return found


class Browser:
    """One browser with one tab. Everything it is told by the page is kept: messages, errors and requests."""

    def __init__(self, process: subprocess.Popen[bytes], to: int, back: int, patience: float) -> None:
        self._process, self._to, self._back, self._patience = process, to, back, patience
        self._number, self._buffer, self._session = 0, b"", None
        self.events: list[dict[str, Any]] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> Any:
        """One command and its result."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next(f"an answer to {method}")
            if answer.get("id") == self._number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]
            self.events.append(answer)

    def open(self, path: Path, *, width: int, height: int = 900, dark: bool = False) -> None:
        """Load a file in a window of this size and wait until it is there with all pictures."""
        self.events.clear()
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.call("Page.navigate", url=path.resolve().as_uri())
        while not any(e.get("method") == "Page.loadEventFired" for e in self.events):
            self.events.append(self._next("the page"))
        self.value("Promise.all([...document.images].map(i => i.decode().catch(() => null))).then(() => 1)")

    def value(self, script: str) -> Any:
        """What a script in the page gives."""
        found = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def picture(self, path: Path) -> None:
        """The whole page as PNG."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], 16000), "scale": 1}
        data = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)["data"]
        path.write_bytes(b64decode(data))

    def printed(self, path: Path) -> None:
        """The page as PDF, as it would be printed on A4."""
        result = self.call("Page.printToPDF", paperWidth=8.27, paperHeight=11.69, printBackground=False)
        path.write_bytes(b64decode(result["data"]))

    def complaints(self) -> list[str]:
        """Errors and warnings of the console, and uncaught exceptions."""
        found = []
        for event in self.events:
            method, content = event.get("method"), event.get("params", {})
            if method == "Runtime.exceptionThrown":
                found.append(str(content["exceptionDetails"].get("text")))
            if method == "Log.entryAdded":
                found.append(content["entry"]["text"])
            if method == "Runtime.consoleAPICalled":
                found.append(f"console.{content['type']}")
        return found

    def requests(self) -> list[str]:
        """Addresses that were asked for, those inside the page (data:) left out."""
        sent = [e["params"]["request"]["url"] for e in self.events if e.get("method") == "Network.requestWillBeSent"]
        return [url for url in sent if not url.startswith("data:")]

    def _next(self, wanted: str) -> dict[str, Any]:
        end = time.monotonic() + self._patience
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._back], [], [], max(0.0, end - time.monotonic()))
            if not ready:
                raise TimeoutError(f"waited {self._patience} s for {wanted}")
            chunk = os.read(self._back, 1 << 20)
            if not chunk:
                raise RuntimeError(f"the browser ended (status {self._process.poll()}) before {wanted}")
            self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        return message


@contextmanager
def browser(profile: Path, *, patience: float = 120.0) -> Iterator[Browser]:
    """A browser with an empty profile; ended at the end."""
    path = chromium()
    theirs_in, ours_out = os.pipe()
    ours_in, theirs_out = os.pipe()
    options = [
        "--headless=new", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
        "--disable-background-networking", "--disable-component-update", "--no-first-run", "--hide-scrollbars",
        f"--user-data-dir={profile}",
    ]  # fmt: skip
    # the shell puts the pipes on the descriptors that the browser expects
    shell = f'exec 3<&{theirs_in} 4>&{theirs_out} && exec "$0" "$@"'
    process = subprocess.Popen(
        ["bash", "-c", shell, path, *options],
        pass_fds=(theirs_in, theirs_out),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(theirs_in)
    os.close(theirs_out)
    try:
        yield Browser(process, ours_out, ours_in, patience)
    finally:
        os.close(ours_out)
        os.close(ours_in)
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
