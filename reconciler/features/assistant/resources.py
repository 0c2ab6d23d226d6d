"""Resources: the files of the manifests, and the last saved plan."""

from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import quote as quote_url

from reconciler.core.errors import CxrouteError, UsageError
from reconciler.core.manifest.files import read_files
from reconciler.core.model.finding import Finding
from reconciler.core.text.escape import escape_invisible, quote_name, sanitize
from reconciler.core.text.redact import REDACTOR
from reconciler.features.assistant.affected import plan_text, read_plan
from reconciler.features.assistant.project import AssistantProject

PLAN_URI: Final = "cxroute:///plan"
_FILES: Final = "cxroute:///manifests/"
_FILE: Final = "a file of the manifests"
_YAML: Final = "application/yaml"
_PLAIN: Final = "text/plain"
_LARGEST: Final = 400_000  # characters


class ReadableText(NamedTuple):
    """A resource: its address, its name, what it is, and its type."""

    uri: str
    name: str
    title: str
    media_type: str


def list_texts(project: AssistantProject) -> list[ReadableText]:
    """Return the files that can be read, and the plan if there is one."""
    texts = [
        ReadableText(_file_uri(project, path), sanitize(path), _FILE, _YAML)
        for path, content in read_files(Path(project.directory))
        if not isinstance(content, Finding)
    ]
    if project.plan is not None:
        plan = ReadableText(PLAN_URI, "plan", "the last saved plan", _PLAIN)
        texts.append(plan)
    return texts


def read_resource(project: AssistantProject, uri: str) -> tuple[str, str]:
    """Return the text of a resource and its type.

    Only an address of the list is read: no other path is built from it. Raises UsageError, and
    CxrouteError for a plan that cannot be read.
    """
    if uri == PLAN_URI:
        text = plan_text(read_plan(project, project.environment))
        return REDACTOR.redact(text), _PLAIN
    for path, content in read_files(Path(project.directory)):
        if not isinstance(content, Finding) and _file_uri(project, path) == uri:
            text = content.decode("utf-8-sig", errors="replace")
            if len(text) > _LARGEST:
                raise CxrouteError(
                    f"{sanitize(path)} is too large for a conversation: ask find_rules"
                )
            return REDACTOR.redact(text), _YAML
    raise UsageError(f"no resource is at {quote_name(uri)}: list the resources")


def _file_uri(project: AssistantProject, path: str) -> str:
    """Return the address of a file, by its path below the directory of the manifests."""
    root = f"{escape_invisible(Path(project.directory).as_posix())}/"
    return _FILES + quote_url(path.removeprefix(root), safe="/")
