// The values that colour tokens, and the ranges they are seen in.

import { visible } from "./dom.js";
import { keyOf, readBlock } from "./data.js";

const KNOWN = {
  dependency: ["Dependency", "how much the prediction depends on the image"],
  advantage: ["Advantage", "how loud the token's credit is, and for or against it"],
  gate: ["Gate", "share of the token's gradient that counts"],
  entropy: ["Entropy", "of the prediction, in nats"],
  log_probs: ["Log-prob", "of the token before the update, in nats"],
  gap: ["Log-prob gap", "recomputed less seen at sampling, in nats"],
  divergence: ["Divergence", "from the prediction under a contrast"],
  sampling_log_probs: ["Sampling log-prob", "as seen at sampling, in nats"],
  contrast_log_probs: ["Log-prob", "of the token under a contrast, in nats"],
};

/** A column's name for people. */
export function labelOf(key) {
  const [name, ...contrast] = key.split(":");
  const label = KNOWN[name]?.[0] ?? visible(name);
  return contrast.length > 0 ? `${label} · ${visible(contrast.join(":"))}` : label;
}

/** What a column is, in a few words. */
export function meaningOf(key) {
  return KNOWN[key.split(":")[0]]?.[1] ?? "";
}

/** The values of a page, in the order of their keys: the index's, each with `key` and `kind`. */
export function valuesOf(index) {
  return index.values.map((value) => ({ ...value, key: keyOf(value), kind: kindOf(value) }));
}

function kindOf({ name, range }) {
  if (name === "advantage" || name === "gap") return "diverging";
  if (name === "gate") return "share";
  if (name === "log_probs") return "reversed";
  // An estimate of a divergence may go a little below zero without being signed.
  return range.min < -0.05 * Math.abs(range.max) ? "diverging" : "sequential";
}

/** The range of numbers as the index gives it for the whole page. */
export function rangeOf(lists) {
  const total = lists.reduce((sum, list) => sum + list.length, 0);
  const finite = new Float32Array(total);
  let count = 0;
  for (const list of lists) {
    for (const number of list) {
      if (Number.isFinite(number)) finite[count++] = number;
    }
  }
  const sorted = finite.subarray(0, count).sort();
  const hundredth = Math.floor(count / 100);
  if (count === 0) return { min: null, max: null, p01: null, p99: null };
  return { min: sorted[0], max: sorted[count - 1], p01: sorted[hundredth], p99: sorted[count - 1 - hundredth] };
}

/** The range of a value over the blocks shown, over the group's, or over the page. */
export async function rangeIn(scope, value, shown, group) {
  if (scope === "all") return value.range;
  const blocks = scope === "group" ? await Promise.all(group.map(readBlock)) : shown;
  return rangeOf(blocks.flatMap((block) => block.columns.get(value.key) ?? []));
}

/** What a colour stands for: `{ kind, low, high }`, the ends of the scale. */
export function scaleOf(kind, range, clip) {
  const low = (clip ? range.p01 : range.min) ?? 0;
  const high = (clip ? range.p99 : range.max) ?? 0;
  if (kind === "share") return { kind, low: 0, high: 1 };
  if (kind === "reversed") return { kind, low, high: Math.max(0, high) };
  if (kind === "sequential") return { kind, low: Math.min(0, low), high };
  const limit = Math.max(Math.abs(low), Math.abs(high));
  return { kind, low: -limit, high: limit };
}
