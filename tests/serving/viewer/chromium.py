"""A headless Chromium for tests and pictures, spoken to over its debugging pipe with the standard library alone."""

from __future__ import annotations

import base64
import io
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless=new",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--hide-scrollbars",
    "--force-device-scale-factor=1",
    "--force-color-profile=srgb",
)
_SIZE = (1366, 660)  # what a browser's own bars leave of a 1366 x 768 laptop


def browser() -> str | None:
    """The program, or None where there is none."""
    return next((path for path in map(shutil.which, NAMES) if path), None)


class Chromium:
    """One page. `requests` are the addresses it asked for, `complaints` what it wrote to the console."""

    def __init__(self, *, size: tuple[int, int] = _SIZE) -> None:
        program = browser()
        if program is None:
            raise FileNotFoundError(f"no browser found, looked for {', '.join(NAMES)}")
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self._folder = tempfile.TemporaryDirectory(prefix="mrirecon-chromium-")
        (to_browser, self._out), (self._in, from_browser) = os.pipe(), os.pipe()
        extra = ["--no-sandbox"] if os.name == "posix" and os.geteuid() == 0 else []
        command = [program, *FLAGS, *extra, f"--window-size={size[0]},{size[1]}", "--remote-debugging-pipe"]
        self._log = (Path(self._folder.name) / "log").open("wb")
        wiring = f'exec 3<&{to_browser} 4>&{from_browser}; exec "$@"'
        self._process = subprocess.Popen(
            ["bash", "-c", wiring, "bash", *command, f"--user-data-dir={self._folder.name}/profile", "about:blank"],
            pass_fds=(to_browser, from_browser),
            stdout=self._log,
            stderr=self._log,
        )
        os.close(to_browser)
        os.close(from_browser)
        self._buffer, self._number, self._session = b"", 0, None
        targets = self.send("Target.getTargets")["targetInfos"]
        page = next(target["targetId"] for target in targets if target["type"] == "page")
        self._session = self.send("Target.attachToTarget", targetId=page, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.send(f"{domain}.enable")
        self.send(
            "Emulation.setDeviceMetricsOverride", width=size[0], height=size[1], deviceScaleFactor=1, mobile=False
        )

    def __enter__(self) -> Chromium:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the browser and remove its profile."""
        os.close(self._out)
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._in)
        self._log.close()
        for _ in range(20):  # its children go a moment later
            shutil.rmtree(self._folder.name, ignore_errors=True)
            if not Path(self._folder.name).exists():
                break
            time.sleep(0.1)
        self._folder._finalizer.detach()  # type: ignore[attr-defined]

    def send(self, method: str, *, seconds: float = 60.0, **parameters: Any) -> dict[str, Any]:
        """One command and its result; events that come before it are noted."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        end = time.monotonic() + seconds
        while True:
            answer = self._receive(end, method)
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return dict(answer["result"])
            self._note(answer)

    def open(self, url: str) -> None:
        """Go to a page; returns when its document is loaded."""
        self.send("Page.navigate", url=url)
        self.until("document.readyState === 'complete'")

    def run(self, script: str) -> Any:
        """The value of an expression; promises are waited for."""
        answer = self.send("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(json.dumps(answer["exceptionDetails"])[:2000])
        return answer["result"].get("value")

    def until(self, condition: str, *, seconds: float = 60.0) -> None:
        """Wait for an expression to be true."""
        end = time.monotonic() + seconds
        while not self.run(condition):
            if time.monotonic() > end:
                raise TimeoutError(f"{condition}; console: {self.complaints}")
            time.sleep(0.02)

    def ready(self) -> None:
        """Wait for the viewer to have drawn its first image."""
        self.until("Boolean(document.body && document.body.dataset.state)")
        self.settle()

    def settle(self) -> None:
        """Wait for the viewer to have drawn everything."""
        self.run("window.viewer ? viewer.settled().then(() => viewer.settled()).then(() => true) : true")

    def key(self, key: str, *, hold: bool = False) -> None:
        """Press a key, and let it go unless it is to be held."""
        text = {"text": key} if len(key) == 1 else {}
        codes = {"ArrowUp": 38, "ArrowDown": 40, "Home": 36, "End": 35, "PageUp": 33, "PageDown": 34, "Escape": 27}
        code = {"windowsVirtualKeyCode": codes[key]} if key in codes else {}
        self.send("Input.dispatchKeyEvent", type="keyDown", key=key, **text, **code)
        if not hold:
            self.release(key)
        self.settle()

    def release(self, key: str) -> None:
        """Let a held key go."""
        self.send("Input.dispatchKeyEvent", type="keyUp", key=key)
        self.settle()

    def drag(self, start: tuple[float, float], end: tuple[float, float], *, button: str = "left") -> None:
        """Press, move in steps, release."""
        mouse = {"button": button, "clickCount": 1}
        self.send("Input.dispatchMouseEvent", type="mousePressed", x=start[0], y=start[1], **mouse)
        for step in range(1, 5):
            x, y = (a + (b - a) * step / 4 for a, b in zip(start, end, strict=True))
            self.send("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y, button=button)
        self.send("Input.dispatchMouseEvent", type="mouseReleased", x=end[0], y=end[1], **mouse)
        self.settle()

    def click(self, x: float, y: float) -> None:
        """Press and release the left button."""
        self.drag((x, y), (x, y))

    def wheel(self, at: tuple[float, float], down: float) -> None:
        """Turn the wheel over a point."""
        self.send("Input.dispatchMouseEvent", type="mouseWheel", x=at[0], y=at[1], deltaX=0, deltaY=down)
        self.settle()

    def picture(self, path: Path | None = None) -> np.ndarray:
        """What is on the screen, (y, x, 3) of 0..255; also written to `path`."""
        data = base64.b64decode(self.send("Page.captureScreenshot", format="png")["data"])
        if path is not None:
            path.write_bytes(data)
        return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))

    def _receive(self, end: float, method: str) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self._in], [], [], left)[0]:
                raise TimeoutError(f"{method}: the browser does not answer")
            block = os.read(self._in, 1 << 20)
            if not block:
                raise RuntimeError(f"{method}: the browser ended: {Path(self._log.name).read_text()[-2000:]}")
            self._buffer += block
        message, _, self._buffer = self._buffer.partition(b"\0")
        return dict(json.loads(message))

    def _note(self, event: dict[str, Any]) -> None:
        method, content = event.get("method"), event.get("params", {})
        if method == "Network.requestWillBeSent":
            self.requests.append(content["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            details = content["exceptionDetails"]
            self.complaints.append(str(details.get("exception", {}).get("description", details["text"])))
        elif method == "Runtime.consoleAPICalled" and content["type"] in ("error", "warning", "assert"):
            self.complaints.append(" ".join(str(a.get("value", a.get("description"))) for a in content["args"]))
        elif method == "Log.entryAdded" and content["entry"]["level"] in ("error", "warning"):
            self.complaints.append(content["entry"]["text"])
