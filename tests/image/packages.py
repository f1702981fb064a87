"""The list of packages in a program: what `cargo auditable` put there is what cargo says that it is made of.

    python3 tests/image/packages.py PROGRAM PACKAGES

PACKAGES is what `cargo tree` prints, a package a line. The list is what scanners such as Trivy, Grype, Syft and `cargo audit
bin` read: the image needs no list beside the program, and none can be of another one.
"""

import json
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path


def listed(program: str) -> set[tuple[str, str]]:
    """From the section that it stands in, compressed."""
    with tempfile.NamedTemporaryFile() as section:
        command = ["objcopy", "--dump-section", f".dep-v0={section.name}", program, "/dev/null"]
        told = subprocess.run(command, capture_output=True, text=True)
        data = Path(section.name).read_bytes()
    if not data:
        raise SystemExit(f"{program} has no list of its packages: build it with `cargo auditable`. {told.stderr}")
    packages = json.loads(zlib.decompress(data))["packages"]
    return {(package["name"], package["version"]) for package in packages}


def main() -> None:
    program, tree = sys.argv[1:3]
    made_of = {tuple(line.split()[:2]) for line in Path(tree).read_text().splitlines() if line.strip()}
    made_of = {(name, version.removeprefix("v")) for name, version in made_of}
    found = listed(program)
    assert made_of - found == set(), f"not in the list: {sorted(made_of - found)}"
    print(f"packages: {len(found)} are listed in the program, with all {len(made_of)} that cargo says it is made of")


if __name__ == "__main__":
    main()
