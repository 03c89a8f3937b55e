"""A headless Chromium, spoken to in the DevTools protocol over a pipe: no driver, no download."""

import json
import os
import shutil
import subprocess
import time
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
OPTIONS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync "
    "--remote-debugging-pipe"
)
PATIENCE = 60  # seconds


class Page:
    """A page in the browser. Exceptions of its scripts are kept in `errors`."""

    def __init__(self, reads: int, writes: int):
        self.reads, self.writes, self.received = reads, writes, b""
        self.number, self.session = 0, None
        self.errors: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self.session = attached["sessionId"]
        self.call("Runtime.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self.number += 1
        message: dict[str, Any] = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.writes, json.dumps(message).encode() + b"\0")
        while (answer := self._receive()).get("id") != self.number:
            if answer.get("method") == "Runtime.exceptionThrown":
                self.errors.append(json.dumps(answer["params"])[:2000])
        assert "error" not in answer, answer
        return answer["result"]

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self.received:
            part = os.read(self.reads, 1 << 20)
            assert part, "the browser has ended"
            self.received += part
        message, _, self.received = self.received.partition(b"\0")
        return json.loads(message)

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression, as JSON brings it over."""
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def open(self, address: str, ready: str) -> None:
        """Opens a page, and waits until the expression `ready` is true there."""
        self.call("Page.navigate", url="about:blank")  # else a new fragment would load nothing
        self.wait("location.href === 'about:blank'")
        self.call("Page.navigate", url=address)
        self.wait(ready)

    def wait(self, expression: str) -> None:
        """Waits until an expression is true."""
        end = time.monotonic() + PATIENCE
        while not self.evaluate(expression):
            assert time.monotonic() < end, self.errors or f"{expression} never was true"
            time.sleep(0.05)

    def resize(self, width: int, height: int) -> None:
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.call("Emulation.setDeviceMetricsOverride", **metrics)

    def press(self, key: str, code: int) -> None:
        """A key goes down and up again, where the focus is. code: its Windows key code"""
        for kind in ("rawKeyDown", "keyUp"):
            about = {"key": key, "code": key, "windowsVirtualKeyCode": code}
            self.call("Input.dispatchKeyEvent", type=kind, **about)

    def save_screenshot(self, path: Path) -> None:
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=False)
        path.write_bytes(b64decode(shot["data"]))


@contextmanager
def open_browser(profile: Path) -> Iterator[Page]:
    """A page of a new browser; skips the test where there is no Chromium."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.skip(f"needs a Chromium in PATH, by one of the names {', '.join(NAMES)}")
    from_us, to_us = os.pipe(), os.pipe()
    # The browser reads from descriptor 3 and writes to descriptor 4.
    script = f'exec "$0" "$@" 3<&{from_us[0]} 4>&{to_us[1]}'
    command = ["bash", "-c", script, program, *OPTIONS.split(), f"--user-data-dir={profile}"]
    browser = subprocess.Popen(
        command,
        pass_fds=(from_us[0], to_us[1]),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    for descriptor in (from_us[0], to_us[1]):
        os.close(descriptor)
    try:
        yield Page(to_us[0], from_us[1])
    finally:
        browser.terminate()
        browser.wait(timeout=PATIENCE)
        for descriptor in (from_us[1], to_us[0]):
            os.close(descriptor)
