// The packaged bundle against the real server. `CXROUTE_COMMAND` and `CXROUTE_ARGS` (JSON) name it; the editor's API is
// a stand-in that records what the extension does with it. VS Code itself cannot be had without a download.
import assert from "node:assert/strict";
import { mkdtempSync, mkdirSync, writeFileSync } from "node:fs";
import Module, { createRequire } from "node:module";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";

const bundle = process.env.CXROUTE_BUNDLE ?? fileURLToPath(new URL("../dist/extension.js", import.meta.url));
const command = process.env.CXROUTE_COMMAND ?? "cxroute";
const args = JSON.parse(process.env.CXROUTE_ARGS ?? '["lsp"]');

const folder = mkdtempSync(path.join(tmpdir(), "cxroute-"));
mkdirSync(path.join(folder, "manifests"));
const file = path.join(folder, "manifests", "cards.yaml");
const text = "apiVersion: routing/v1\nkind: RuleSet\nname: cards\nrules:\n  - {intnet: a, queue: Desk}\n";
writeFileSync(file, text);

const recorded = { errors: [], diagnostics: new Map(), schema: [], granted: [] };

/** A value of the editor's API that nothing here needs: callable, constructible, with any member. */
function anything() {
  const target = function () {};
  return new Proxy(target, {
    get: (_, name) => (name === Symbol.toPrimitive ? () => "" : name === "then" ? undefined : name === "prototype" ? target.prototype : anything()),
    apply: () => anything(),
    construct: () => ({}),
  });
}

function part(members) {
  return new Proxy(members, { get: (target, name) => (name in target ? target[name] : anything()) });
}

class Uri {
  constructor(text) {
    this.text = text;
    this.scheme = "file";
    this.fsPath = decodeURIComponent(new URL(text).pathname);
    this.path = this.fsPath;
  }
  static parse(text) {
    return new Uri(text);
  }
  static file(file) {
    return new Uri(pathToFileURL(file).href);
  }
  toString() {
    return this.text;
  }
}
const disposable = { dispose() {} };
const event = () => disposable;
const plain = () => class { constructor(...values) { Object.assign(this, { values }); } };

class Position { constructor(line, character) { Object.assign(this, { line, character }); } }
class Range { constructor(start, end) { Object.assign(this, { start, end }); } }
class Diagnostic { constructor(range, message, severity) { Object.assign(this, { range, message, severity }); } }

let isTrusted = true;
let chosen = command;
const workspaceFolder = { uri: Uri.file(folder), name: "test", index: 0 };
const document = {
  uri: Uri.file(file), fileName: file, languageId: "yaml", version: 1, isClosed: false, getText: () => text,
};
const channel = part({ append() {}, appendLine() {}, show() {}, dispose() {} });
const workspace = part({
  get isTrusted() { return isTrusted; },
  workspaceFolders: [workspaceFolder],
  textDocuments: [document],
  notebookDocuments: [],
  getWorkspaceFolder: () => workspaceFolder,
  getConfiguration: () => ({ get: (name, fallback) => ({ command: chosen, args })[name] ?? fallback }),
  onDidGrantWorkspaceTrust: (listener) => (recorded.granted.push(listener), disposable),
  onDidChangeConfiguration: event, onDidOpenTextDocument: event, onDidChangeTextDocument: event,
  onDidCloseTextDocument: event, onDidSaveTextDocument: event, onWillSaveTextDocument: event,
  onDidChangeWorkspaceFolders: event, onDidCreateFiles: event, onDidRenameFiles: event, onDidDeleteFiles: event,
  onWillCreateFiles: event, onWillRenameFiles: event, onWillDeleteFiles: event,
  createFileSystemWatcher: () => part({ onDidCreate: event, onDidChange: event, onDidDelete: event, dispose() {} }),
});
const yaml = {
  activate: async () => ({ registerContributor: (...values) => (recorded.schema.push(values), true) }),
};
const vscode = part({
  version: "1.91.0",
  Uri, Position, Range, Diagnostic, workspace,
  CodeLens: plain(), CompletionItem: plain(), DocumentLink: plain(), CodeAction: plain(), SymbolInformation: plain(),
  InlayHint: plain(), CallHierarchyItem: plain(), TypeHierarchyItem: plain(), CancellationError: plain(),
  Disposable: plain(), EventEmitter: class { event = event; fire() {} dispose() {} },
  DiagnosticSeverity: { Error: 0, Warning: 1, Information: 2, Hint: 3 },
  DiagnosticTag: { Unnecessary: 1, Deprecated: 2 },
  CancellationTokenSource: class { token = { isCancellationRequested: false, onCancellationRequested: event }; dispose() {} },
  commands: part({ registerCommand: () => disposable }),
  window: part({
    showErrorMessage: (message) => recorded.errors.push(message),
    createOutputChannel: () => channel,
    visibleTextEditors: [], tabGroups: { all: [], onDidChangeTabs: event },
    onDidChangeActiveTextEditor: event, onDidChangeVisibleTextEditors: event,
  }),
  languages: part({
    match: () => 10,
    createDiagnosticCollection: () => ({
      set: (uri, items) => recorded.diagnostics.set(uri.toString(), items), delete() {}, clear() {}, dispose() {},
    }),
  }),
  extensions: { getExtension: (name) => (name === "redhat.vscode-yaml" ? yaml : undefined) },
  env: part({ appName: "test", language: "en" }),
});

const load = Module._load;
Module._load = (request, ...rest) => (request === "vscode" ? vscode : load(request, ...rest));
const extension = createRequire(import.meta.url)(bundle);
const context = { subscriptions: [], extensionPath: path.dirname(path.dirname(bundle)) };

async function until(holds) {
  for (let turn = 0; turn < 600 && !holds(); turn += 1) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.ok(holds(), JSON.stringify({ ...recorded, diagnostics: [...recorded.diagnostics] }));
}

after(() => extension.deactivate());

test("it starts nothing in a workspace that is not trusted", async () => {
  isTrusted = false;
  await extension.activate(context);
  assert.deepEqual([recorded.errors, recorded.diagnostics.size, recorded.granted.length], [[], 0, 1]);
});

test("it gives the YAML extension the schema of manifests alone", () => {
  const [, requestSchema, requestContent] = recorded.schema[0];
  const uri = requestSchema(document.uri.toString());
  assert.equal(JSON.parse(requestContent(uri)).title, "A cxroute manifest");
  assert.equal(requestSchema("file:///other.yaml"), undefined);
});

test("a missing command is one message", async () => {
  isTrusted = true;
  chosen = "/nowhere/cxroute";
  await recorded.granted[0]();
  assert.equal(recorded.errors.length, 1);
  assert.match(recorded.errors[0], /"\/nowhere\/cxroute" is missing/);
});

test("it starts the server and shows its findings", async () => {
  chosen = command;
  await recorded.granted[0]();
  await until(() => (recorded.diagnostics.get(document.uri.toString()) ?? []).length > 0);
  const codes = recorded.diagnostics.get(document.uri.toString()).map((each) => each.code?.value ?? each.code);
  assert.ok(codes.includes("CXR102"), String(codes));
  assert.equal(recorded.errors.length, 1);
});
