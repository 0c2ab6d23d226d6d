// Starts `cxroute lsp` for the manifests of a workspace.

import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import * as path from "node:path";
import { promisify } from "node:util";

import * as vscode from "vscode";
import { LanguageClient, RevealOutputChannelOn } from "vscode-languageclient/node";

import { fileFilters, isManifest, serverCommand, startFailure, type Settings } from "./settings";

const SCHEMA = "cxroute://schema/manifest";
const YAML_EXTENSION = "redhat.vscode-yaml";

interface YamlApi {
  registerContributor(
    name: string,
    requestSchema: (resource: string) => string | undefined,
    requestContent: (uri: string) => string | undefined,
  ): boolean;
}

let client: LanguageClient | undefined;

export async function activate(context: vscode.ExtensionContext): Promise<void> {
  context.subscriptions.push(
    vscode.commands.registerCommand("cxroute.restart", restart),
    vscode.workspace.onDidGrantWorkspaceTrust(restart),
    vscode.workspace.onDidChangeConfiguration(async (event) => {
      if (event.affectsConfiguration("cxroute")) {
        await restart();
      }
    }),
  );
  await Promise.all([start(), shareSchema(context.extensionPath)]);
}

export async function deactivate(): Promise<void> {
  await stop();
}

async function restart(): Promise<void> {
  await stop();
  await start();
}

async function stop(): Promise<void> {
  const running = client;
  client = undefined;
  await running?.dispose();
}

/** Starts the server. A workspace that is not trusted must not choose a program to run. */
async function start(): Promise<void> {
  if (!vscode.workspace.isTrusted) {
    return;
  }
  const settings = readSettings();
  const firstFolder = vscode.workspace.workspaceFolders?.[0]?.uri.fsPath;
  const { command, args } = serverCommand(settings, firstFolder);
  try {
    await promisify(execFile)(command, ["--version"]);
  } catch (error) {
    void vscode.window.showErrorMessage(startFailure(command, error as NodeJS.ErrnoException));
    return;
  }
  const server = { command, args: [...args] };
  const options = { documentSelector: fileFilters(args), revealOutputChannelOn: RevealOutputChannelOn.Never };
  client = new LanguageClient("cxroute", "cxroute", server, options);
  await client.start();
}

function readSettings(): Settings {
  const configuration = vscode.workspace.getConfiguration("cxroute");
  return {
    command: configuration.get<string>("command", "cxroute"),
    args: configuration.get<string[]>("args", ["lsp"]),
  };
}

/** Gives the YAML extension the schema of manifests, so that it applies no other one to them. */
async function shareSchema(extensionPath: string): Promise<void> {
  const yaml = vscode.extensions.getExtension<YamlApi>(YAML_EXTENSION);
  if (yaml === undefined) {
    return;
  }
  const schema = await readFile(path.join(extensionPath, "dist", "manifest.schema.json"), "utf8");
  const api = await yaml.activate();
  api.registerContributor(
    "cxroute",
    (resource) => (isManifest(openText(resource)) ? SCHEMA : undefined),
    (uri) => (uri === SCHEMA ? schema : undefined),
  );
}

function openText(resource: string): string {
  const document = vscode.workspace.textDocuments.find((each) => each.uri.toString() === resource);
  return document?.getText() ?? "";
}
