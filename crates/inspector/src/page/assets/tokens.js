// A response's tokens as coloured text, a card with a token's exact values, and moving from token to token.

import { byId, element, exact, visible } from "./dom.js";
import { index } from "./data.js";
import { labelOf } from "./values.js";
import { paint } from "./colour.js";

let serial = 0;

/** The text that stands for a token. Tokens that add none, such as parts of a character, get a mark of their own. */
export function tokenText(block, at) {
  const text = index.dictionary.texts[block.tokens[at]];
  return text === "" ? "◌" : visible(text).replaceAll("\n", "⏎").replaceAll("\t", "⇥ ");
}

/** Lines of token elements, each made by `make(at)`: a line ends behind a token with a line break. */
export function tokenLines(block, make) {
  const lines = [];
  let line = element("div", { class: "line" });
  for (let at = 0; at < block.length; at += 1) {
    const node = make(at);
    node.at = at;
    line.append(node);
    if (index.dictionary.texts[block.tokens[at]].includes("\n") || at === block.length - 1) {
      lines.push(line);
      line = element("div", { class: "line" });
    }
  }
  return lines;
}

/**
 * Text of tokens that can be coloured, pointed at and walked through.
 *
 * `cells(at)` gives the token's element; `rows(at)` its values for the card, as `[key, label, value]`.
 */
export class TokenText {
  constructor(block, label, cells, rows) {
    this.block = block;
    this.rows = rows;
    this.nodes = [];
    this.current = -1;
    this.value = null;
    this.serial = serial++;
    const lines = tokenLines(block, (at) => (this.nodes[at] = cells(at)));
    this.node = element("div", {
      class: "tokens", tabindex: 0, role: "listbox", "aria-label": label, "aria-orientation": "horizontal", dir: "auto",
      pointerover: (event) => this.point(tokenOf(event.target)),
      pointerleave: () => (document.activeElement === this.node ? this.choose(this.current) : hideCard()),
      click: (event) => this.choose(tokenOf(event.target)?.at ?? this.current),
      focus: () => this.choose(Math.max(0, this.current), false),
      blur: () => hideCard(),
      keydown: (event) => this.key(event),
    }, ...lines);
  }

  /** Colours every token by a list of numbers, or none. */
  colour(key, scale, numbers) {
    this.value = key;
    this.nodes.forEach((node, at) => {
      if (numbers) paint(node, scale, numbers[at]);
      else node.removeAttribute("style");
    });
  }

  /** Marks tokens by their gate: open ones are underlined, shut ones pale. */
  mark(gates) {
    this.nodes.forEach((node, at) => {
      node.classList.toggle("open", gates !== null && gates[at] > 0);
      node.classList.toggle("shut", gates !== null && !(gates[at] > 0));
    });
  }

  point(node) {
    if (node) showCard(this, node);
  }

  /** Makes a token the current one. */
  choose(at, scroll = true) {
    const node = this.nodes[at];
    if (!node) return;
    this.nodes[this.current]?.classList.remove("current");
    this.current = at;
    node.classList.add("current");
    const [, label, value] = this.rows(at).find(([key]) => key === this.value) ?? [];
    const spoken = `token ${at + 1}, ${tokenText(this.block, at)}${label ? `, ${label} ${exact(value)}` : ""}`;
    node.id = `token-${this.serial}-${at}`;
    node.setAttribute("role", "option");
    node.setAttribute("aria-selected", "true");
    node.setAttribute("aria-label", spoken);
    this.node.setAttribute("aria-activedescendant", node.id);
    if (scroll) node.scrollIntoView({ block: "nearest" });
    showCard(this, node);
  }

  key(event) {
    const last = this.nodes.length - 1;
    const steps = { ArrowLeft: -1, ArrowRight: 1, Home: -last, End: last };
    const lines = { ArrowUp: -1, ArrowDown: 1 };
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.key in steps) this.choose(Math.min(last, Math.max(0, this.current + steps[event.key])));
    else if (event.key in lines) this.choose(this.besides(lines[event.key]));
    else return;
    event.preventDefault();
  }

  /** The token above or below the current one. */
  besides(direction) {
    const from = this.nodes[this.current].getBoundingClientRect();
    const middle = (from.left + from.right) / 2;
    let best = this.current;
    let [distance, top] = [Infinity, null];
    for (let at = this.current + direction; this.nodes[at]; at += direction) {
      const box = this.nodes[at].getBoundingClientRect();
      if (Math.abs(box.top - from.top) < 4) continue;
      if (top !== null && Math.abs(box.top - top) >= 4) break;
      top = box.top;
      const away = Math.max(0, box.left - middle, middle - box.right);
      if (away < distance) [distance, best] = [away, at];
    }
    return best;
  }
}

function tokenOf(node) {
  const token = node.closest?.(".token");
  return token?.at === undefined ? null : token;
}

function showCard(text, node) {
  const card = byId("card");
  const { block } = text;
  const rows = text.rows(node.at).map(([key, label, value]) =>
    element("tr", { class: key === text.value ? "chosen" : null, "data-key": key },
      element("th", { scope: "row" }, label), element("td", {}, exact(value))));
  card.replaceChildren(
    element("div", { class: "head" },
      element("code", {}, JSON.stringify(visible(index.dictionary.texts[block.tokens[node.at]]))),
      element("span", {}, `token ${node.at + 1} of ${block.length}, id ${index.dictionary.ids[block.tokens[node.at]]}`)),
    element("table", {}, element("tbody", {}, ...rows)));
  card.hidden = false;
  const box = node.getBoundingClientRect();
  const { width, height } = card.getBoundingClientRect();
  const below = box.bottom + 6 + height <= innerHeight;
  card.style.left = `${Math.max(6, Math.min(box.left, innerWidth - width - 6))}px`;
  card.style.top = `${Math.max(6, below ? box.bottom + 6 : box.top - height - 6)}px`;
}

/** Takes the card away. */
export function hideCard() {
  byId("card").hidden = true;
}

/** A response's values of one token for the card, in the page's order. */
export function cardRows(block, at) {
  const order = ["dependency", "advantage", "gate", "entropy", "log_probs", "sampling_log_probs", "gap"];
  const others = [...block.columns.keys()].filter((key) => key.includes(":")).sort();
  const keys = [...order.filter((key) => block.columns.has(key)), ...others];
  return keys.map((key) => [key, labelOf(key), block.columns.get(key)[at]]);
}
