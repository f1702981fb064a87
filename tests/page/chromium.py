"""Chromium without a window, spoken to over two pipes in its own protocol (CDP): no driver, no port, no package."""

import base64
import json
import os
import select
import subprocess
import tempfile
import time
from pathlib import Path

WITHIN = 60  # seconds, for a machine under load

FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
    "--hide-scrollbars", "--remote-debugging-pipe",
]

# Of the page, beside what goes to the log.
COMPLAINTS = ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Page.javascriptDialogOpening")


class Chromium:
    """One browser with one page. What the page asks for and complains about is kept."""

    def __init__(self, program: str):
        self.profile = tempfile.TemporaryDirectory(prefix="page-", ignore_cleanup_errors=True)
        theirs_in, self.writes = os.pipe()
        self.reads, theirs_out = os.pipe()
        # It reads from 3 and writes to 4.
        command = [program, *FLAGS, f"--user-data-dir={self.profile.name}", "about:blank"]
        shell = ["sh", "-c", f'exec "$@" 3<&{theirs_in} 4>&{theirs_out}', "sh", *command]
        self.log = open(Path(self.profile.name, "stderr"), "w+")
        self.process = subprocess.Popen(
            shell, pass_fds=(theirs_in, theirs_out), stdout=subprocess.DEVNULL, stderr=self.log, start_new_session=True
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self.buffer, self.calls = b"", 0
        self.events: list[dict] = []
        target = self.call("Target.createTarget", url="about:blank", session=None)["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True, session=None)
        self.session = attached["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, session: str | None = "", **params) -> dict:
        """Answers when the browser has."""
        self.calls += 1
        message = {"id": self.calls, "method": method, "params": params}
        if session is not None:
            message["sessionId"] = self.session
        os.write(self.writes, json.dumps(message).encode() + b"\0")
        while True:
            said = self.read(method)
            if said.get("id") == self.calls:
                if "error" in said:
                    raise RuntimeError(f"{method}: {said['error']}")
                return said["result"]

    def read(self, what: str) -> dict:
        """The next message; events are kept as well."""
        end = time.monotonic() + WITHIN
        while b"\0" not in self.buffer:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.reads], [], [], left)[0]:
                raise TimeoutError(f"Chromium did not answer {what} within {WITHIN} s")
            chunk = os.read(self.reads, 1 << 20)
            if not chunk:
                self.log.seek(0)
                raise RuntimeError(f"Chromium ended during {what}; it said:\n{self.log.read()}")
            self.buffer += chunk
        text, self.buffer = self.buffer.split(b"\0", 1)
        message = json.loads(text)
        if "method" in message:
            self.events.append(message)
        return message

    def load(self, url: str, width: int, height: int, scheme: str = "light") -> None:
        """Loads a page into a window of this size, and forgets what was before."""
        phone = width < 600
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=phone)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.events.clear()
        answer = self.call("Page.navigate", url=url)
        assert "errorText" not in answer, f"{url}: {answer['errorText']}"
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self.read(f"the load of {url}")

    def run(self, script: str):
        """The value of an expression in the page."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def screenshot(self, file: Path, whole: bool = True) -> None:
        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        file.write_bytes(base64.b64decode(shot["data"]))

    def complaints(self) -> list[str]:
        """Errors and violations that the browser or the page have told of."""
        told = []
        for event in self.events:
            params = event["params"]
            if event["method"] == "Log.entryAdded":
                told.append(params["entry"]["text"])
            elif event["method"] in COMPLAINTS:
                told.append(json.dumps(params))
        return told

    def requests(self) -> list[str]:
        """Addresses that were asked for since the page was loaded."""
        asked = [event["params"] for event in self.events if event["method"] == "Network.requestWillBeSent"]
        return [params["request"]["url"] for params in asked]

    def close(self) -> None:
        """Ends the browser, and every process of its own."""
        try:
            self.call("Browser.close", session=None)
            self.process.wait(10)
        except (OSError, RuntimeError, TimeoutError, subprocess.TimeoutExpired):
            pass
        if self.process.poll() is None:
            os.killpg(self.process.pid, 9)
            self.process.wait()
        self.log.close()
        self.profile.cleanup()
