"""Open pull requests with real commits: an author's repository, the forge's, and a checkout of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tests.features.forge.contract import FakeRequest, FakeRun
from tests.features.forge.stage import ForgeStage
from tests.support.fallback_project import git
from tests.support.git_server import GitHost

HEAD: Final = "apiVersion: routing/v1\nkind: {kind}\nname: {name}\n"
PROD: Final = (
    HEAD.format(kind="Environment", name="prod") + "owner: acme\ntenant: acme\n"
)
FRAUD: Final = "  - {key: fraud, intent: lost_card, queue: Fraud Desk, priority: %s}\n"
GOLD: Final = (
    "  - {key: gold, when: [{attribute: tier, equals: gold}], queue: Premium, "
    "priority: 20}\n"
)
REST: Final = "  - {key: rest, when: [], queue: General, priority: 900}\n"
ONE: Final = "  - {key: %s, intent: %s, queue: %s, priority: %s}\n"


def ruleset(name: str, *rules: str) -> str:
    """Return the text of a RuleSet."""
    return HEAD.format(kind="RuleSet", name=name) + "rules:\n" + "".join(rules)


BASE: Final = {
    "prod.yaml": PROD,
    "cards.yaml": ruleset("cards", FRAUD % 10),
    "general.yaml": ruleset("general", REST),
}
LATER: Final = {"cards.yaml": ruleset("cards", FRAUD % 30)}
"""Makes room before the rule for stolen cards: no conversation goes elsewhere."""
PREMIUM: Final = {"gold.yaml": ruleset("priority", GOLD)}
"""Sends gold customers elsewhere, but those with a stolen card."""


def harmless(number: int) -> dict[str, str]:
    """Return a change that moves nobody: it names the queue that callers of an intent get anyway."""
    rule = ONE % (f"own-{number}", f"intent_{number}", "General", 100 + number)
    return {f"own-{number}.yaml": ruleset(f"own-{number}", rule)}


class OpenRequests:
    """A repository with pull request 7, whose step is tested, and others."""

    def __init__(self, stage: ForgeStage, folder: Path) -> None:
        self.stage = stage
        self.home = folder / "author"
        self.host: GitHost = stage.forge.host_git(folder / "server.git")
        self.home.mkdir()
        self._git("init", "--quiet", "--initial-branch", "main")
        self.commit({"../NOTICE.md": "Routing rules"})  # which a shallow clone lacks
        self.tip = self.commit(BASE)
        self.start = self.tip
        self.publish_tip()
        self.own = self.tip

    def _git(self, *words: str) -> str:
        return git(*words, at=str(self.home)).strip()

    def commit(self, files: Mapping[str, str | None], folder: str = "manifests") -> str:
        """Commit files on what is checked out; None deletes one."""
        for name, text in files.items():
            path = self.home / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if text is None:
                path.unlink()
            else:
                path.write_text(text, encoding="utf-8")
        self._git("add", "--all")
        self._git("commit", "--quiet", "--allow-empty", "--message", "change")
        return self._git("rev-parse", "HEAD")

    def change(
        self,
        files: Mapping[str, str | None],
        start: str = "",
        folder: str = "manifests",
    ) -> str:
        """Return a new commit on the start (by default the first commit), in the forge's
        repository, where no ref leads to it.
        """
        self._git("checkout", "--quiet", "--detach", start or self.start)
        commit = self.commit(files, folder)
        self.push(commit)
        return commit

    def push(self, commit: str) -> None:
        """Bring a commit to the forge's repository."""
        ref = "refs/heads/incoming"
        self._git(
            "push", "--quiet", "--force", str(self.host.folder), f"{commit}:{ref}"
        )
        git("update-ref", "-d", ref, at=str(self.host.folder))

    def publish_tip(self) -> None:
        """Make the tip of main that of the forge's repository."""
        self.push(self.tip)
        self.host.set_ref("refs/heads/main", self.tip)

    def advance(self, files: Mapping[str, str | None]) -> None:
        """Merge something into main."""
        self._git("checkout", "--quiet", "--detach", self.tip)
        self.tip = self.commit(files)
        self.publish_tip()

    def open_own(self, files: Mapping[str, str | None], start: str = "") -> None:
        """Make a change pull request 7, and its step the current one, in a checkout of depth 1."""
        self.own = self.change(files, start)
        self.stage.forge.push(self.own)
        self.stage.forge.open_request(
            FakeRequest(7, self.own, "Our change", source="ours")
        )
        self.enter(FakeRun(sha=self.own))
        git(
            "clone", "--quiet", "--depth", "1", f"file://{self.host.folder}", "checkout"
        )
        git("fetch", "--quiet", "--depth", "1", "origin", self.own, at="checkout")
        git("checkout", "--quiet", "--detach", self.own, at="checkout")

    def enter(self, run: FakeRun) -> None:
        """Set the variables of a step of pull request 7."""
        self.stage.enter(run)

    def open_other(
        self,
        number: int,
        files: Mapping[str, str | None],
        title: str = "A change",
        *,
        start: str = "",
        branch: str = "main",
    ) -> str:
        """Open another pull request, and return its commit."""
        head = self.change(files, start)
        source = f"change-{number}"
        self.stage.forge.open_request(FakeRequest(number, head, title, branch, source))
        return head

    def open_fork(self, number: int, head: str, title: str = "A change") -> None:
        """Open a pull request of a fork, whose branch is named `main` as well."""
        request = FakeRequest(number, head, title, source="main", is_from_fork=True)
        self.stage.forge.open_request(request)

    def check(self, *arguments: str) -> int:
        """Run merge-check in the checkout."""
        words = ("merge-check", "-m", "checkout/manifests", "-e", "prod", *arguments)
        return self.stage.run(*words)

    def body(self) -> str:
        """Return the only note."""
        (note,) = self.stage.forge.notes()
        return note.body
