"""Runs the daemon as the image says, against the simulated account, and looks at what it left.

    python3 tests/image/check.py bare ROOT target/debug/examples/simulated-account Dockerfile
    python3 tests/image/check.py built ROOT target/debug/examples/simulated-account IMAGE.json

ROOT holds the program and what it is linked to: made by hand, or the files of an image that IMAGE.json describes. It is
read-only to the daemon, but for the volumes.
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

WITHIN = 60  # seconds, for a machine under load


def of_dockerfile(file: Path) -> dict:
    """What the last stage says."""
    stage = re.split(r"^FROM .*$", file.read_text().replace("\\\n", ""), flags=re.M)[-1]
    said = lambda word: re.findall(rf"^{word} (.*)$", stage, flags=re.M)
    health = said("HEALTHCHECK")[0]
    return {
        "user": said("USER")[0],
        "volumes": json.loads(said("VOLUME")[0]),
        "env": dict(one.split("=", 1) for one in said("ENV")),
        "command": json.loads(said("ENTRYPOINT")[0]) + json.loads(said("CMD")[0]),
        "health": json.loads(health[health.index("["):]),
        "signal": said("STOPSIGNAL")[0],
    }


def of_image(file: Path) -> dict:
    """What the built image says of itself, in Docker's format: the other one has no health check."""
    config = json.loads(file.read_text())["Docker"]["config"]
    kind, *health = config["Healthcheck"]["Test"]
    assert kind == "CMD", config["Healthcheck"]
    return {
        "user": config["User"],
        "volumes": list(config["Volumes"]),
        # Builders add a PATH, which leads nowhere in it.
        "env": {name: value for name, value in (one.split("=", 1) for one in config["Env"]) if name != "PATH"},
        "command": config["Entrypoint"] + config["Cmd"],
        "health": health,
        "signal": config["StopSignal"],
    }


class Bare:
    """Commands in the root, each in mounts of its own, as the image's user, who can't gain anything."""

    def __init__(self, root: Path, of: dict, env: dict):
        # For the tools that enter the root; in it there is nothing to find.
        self.root, self.of, self.env = root, of, env | {"PATH": os.environ["PATH"]}

    def start(self, command: list[str], **pipes) -> subprocess.Popen:
        root, of = self.root, self.of
        mounts = [f"mount --bind {root} {root}", f"mount -o remount,bind,ro {root}"]
        mounts += [f"mount --bind {root}.volumes{at} {root}{at}" for at in of["volumes"]]
        enter = f"exec setpriv --no-new-privs chroot --userspec={of['user']} --groups= {root} \"$@\""
        script = " && ".join([*mounts, enter])
        return subprocess.Popen(["unshare", "--mount", "sh", "-c", script, "sh", *command], env=self.env, **pipes)

    beside = start

    def pid(self, started: subprocess.Popen) -> int:
        return started.pid

    def signal(self, started: subprocess.Popen, name: str) -> None:
        started.send_signal(getattr(signal, name))

    def close(self) -> None:
        pass


class Runc:
    """The image as a container: its own processes and mounts, a read-only root, no capabilities; the network is ours."""

    def __init__(self, root: Path, of: dict, env: dict):
        self.name, self.bundle = f"unthrottled-{os.getpid()}", tempfile.TemporaryDirectory(prefix="image-")
        subprocess.run(["runc", "spec"], cwd=self.bundle.name, check=True)
        file = Path(self.bundle.name, "config.json")
        spec = json.loads(file.read_text())
        uid, gid = map(int, of["user"].split(":"))
        none = {kind: [] for kind in ("bounding", "effective", "permitted", "inheritable", "ambient")}
        spec["process"] |= {
            "terminal": False, "user": {"uid": uid, "gid": gid}, "args": of["command"], "noNewPrivileges": True,
            "env": [f"{name}={value}" for name, value in env.items()], "capabilities": none,
        }
        spec["root"] = {"path": str(root), "readonly": True}
        spec["linux"]["namespaces"] = [one for one in spec["linux"]["namespaces"] if one["type"] != "network"]
        spec["mounts"] = [one for one in spec["mounts"] if one["destination"] in ("/proc", "/dev")]
        spec["mounts"] += [
            {"destination": at, "type": "bind", "source": f"{root}.volumes{at}", "options": ["rbind", "rw"]}
            for at in of["volumes"]
        ]
        file.write_text(json.dumps(spec))

    def runc(self, *arguments: str) -> list[str]:
        return ["runc", "--root", f"{self.bundle.name}/state", *arguments]

    def start(self, command: list[str], **pipes) -> subprocess.Popen:
        return subprocess.Popen(self.runc("run", "--bundle", self.bundle.name, self.name), **pipes)

    def beside(self, command: list[str], **pipes) -> subprocess.Popen:
        return subprocess.Popen(self.runc("exec", self.name, *command), **pipes)

    def pid(self, started: subprocess.Popen) -> int:
        return json.loads(subprocess.run(self.runc("state", self.name), check=True, capture_output=True).stdout)["pid"]

    def signal(self, started: subprocess.Popen, name: str) -> None:
        subprocess.run(self.runc("kill", self.name, name), check=True)

    def close(self) -> None:
        subprocess.run(self.runc("delete", "--force", self.name), capture_output=True)
        self.bundle.cleanup()


