// The same tokens as two recipes or checkpoints see them, one above the other, and the difference below.

import { brief, element, exact, visible } from "./dom.js";
import { index, readBlock } from "./data.js";
import { labelOf, rangeOf, scaleOf } from "./values.js";
import { colourOf, legend, paint } from "./colour.js";
import { TokenText, tokenText } from "./tokens.js";
import { problemOf, verdictOf } from "./response.js";

const GREATEST = 8;

/** What a response's tokens were scored by: the run itself, then the others, as `[name, block]`. */
export function sourcesOf(row) {
  const { block, compared } = index.rollouts;
  return [...(block[row] === null ? [] : [["this run", block[row]]]), ...compared[row]];
}

/** Shows two of a response's scorings. Returns what colours them by the chosen value. */
export async function showComparison(row, { pair, choosePair, enlarge }) {
  const { step, group, response } = index.rollouts;
  const sources = sourcesOf(row);
  const chosen = pair.map((at, side) => (at < sources.length ? at : Math.min(side, sources.length - 1)));
  const blocks = await Promise.all(chosen.map((at) => readBlock(sources[at][1])));
  const names = chosen.map((at) => visible(sources[at][0]));
  const select = (side) => element("select", {
    "aria-label": side === 0 ? "above" : "below", id: `pair-${side}`,
    change: (event) => choosePair(chosen.map((at, own) => (own === side ? Number(event.target.value) : at))),
  }, ...sources.map(([name], at) => element("option", { value: at, selected: at === chosen[side] }, visible(name))));
  const cells = (at) => element("span", { class: "token stack" }, ...[0, 1].map(() => element("span", { class: "cell" }, tokenText(blocks[0], at))),
    element("span", { class: "strip" }));
  let shown = null;
  const rows = (at) => keysOf(blocks).flatMap((key) => [0, 1].map((side) =>
    [key, `${labelOf(key)} · ${names[side]}`, blocks[side].columns.get(key)[at]]));
  const text = new TokenText(blocks[0], `Tokens by ${names.join(" and ")}`, cells, (at) => {
    const difference = shown ? [["difference", "Difference", shown[at]]] : [];
    return [...difference, ...rows(at)];
  });
  const summary = element("div", { class: "summary" });
  const recolour = (choice) => {
    shown = differences(blocks, choice.value);
    return colourPair(text, blocks, names, shown, summary, choice);
  };
  return {
    head: [element("h2", {}, `Step ${step[row]} · group ${group[row]} · response ${response[row]}`), verdictOf(row)],
    problem: problemOf(row, enlarge),
    content: element("div", { class: "comparison" },
      element("div", { class: "pair" }, element("label", {}, "above ", select(0)), element("label", {}, "below ", select(1)), summary), text.node),
    recolour,
  };
}

function keysOf(blocks) {
  return [...blocks[0].columns.keys()].filter((key) => blocks[1].columns.has(key));
}

/** Below less above, for each token. */
function differences(blocks, value) {
  const [above, below] = blocks.map((block) => (value ? block.columns.get(value.key) : undefined));
  return above && below ? below.map((number, at) => number - above[at]) : null;
}

function colourPair(text, blocks, names, difference, summary, { value, scope, clip }) {
  text.value = "difference";
  if (difference === null) {
    for (const part of text.node.querySelectorAll(".cell, .strip")) part.removeAttribute("style");
    summary.replaceChildren(value ? `${labelOf(value.key)} is not known of both.` : "");
    return element("div", { class: "scale" });
  }
  const columns = blocks.map((block) => block.columns.get(value.key));
  const scale = scaleOf(value.kind, scope === "all" ? value.range : rangeOf(columns), clip);
  const signed = scaleOf("diverging", rangeOf([difference]), clip);
  text.nodes.forEach((node, at) => {
    const [above, below, strip] = node.children;
    paint(above, scale, columns[0][at]);
    paint(below, scale, columns[1][at]);
    strip.style.backgroundColor = colourOf(signed, difference[at])[0];
  });
  const means = columns.map(meanOf);
  const greatest = [...difference.keys()].filter((at) => Number.isFinite(difference[at]))
    .sort((a, b) => Math.abs(difference[b]) - Math.abs(difference[a])).slice(0, GREATEST);
  summary.replaceChildren(
    element("p", {}, `Mean ${labelOf(value.key).toLowerCase()}: ${names[0]} ${brief(means[0])}, ${names[1]} ${brief(means[1])}; `,
      `correlation ${brief(correlation(columns[0], columns[1]))}. Greatest differences: `,
      ...greatest.map((at) => element("button", {
        type: "button", class: "jump", title: `token ${at + 1}: ${exact(difference[at])}`,
        click: () => { text.node.focus(); text.choose(at); },
      }, `${tokenText(blocks[0], at).trim() || "␣"} ${difference[at] > 0 ? "+" : ""}${brief(difference[at])}`))));
  const both = [...columns[0], ...columns[1]];
  return element("div", { class: "scale two" },
    element("div", {}, element("span", { class: "soft" }, "values"), legend(scale, both)),
    element("div", {}, element("span", { class: "soft" }, "below less above"), legend(signed, difference)));
}

function meanOf(numbers) {
  const finite = numbers.filter(Number.isFinite);
  return finite.length === 0 ? null : finite.reduce((sum, number) => sum + number, 0) / finite.length;
}

/** Pearson's; `null` where one side does not vary. */
function correlation(left, right) {
  const pairs = [...left.keys()].filter((at) => Number.isFinite(left[at]) && Number.isFinite(right[at]));
  const mean = (numbers) => pairs.reduce((sum, at) => sum + numbers[at], 0) / pairs.length;
  const [a, b] = [mean(left), mean(right)];
  const sum = (of) => pairs.reduce((total, at) => total + of(left[at] - a, right[at] - b), 0);
  const spread = Math.sqrt(sum((x) => x * x) * sum((_, y) => y * y));
  return spread > 0 ? sum((x, y) => x * y) / spread : null;
}
