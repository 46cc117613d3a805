// Writes dist/: the four files that the server embeds. Same sources, same bytes.
import { copyFile, mkdir, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const source = (name) => join(here, "src", name);
const target = (name) => join(here, "dist", name);

await rm(join(here, "dist"), { recursive: true, force: true });
await mkdir(join(here, "dist"));
await build({
  entryPoints: { app: source("app.ts"), style: source("style/style.css") },
  outdir: join(here, "dist"),
  bundle: true,
  minify: true,
  // A classic script: it sets the theme before the first paint, which a module could not.
  format: "iife",
  target: ["chrome123", "firefox124", "safari17.5"],
  charset: "utf8",
  legalComments: "none",
  logLevel: "warning",
});
await copyFile(source("index.html"), target("index.html"));
await copyFile(source("icon.svg"), target("icon.svg"));

for (const name of ["index.html", "app.js", "style.css", "icon.svg"]) {
  console.log(`dist/${name} ${(await stat(target(name))).size} bytes`);
}
