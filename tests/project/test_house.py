"""Rules of this repository: pinned requirements, import layers, start-up imports, and the contents
of packages.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import tomllib
from collections import Counter
from itertools import pairwise
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.campaign.cases import Case
from tests.release.packages import unpack
from tests.support.house import FOLDERS, PACKAGE, part_measures, structure_measures
from tests.support.imports import imported, module_facts
from tests.support.measure import IMPURE, PURE, entry_of, pure_modules
from tests.tiers import DISTINCT, SLOW_FOLDERS

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
REQUIREMENT_FILES = (
    "requirements.txt",
    "requirements-serve.txt",
    "requirements-dev.txt",
)
SITE_FILE = "requirements-site.txt"
MOST_LINES_OF_THE_DEMO = 70
HEAVY = {
    "pydantic",
    "httpx",
    "deepdiff",
    "jinja2",
    "starlette",
    "uvicorn",
    "rich",
    "aiohttp",
    "asyncio",
}


# An outer `make test` hands its own flags down: a make started here shall not take them over.
ENVIRONMENT = {
    name: value
    for name, value in os.environ.items()
    if name not in {"MAKEFLAGS", "MAKELEVEL", "MFLAGS"}
}


def run(*command: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=cwd,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def entries(name: str) -> list[str]:
    """Return the logical lines of a requirement file, without comments."""
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    text = "\n".join(line for line in lines if not line.lstrip().startswith("#"))
    return [
        " ".join(entry.split())
        for entry in text.replace("\\\n", " ").splitlines()
        if entry.strip()
    ]


def pins(name: str) -> dict[str, Requirement]:
    requirements = [Requirement(entry.split(" --hash")[0]) for entry in entries(name)]
    return {
        canonicalize_name(requirement.name): requirement for requirement in requirements
    }


def unmet(wanted: list[str], name: str) -> list[str]:
    """Return the requirements that a file does not pin, or pins to a version out of their
    bounds.
    """
    pinned = pins(name)

    def met(requirement: Requirement) -> bool:
        pin = pinned.get(canonicalize_name(requirement.name))
        return pin is not None and all(
            requirement.specifier.contains(exact.version) for exact in pin.specifier
        )

    return [text for text in wanted if not met(Requirement(text))]


@pytest.mark.parametrize("name", [*REQUIREMENT_FILES, SITE_FILE])
def test_every_requirement_is_one_exact_version_with_hashes(name: str) -> None:
    """Each entry of a requirement file has the form `name==version [; marker]
    --hash=sha256:...`.
    """
    pinned = re.compile(
        r"[a-z0-9-]+==[^\s;*]+( ; [^\\]+?)?( --hash=sha256:[0-9a-f]{64})+"
    )
    assert [] == [entry for entry in entries(name) if not pinned.fullmatch(entry)]
    assert len(entries(name)) == len(pins(name))


@pytest.mark.parametrize("name", [*REQUIREMENT_FILES, SITE_FILE])
def test_no_requirement_file_contains_a_package_source(name: str) -> None:
    """It contains no address, local path or index option: pip's own settings decide."""
    assert [] == re.findall(
        r"\S*://\S*|(?<= )/\S+|--(?!hash=)\S+",
        (ROOT / name).read_text(encoding="utf-8"),
    )


def test_runtime_dependencies_are_pinned() -> None:
    """Dependencies are in requirements.txt within their bounds, and with the extra's in
    requirements-serve.txt.
    """
    core = PROJECT["project"]["dependencies"]
    serve = PROJECT["project"]["optional-dependencies"]["serve"]
    assert [] == unmet(core, "requirements.txt")
    assert [] == unmet(core + serve, "requirements-serve.txt")


def test_plan_alone_installs_no_package_of_serve() -> None:
    """requirements.txt, which action.yml installs, has none of the extra's packages."""
    serve = {
        canonicalize_name(Requirement(item).name)
        for item in PROJECT["project"]["optional-dependencies"]["serve"]
    }
    assert set() == serve & set(pins("requirements.txt"))


