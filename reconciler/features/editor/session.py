"""One folder of manifests in an editor: its present texts, the last analysis, and answers about a
place in a text.
"""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Final, NamedTuple

from reconciler.core.manifest.files import EXTENSIONS, read_files
from reconciler.core.manifest.syntax_tree import SyntaxNode
from reconciler.core.manifest.yaml_patch import TextEdit
from reconciler.core.manifest.yaml_writer import format_scalar
from reconciler.core.model.finding import Finding
from reconciler.core.model.rule import Source
from reconciler.core.text.escape import escape_invisible
from reconciler.features.editor.analysis import Analysis, analyze
from reconciler.features.editor.completion import Completion, complete
from reconciler.features.editor.names import Mention, Names, SourceFile, rules_of
from reconciler.features.editor.outline import Symbol, outline
from reconciler.features.editor.rename import (
    Outcome,
    RenameError,
    check_rename,
    find_alias,
    rename_edits,
    renamed_content,
)

_MANIFEST: Final = re.compile(rb"""\bapiVersion["']?\s*:\s*["']?routing/""")
_WITH_ERRORS: Final = (
    "Correct the errors of the manifests to see who reaches this rule."
)

Contents = Mapping[str, bytes | Finding]


class Renamed(NamedTuple):
    """The edits of a rename, by file, or the reason for its refusal."""

    edits: dict[str, list[TextEdit]]
    refusal: str


