"""Runs the daemon against the simulated account and looks at its status page in Chromium, at the width of a phone and
of a desktop, light and dark.

    python3 tests/page/check.py target/debug/unthrottled target/debug/examples/status-page chromium OUT [IMAGE]

Screenshots go to the folder OUT. With IMAGE nothing is checked, and the picture of README is written there.
"""

import http.client
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from chromium import WITHIN, Chromium
from picture import smaller

PHONE, DESKTOP = (360, 800), (1280, 900)

# The luminance of a colour and the contrast of two, as WCAG 2 defines them; of each text that is seen, the least.
CONTRAST = """(() => {
  const channel = c => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const colour = text => text.match(/[0-9.]+/g).map(Number);
  const ground = e => {
    for (; e; e = e.parentElement) {
      const c = colour(getComputedStyle(e).backgroundColor);
      if (c.length < 4 || c[3] > 0) return c;
    }
    return [255, 255, 255];
  };
  const faint = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const e = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || !e.checkVisibility() || e.closest('svg')) continue;
    const [a, b] = [light(colour(getComputedStyle(e).color)), light(ground(e))].sort((x, y) => y - x);
    const contrast = (a + 0.05) / (b + 0.05);
    const told = `${contrast.toFixed(2)} ${e.tagName}.${e.className}: ${texts.currentNode.data.trim()}`;
    if (contrast < 4.5) faint.push(told);
  }
  return faint;
})()"""

# Elements that reach beyond the window, but for those that are hidden from the eye on purpose.
WIDE = """[...document.body.querySelectorAll('*')]
  .filter(e => e.getBoundingClientRect().right > innerWidth + 0.5 && !e.closest('thead, svg'))
  .map(e => `${e.tagName}.${e.className} ${e.getBoundingClientRect().right}`)"""

FIGURES = """Object.fromEntries(
  [...document.querySelectorAll('[data-figure]')].map(e => [e.dataset.figure, e.textContent]))"""

SECTIONS = ["For a person", "At a glance", "Throttles", "What became of them", "Under way", "Proposed", "Waiting",
            "Coverage", "History"]

# As examples/status-page.rs names the project; the page tells the letter that turns the writing.
HOSTILE = "</script><script>alert('\\u202egnp.exe')</script>\"><img src=x onerror=alert(1)>"


