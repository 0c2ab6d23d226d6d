// What the extension starts, and for which files. Without the editor's API, so that tests can load it.

export interface Settings {
  readonly command: string;
  readonly args: readonly string[];
}

export interface ServerCommand {
  readonly command: string;
  readonly args: readonly string[];
}

export interface FileFilter {
  readonly scheme: "file";
  readonly pattern: string;
}

const DEFAULT_FOLDER = "manifests";
const FOLDER_OPTIONS = new Set(["-m", "--manifests"]);
const MANIFEST = /\bapiVersion["']?\s*:\s*["']?routing\//;

/** Returns the server's command; a relative path is below the first folder, and a bare name is looked up in PATH. */
export function serverCommand(settings: Settings, firstFolder: string | undefined): ServerCommand {
  const { command, args } = settings;
  const isRelativePath = /[\\/]/.test(command) && !isAbsolute(command);
  const path = isRelativePath && firstFolder !== undefined ? `${firstFolder}/${command}` : command;
  return { command: path, args };
}

/** Returns the folder of the manifests, which the arguments may name. */
export function manifestsFolder(args: readonly string[]): string {
  for (const [index, argument] of args.entries()) {
    const [name, value] = split(argument);
    if (FOLDER_OPTIONS.has(name)) {
      return trimmed(value ?? args[index + 1] ?? DEFAULT_FOLDER);
    }
  }
  return DEFAULT_FOLDER;
}

/** Returns the files that the server is asked about: the YAML files below the manifests' folder. */
export function fileFilters(args: readonly string[]): FileFilter[] {
  const folder = manifestsFolder(args);
  const prefix = isAbsolute(folder) ? folder : `**/${folder}`;
  const inEveryFolder = folder === "." ? "**" : `${prefix}/**`;
  return [{ scheme: "file", pattern: `${inEveryFolder}/*.{yaml,yml}` }];
}

/** Returns whether a text is a manifest of cxroute: other programs have folders of that name, too. */
export function isManifest(text: string): boolean {
  return MANIFEST.test(text);
}

/** Returns what to tell the user if the command cannot be started. */
export function startFailure(command: string, reason: NodeJS.ErrnoException): string {
  if (reason.code === "ENOENT") {
    return (
      `The command "${command}" is missing. Install cxroute with its extra "lsp", ` +
      "or write the command's path in the setting cxroute.command."
    );
  }
  if (reason.code === "EACCES") {
    return `The command "${command}" is not executable. Correct its permissions, or the setting cxroute.command.`;
  }
  return `The command "${command}" does not work: ${firstLine(reason.message)}. Correct the setting cxroute.command.`;
}

function split(argument: string): [string, string | undefined] {
  const at = argument.indexOf("=");
  return at < 0 ? [argument, undefined] : [argument.slice(0, at), argument.slice(at + 1)];
}

function trimmed(folder: string): string {
  return folder.replaceAll("\\", "/").replace(/^\.\//, "").replace(/\/+$/, "") || ".";
}

function isAbsolute(path: string): boolean {
  return /^([\\/]|[A-Za-z]:[\\/])/.test(path);
}

function firstLine(text: string): string {
  return text.split("\n", 1)[0]?.replace(/\.$/, "") ?? "";
}
