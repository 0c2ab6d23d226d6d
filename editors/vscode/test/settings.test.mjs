// The settings -> what is started, for which files, and what a user reads if it cannot start.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { test } from "node:test";

const settings = createRequire(import.meta.url)("../build/settings.cjs");

test("a relative path is below the first folder, a bare name is looked up in PATH", () => {
  const start = (command, folder) => settings.serverCommand({ command, args: ["lsp"] }, folder).command;
  assert.equal(start("cxroute", "/w"), "cxroute");
  assert.equal(start(".venv/bin/cxroute", "/w"), "/w/.venv/bin/cxroute");
  assert.equal(start("/opt/cxroute", "/w"), "/opt/cxroute");
  assert.equal(start("C:\\cxroute.exe", "/w"), "C:\\cxroute.exe");
});

test("the arguments name the folder of the manifests", () => {
  const pattern = (args) => settings.fileFilters(args)[0].pattern;
  assert.equal(pattern(["lsp"]), "**/manifests/**/*.{yaml,yml}");
  assert.equal(pattern(["-m", "routing/prod/", "lsp"]), "**/routing/prod/**/*.{yaml,yml}");
  assert.equal(pattern(["--manifests=./rules", "lsp"]), "**/rules/**/*.{yaml,yml}");
  assert.equal(pattern(["-m", ".", "lsp"]), "**/*.{yaml,yml}");
  assert.equal(pattern(["-m", "/srv/rules", "lsp"]), "/srv/rules/**/*.{yaml,yml}");
});

test("a manifest says its version", () => {
  assert.ok(settings.isManifest("# x\napiVersion: routing/v1\nkind: RuleSet\n"));
  assert.ok(settings.isManifest('"apiVersion": "routing/v1"'));
  assert.ok(!settings.isManifest("apiVersion: apps/v1\n"));
  assert.ok(!settings.isManifest("xapiVersion: routing/v1\n"));
});

test("a message says what is wrong and what to do", () => {
  const failure = (code, message = "") => settings.startFailure("x/cxroute", Object.assign(new Error(message), { code }));
  assert.match(failure("ENOENT"), /^The command "x\/cxroute" is missing\. Install .* cxroute\.command\.$/);
  assert.match(failure("EACCES"), /is not executable\. Correct its permissions/);
  assert.match(failure(3, "Command failed: x\nmore"), /does not work: Command failed: x\. Correct the setting/);
});