class Stage:
    """The account, the daemon beside it, and the commands of a person who looks at the same ledger."""

    def __init__(self, program: str, account: str, hostile: bool):
        self.program, self.started = os.path.realpath(program), []
        self.folder = tempfile.TemporaryDirectory(prefix="page-")
        try:
            arguments = [account, "--listen", "127.0.0.1:0", "--folder", self.folder.name, *["--hostile"] * hostile]
            served = self.start(arguments, None, stdout=subprocess.PIPE, text=True)
            self.port = free_port()
            self.env = {
                "AWS_ENDPOINT_URL": re.search(r"http://\S+", served.stdout.readline())[0],
                "AWS_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true",
                "AWS_ACCESS_KEY_ID": "simulated", "AWS_SECRET_ACCESS_KEY": "simulated",
                "UNTHROTTLED_DAEMON__HTTP_LISTEN": f"127.0.0.1:{self.port}", "PATH": os.environ["PATH"],
            }
            self.daemon = self.start([self.program, "run"], self.env, stdout=subprocess.DEVNULL)
        except BaseException:
            self.close()
            raise

    def start(self, command: list[str], env, **pipes) -> subprocess.Popen:
        process = subprocess.Popen(command, env=env, cwd=self.folder.name if env else None, **pipes)
        self.started.append(process)
        return process

    def lines(self, *arguments: str) -> list[dict]:
        """What a command says, as data."""
        said = subprocess.run([self.program, *arguments, "--format", "json"], env=self.env, cwd=self.folder.name,
                              check=True, capture_output=True, text=True).stdout
        return [json.loads(line) for line in said.splitlines()]

    def figures(self) -> dict[str, str]:
        """What `status` and `history` say, under the page's names."""
        status = self.lines("status")
        outcomes = self.lines("history", "--totals")[0]["outcomes"]
        of = lambda member: [line for line in status if member in line]
        figures = {word: outcomes.get(word, 0) for word in ("verified", "rolled_back", "escalated", "proposed", "left")}
        figures |= {"open": len(of("stage")), "held": len([line for line in of("build_id") if line["held"]])}
        return {name: str(count) for name, count in figures.items()}

    def ask(self, method: str, host: str) -> tuple[int, str]:
        """As any HTTP client may."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=WITHIN)
        connection.request(method, "/", headers={"Host": host})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()

    def close(self) -> None:
        for process in reversed(self.started):
            process.terminate()
            try:
                process.wait(WITHIN)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.folder.cleanup()


def until(what: str, ask):
    """The first answer, or the end."""
    end = time.monotonic() + WITHIN
    while time.monotonic() < end:
        if answer := ask():
            return answer
        time.sleep(0.2)
    raise SystemExit(f"{what} did not happen within {WITHIN} s")


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


def wait_for_the_story(stage: Stage, proposals: int) -> None:
    """Until every project of the account has come to where it stays."""
    def is_told():
        if stage.daemon.poll() is not None:
            raise SystemExit("the daemon ended")
        try:
            figures = stage.figures()
        except subprocess.CalledProcessError:
            return False
        wanted = {"open": 1, "verified": 2, "rolled_back": 1, "escalated": 1, "proposed": proposals, "held": 1}
        return all(figures[name] == str(count) for name, count in wanted.items())
    until("the story", is_told)


def check(browser: Chromium, stage: Stage, size: tuple[int, int], scheme: str, out: Path) -> None:
    url, name = f"http://127.0.0.1:{stage.port}/", f"{size[0]}-{scheme}"

    def as_commands_say():
        """The daemon goes on meanwhile: what commands say has to be the same before and after."""
        before = stage.figures()
        browser.load(url, *size, scheme)
        shown = browser.run(FIGURES)
        if stage.figures() != before or any(shown.get(name) != figure for name, figure in before.items()):
            return None
        return shown

    shown = until("a page that tells what the commands tell", as_commands_say)
    assert shown["state"] == "ready" and shown["mode"] == "apply", shown
    assert int(shown["by-day"]) > 100 and int(shown["by-hour"]) > 0, shown
    headings = browser.run("[...document.querySelectorAll('h2')].map(e => e.textContent)")
    assert headings == SECTIONS, headings
    look(browser, size, name)
    browser.screenshot(out / f"{name}.png")

    # What is folded opens, and holds what it shall.
    browser.run("document.querySelectorAll('details:not([open]) > summary').forEach(e => e.click())")
    assert browser.run("document.querySelectorAll('details:not([open])').length") == 0
    look(browser, size, f"{name}, unfolded")
    diff = browser.run("document.querySelector('section[aria-labelledby=open] .diff').innerText")
    assert "docker login" in diff and "+ role nightly-build: inline policy unthrottled-dockerhub" in diff, diff
    text = browser.run("document.body.innerText")
    assert "</pre></script><img src=x onerror=alert(1)>" in text, "the hostile line of a buildspec is not told"
    assert HOSTILE in text, "the hostile name of a project is not told"
    assert browser.run("document.querySelectorAll('script, img, iframe, form').length") == 0
    assert browser.requests() == [url], browser.requests()
    assert browser.complaints() == [], browser.complaints()
    browser.screenshot(out / f"{name}-unfolded.png")


def look(browser: Chromium, size: tuple[int, int], name: str) -> None:
    """Nothing is too wide, and nothing too faint."""
    width = browser.run("document.documentElement.scrollWidth")
    assert width == size[0], f"{name}: {width} wide: {browser.run(WIDE)}"
    assert browser.run(WIDE) == [], f"{name}: {browser.run(WIDE)}"
    assert browser.run(CONTRAST) == [], f"{name}: {browser.run(CONTRAST)}"


def check_the_browser_itself(browser: Chromium, stage: Stage) -> None:
    """What would be wrong is noticed: a script is refused and told, a request too, and what is too wide or faint."""
    browser.load(f"http://127.0.0.1:{stage.port}/", *DESKTOP)
    browser.run("""document.body.append(
        Object.assign(document.createElement('script'), { textContent: 'window.ran = 1' }))""")
    browser.run("document.body.append(Object.assign(new Image(), { src: 'http://127.0.0.1:1/x.png' }))")
    until("a complaint of each", lambda: browser.run("1") and len(browser.complaints()) >= 2)
    assert browser.run("window.ran") is None, "a script of the page's own ran"
    browser.run("document.querySelector('footer').style.cssText = 'width: 90rem; color: #999'")
    assert browser.run("document.documentElement.scrollWidth") > DESKTOP[0], "width is not noticed"
    assert browser.run(WIDE), "what is too wide is not named"
    assert browser.run(CONTRAST), "faint text is not noticed"
    assert all("Content Security Policy" in told for told in browser.complaints()), browser.complaints()
    browser.load(f"http://127.0.0.1:{stage.port}/?refresh", *DESKTOP)
    assert browser.run("document.querySelector('meta[http-equiv=refresh]').content") == "30"


def check_that_it_goes(stage: Stage) -> None:
    """Other settings hold without a restart."""
    file = Path(stage.folder.name, "unthrottled.toml")
    file.write_text(file.read_text().replace("[daemon]\n", "[daemon]\npage = \"off\"\n"))
    status, text = until("the page's end", lambda: (said := stage.ask("GET", "localhost"))[0] == 404 and said)
    assert "daemon.page" in text, text


def main() -> None:
    program, account, chromium, out = sys.argv[1:5]
    image = Path(sys.argv[5]) if len(sys.argv) > 5 else None
    out = Path(out)
    stage, browser = Stage(program, account, hostile=image is None), None
    try:
        browser = Chromium(chromium)
        wait_for_the_story(stage, proposals=1 if image else 3)
        if image:
            browser.load(f"http://127.0.0.1:{stage.port}/", 1120, 1400)
            browser.screenshot(image, whole=False)
            image.write_bytes(smaller(image.read_bytes()))
            return
        for size in (PHONE, DESKTOP):
            for scheme in ("light", "dark"):
                check(browser, stage, size, scheme, out)
        check_the_browser_itself(browser, stage)
        here, elsewhere = f"localhost:{stage.port}", f"evil.example:{stage.port}"
        assert stage.ask("HEAD", here) == (200, ""), stage.ask("HEAD", here)
        assert stage.ask("POST", here)[0] == 405 and stage.ask("GET", elsewhere)[0] == 421
        check_that_it_goes(stage)
        print(f"at {PHONE[0]} and {DESKTOP[0]}, light and dark, as `status` and `history` tell: {stage.figures()}")
    finally:
        if browser:
            browser.close()
        stage.close()


if __name__ == "__main__":
    main()
