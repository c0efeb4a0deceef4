// The list of responses. Only the rows in sight exist, so that it may be long.

import { brief, byId, element, oneLine } from "./dom.js";
import { index } from "./data.js";
import { EVERYTHING, isRight, lengthOf, ordered, passing } from "./filter.js";

const ROW_HEIGHT = 26;
const SPARE_ROWS = 8;

/** The list with its search, filters and order; `open(row)` is called for the row that is chosen. */
export class Table {
  constructor(values, open) {
    this.open = open;
    this.filter = { ...EVERYTHING };
    this.rows = [];
    this.current = null;
    this.sort = { column: null, descending: false };
    this.columns = columns(values);
    this.body = byId("rows");
    this.grid = byId("grid");
    this.grid.addEventListener("keydown", (event) => this.key(event));
    this.space = element("div", { class: "space", role: "presentation" });
    this.body.append(this.space);
    this.body.addEventListener("scroll", () => this.draw());
    new ResizeObserver(() => this.draw()).observe(this.body);
    this.head = byId("columns");
    this.head.append(...this.columns.map((column) => this.heading(column)));
    byId("list").style.setProperty("--columns", this.columns.map((column) => column.width).join(" "));
    this.controls();
    this.apply();
  }

  heading(column) {
    const sort = () => {
      const again = this.sort.column === column;
      if (again && this.sort.descending !== column.descending) this.sort = { column: null, descending: false };
      else this.sort = { column, descending: again ? !this.sort.descending : column.descending };
      this.apply();
    };
    const button = element("button", { type: "button", title: column.title, click: sort }, column.label);
    column.head = element("div", { role: "columnheader", "aria-sort": "none", class: column.class }, button);
    return column.head;
  }

  controls() {
    const steps = [...new Set(index.rollouts.step)].sort((a, b) => a - b);
    byId("filter-step").append(...steps.map((step) => element("option", { value: step }, `step ${step}`)));
    const number = (text) => (text.trim() === "" || Number.isNaN(Number(text)) ? null : Number(text));
    const read = {
      "filter-text": (node) => ({ text: node.value }),
      "filter-step": (node) => ({ step: number(node.value) }),
      "filter-group": (node) => ({ group: number(node.value) }),
      "filter-verdict": (node) => ({ verdict: node.value }),
      "filter-finish": (node) => ({ finish: node.value }),
      "filter-least": (node) => ({ least: number(node.value) }),
      "filter-most": (node) => ({ most: number(node.value) }),
      "filter-tokens": (node) => ({ tokens: node.checked }),
    };
    for (const [id, of] of Object.entries(read)) {
      byId(id).addEventListener("input", (event) => {
        Object.assign(this.filter, of(event.target));
        this.apply();
      });
    }
    byId("filters").addEventListener("reset", () => {
      this.filter = { ...EVERYTHING };
      this.apply();
    });
  }

  /** Lists one step alone. */
  showStep(step) {
    byId("filters").reset();
    byId("filter-step").value = String(step);
    this.filter.step = step;
    this.apply();
  }

  apply() {
    const start = performance.now();
    this.rows = passing(this.filter);
    const { column, descending } = this.sort;
    if (column) ordered(this.rows, column.sort, descending);
    for (const { head, ...own } of this.columns) {
      const sorted = column?.head === head;
      head.setAttribute("aria-sort", !sorted ? "none" : descending ? "descending" : "ascending");
      head.classList.toggle("sorted", sorted && own.label !== undefined);
    }
    this.space.style.height = `${this.rows.length * ROW_HEIGHT}px`;
    this.grid.setAttribute("aria-rowcount", this.rows.length);
    const right = this.rows.filter(isRight).length;
    const share = this.rows.length > 0 ? ` · ${brief((100 * right) / this.rows.length)} % right` : "";
    byId("count").textContent = `${this.rows.length} of ${index.rollouts.step.length} responses${share}`;
    this.draw();
    performance.clearMeasures("filter");
    performance.measure("filter", { start });
  }

