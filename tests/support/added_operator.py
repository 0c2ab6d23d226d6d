"""A copy of the package with one operator more, as a contributor adds it: by one record."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tests.support.package_copy import CopyResult, PackageCopy

_RECORD: Final = """\
    Operator(
        name="outside",
        kind="interval",
        complement="between",
        denies="",
        test=_of_numbers(lambda value, pair: not pair[0] <= value <= pair[1]),
        atoms=lambda values, pair: (
            values.below(pair[0]) | values.above(pair[1]), 0, 0
        ),
        words="is outside of",
        phrase="outside of {} to {}",
        cell="outside",
        description="The attribute is a number below the first or above the second.",
        example=[0.4, 0.7],
        studio="",
        javascript="([low, high]) => value => "
        "isNumber(value) && (value < low || value > high)",
    ),
"""
_END: Final = ")\n\nOPERATORS: Final"
_RULES: Final = """\
apiVersion: routing/v1
kind: RuleSet
name: scores
rules:
  - {key: odd, when: [{attribute: score, outside: [0.3, 0.7]}], queue: General Service,
     priority: 10, name: Odd}
  - {key: rest, when: [], queue: Card Services, priority: 900, name: Rest}
"""


class ExtendedPackage:
    """A copy of the package with a further record, and a folder with manifests that use it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "project"
        self._copy = PackageCopy(folder / "copy")
        records = self._copy.package / "core/model/operators.py"
        text = records.read_text(encoding="utf-8")
        assert text.count(_END) == 1
        records.write_text(text.replace(_END, _RECORD + _END), encoding="utf-8")

        self.manifest = self.folder / "manifests/scores.yaml"
        self.manifest.parent.mkdir(parents=True)
        self.manifest.write_text(_RULES, encoding="utf-8")

    def run(self, *arguments: str) -> CopyResult:
        """Run a command of the copy in the folder with the manifests."""
        return self._copy.start(self.folder, "-m", "reconciler", *arguments)
