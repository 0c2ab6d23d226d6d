# Needs make and Python 3.11 or newer. Everything goes into .venv; nothing outside this folder is touched.
# Another interpreter beside it: make test PYTHON=python3.13 VENV=.venv-3.13
# Kept to what GNU make 3.81 knows (macOS), and free of absolute paths (a space in one would break it).
PYTHON ?= python3
VENV ?= .venv$(if $(RESOLUTION),-$(RESOLUTION))
# Passed on: make test ARGS="-k plan", make bench ARGS=..., make lock ARGS=--upgrade
ARGS ?=

# An interpreter of this file sees no setting that its user made for others: PYTHONPATH, PYTHONOPTIMIZE, ...
unexport $(filter-out PYTHON,$(filter PYTHON%,$(.VARIABLES)))

BIN := $(VENV)/bin
# The fast tests wait for little; the others wait for sockets and other processes.
WORKERS = $$($(BIN)/python -c 'import os; print(os.cpu_count() + 1)')
WORKERS_OF_SLOW = $$($(BIN)/python -c 'import os; print(os.cpu_count() * 2)')
# Wheels alone: a hash pins a source archive, but not what its build would bring in.
PIP_INSTALL := $(BIN)/python -m pip install --quiet --only-binary=:all: --require-hashes
# The pinned uv; `make lock` writes the pin, too.
UV = $(shell grep -o '^uv==[^ ]*' requirements-dev.txt || echo 'uv>=0.13.9')
AUDIT := pip-audit==2.10.1
COMPILE := $(VENV)-lock/bin/uv pip compile --cache-dir $(VENV)-lock/cache --quiet --universal --python-version 3.11 --generate-hashes --no-header
# Package indexes and their options; spelt so that this line does not match itself.
INDEX_HOSTS := py[p]i\.org|python[h]osted\.org|npm[j]s\.|download\.py[t]orch\.|deb\.d[e]bian\.|--[i]ndex-url|--extra-[i]ndex-url|--find-[l]inks

.PHONY: help demo test test-all test-generated test-rest test-root coverage campaign mutants lint house bench browser picture pictures docs lock audit clean

help: ## This list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1	\2/p' Makefile

demo: $(BIN)/cxroute ## Install the command, and show the main job on a bank's tenant, in process: plan, apply, drift, a broken promise
	@$(BIN)/cxroute demo

PYTEST = $(BIN)/python $(if $(COVER),-m coverage run) -m pytest -q --dist worksteal

test: $(VENV)/.project ## The fast tests, on all cores: about two minutes, for every change
	@$(if $(COVER),rm -rf .coverage)
	@$(PYTEST) -n $(WORKERS) -m 'not slow and not root' $(ARGS)

test-all: $(VENV)/.project ## The fast tests, measured; then those with real processes, a browser, Redis and crashes
	@$(MAKE) test COVER=1
	@$(MAKE) coverage
	@$(MAKE) test-generated
	@$(MAKE) test-rest

test-rest: $(VENV)/.project ## What `make test` leaves out
	@$(PYTEST) -n $(WORKERS_OF_SLOW) -m 'slow and not root' $(ARGS)

test-generated: $(VENV)/.project ## The generated tests with more examples than `make test` has time for
	@$(PYTEST) -n $(WORKERS) -m generated $(ARGS)

test-root: $(VENV)/.project ## The tests that need root, because they start a process as another user
	@$(BIN)/python -m pytest -q -m root tests/deploy $(ARGS)

coverage: $(VENV)/.project ## How much of the program the fast tests ran (make test COVER=1), and whether that is enough
	@$(BIN)/python -m tests.support.measure

# Not the pinned versions, but those that pyproject.toml admits at this moment. Beside another Python, name a folder:
# make test-lowest PYTHON=python3.14 VENV=.venv-3.14-lowest
.PHONY: test-lowest test-newest

test-lowest: ## The fast tests, with the lowest versions that pyproject.toml admits
	@$(MAKE) test RESOLUTION=lowest-direct

test-newest: ## The fast tests, with the newest versions that pyproject.toml admits
	@$(MAKE) test RESOLUTION=highest

