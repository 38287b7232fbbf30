// Between an author's rule and the contract: the exports of the component.
//
// Whatever an author throws becomes a `fault` with message, file and line, and whatever an author
// answers is held to the contract before it leaves: JavaScript would round, cut or drop in silence
// what does not fit, and points are money.

import { log } from "stampcard:plugin/log@0.1.0";
import { answers, shapes } from "./contract.js";
import { Rejected, toUtf8 } from "./index.js";

const QUESTIONS = {
  segmentRule: "segments",
  pointFormula: "points",
  tierRule: "tier",
  followUpTrigger: "followUps",
};

/** Most bytes that a plugin may remember about one customer, and keep with one sale. */
const STATE_BYTES_MAX = 4096;
const KEPT_BYTES_MAX = 256;

// ------------------------------------------------------------------ the log

const words = (values) =>
  values.map((it) => (typeof it === "string" ? it : it instanceof Error ? told(it) : (JSON.stringify(it) ?? String(it)))).join(" ");

/** Whether a call is under way: what a file says while the component is built, nobody reads. */
let isCalled = false;
const say = (level) => (...values) => {
  if (isCalled) log(level, words(values));
};

globalThis.console = {
  debug: say("debug"),
  log: say("info"),
  info: say("info"),
  warn: say("warn"),
  error: say("error"),
};

// ------------------------------------------------------------------ the exports

/** The exports of a component with one rule. `role` is as the contract has it, in camel case. */
export function exported(rule, roles) {
  if (rule == null || typeof rule !== "object") {
    throw new Error("the rule has no default export; write: export default rule({ … })");
  }
  for (const role of roles) {
    const question = QUESTIONS[role];
    if (typeof rule[question] !== "function") {
      throw new Error(`the manifest names a role for which the rule has no function ${question}(input, config)`);
    }
  }
  let made;
  let isConfigured = false;
  const lifecycle = {
    configure(configuration, shop) {
      caught(() => {
        const config = JSON.parse(configuration);
        made = rule.configure ? rule.configure(config, shop) : config;
        isConfigured = true;
      });
    },
  };
  const decide = (role) => ({
    decide: (input) =>
      caught(() => {
        if (!isConfigured) throw new Error("the host asked before it configured");
        const answer = rule[QUESTIONS[role]](input, made);
        if (answer instanceof Promise) throw new Error("a rule cannot wait: its function must not be async");
        return whole(answers[role], answer ?? {});
      }),
  });
  return { lifecycle, ...Object.fromEntries(roles.map((role) => [role, decide(role)])) };
}

/** What is thrown becomes the contract's refusal. */
function caught(act) {
  isCalled = true;
  try {
    return act();
  } catch (thrown) {
    if (thrown instanceof Rejected) throw { tag: "rejected", val: thrown.message };
    const isError = thrown instanceof Error;
    const message = isError ? `${thrown.name}: ${thrown.message}` : `thrown: ${words([thrown])}`;
    throw { tag: "fault", val: { message, trace: isError ? trace(thrown) : "" } };
  }
}

const told = (error) => `${error.name}: ${error.message}\n${trace(error)}`;

/** The stack with the author's own files and lines, from the map that the builder puts beside the bundle. */
function trace(error) {
  const map = globalThis.stampcardLines ?? { sources: [], lines: [] };
  const frames = String(error.stack ?? "").split("\n").filter((line) => line.trim());
  const named = frames.map((frame) =>
    frame.replace(/\(?[^\s()]*?:(\d+)(?::\d+)?\)?\s*$/, (all, line) => {
      const found = map.lines[line - 1];
      return found ? `(${map.sources[found[0]]}:${found[1]})` : all;
    }),
  );
  // What is ours is of no use to the author, unless there is nothing else.
  const own = named.filter((frame) => !frame.includes("(stampcard-sdk/"));
  return (own.length ? own : named).join("\n");
}

// ------------------------------------------------------------------ answers

/** An author's answer as the contract has it. */
function whole(name, answer) {
  const { note, remember, reviewAt, keepWithEvent, ...decisions } = answer;
  const after = {
    memory: memory(remember),
    nextReview: reviewAt === undefined ? { tag: "keep" } : reviewAt === null ? { tag: "never" } : { tag: "at", val: reviewAt },
    keepWithEvent: keepWithEvent == null ? null : json(keepWithEvent, KEPT_BYTES_MAX, "keepWithEvent"),
    note: note ?? null,
    attributes: [],
  };
  if ("after" in decisions) {
    throw new TypeError("after: write note, remember, reviewAt or keepWithEvent beside the decisions");
  }
  return checked(name, { ...decisions, after }, "");
}