class FolderSession:
    """The manifests of one folder. Paths are those of findings; positions are character indexes."""

    def __init__(self, directory: Path, environment: str | None, label: str) -> None:
        """`label` is the directory in advice for a terminal."""
        self.directory = directory
        self._environment = environment
        self._label = label
        self._contents: Contents = {}
        self._analysed: Contents = {}
        self._files: dict[str, SourceFile] = {}
        self._names = Names({})
        self._analysis = Analysis([], None, [])

    def read(self, buffers: Mapping[str, str]) -> None:
        """Read the files, with the texts of the editor where it has them; later answers are about
        these.
        """
        contents: dict[str, bytes | Finding] = dict(read_files(self.directory))
        if not _has_manifests(contents):
            contents.clear()
        contents |= {
            path: text.encode(errors="surrogatepass") for path, text in buffers.items()
        }
        texts = {
            path: text
            for path, content in contents.items()
            if (text := _decode(content)) is not None
        }
        self._contents = contents
        self._keep(texts | dict(buffers))

    def analysis(self) -> Analysis:
        """Return the analysis of the present texts."""
        if self._contents != self._analysed:
            self._analysed = self._contents
            are_manifests = _are_manifests(self._contents)
            self._analysis = (
                analyze(self._contents, self._environment)
                if are_manifests
                else Analysis([], None, [])
            )
        return self._analysis

    def findings(self, analysis: Analysis) -> list[Finding]:
        """Return the findings of `validate`, failed tests and promises included."""
        return analysis.all_findings(self._environment, self._label)

    def display_path(self, path: str) -> str:
        """Return the path of a file as findings name it; "" if it is not a manifest of the
        folder.
        """
        file = Path(path)
        if not path.endswith(EXTENSIONS) or not file.is_relative_to(self.directory):
            return ""
        is_hidden = any(
            part.startswith(".") for part in file.relative_to(self.directory).parts
        )
        return "" if is_hidden else escape_invisible(file.as_posix())

    def written(self, name: str) -> str:
        """Return a name as it is written in a manifest."""
        return format_scalar(name)

    @property
    def anchor(self) -> str:
        """Return the file for findings without a place: the first one; "" if there is none."""
        return min(self._contents, default="")

    def text(self, path: str) -> str | None:
        """Return the present text of a manifest; None if there is none."""
        file = self._files.get(path)
        return file.text if file else None

    def hover(self, path: str, offset: int) -> str:
        """Return Markdown about the rule at a character; "" without one."""
        analysis = self.analysis()
        rule = self._rule_at(path, offset)
        if rule is None:
            return ""
        if analysis.manifests is None:
            return _WITH_ERRORS
        return analysis.describe_rule(self._source(path, rule))

    def mention(self, path: str, offset: int) -> Mention | None:
        """Return the name at a character."""
        return self._names.mention_at(path, offset)

    def mentions(self, mention: Mention) -> Sequence[Mention]:
        """Return all places that mean the same name."""
        return self._names.same_name(mention)

    def alias(self, path: str, offset: int) -> Mention | None:
        """Return the alias at a character; None where there is none that can be renamed."""
        mention = self.mention(path, offset)
        with suppress(RenameError):
            find_alias(self._names, mention)
            return mention
        return None

    def rename(self, path: str, offset: int, name: str) -> Renamed:
        """Return the edits that rename the alias at a character, or why they are refused."""
        before = self.analysis()
        try:
            alias = find_alias(self._names, self.mention(path, offset))
            edits = rename_edits(self._names, alias, name)
            renamed = {
                file: renamed_content(content, edits.get(file, ()))
                for file, content in self._contents.items()
            }
            after = analyze(renamed, self._environment)
            outcomes = (
                Outcome(before, self.findings(before)),
                Outcome(after, self.findings(after)),
            )
            check_rename(outcomes, alias.name, name)
        except RenameError as error:
            return Renamed({}, str(error))
        return Renamed(edits, "")

    def complete(self, path: str, offset: int) -> Completion | None:
        """Return what can be written at a character."""
        text = self.text(path)
        if text is None:
            return None
        return complete(text, offset, self._names)

    def outline(self, path: str) -> list[Symbol]:
        """Return the documents of a file, with their rules, tests and promises."""
        file = self._files.get(path)
        if file is None:
            return []
        return [outline(document, file.text) for document in file.documents]

    def _keep(self, texts: Mapping[str, str]) -> None:
        earlier = {path: file.text for path, file in self._files.items()}
        if earlier == texts:
            return
        self._files = {
            path: self._source_file(path, text) for path, text in texts.items()
        }
        self._names = Names(self._files)

    def _source_file(self, path: str, text: str) -> SourceFile:
        earlier = self._files.get(path)
        if earlier is not None and earlier.text == text:
            return earlier
        return SourceFile(text)

    def _rule_at(self, path: str, offset: int) -> SyntaxNode | None:
        """Return the rule around a character; without one, the only one of its line."""
        file = self._files.get(path)
        if file is None:
            return None
        line_start = file.text.rfind("\n", 0, offset) + 1
        line_end = file.text.find("\n", offset)
        if line_end < 0:
            line_end = len(file.text)
        all_rules = chain.from_iterable(map(rules_of, file.documents))
        in_line = [
            rule
            for rule in all_rules
            if rule.start <= line_end and rule.end >= line_start
        ]
        around = [rule for rule in in_line if rule.start <= offset <= rule.end]
        rules = around or in_line
        return rules[0] if len(rules) == 1 else None

    def _source(self, path: str, node: SyntaxNode) -> Source:
        before = self._files[path].text[: node.start]
        line = before.count("\n") + 1
        column = node.start - before.rfind("\n")
        return Source(path, line, column)


def _has_manifests(contents: Contents) -> bool:
    """Return whether there is more than the finding that there is no manifest yet (CXR115)."""
    return any(
        not isinstance(content, Finding) or content.code != "CXR115"
        for content in contents.values()
    )


def _are_manifests(contents: Contents) -> bool:
    """Return whether a file says that it is a manifest: other programs have folders of that name,
    too.
    """
    return any(
        isinstance(content, bytes) and _MANIFEST.search(content)
        for content in contents.values()
    )


def _decode(content: bytes | Finding) -> str | None:
    """Return the text of a file as an editor counts its characters; None if it is unreadable."""
    if isinstance(content, bytes):
        with suppress(UnicodeDecodeError):
            return content.decode("utf-8-sig")
    return None
