// Reading what stands in the page: the index at once, tokens and images when they are asked for.

import { byId } from "./dom.js";

const KEPT_BLOCKS = 200;
const kept = new Map();

/** Everything but tokens and images; see `load`. */
export let index = null;

/** Reads the index. */
export async function load() {
  index = JSON.parse(new TextDecoder().decode(await unpacked("index")));
  return index;
}

/** A response's tokens: `{ length, tokens, columns }`, a `Float32Array` for each name or `name:contrast`. */
export async function readBlock(number) {
  if (!kept.has(number)) {
    kept.set(number, decode(number));
    if (kept.size > KEPT_BLOCKS) kept.delete(kept.keys().next().value);
  }
  return kept.get(number);
}

/** The name of a column or a value: with its contrast, if it has one. */
export function keyOf({ name, contrast }) {
  return contrast === undefined ? name : `${name}:${contrast}`;
}

/** The address of an image, which is the image. */
export function imageAddress(picture) {
  return `data:${picture.media_type};base64,${byId(`image-${picture.bytes}`).textContent}`;
}

async function decode(number) {
  const [layout, length] = index.blocks[number];
  const bytes = await unpacked(`block-${number}`);
  const words = [];
  const columns = new Map();
  let offset = 0;
  for (const column of index.layouts[layout]) {
    const own = new Uint32Array(length);
    for (let shift = 0; shift < 32; shift += 8) {
      for (let at = 0; at < length; at += 1) own[at] |= bytes[offset + at] << shift;
      offset += length;
    }
    if (column.from !== undefined) {
      const base = words[column.from];
      for (let at = 0; at < length; at += 1) own[at] ^= base[at];
    }
    words.push(own);
    if (column.name !== "token") columns.set(keyOf(column), new Float32Array(own.buffer));
  }
  const ours = columns.get("log_probs");
  columns.set("gap", columns.get("sampling_log_probs").map((theirs, at) => ours[at] - theirs));
  return { length, tokens: words[0], columns };
}

async function unpacked(id) {
  const packed = new Blob([bytesOf(byId(id).textContent)]);
  const stream = packed.stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

function bytesOf(base64) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(base64);
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at += 1) bytes[at] = text.charCodeAt(at);
  return bytes;
}
