// One response, or all responses of its group side by side.

import { byId, element, exact, visible } from "./dom.js";
import { imageAddress, index, readBlock } from "./data.js";
import { labelOf, meaningOf, rangeIn, scaleOf } from "./values.js";
import { legend } from "./colour.js";
import { TokenText, cardRows, tokenText } from "./tokens.js";
import { groupOf, isRight, lengthOf } from "./filter.js";

/** The head of a response: where it stands, its verdict and what its reward is made of. */
export function verdictOf(row) {
  const { reward, finish, parts } = index.rollouts;
  const mark = isRight(row) ? element("span", { class: "badge right" }, "✓ right") : element("span", { class: "badge wrong" }, "✗ wrong");
  const ending = finish[row] === "length" ? element("span", { class: "badge cut" }, "✂ cut at the length limit") : null;
  const named = Object.entries(parts[row]).map(([name, value]) => fact(name, exact(value)));
  const length = lengthOf(row);
  return element("div", { class: "verdict" }, mark, ending, fact("reward", exact(reward[row])), ...named,
    length === null ? null : fact("tokens", length));
}

function fact(name, value) {
  return element("span", { class: "fact" }, element("span", { class: "name" }, visible(name)), ` ${value}`);
}

/** The problem of a response, its images and what the contrasts showed in their place. */
export function problemOf(row, enlarge) {
  const { step, group, problem, answer, place, problem_index: number } = index.rollouts;
  const shown = index.pictures.find((known) => known.step === step[row] && known.group === group[row]);
  const images = (shown?.pictures ?? []).map((picture) => {
    const image = element("img", { src: imageAddress(picture), alt: visible(picture.name) });
    const open = element("button", { type: "button", title: "enlarge", click: () => enlarge(picture) }, image);
    return element("figure", {}, open, element("figcaption", {}, visible(picture.name)));
  });
  const from = [place[row], number[row] === null ? null : `problem ${number[row]}`].filter((part) => part !== null);
  return element("div", { class: "problem" },
    images.length > 0 ? element("div", { class: "pictures" }, ...images) : null,
    element("dl", {},
      element("dt", {}, "Problem"), element("dd", { class: "prose", dir: "auto" }, visible(problem[row])),
      element("dt", {}, "Answer"), element("dd", { class: "prose answer", dir: "auto" }, visible(answer[row])),
      ...(from.length > 0 ? [element("dt", {}, "From"), element("dd", { class: "soft" }, visible(from.join(", ")))] : [])));
}

/** A response's text as the run kept it: coloured tokens, or letters alone. */
async function bodyOf(row, label) {
  const number = index.rollouts.block[row];
  if (number === null) return { node: element("div", { class: "plain", dir: "auto" }, visible(index.rollouts.text[row])), block: null };
  const block = await readBlock(number);
  const cells = (at) => element("span", { class: "token" }, tokenText(block, at));
  const text = new TokenText(block, label, cells, (at) => cardRows(block, at));
  return { node: text.node, block, text };
}

/** Shows a response or its group. Returns what colours it by the chosen value and scale. */
export async function showResponse(row, { view, enlarge, open }) {
  const { step, group, response } = index.rollouts;
  const all = groupOf(row);
  const rows = view === "group" ? all : [row];
  const bodies = await Promise.all(rows.map((shown) => bodyOf(shown, `Tokens of response ${response[shown]}`)));
  const parts = bodies.map((body, at) => {
    const shown = rows[at];
    if (view !== "group") return body.node;
    const title = element("button", { type: "button", class: "link", click: () => open(shown) }, `Response ${response[shown]}`);
    const side = element("section", { class: shown === row ? "side current" : "side", "aria-label": `Response ${response[shown]}` },
      element("header", {}, title, verdictOf(shown)), body.node);
    return side;
  });
  const title = view === "group" ? `Step ${step[row]} · group ${group[row]} · ${all.length} responses`
    : `Step ${step[row]} · group ${group[row]} · response ${response[row]}`;
  const recolour = (choice) => colourBodies(bodies, all, view, choice);
  return {
    head: [element("h2", {}, title), view === "group" ? null : verdictOf(row)],
    problem: problemOf(row, enlarge),
    content: view === "group" ? element("div", { class: "sides" }, ...parts) : parts[0],
    recolour,
  };
}

/** Colours all bodies by the same value on the same scale. */
async function colourBodies(bodies, group, view, { value, scope, clip, marks }) {
  const known = bodies.filter((body) => body.block !== null);
  if (known.length === 0) return note("The tokens of this response were not kept.");
  for (const { text, block } of known) text.mark(marks ? block.columns.get("gate") : null);
  if (value === null) {
    for (const { text } of known) text.colour(null, null, null);
    return note("");
  }
  const blocks = known.map((body) => body.block);
  const groupBlocks = group.map((row) => index.rollouts.block[row]).filter((number) => number !== null);
  const wide = view === "group" && scope === "response" ? "group" : scope;
  const scale = scaleOf(value.kind, await rangeIn(wide, value, blocks, groupBlocks), clip);
  for (const { text, block } of known) text.colour(value.key, scale, block.columns.get(value.key));
  const numbers = blocks.flatMap((block) => [...(block.columns.get(value.key) ?? [])]);
  if (numbers.length === 0) return note(`${labelOf(value.key)} is not known of this response.`);
  return element("div", { class: "scale", title: meaningOf(value.key) }, legend(scale, numbers));
}

function note(text) {
  return element("div", { class: "scale soft" }, text);
}

/** Shows an image as large as it goes. */
export function enlargeImage(picture) {
  const image = element("img", { src: imageAddress(picture), alt: visible(picture.name) });
  byId("enlarged").replaceChildren(image, element("p", {}, visible(picture.name)));
  byId("enlarged").showModal();
}