def until(what: str, ask):
    """The first answer, or the end."""
    end = time.monotonic() + WITHIN
    while time.monotonic() < end:
        if answer := ask():
            return answer
        time.sleep(0.1)
    raise SystemExit(f"{what} did not happen within {WITHIN} s")


def files(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir()}


def main() -> None:
    kind, root, account, file = sys.argv[1], Path(sys.argv[2]), sys.argv[3], Path(sys.argv[4])
    of = of_image(file) if kind == "built" else of_dockerfile(file)
    if kind == "built":
        assert of == of_dockerfile(Path("Dockerfile")), of
    volumes = Path(f"{root}.volumes")
    uid, gid = map(int, of["user"].split(":"))
    assert uid > 0, "the image's user is root"
    for at in of["volumes"]:
        (volumes / at[1:]).mkdir(parents=True, exist_ok=True)
        os.chown(volumes / at[1:], uid, gid)
        there = (root / at[1:]).stat()
        assert kind == "bare" or (there.st_uid, there.st_gid) == (uid, gid), f"{at} is not the user's"
    before = files(root)

    served = subprocess.Popen([account, "--listen", "127.0.0.1:0"], stdout=subprocess.PIPE, text=True)
    daemon = inside = None
    try:
        endpoint = re.search(r"http://\S+", served.stdout.readline())[0]
        env = of["env"] | {
            "AWS_ENDPOINT_URL": endpoint, "AWS_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ACCESS_KEY_ID": "simulated", "AWS_SECRET_ACCESS_KEY": "simulated",
            # A port of its own, so that nothing that already listens here is taken for the daemon.
            "UNTHROTTLED_DAEMON__HTTP_LISTEN": f"127.0.0.1:{free_port()}", "UNTHROTTLED_DAEMON__POLL_INTERVAL": "1s",
            "UNTHROTTLED_CREDENTIAL__DOCKERHUB__SECRET": "dockerhub",
            "UNTHROTTLED_POLICY": '[{name = "all", projects = ["*"]}]',
        }
        inside = Runc(root, of, env) if kind == "built" and shutil.which("runc") else Bare(root, of, env)
        daemon = inside.start(of["command"], stdout=subprocess.PIPE, text=True)
        said = [json.loads(daemon.stdout.readline())]
        while "event" not in said[-1]:
            said.append(json.loads(daemon.stdout.readline()))
        assert said[-1]["event"] == "DaemonStarted", said
        healthy = lambda: inside.beside(of["health"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).wait() == 0
        until("the health check's success", healthy)
        status = Path(f"/proc/{inside.pid(daemon)}/status").read_text()
        held = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        assert held["Uid"].split() == [str(uid)] * 4, held["Uid"]
        assert int(held["CapEff"], 16) == 0 and held["NoNewPrivs"] == "1", status
        inside.signal(daemon, of["signal"])
        said += [json.loads(line) for line in daemon.stdout.read().splitlines()]
        assert daemon.wait(WITHIN) == 0, said
        assert said[-1]["event"] == "DaemonStopped", said[-1]
    finally:
        if inside:
            inside.close()
        for process in (daemon, served):
            if process and process.poll() is None:
                process.kill()
                process.wait()
    assert files(root) == before, files(root) - before
    ledger = volumes / of["env"]["UNTHROTTLED_LEDGER__PATH"][1:]
    assert ledger.stat().st_uid == uid and ledger.stat().st_size > 0, ledger
    how = f"{kind}, by {type(inside).__name__.lower()}"
    print(f"{how}: started, healthy, stopped by {of['signal']}; written: {', '.join(sorted(files(volumes)))}")
    shutil.rmtree(volumes)


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


if __name__ == "__main__":
    main()
