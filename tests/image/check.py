"""Runs the daemon in a bare root as the Dockerfile says, against the simulated account, and looks at what it left.

    python3 tests/image/check.py ROOT target/debug/examples/simulated-account Dockerfile

ROOT holds the binary and what it is linked to. It is mounted read-only, but for the volumes of the Dockerfile.
"""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

WITHIN = 60  # seconds, for a machine under load


def image(dockerfile: Path) -> dict:
    """What the last stage says."""
    stage = re.split(r"^FROM .*$", dockerfile.read_text().replace("\\\n", ""), flags=re.M)[-1]
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


def inside(root: Path, of: dict, command: list[str], env: dict, **pipes) -> subprocess.Popen:
    """Starts a command in the root, in mounts of its own, as the image's user, who can't gain anything."""
    mounts = [f"mount --bind {root} {root}", f"mount -o remount,bind,ro {root}"]
    mounts += [f"mount --bind {root}.volumes{at} {root}{at}" for at in of["volumes"]]
    enter = f"exec setpriv --no-new-privs chroot --userspec={of['user']} --groups= {root} \"$@\""
    script = " && ".join([*mounts, enter])
    return subprocess.Popen(["unshare", "--mount", "sh", "-c", script, "sh", *command], env=env, **pipes)


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
    root, account, dockerfile = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    of = image(dockerfile)
    volumes = Path(f"{root}.volumes")
    uid, gid = map(int, of["user"].split(":"))
    assert uid > 0, "the image's user is root"
    for at in of["volumes"]:
        (volumes / at[1:]).mkdir(parents=True)
        os.chown(volumes / at[1:], uid, gid)
    before = files(root)

    served = subprocess.Popen([account, "--listen", "127.0.0.1:0"], stdout=subprocess.PIPE, text=True)
    daemon = None
    try:
        endpoint = re.search(r"http://\S+", served.stdout.readline())[0]
        env = of["env"] | {
            "AWS_ENDPOINT_URL": endpoint, "AWS_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ACCESS_KEY_ID": "simulated", "AWS_SECRET_ACCESS_KEY": "simulated",
            # A port of its own, so that nothing that already listens here is taken for the daemon.
            "UNTHROTTLED_DAEMON__HTTP_LISTEN": f"127.0.0.1:{free_port()}", "UNTHROTTLED_DAEMON__POLL_INTERVAL": "1s",
            "UNTHROTTLED_CREDENTIAL__DOCKERHUB__SECRET": "dockerhub",
            "UNTHROTTLED_POLICY": '[{name = "all", projects = ["*"]}]',
            # For the tools that enter the root; in it there is nothing to find.
            "PATH": os.environ["PATH"],
        }
        daemon = inside(root, of, of["command"], env, stdout=subprocess.PIPE, text=True)
        said = [json.loads(daemon.stdout.readline())]
        while "event" not in said[-1]:
            said.append(json.loads(daemon.stdout.readline()))
        assert said[-1]["event"] == "DaemonStarted", said
        healthy = lambda: inside(root, of, of["health"], env, stdout=subprocess.DEVNULL).wait() == 0
        until("the health check's success", healthy)
        status = Path(f"/proc/{daemon.pid}/status").read_text()
        held = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        assert held["Uid"].split() == [str(uid)] * 4, held["Uid"]
        assert int(held["CapEff"], 16) == 0 and held["NoNewPrivs"] == "1", status
        daemon.send_signal(getattr(signal, of["signal"]))
        said += [json.loads(line) for line in daemon.stdout.read().splitlines()]
        assert daemon.wait(WITHIN) == 0, said
        assert said[-1]["event"] == "DaemonStopped", said[-1]
    finally:
        for process in (daemon, served):
            if process and process.poll() is None:
                process.kill()
                process.wait()
    assert files(root) == before, files(root) - before
    ledger = volumes / of["env"]["UNTHROTTLED_LEDGER__PATH"][1:]
    assert ledger.stat().st_uid == uid and ledger.stat().st_size > 0, ledger
    print(f"started, healthy, stopped by {of['signal']}; written: {', '.join(sorted(files(volumes)))}")


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


if __name__ == "__main__":
    main()
