"""How dense the code of this project is, beside that of four packages that many people maintain.

`python house.py FOLDER` installs the packages below the folder, for their sources alone, and prints
a table.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

from tests.support.density import Density, measure_density, python_sources

ROOT: Final = Path(__file__).resolve().parent.parent
PEERS: Final = {
    "octodns==1.22.0": "octodns",
    "pip_audit==2.10.1": "pip_audit",
    "httpx==0.28.1": "httpx",
    "sqlmesh==0.236.4": "sqlmesh/core",
}
"""Each package, and the folder of it that is measured."""
HEAD: Final = """\
| | code lines | tokens | tokens per line | nodes per line, 90th percentile | largest function, nodes \
| parallel assignments in 1,000 lines | over 100 columns | filler names |
|---|--:|--:|--:|--:|--:|--:|--:|--:|"""


def install(requirement: str, work: Path) -> Path:
    """Install a package once, without what it needs, and return the folder that contains it."""
    home = work / requirement
    if not home.exists():
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-compile"]
        only = ["--no-deps", "--only-binary=:all:", "--target", str(home)]
        subprocess.run([*pip, *only, requirement], check=True)
    return home


def row(name: str, density: Density) -> str:
    """Return the measures of some files as a row of the table."""
    cells = (
        name,
        f"{density.code_lines:,}",
        f"{density.tokens:,}",
        f"{density.tokens_per_line:.1f}",
        f"{density.dense_function.nodes_per_line:.1f}",
        f"{density.largest_function.nodes:,}",
        f"{density.parallel_per_thousand:.1f}",
        f"{density.long_line_percent:.1f} %",
        f"{density.filler_percent:.1f} %",
    )
    return f"| {' | '.join(cells)} |"


def main(work: Path) -> None:
    """Print the table."""
    folders = {name: ROOT / name for name in ("reconciler", "tests")}
    for requirement, folder in PEERS.items():
        version = requirement.partition("==")[2]
        folders[f"{folder} {version}"] = install(requirement, work) / folder
    print(HEAD)
    for name, path in folders.items():
        print(row(name, measure_density(python_sources(path))), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
