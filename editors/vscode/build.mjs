// Bundles the extension, and the modules that tests load without an editor.
import { build } from "esbuild";
import { copyFile } from "node:fs/promises";

const common = { bundle: true, platform: "node", target: "node20", format: "cjs", external: ["vscode"] };
await build({ ...common, entryPoints: ["src/extension.ts"], outfile: "dist/extension.js", minify: true });
await build({ ...common, entryPoints: ["src/settings.ts"], outfile: "build/settings.cjs" });
await copyFile("../../schema/manifest.v1.json", "dist/manifest.schema.json");
await copyFile("../../LICENSE", "LICENSE");