  /** Marks a response as the one that is open and brings it into sight. */
  select(row) {
    this.current = row;
    const at = this.rows.indexOf(row);
    if (at >= 0) {
      const [top, height] = [at * ROW_HEIGHT, this.body.clientHeight];
      if (top < this.body.scrollTop) this.body.scrollTop = top;
      if (top + ROW_HEIGHT > this.body.scrollTop + height) this.body.scrollTop = top + ROW_HEIGHT - height;
    }
    this.draw();
  }

  /** Opens the listed response before or behind the open one. */
  move(by) {
    const at = this.rows.indexOf(this.current);
    const to = at < 0 ? 0 : Math.min(this.rows.length - 1, Math.max(0, at + by));
    if (to !== at && this.rows.length > 0) this.open(this.rows[to]);
  }

  key(event) {
    const by = { ArrowUp: -1, ArrowDown: 1, Home: -this.rows.length, End: this.rows.length }[event.key];
    if (by === undefined || event.target !== this.grid) return;
    this.move(by);
    event.preventDefault();
  }

  draw() {
    const first = Math.max(0, Math.floor(this.body.scrollTop / ROW_HEIGHT) - SPARE_ROWS);
    const last = Math.ceil((this.body.scrollTop + this.body.clientHeight) / ROW_HEIGHT) + SPARE_ROWS;
    this.space.replaceChildren(...this.rows.slice(first, last).map((row, at) => this.line(row, first + at)));
    const current = byId(`row-${this.current}`);
    if (current) this.grid.setAttribute("aria-activedescendant", current.id);
    else this.grid.removeAttribute("aria-activedescendant");
  }

  line(row, at) {
    const cells = this.columns.map((column) => {
      const [text, kind] = [column.text(row)].flat();
      return element("div", { role: "gridcell", class: [column.class, kind].filter(Boolean).join(" ") || null }, text);
    });
    const line = element("div", {
      role: "row", id: `row-${row}`, class: row === this.current ? "row current" : "row",
      "aria-rowindex": at + 1, "aria-selected": row === this.current, click: () => this.open(row),
    }, ...cells);
    line.style.top = `${at * ROW_HEIGHT}px`;
    return line;
  }
}

function columns(values) {
  const { step, group, response, reward, finish, text } = index.rollouts;
  const number = (label, title, of, width, show = brief) =>
    ({ label, title, width, class: "number", descending: true, sort: of, text: (row) => show(of(row)) });
  const plain = (value) => (value === null ? "–" : String(value));
  const mean = (name, label) => {
    const value = values.find((known) => known.name === name);
    return value ? [number(label, `mean ${name} of the tokens`, (row) => value.mean[row], "4.7em")] : [];
  };
  const place = (row) => `${group[row]}.${response[row]}`;
  const order = (row) => group[row] * 1e6 + response[row];
  return [
    { ...number("step", "step", (row) => step[row], "2.8em", plain), descending: false },
    { ...number("resp", "group and response", order, "3.3em"), descending: false, text: place },
    {
      label: "✓", title: "right or wrong", width: "1.3em", class: "mark", descending: true, sort: (row) => index.rollouts.accuracy[row],
      text: (row) => (isRight(row) ? ["✓", "right"] : ["✗", "wrong"]),
    },
    number("reward", "reward in all", (row) => reward[row], "4.7em"),
    number("tokens", "tokens; a mark where the length limit ended it", lengthOf, "3.4em", plain),
    ...mean("dependency", "dep"),
    ...mean("entropy", "entr"),
    {
      label: "response", title: "text of the response", width: "minmax(4em, 1fr)", class: "text", descending: false,
      sort: (row) => text[row], text: (row) => (finish[row] === "length" ? "✂ " : "") + oneLine(text[row].slice(0, 160)),
    },
  ];
}