def test_every_line_without_coverage_has_a_reason() -> None:
    """The line has the comment `# pragma: no cover - REASON`."""
    pragmas = [
        line
        for path in (ROOT / "reconciler").rglob("*.py")
        for line in path.read_text("utf-8").splitlines()
        if re.search(r"pragma[: ]+no", line, re.IGNORECASE)
    ]
    assert [] == [
        line
        for line in pragmas
        if not re.search(r"# pragma: no (cover|branch) - \w.+ \w+", line)
    ]


def test_a_dataclass_of_many_fields_takes_them_by_name() -> None:
    """A dataclass that defines more than four fields is `kw_only`: no call depends on their
    order.
    """
    actual = [
        f"{path.relative_to(ROOT)}: {defined.name}"
        for path in PACKAGE.rglob("*.py")
        for defined in module_facts(path).classes
        if defined.fields > 4
        for decorator in defined.decorators
        if re.match(r"(dataclasses\.)?dataclass\b", decorator)
        and "kw_only=True" not in decorator
    ]
    assert [] == actual


def test_every_module_is_either_pure_or_not() -> None:
    """The bound of 99 % applies to one list, so each module is in an entry, and each entry has a
    module.
    """
    entries = [entry_of(path) for path in (ROOT / "reconciler").rglob("*.py")]
    assert {*PURE, *IMPURE} == set(entries)
    assert set() == set(PURE) & set(IMPURE)


@pytest.mark.slow
@pytest.mark.parametrize("part", FOLDERS)
def test_the_density_of_the_code_is_within_its_bounds(part: str) -> None:
    """Tokens and AST nodes per line, parallel assignments, long lines and names (`make house`)."""
    assert [] == [str(measure) for measure in part_measures(part) if not measure.holds]


def test_the_structure_of_the_package_is_within_its_bounds() -> None:
    """Rooms, floors, arrows, import cycles and names of classes (`make house`)."""
    assert [] == [
        str(measure) for measure in structure_measures(PACKAGE) if not measure.holds
    ]


OUTSIDE = {
    *(
        "aiohttp",
        "asyncio",
        "concurrent",
        "http",
        "httpx",
        "multiprocessing",
        "os",
        "pathlib",
        "random",
        "redis",
    ),
    *(
        "secrets",
        "shutil",
        "signal",
        "socket",
        "ssl",
        "subprocess",
        "tempfile",
        "threading",
        "time",
        "urllib.request",
    ),
}
READS = {"os", "pathlib", "reconciler.core.text.files"}
REACHED = {
    "core/apply/first_contact.py": {"reconciler.core.apply.attempt"},
    "core/apply/progress.py": {"reconciler.core.apply.attempt"},
    "core/desired/substitution.py": {"reconciler.core.text.files"},
    "core/manifest/files.py": READS,
    "core/pipeline.py": {
        "reconciler.core.apply.loop",
        "reconciler.core.apply.settings",
        "reconciler.core.apply.table",
    },
    "core/rule_json.py": {"reconciler.core.text.files"},
    "core/text/pages.py": {"pathlib"},
    "core/traffic/records.py": {"reconciler.core.text.files"},
    "core/traffic/sample.py": READS,
    "core/export/names.py": {"reconciler.core.text.files"},
    "features/table/sheet.py": {"reconciler.core.text.files"},
    "features/table/workbook.py": {"reconciler.core.text.files"},
    "render/html.py": {"pathlib"},
}
"""The allowed imports: to read the files of the command line, and templates; the JSON form of a
rule, which is pure; the kinds of an attempt's result."""


def test_pure_modules_import_no_input_or_output() -> None:
    """No network, clock, process or event loop, also not indirectly; exceptions are named."""
    room = ROOT / "reconciler"
    actual = {
        str(file.relative_to(room)): {
            item for item in imported(file) if _is_outside(item)
        }
        for file in pure_modules()
    }
    assert {name: names for name, names in actual.items() if names} == REACHED


