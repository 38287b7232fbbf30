#!/usr/bin/env node
// Builds a rule in JavaScript or TypeScript into a component.
//
//   node build.mjs rule.js --roles point-formula,tier-rule --output rule.wasm
//
// Everything that the rule imports goes into one bundle, together with a map of its lines, so that a
// fault in a shop names the author's file and line. Where the project has TypeScript, types are
// checked first.

import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const HERE = dirname(fileURLToPath(import.meta.url));
const ROLES = ["segment-rule", "point-formula", "tier-rule", "follow-up-trigger"];

class Told extends Error {}

function options(words) {
  const given = { rule: null, roles: [], output: null };
  while (words.length) {
    const word = words.shift();
    if (word === "--roles") given.roles = (words.shift() ?? "").split(",").filter(Boolean);
    else if (word === "--output") given.output = words.shift();
    else if (given.rule === null) given.rule = word;
    else throw new Told(`${word} is not an option`);
  }
  if (!given.rule || !given.output) throw new Told("usage: build.mjs RULE --roles ROLE,… --output FILE");
  if (given.roles.length === 0) throw new Told("the manifest names no roles");
  for (const role of given.roles) {
    if (!ROLES.includes(role)) throw new Told(`${role} is no role; they are ${ROLES.join(", ")}`);
  }
  return given;
}

const camel = (name) => name.replace(/-(.)/g, (_, letter) => letter.toUpperCase());

async function build({ rule, roles, output }) {
  const project = dirname(resolve(rule));
  const from = createRequire(join(project, "package.json"));
  const load = async (name) => {
    try {
      return await import(pathToFileURL(from.resolve(name)));
    } catch {
      throw new Told(`${name} is not installed; type: npm install`);
    }
  };
  check(project, from);
  const esbuild = await load("esbuild");
  const { componentize } = await load("componentize-qjs");
  const names = roles.map(camel);
  // Ours comes first, so that the author's file finds a console.
  const { bundle, lines } = await bundled(esbuild, project, `
    import { exported } from ${JSON.stringify(join(HERE, "component.js"))};
    import rule from ${JSON.stringify("./" + relative(project, resolve(rule)))};
    export const { lifecycle, ${names.join(", ")} } = exported(rule, ${JSON.stringify(names)});
  `);
  const room = mkdtempSync(join(tmpdir(), "stampcard-build-"));
  try {
    for (const name of ["types.wit", "roles.wit"]) {
      writeFileSync(join(room, name), readFileSync(join(HERE, "wit", name)));
    }
    const exports = ["lifecycle", ...roles].map((name) => `export ${name};`).join(" ");
    writeFileSync(join(room, "plugin.wit"), `world this-plugin { import log; ${exports} }\n`);
    // WASI stays imported: the host gives one that has nothing but the event's own time and a random
    // source that the event determines, and an exception that nobody caught can say what it was.
    const { component } = await componentize({
      witPath: room,
      world: "this-plugin",
      jsSource: bundle,
      sync: true,
    }).catch((error) => {
      throw new Told(atBuild(error, lines));
    });
    writeFileSync(output, component);
  } finally {
    rmSync(room, { recursive: true });
  }
}

/** Types, where the project has a compiler that looks at them. */
function check(project, from) {
  let compiler;
  try {
    compiler = from.resolve("typescript/package.json");
  } catch {
    return;
  }
  if (!existsSync(join(project, "tsconfig.json"))) return;
  const ran = spawnSync(process.execPath, [join(dirname(compiler), "bin/tsc"), "--noEmit", "--pretty", "false"], {
    cwd: project,
    encoding: "utf8",
  });
  if (ran.status !== 0) throw new Told(`the types do not fit:\n${ran.stdout}${ran.stderr}`);
}

async function bundled(esbuild, project, entry) {
  const made = await esbuild
    .build({
      stdin: { contents: entry, resolveDir: project, sourcefile: "stampcard-sdk/entry.js" },
      absWorkingDir: project,
      bundle: true,
      write: false,
      format: "esm",
      target: "es2023",
      platform: "neutral",
      mainFields: ["module", "main"],
      external: ["stampcard:*"],
      sourcemap: "external",
      // Names of functions stay as they are in a stack.
      keepNames: false,
      minify: false,
      legalComments: "none",
      outfile: "bundle.js",
      logLevel: "silent",
    })
    .catch((error) => {
      throw new Told(reported(error));
    });
  for (const warning of made.warnings) console.error(place(warning));
  const file = (ending) => made.outputFiles.find((it) => it.path.endsWith(ending)).text;
  const lines = lineMap(JSON.parse(file(".map")), project);
  return { bundle: `${file(".js")}\nglobalThis.stampcardLines = ${JSON.stringify(lines)};\n`, lines };
}

/** What the rule's files threw while they were evaluated, with the author's own lines. */
function atBuild(error, { sources, lines }) {
  const thrown = String(error.message).replace(/^[:\s]*(Failed to [^:]+: )*/, "");
  const frames = thrown.trimEnd().replace(/\(componentize-qjs:user\.js:(\d+)(:\d+)?\)/g, (all, line) => {
    const found = lines[line - 1];
    return found ? `(${sources[found[0]]}:${found[1]})` : all;
  });
  const own = frames.split("\n").filter((frame) => !frame.includes("(stampcard-sdk/"));
  return `the rule cannot be evaluated: ${own.join("\n")}`;
}

function place({ location, text }) {
  return location ? `${location.file}:${location.line}:${location.column + 1}: ${text}` : text;
}

function reported(error) {
  const errors = error.errors ?? [];
  const told = errors.map((it) => {
    const node = /Could not resolve "(node:)?(fs|path|http|https|net|os|crypto|child_process)"/.exec(it.text);
    return place(it) + (node ? "\n  a rule has no files, network or system: what it may know is in its input" : "");
  });
  return told.length ? told.join("\n") : String(error);
}

/**
 * For each line of the bundle the file and the line that it comes from: `{ sources, lines }`, where
 * an entry of `lines` is `[source, line]` or 0.
 */
export function lineMap(map, project) {
  const sdk = realpathSync(HERE);
  const sources = map.sources.map((source) => {
    const path = resolve(project, source);
    const real = existsSync(path) ? realpathSync(path) : path;
    return real.startsWith(sdk) || source.includes("stampcard-sdk/") ? `stampcard-sdk/${relative(sdk, real)}` : relative(realpathSync(project), real);
  });
  let [source, line] = [0, 0];
  const lines = map.mappings.split(";").map((segments) => {
    let first = 0;
    for (const segment of segments.split(",").filter(Boolean)) {
      const fields = decoded(segment);
      if (fields.length < 4) continue;
      source += fields[1];
      line += fields[2];
      if (first === 0) first = [source, line + 1];
    }
    return first;
  });
  return { sources, lines };
}

const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/** The numbers of one segment of a source map (base 64 VLQ). */
function decoded(segment) {
  const numbers = [];
  let [value, shift] = [0, 0];
  for (const letter of segment) {
    const digit = DIGITS.indexOf(letter);
    value += (digit & 31) << shift;
    shift += 5;
    if ((digit & 32) === 0) {
      numbers.push(value & 1 ? -(value >> 1) : value >> 1);
      [value, shift] = [0, 0];
    }
  }
  return numbers;
}

if (process.argv[1] && realpathSync(process.argv[1]) === realpathSync(fileURLToPath(import.meta.url))) {
  try {
    await build(options(process.argv.slice(2)));
  } catch (error) {
    console.error(error instanceof Told ? error.message : (error.stack ?? String(error)));
    process.exitCode = 1;
  }
}