campaign: $(VENV)/.project ## Every accident at every request, for an hour and more; the real processes are killed and besieged, too
	$(BIN)/python -m tests.campaign.run $(ARGS)
	CXROUTE_CAMPAIGN=full $(BIN)/python -m pytest -q --timeout 3600 -n auto --dist worksteal --ignore tests/features/endpoint
	@# One by one: these measure, and whatever runs beside them would be measured, too.
	CXROUTE_CAMPAIGN=full $(BIN)/python -m pytest -q --timeout 3600 tests/features/endpoint

mutants: $(VENV)/.project ## Change 200 places of the core and 100 around it, one at a time: the fast tests must notice 95 % and 75 %
	@$(BIN)/python -m tests.mutation.run $(ARGS)

lint: $(VENV)/.project ## Format, lint rules, types, who imports whom, workflows, the OpenAPI document, no package index named
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m ruff check .
	$(BIN)/python -m mypy
	$(BIN)/lint-imports
	$(BIN)/deptry reconciler
	$(BIN)/deptry tests --exclude '.*node_modules' --ignore DEP002,DEP004
	$(BIN)/zizmor --quiet --offline --no-progress .github action.yml deploy/github/*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml deploy/github/*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-actions action.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
	$(BIN)/hadolint Dockerfile
	$(BIN)/openapi-spec-validator schema/*.openapi.yaml
	@if git grep -nIE -e '$(INDEX_HOSTS)'; then echo 'lint: a file names a package index: leave that to pip' >&2; exit 1; fi

house: $(VENV)/.project ## Measures of structure, names and density, each with its goal
	@$(BIN)/python -m tests.support.house

bench: $(VENV)/.project ## Each figure as a ratio against its floor or peer
	$(BIN)/python benchmarks/run.py $(ARGS)

picture: $(VENV)/.project ## Draw the README's picture from what the program prints
	$(BIN)/python -m tests.support.picture

docs: $(VENV)/.project ## Fill in what the pages show, and write those that are made from the program
	$(BIN)/python -m tests.docs

browser: tests/browser/node_modules ## Bring axe-core and Mermaid for the tests in a real browser (needs npm)

tests/browser/node_modules: tests/browser/package-lock.json
	npm --prefix tests/browser ci --no-progress
	@touch $@

.PHONY: site site-releases

site: $(VENV)/.site ## Build the documentation as a web site, into build/site
	@$(BIN)/python site/build.py $(ARGS)

site-releases: $(VENV)/.site ## Build that of each release, too: the newest of each minor version, by their tags
	@$(BIN)/python site/build.py --releases $(ARGS)

.PHONY: vscode

# The command of this checkout is the one that its tests start. The file is named as its version says.
vscode: $(VENV)/.project editors/vscode/node_modules ## Check, test and package the extension for Visual Studio Code, into dist/ (needs npm)
	npm --prefix editors/vscode run --silent check
	npm --prefix editors/vscode run --silent bundle
	CXROUTE_COMMAND="$$PWD/$(BIN)/cxroute" npm --prefix editors/vscode test --silent
	@mkdir -p dist
	npm --prefix editors/vscode run --silent package -- --out ../../dist/

editors/vscode/node_modules: editors/vscode/package-lock.json
	npm --prefix editors/vscode ci --no-progress
	@touch $@

pictures: $(VENV)/.project browser ## Draw the report and the comment as people see them
	$(BIN)/python -m tests.support.pictures

lock: ## Write the requirement files anew from pyproject.toml (core, with each extra, with dev and every extra, of the site); newest versions with ARGS=--upgrade
	@$(INSTALL_UV)
	$(COMPILE) $(ARGS) pyproject.toml -o requirements.txt
	$(COMPILE) $(ARGS) --extra serve -c requirements.txt pyproject.toml -o requirements-serve.txt
	$(COMPILE) $(ARGS) --extra sheets -c requirements.txt pyproject.toml -o requirements-sheets.txt
	$(COMPILE) $(ARGS) --extra lsp -c requirements.txt pyproject.toml -o requirements-lsp.txt
	$(COMPILE) $(ARGS) --extra journal -c requirements.txt pyproject.toml -o requirements-journal.txt
	$(COMPILE) $(ARGS) --extra mcp -c requirements.txt -c requirements-serve.txt pyproject.toml -o requirements-mcp.txt
	$(COMPILE) $(ARGS) --extra serve --extra sheets --extra lsp --extra journal --extra mcp --group dev -c requirements-serve.txt -c requirements-sheets.txt \
	  pyproject.toml -o requirements-dev.txt
	@# One version of each package for all Pythons, so that the site is the same from each.
	$(COMPILE) $(ARGS) --fork-strategy fewest --group pyproject.toml:site -c requirements-dev.txt -o requirements-site.txt

audit: ## Look up known vulnerabilities of all pinned packages (needs a network)
	@$(call make_venv,$(VENV)-audit)
	$(VENV)-audit/bin/python -m pip install --quiet --only-binary=:all: '$(AUDIT)'
	$(VENV)-audit/bin/pip-audit --strict --disable-pip --require-hashes -r requirements-dev.txt -r requirements-site.txt

.PHONY: release-check

release-check: $(VENV)/.project ## Build a release twice from the last commit, compare and check all of it, and leave it in dist/
	@$(BIN)/python -m tests.release.check $${TAG:+--tag "$$TAG"}

clean: ## Remove .venv, caches and built packages
	rm -rf editors/vscode/dist editors/vscode/build editors/vscode/LICENSE
	rm -rf .venv .venv-* dist build .coverage .mutation .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp says what is installed, so that a second run needs neither pip nor a network.
$(VENV)/.run: requirements-serve.txt
	@$(call make_venv,$(VENV))
	$(PIP_INSTALL) -r requirements-serve.txt
	@touch $@

$(VENV)/.site: requirements-site.txt
	@$(call make_venv,$(VENV))
	$(PIP_INSTALL) -r requirements-site.txt
	@touch $@

# The command without a build, as action.yml and the Dockerfile install it: no build backend is needed, pinned or not.
$(BIN)/cxroute: $(VENV)/.run
	@$(BIN)/python -c "$$COMMAND"

DEV_REQUIREMENTS := $(if $(RESOLUTION),$(VENV)/requirements.txt,requirements-dev.txt)

$(VENV)/.dev: $(DEV_REQUIREMENTS)
	@$(call make_venv,$(VENV))
	$(PIP_INSTALL) -r $(DEV_REQUIREMENTS)
	@touch $@ $(VENV)/.run

$(VENV)/requirements.txt: pyproject.toml
	@$(call make_venv,$(VENV))
	@$(INSTALL_UV)
	$(COMPILE) --upgrade --resolution $(RESOLUTION) --extra serve --extra sheets --extra lsp --extra journal --extra mcp --group dev pyproject.toml -o $@

$(VENV)/.project: $(VENV)/.dev pyproject.toml
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

define INSTALL_UV
$(call make_venv,$(VENV)-lock)
$(VENV)-lock/bin/python -m pip install --quiet --only-binary=:all: '$(UV)'
endef

# Create the environment if there is none that works; one whose interpreter has gone is made anew.
define make_venv
$(1)/bin/python -m pip --version >/dev/null 2>&1 || { \
	command -v "$(PYTHON)" >/dev/null || { echo "make: there is no $(PYTHON): install Python 3.11 or newer, or name yours with PYTHON=..." >&2; exit 1; }; \
	"$(PYTHON)" -c "$$FIT" && "$(PYTHON)" -m venv --clear $(1); }
endef

define FIT
import sys
version = sys.version.split()[0]
if sys.version_info < (3, 11):
    sys.exit("make: Python 3.11 or newer is needed, and $(PYTHON) is %s: name another with PYTHON=..." % version)
try:
    import ensurepip, venv
except ImportError:
    sys.exit("make: $(PYTHON) lacks venv: install it (Debian, Ubuntu: apt-get install python3-venv)")
endef
export FIT

# Quoted for the shell: a #! line cannot name an interpreter whose path has a space. -P: modules come from no folder that
# somebody works in. Removed first: where pip wrote the command, it may be a link.
define COMMAND
import os, pathlib, shlex, sys, sysconfig
pathlib.Path(sysconfig.get_path("purelib"), "cxroute.pth").write_text(os.getcwd() + "\n")
command = pathlib.Path(sys.executable).with_name("cxroute")
command.unlink(missing_ok=True)
command.write_text("#!/bin/sh\nexec %s -P -m reconciler \"$$@\"\n" % shlex.quote(sys.executable))
command.chmod(0o755)
endef
export COMMAND