def _is_outside(module: str) -> bool:
    first, _, rest = module.partition(".")
    path = ROOT / "reconciler" / (rest.replace(".", "/") or "errors")
    return bool(OUTSIDE & {first, module}) or (
        first == "reconciler" and entry_of(path) in IMPURE
    )


def test_the_folders_of_slow_tests_exist() -> None:
    """A renamed folder would silently become fast."""
    folders = {path.name for path in (ROOT / "tests").rglob("*") if path.is_dir()}
    assert not {*SLOW_FOLDERS, *DISTINCT} - folders


SUITES = {
    "browser",
    "campaign",
    "crash",
    "deploy",
    "docs",
    "hostile",
    "mutation",
    "project",
    "release",
    "site",
}
DATA = {"contract", "golden", "manifests", "recorded", "support"}
"""Folders of tests/ without a package of that name; tests/README.md says why they are there."""
CONTAINERS = {"core", "features", "targets"}
"""Packages that consist of packages: each of these has a folder of tests."""
OWN_HELPERS = {*SUITES, "features"}
"""Folders with their own helpers; the helpers of the other folders are in tests/support."""


def files_of_tests() -> list[Path]:
    names = run(
        "git", "ls-files", "-co", "--exclude-standard", "tests/*.py"
    ).stdout.splitlines()
    return [path for path in map(ROOT.joinpath, names) if path.exists()]


def test_no_test_module_imports_another() -> None:
    """Shared code is in a helper module, so each test file can be read, run, moved and deleted
    alone.
    """
    imports = re.compile(r"^ *(?:from|import) tests\b.*\btest_\w+.*", re.MULTILINE)
    assert [] == [
        (str(path), actual)
        for path in files_of_tests()
        for actual in imports.findall(path.read_text("utf-8"))
    ]


def test_helpers_of_tests_are_in_one_folder() -> None:
    """A Python file of tests/ is a test, a file of pytest, a helper in tests/support, or a helper
    of a suite.
    """
    below = [path.relative_to(ROOT / "tests") for path in files_of_tests()]
    helpers = [
        path
        for path in below
        if not re.fullmatch(r"test_\w+|conftest|tiers", path.stem)
    ]
    assert [] == [
        str(path) for path in helpers if path.parts[0] not in {"support", *OWN_HELPERS}
    ]


def test_folders_of_tests_mirror_the_packages() -> None:
    """Each folder has the name of a package or is in the lists above, and has one row in
    tests/README.md.
    """
    tested = {_tested_folder(name) for name in _tracked_tests()}
    packages = {
        path.parent.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("__init__.py")
    }
    assert {*SUITES, *DATA} == tested - packages
    page = (ROOT / "tests/README.md").read_text(encoding="utf-8")
    assert sorted(tested) == sorted(
        re.findall(r"^\| `([a-z_/]+)` \|", page, re.MULTILINE)
    )


def _tracked_tests() -> list[str]:
    return run("git", "ls-files", "tests/*/*").stdout.splitlines()


def _tested_folder(name: str) -> str:
    """Return the folder of a file below tests/: one part, two where packages are inside."""
    parts = Path(name).parent.parts[1:]
    return "/".join(parts[:2] if parts[0] in CONTAINERS else parts[:1])


def test_commands_of_the_page_of_tests_exist() -> None:
    """Each make target, module and path in tests/README.md exists; the program accepts the
    campaign's line.
    """
    page = (ROOT / "tests/README.md").read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"`make ([\w-]+)`", page)
    assert len(targets) >= 6
    assert [] == [
        target
        for target in targets
        if not re.search(rf"^{target}:", makefile, re.MULTILINE)
    ]
    modules = [
        name.replace(".", "/") + ".py" for name in re.findall(r"-m (tests[\w.]+)", page)
    ]
    paths = [
        *modules,
        *re.findall(r"pytest (tests/\S+?)[ `]", page),
        *re.findall(r"`(tests/[\w/.]+)`", page),
    ]
    assert [] == [path for path in paths if not (ROOT / path).exists()]
    lines = re.findall(r'--case "(.+)"', page)
    assert lines == [str(Case.parse(line)) for line in lines]


