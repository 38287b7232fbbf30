// The builder for JavaScript as npm brings it, behind the protocol of stampcard-js: what a shop does with
// sources is tested without building the real one.
//
//   node builder.mjs PACKAGES RULE [--roles ROLE,…] -o OUTPUT
//
// PACKAGES is a folder whose node_modules has the SDK and what it needs.

import { spawnSync } from "node:child_process";
import { appendFileSync, cpSync, existsSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { pathToFileURL } from "node:url";

const REFUSED = 65;
const [packages, ...words] = process.argv.slice(2);
const given = { roles: "" };
while (words.length) {
  const word = words.shift();
  if (word === "-o") given.output = words.shift();
  else if (word === "--roles") given.roles = words.shift();
  else given.rule = word;
}

const room = mkdtempSync(join(tmpdir(), "stampcard-test-"));
const project = join(room, "rule");
const isSource = (path) => !path.includes("node_modules") && (/\.[jt]s$/.test(path) || !basename(path).includes("."));
try {
  cpSync(dirname(given.rule), project, { recursive: true, filter: (path) => path === dirname(given.rule) || isSource(path) });
  symlinkSync(join(packages, "node_modules"), join(project, "node_modules"));
  process.exitCode = await build(join(project, basename(given.rule)));
} finally {
  rmSync(room, { recursive: true });
}

async function build(rule) {
  const manifest = given.roles ? null : await said(rule);
  const roles = given.roles || (manifest?.roles ?? []).join(",");
  if (!roles) {
    console.error(`${basename(rule)}:1:1: there is no manifest; write: export const manifest = { roles: ["point-formula"], events: ["sale.completed"] };`);
    return REFUSED;
  }
  const made = join(room, "made.wasm");
  const sdk = realpathSync(join(packages, "node_modules/stampcard-sdk/build.mjs"));
  const ran = spawnSync(process.execPath, [sdk, rule, "--roles", roles, "--output", made], { encoding: "utf8" });
  if (ran.status !== 0) {
    console.error(ran.stderr.trimEnd());
    return REFUSED;
  }
  if (manifest) appendFileSync(made, section("stampcard-manifest", toml(manifest)));
  cpSync(made, given.output);
  return 0;
}

/** What the file says of itself. What is wrong with it is found when it is built. */
async function said(rule) {
  const { build } = await import(pathToFileURL(createRequire(join(packages, "package.json")).resolve("esbuild")));
  const bundle = join(room, "said.mjs");
  const options = { bundle: true, format: "esm", platform: "neutral", logLevel: "silent", outfile: bundle };
  try {
    await build({ ...options, entryPoints: [rule] });
    return (await import(pathToFileURL(bundle))).manifest;
  } catch (error) {
    // Any role: it is refused before that matters.
    return existsSync(bundle) || error.errors ? { roles: ["point-formula"] } : null;
  }
}

function toml(manifest) {
  const inline = (value) => {
    if (Array.isArray(value)) return `[${value.map(inline).join(", ")}]`;
    if (typeof value !== "object") return JSON.stringify(value);
    return `{ ${Object.entries(value).map(([key, it]) => `${JSON.stringify(key)} = ${inline(it)}`).join(", ")} }`;
  };
  return Object.entries(manifest).map(([key, value]) => `${JSON.stringify(key)} = ${inline(value)}\n`).join("");
}

/** A custom section of WebAssembly. */
function section(name, text) {
  const body = Buffer.concat([Buffer.from([name.length]), Buffer.from(name), Buffer.from(text)]);
  const size = [];
  for (let left = body.length; ; left >>= 7) {
    size.push(left < 128 ? left : (left & 127) | 128);
    if (left < 128) break;
  }
  return Buffer.concat([Buffer.from([0, ...size]), body]);
}
