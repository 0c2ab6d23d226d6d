"""A load with the files of an earlier one gives what a load without them gives."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Final

from reconciler.core.errors import ManifestError
from reconciler.core.manifest.load import FileCache, Manifests, load_contents

HEAD: Final = "apiVersion: routing/v1\nkind: "
ENVIRONMENT: Final = f"{HEAD}Environment\nname: prod\nowner: acme\ntenant: acme\n"
TEXTS: Final = (
    ENVIRONMENT,
    f"{HEAD}RuleSet\nname: a\nenvironments: [prod]\nrules: []\n",
    f"{HEAD}RuleSet\nname: a\nenvironments: [prdo]\nrules: []\n",
    f"{HEAD}RuleSet\nname: b\nrules: [{{intent: x, queue: cards}}]\n",
    f"{HEAD}Queues\nname: q\nqueues: {{cards: Cards}}\n",
    f"{HEAD}Queues\nname: r\nqueues: {{cards: Other}}\n",
    f"{HEAD}Queues\nname: r\nqueeus: {{cards: Other}}\n",
    "kind: [",
    "no: yes\n---\n- 1\n",
)
Files = Sequence[tuple[str, bytes]]


def loaded(files: Files, cache: FileCache | None = None) -> Manifests | list[str]:
    """Return the manifests, or the texts of all findings."""
    try:
        return load_contents(files, cache)
    except ManifestError as error:
        return list(map(repr, error.findings))


def some_files(random: Random) -> Files:
    """Return files of which some contradict others, by path."""
    names = random.sample(
        ("a.yaml", "b.yaml", "c/d.yaml", "e.yml"), random.randint(1, 4)
    )
    return [(name, random.choice(TEXTS).encode()) for name in sorted(names)]


def test_a_load_with_a_cache_equals_one_without() -> None:
    """Errors of a file beside others belong to one load: they are neither kept nor lost."""
    random = Random(5)
    cache = FileCache()
    invalid = 0
    for _ in range(300):
        files = some_files(random)
        wanted = loaded(files)
        invalid += isinstance(wanted, list)
        assert repr(wanted) == repr(loaded(files, cache)), files
    assert 50 < invalid < 290