def test_names_of_tests_have_at_most_70_characters() -> None:
    """A name states the claim; conditions and reasons are in the docstring."""
    texts = [path.read_text(encoding="utf-8") for path in files_of_tests()]
    assert [] == [
        name for text in texts for name in re.findall(r"def (test_\w{66,})\(", text)
    ]


def test_no_two_helpers_of_tests_share_a_class_name() -> None:
    """A class of tests/support or of a suite's helpers has a unique name; private classes are
    exempt.
    """
    helpers = [path for path in files_of_tests() if not path.name.startswith("test_")]
    names = Counter(
        defined.name
        for path in helpers
        for defined in module_facts(path).classes
        if not defined.is_nested
    )
    assert [] == [
        name for name, count in names.items() if count > 1 and not name.startswith("_")
    ]


def test_development_dependencies_are_pinned() -> None:
    """The development groups and the build backend are in requirements-dev.txt within their
    bounds.
    """
    groups = PROJECT["dependency-groups"]
    expected = (
        groups["test"]
        + groups["lint"]
        + groups["release"]
        + PROJECT["build-system"]["requires"]
    )
    assert [] == unmet(expected, "requirements-dev.txt")


def test_the_packages_of_the_site_are_pinned_and_change_no_others() -> None:
    """`make site` installs them where the tests run: a package of both has one version there."""
    assert [] == unmet(PROJECT["dependency-groups"]["site"], SITE_FILE)
    site, tests = pins(SITE_FILE), pins("requirements-dev.txt")
    shared = site.keys() & tests.keys()
    assert len(shared) > 5
    assert {name: str(tests[name].specifier) for name in shared} == {
        name: str(site[name].specifier) for name in shared
    }


def test_tests_run_on_the_packages_of_users() -> None:
    """Each requirement file repeats every pin of the smaller one, with the same hashes."""
    for smaller, larger in pairwise(REQUIREMENT_FILES):
        assert set() == set(entries(smaller)) - set(entries(larger))


def test_the_version_is_in_one_file() -> None:
    """The version is only in reconciler/version.py; pyproject.toml reads it from there."""
    stored = re.compile(r"^(?:__version__|version)\s*=\s*[\"']", re.MULTILINE)
    files = [ROOT / "pyproject.toml", *(ROOT / "reconciler").rglob("*.py")]
    assert [ROOT / "reconciler/version.py"] == [
        file for file in files if stored.search(file.read_text("utf-8"))
    ]
    assert "version" in PROJECT["project"]["dynamic"]


def test_no_file_installs_cxroute_from_an_index() -> None:
    """No package index has this project, so no file contains an install command with its name."""
    by_name = re.compile(
        r"cxroute\[|\b(?:pipx?|uv|uvx)\b[^\n|]*?\b(?:install|run)\b[^\n|]*?[ "
        r"\t'\"]cxroute(?:[=<>~'\"]|\s|$)"
    )
    suffixes = (
        ".py",
        ".md",
        ".yml",
        ".yaml",
        ".toml",
        ".html",
        ".service",
        "Makefile",
        "Dockerfile",
    )
    files = [
        ROOT / name
        for name in run("git", "ls-files").stdout.splitlines()
        if name.endswith(suffixes)
    ]
    assert len(files) > 100
    actual = [
        f"{file.relative_to(ROOT)}: {match.group()}"
        for file in files
        if file != Path(__file__).resolve() and file.is_file()
        for match in by_name.finditer(file.read_text("utf-8"))
    ]
    assert [] == actual


def test_packages_import_downwards(tmp_path: Path) -> None:
    """import-linter confirms every contract of pyproject.toml."""
    call = (
        f"from importlinter.cli import lint_imports; raise "
        f"SystemExit(lint_imports(cache_dir={str(tmp_path)!r}))"
    )
    result = run(sys.executable, "-c", call)
    assert (0, "") == (result.returncode, result.stderr), result.stdout