function memory(remember) {
  if (remember === undefined) return { tag: "keep" };
  if (remember === null) return { tag: "forget" };
  return { tag: "replace", val: json(remember, STATE_BYTES_MAX, "remember") };
}

function json(value, most, place) {
  const bytes = toUtf8(JSON.stringify(value));
  if (bytes.length > most) {
    throw new RangeError(`${place}: ${bytes.length} bytes as JSON; at most ${most} are kept`);
  }
  return bytes;
}

const RANGES = {
  u8: [0, 255],
  u32: [0, 4294967295],
  s32: [-2147483648, 2147483647],
  s64: [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
};

/** A value that has the shape, or an error that names the place. */
function checked(shape, value, place) {
  const wrong = (expected) => new TypeError(`${place || "the answer"}: ${shown(value)} is not ${expected}`);
  if (typeof shape === "string") {
    if (shape in RANGES) return wholeNumber(shape, value, place, wrong);
    switch (shape) {
      case "bool":
        if (typeof value !== "boolean") throw wrong("true or false");
        return value;
      case "string":
        if (typeof value !== "string") throw wrong("a text");
        return value;
      case "bytes":
        if (!(value instanceof Uint8Array)) throw wrong("a Uint8Array");
        return value;
      default:
        return checked(shapes[shape], value, place);
    }
  }
  if (shape.option !== undefined) return value == null ? null : checked(shape.option, value, place);
  if (shape.list !== undefined) {
    if (!Array.isArray(value)) throw wrong("a list");
    return value.map((item, index) => checked(shape.list, item, `${place}[${index}]`));
  }
  if (shape.tuple !== undefined) {
    if (!Array.isArray(value) || value.length !== shape.tuple.length) throw wrong(`a list of ${shape.tuple.length}`);
    return value.map((item, index) => checked(shape.tuple[index], item, `${place}[${index}]`));
  }
  if (shape.enum !== undefined) {
    if (!shape.enum.includes(value)) throw wrong(`one of ${shape.enum.join(", ")}`);
    return value;
  }
  if (shape.variant !== undefined) {
    const tags = Object.keys(shape.variant);
    if (value == null || typeof value !== "object" || !tags.includes(value.tag)) {
      throw wrong(`{ tag, val } with one of the tags ${tags.join(", ")}`);
    }
    const payload = shape.variant[value.tag];
    return payload === null ? { tag: value.tag } : { tag: value.tag, val: checked(payload, value.val, `${place}.${value.tag}`) };
  }
  if (value == null || typeof value !== "object" || Array.isArray(value)) throw wrong("an object");
  const fields = shape.record;
  for (const key of Object.keys(value)) {
    if (!(key in fields)) {
      throw new TypeError(`${place}.${key}: the contract has no such field; there are ${known(fields)}`.replace(/^\./, ""));
    }
  }
  const record = {};
  for (const [key, field] of Object.entries(fields)) {
    const where = place ? `${place}.${key}` : key;
    record[key] = value[key] === undefined ? missing(field, where) : checked(field.is, value[key], where);
  }
  return record;
}

function missing(field, place) {
  if ("or" in field) return field.or;
  if (field.is?.option !== undefined) return null;
  if (field.is?.list !== undefined) return [];
  throw new TypeError(`${place} is missing`);
}

function wholeNumber(shape, value, place, wrong) {
  const [least, most] = RANGES[shape];
  // A rule may count in BigInt; what leaves is a number that is exact.
  const number = typeof value === "bigint" && value >= BigInt(least) && value <= BigInt(most) ? Number(value) : value;
  if (!Number.isInteger(number) || number < least || number > most) {
    throw wrong(`a whole number from ${least} to ${most}`);
  }
  // -0 is 0.
  return number + 0;
}

const known = (fields) => Object.keys(fields).filter((key) => key !== "after").join(", ");

function shown(value) {
  if (typeof value === "bigint") return `${value}n`;
  const text = typeof value === "number" || value === undefined ? String(value) : JSON.stringify(value);
  return text !== undefined && text.length > 60 ? `${text.slice(0, 60)}…` : text;
}