@pytest.mark.parametrize("flag", ["--version", "--help"])
def test_version_and_help_load_no_slow_library(flag: str) -> None:
    """`--version` and `--help` import no library that takes long to load."""
    result = run(sys.executable, "-X", "importtime", "-m", "reconciler", flag)
    loaded = set(re.findall(r"^import time: .*\| +(\w+)", result.stderr, re.MULTILINE))
    assert 0 == result.returncode, result.stderr[-2000:]
    assert "reconciler" in loaded
    assert set() == HEAVY & loaded


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "absent"),
    [
        (
            "cli.commands.validate",
            {
                "asyncio",
                "httpx",
                "aiohttp",
                "rich",
                "reconciler.features.practice.simulator",
            },
        ),
        (
            "cli.commands.plan",
            {"httpx", "aiohttp", "rich", "reconciler.features.practice.simulator"},
        ),
        (
            "features.endpoint.command",
            {"httpx", "aiohttp", "rich", "reconciler.features.practice.simulator"},
        ),
    ],
)
def test_a_command_loads_http_and_the_simulator_only_when_it_needs_them(
    command: str, absent: set[str]
) -> None:
    """The modules of the command and of the common output import none of them."""
    program = (
        f"import reconciler.{command}, reconciler.cli.output, sys; print(*sys.modules)"
    )
    result = run(sys.executable, "-c", program)
    assert 0 == result.returncode, result.stderr
    assert set() == absent & set(result.stdout.split())


def build(target: str, source: Path, into: Path) -> Path:
    result = run(
        sys.executable,
        "-m",
        "hatchling",
        "build",
        "-t",
        target,
        "-d",
        str(into),
        cwd=source,
    )
    assert 0 == result.returncode, result.stderr
    (built,) = into.iterdir()
    return built


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("wheel", ROOT, tmp_path_factory.mktemp("wheel"))


def held(wheel: Path) -> set[str]:
    with ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_a_wheel_contains_all_files_of_a_demo(wheel: Path) -> None:
    """Every file of the package, the manifests, the licence and the command."""
    package = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "reconciler").rglob("*")
        if path.is_file()
    }
    manifests = {
        f"reconciler/bank/{path.relative_to(ROOT / 'manifests')}"
        for path in (ROOT / "manifests").rglob("*.y*ml")
    }
    info = f"{'-'.join(wheel.name.split('-')[:2])}.dist-info"
    rest = {
        "reconciler/py.typed",
        "reconciler/features/practice/simulator/tenants/bank.json",
        f"{info}/licenses/LICENSE",
    }
    assert manifests
    assert set() == {
        name for name in package | manifests | rest if not name.endswith(".pyc")
    } - held(wheel)
    with ZipFile(wheel) as archive:
        assert (
            "cxroute = reconciler.__main__:run"
            in archive.read(f"{info}/entry_points.txt").decode()
        )


def test_a_wheel_contains_no_other_file(wheel: Path) -> None:
    """No test, benchmark or requirement file."""
    assert {"reconciler", f"{'-'.join(wheel.name.split('-')[:2])}.dist-info"} == {
        name.split("/")[0] for name in held(wheel)
    }


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder with the files of the source archive."""
    folder = tmp_path_factory.mktemp("source")
    with tarfile.open(
        build("sdist", ROOT, tmp_path_factory.mktemp("sdist"))
    ) as archive:
        unpack(archive, folder)
    (top,) = folder.iterdir()
    return top


@pytest.mark.slow
def test_a_source_archive_contains_every_file_of_the_repository(source: Path) -> None:
    """Tests, benchmarks and workflows included: the archive can replace a clone."""
    tracked = run("git", "ls-files").stdout.splitlines()
    assert [name for name in tracked if name.startswith("benchmarks/peer/")]
    assert [] == [
        name
        for name in tracked
        if (ROOT / name).exists() and not (source / name).is_file()
    ]


@pytest.mark.slow
def test_a_wheel_from_the_source_archive_is_the_same(
    wheel: Path, source: Path, tmp_path: Path
) -> None:
    """A build from the source archive has the same files as a build from the checkout."""
    assert held(wheel) == held(build("wheel", source, tmp_path / "wheel"))


def test_a_package_names_its_author_and_addresses(wheel: Path) -> None:
    """Without a public repository, the addresses use a host that cannot exist (RFC 2606)."""
    info = f"{'-'.join(wheel.name.split('-')[:2])}.dist-info"
    with ZipFile(wheel) as archive:
        metadata = archive.read(f"{info}/METADATA").decode()
    assert "\nAuthor: The cxroute maintainers\n" in metadata
    assert "\nKeywords: " in metadata
    addresses = dict(re.findall(r"^Project-URL: (\w+), (\S+)$", metadata, re.MULTILINE))
    assert {"Repository", "Documentation", "Changelog", "Issues"} == set(addresses)
    assert {"git.example"} == {address.split("/")[2] for address in addresses.values()}


@pytest.mark.parametrize(
    ("lack", "said"),
    [
        (
            "sys.version, sys.version_info = '3.9.2 (x)', (3, 9, 2)",
            (
                "make: Python 3.11 or newer is needed, and {python} is 3.9.2: name another with "
                "PYTHON=..."
            ),
        ),
        (
            "sys.modules['ensurepip'] = None",
            "make: {python} lacks venv: install it (Debian, Ubuntu: apt-get install python3-venv)",
        ),
    ],
)
def test_make_explains_an_unsuitable_python(
    lack: str, said: str, tmp_path: Path
) -> None:
    """If the interpreter is too old or lacks venv, `make` prints one sentence and leaves no
    file.
    """
    python = tmp_path / "python"
    python.write_text(
        f'#!/bin/sh\nexec "{sys.executable}" -c "import sys; {lack}; exec(sys.argv[1])" "$2"\n',
        "utf-8",
    )
    python.chmod(0o755)
    result = run("make", "demo", f"PYTHON={python}", f"VENV={tmp_path}/venv")
    assert (2, said.format(python=python)) == (
        result.returncode,
        result.stderr.splitlines()[0],
    )
    assert not (tmp_path / "venv").exists()


@pytest.mark.campaign
def test_make_demo_leaves_the_command_and_prints_the_next_step(tmp_path: Path) -> None:
    """Also in a folder with a space: the printed step works in another folder, and a second run
    keeps the command.

    The test does not install packages: the environment uses the packages of this test run.
    """
    here = tmp_path / "my clone"
    parts = ("Makefile", "requirements-serve.txt", "reconciler", "manifests")
    for name in run(
        "git", "ls-files", "-co", "--exclude-standard", *parts
    ).stdout.splitlines():
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        (here / name).write_bytes((ROOT / name).read_bytes())
    assert 0 == run(sys.executable, "-m", "venv", ".venv", cwd=here).returncode
    (site,) = (here / ".venv").glob("lib/*/site-packages")
    (site / "packages.pth").write_text(
        "\n".join(item for item in sys.path if item.endswith("site-packages")), "utf-8"
    )
    (here / ".venv/.run").touch()
    result = run("make", "demo", cwd=here)
    assert (0, "") == (result.returncode, result.stderr)
    assert len(result.stdout.splitlines()) <= MOST_LINES_OF_THE_DEMO
    command = here / ".venv/bin/cxroute"
    installed = command.stat().st_mtime_ns
    step = re.search(r"Next: (.+)", result.stdout)
    assert step
    assert ".venv/bin/cxroute init my-routing" == step[1]
    assert 0 == run("sh", "-c", step[1], cwd=here).returncode
    assert (here / "my-routing/routing.yaml").is_file()
    (elsewhere := tmp_path / "elsewhere").mkdir()
    (elsewhere / "reconciler.py").write_text(
        "raise SystemExit('a module of this folder was taken')", "utf-8"
    )
    assert (0, "") == (
        (at := run(str(command), "--version", cwd=elsewhere)).returncode,
        at.stderr,
    )
    assert 0 == run("make", "demo", cwd=here).returncode
    assert installed == command.stat().st_mtime_ns
