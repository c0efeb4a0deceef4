// Training curves: a small chart for each metric, all with the same steps and one cursor.

import { brief, byId, element, visible } from "./dom.js";
import { index } from "./data.js";

const WIDTH = 380;
const HEIGHT = 150;
const EDGE = { left: 44, right: 10, top: 8, bottom: 20 };
const MOST_POINTS = 600;
const IMPORTANT = [
  ["Reward", "reward/overall"],
  ["Accuracy", "reward/accuracy"],
  ["Validation accuracy", "val/accuracy"],
  ["Dependency", "dependency/mean"],
  ["Entropy", "actor/entropy"],
  ["Gradient norm", "actor/grad_norm"],
  ["Response length", "response_length/mean"],
  ["Log-prob gap", "training/rollout_log_probs_diff_mean"],
];

/** The charts, and which metrics they show. */
export class Curves {
  constructor(showStep) {
    this.showStep = showStep;
    this.series = seriesOf(index.metrics);
    this.steps = [...new Set([...this.series.values()].flatMap((points) => points.map(([step]) => step)))].sort((a, b) => a - b);
    this.shown = new Set(IMPORTANT.map(([, name]) => name).filter((name) => this.series.has(name)));
    this.smoothing = 0;
    this.logarithm = false;
    this.charts = [];
    byId("smoothing").addEventListener("input", (event) => {
      this.smoothing = Number(event.target.value);
      this.draw();
    });
    byId("logarithm").addEventListener("input", (event) => {
      this.logarithm = event.target.checked;
      this.draw();
    });
    this.picker();
    this.draw();
  }

  picker() {
    const names = [...this.series.keys()].sort();
    const boxes = names.map((name) => {
      const change = (event) => {
        if (event.target.checked) this.shown.add(name);
        else this.shown.delete(name);
        this.draw();
      };
      const box = element("input", { type: "checkbox", value: name, checked: this.shown.has(name), change });
      return element("label", {}, box, ` ${visible(name)}`);
    });
    byId("metrics").append(...boxes);
    byId("metric-text").addEventListener("input", (event) => {
      const wanted = event.target.value.toLowerCase();
      boxes.forEach((box, at) => (box.hidden = !names[at].toLowerCase().includes(wanted)));
    });
  }

  draw() {
    const order = [...IMPORTANT.map(([, name]) => name), ...[...this.series.keys()].sort()];
    const names = [...new Set(order)].filter((name) => this.shown.has(name));
    this.charts = names.map((name) => new Chart(this, name));
    const empty = element("p", { class: "soft" }, this.series.size === 0 ? "No metrics were kept." : "No metric is chosen.");
    byId("charts").replaceChildren(...(names.length > 0 ? this.charts.map((chart) => chart.node) : [empty]));
  }

  /** Shows all charts' values at a step, or their last ones. */
  cursor(step) {
    for (const chart of this.charts) chart.cursor(step);
  }
}

/** Points `[step, value]` of each metric, by step. */
function seriesOf(lines) {
  const series = new Map();
  for (const line of lines) {
    for (const [name, value] of Object.entries(line)) {
      if (name === "step" || typeof value !== "number") continue;
      if (!series.has(name)) series.set(name, []);
      series.get(name).push([line.step, value]);
    }
  }
  return series;
}

class Chart {
  constructor(curves, name) {
    this.curves = curves;
    this.points = curves.series.get(name);
    this.errors = new Map(curves.series.get(`${name}_standard_error`) ?? []);
    const title = IMPORTANT.find(([, known]) => known === name)?.[0];
    this.reading = element("span", { class: "reading" });
    this.picture = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": `${name} over steps` });
    this.node = element("figure", {
      class: "chart", tabindex: 0, "data-metric": name, "aria-label": `${title ?? name}: arrow keys move the cursor, Enter lists the step`,
      pointermove: (event) => this.point(event), pointerleave: () => curves.cursor(null),
      click: () => this.enter(), keydown: (event) => this.key(event), blur: () => curves.cursor(null),
    }, element("figcaption", {}, element("strong", {}, title ?? visible(name)), title ? element("code", {}, name) : null, this.reading), this.picture);
    this.layout();
    this.cursor(null);
  }

  layout() {
    const { steps, smoothing, logarithm } = this.curves;
    const use = (value) => (logarithm ? (value > 0 ? Math.log10(value) : NaN) : value);
    const drawn = this.points.map(([step, value]) => [step, use(value)]).filter(([, value]) => Number.isFinite(value));
    const spread = logarithm ? [] : drawn.flatMap(([step, value]) => {
      const error = this.errors.get(step) ?? 0;
      return [value - error, value + error];
    });
    const [low, high] = ends([...drawn.map(([, value]) => value), ...spread]);
    const [first, last] = [steps[0], Math.max(steps[0] + 1, steps.at(-1))];
    this.x = (step) => EDGE.left + ((step - first) / (last - first)) * (WIDTH - EDGE.left - EDGE.right);
    this.y = (value) => HEIGHT - EDGE.bottom - ((value - low) / (high - low)) * (HEIGHT - EDGE.top - EDGE.bottom);
    this.use = use;
    const levels = ticks(low, high);
    const apart = levels[1] - levels[0];
    const grid = levels.flatMap((value) => [
      svg("line", { class: "grid", x1: EDGE.left, x2: WIDTH - EDGE.right, y1: this.y(value), y2: this.y(value) }),
      svg("text", { class: "tick", x: EDGE.left - 5, y: this.y(value) + 3.5, "text-anchor": "end" }, logarithm ? brief(10 ** value) : short(value, apart)),
    ]);
    const below = ticks(first, last).filter(Number.isInteger).map((step) =>
      svg("text", { class: "tick", x: this.x(step), y: HEIGHT - 5, "text-anchor": "middle" }, String(step)));
    const whiskers = logarithm ? [] : this.points.filter(([step]) => this.errors.has(step)).map(([step, value]) =>
      svg("line", { class: "whisker", x1: this.x(step), x2: this.x(step), y1: this.y(value - this.errors.get(step)), y2: this.y(value + this.errors.get(step)) }));
    const few = drawn.length <= 40 && smoothing === 0;
    const dots = few ? drawn.map(([step, value]) => svg("circle", { class: "dot", cx: this.x(step), cy: this.y(value), r: 1.8 })) : [];
    const lines = smoothing > 0 ? [this.line(drawn, "raw"), this.line(smoothed(drawn, smoothing), "curve")] : [this.line(drawn, "curve")];
    this.hair = svg("line", { class: "hair", y1: EDGE.top, y2: HEIGHT - EDGE.bottom });
    this.mark = svg("circle", { class: "mark", r: 3 });
    this.picture.replaceChildren(...grid, ...below, ...whiskers, ...lines, ...dots, this.hair, this.mark);
  }

  line(points, kind) {
    const path = thinned(points).map(([step, value], at) => `${at === 0 ? "M" : "L"}${this.x(step).toFixed(1)} ${this.y(value).toFixed(1)}`);
    return svg("path", { class: kind, d: path.join("") });
  }

  cursor(step) {
    const at = step === null ? this.points.length - 1 : nearest(this.points, step);
    const [found, value] = this.points[at];
    const drawn = this.use(value);
    const seen = step !== null && Number.isFinite(drawn);
    this.picture.classList.toggle("pointed", seen);
    const error = this.errors.has(found) ? ` ± ${brief(this.errors.get(found))}` : "";
    this.reading.textContent = `${brief(value)}${error} · step ${found}`;
    this.reading.title = String(value);
    if (!seen) return;
    for (const end of ["x1", "x2"]) this.hair.setAttribute(end, this.x(found));
    this.mark.setAttribute("cx", this.x(found));
    this.mark.setAttribute("cy", this.y(drawn));
  }

  point(event) {
    const box = this.picture.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * WIDTH;
    const at = nearest(this.points.map(([step]) => [this.x(step)]), x);
    this.step = this.points[at][0];
    this.curves.cursor(this.step);
  }

  key(event) {
    const moves = { ArrowLeft: -1, ArrowRight: 1 };
    if (event.key === "Enter") this.enter();
    if (!(event.key in moves)) return;
    const from = this.step === undefined ? this.points.length - 1 : nearest(this.points, this.step);
    const at = Math.min(this.points.length - 1, Math.max(0, from + moves[event.key]));
    this.step = this.points[at][0];
    this.curves.cursor(this.step);
    event.preventDefault();
  }

  enter() {
    if (index.rollouts.step.includes(this.step)) this.curves.showStep(this.step);
  }
}

function svg(name, attributes, text) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  return node;
}

function ends(values) {
  const [low, high] = values.reduce(([least, most], value) => [Math.min(least, value), Math.max(most, value)], [Infinity, -Infinity]);
  if (!Number.isFinite(low)) return [0, 1];
  const space = (high - low) * 0.06 || Math.abs(low) * 0.1 || 1;
  return [low - space, high + space];
}

/** At least three round numbers between two ends. */
function ticks(low, high) {
  const power = 10 ** Math.floor(Math.log10(high - low));
  const inside = (step) => {
    const first = Math.ceil(low / step);
    return Array.from({ length: Math.floor(high / step) - first + 1 }, (_, at) => Number(((first + at) * step).toPrecision(10)));
  };
  return [1, 0.5, 0.2, 0.1].map((factor) => inside(factor * power)).find((found) => found.length >= 3) ?? [];
}

/** A number of an axis whose neighbour is `step` away. */
function short(value, step) {
  const size = Math.abs(value);
  if (size === 0) return "0";
  const digits = Math.max(1, Math.min(9, 1 + Math.floor(Math.log10(size) + 1e-9) - Math.floor(Math.log10(step) + 1e-9)));
  const text = size < 0.001 || size >= 1e5 ? value.toExponential(digits - 1) : String(Number(value.toPrecision(digits)));
  return text.replaceAll("-", "−");
}

/** An exponential mean that starts without a bias, as TensorBoard draws it. */
function smoothed(points, weight) {
  let [sum, share] = [0, 0];
  return points.map(([step, value]) => {
    sum = sum * weight + value * (1 - weight);
    share = share * weight + (1 - weight);
    return [step, sum / share];
  });
}

/** Few enough points to draw: of each stretch its least and its greatest. */
function thinned(points) {
  if (points.length <= MOST_POINTS) return points;
  const stretch = Math.ceil((2 * points.length) / MOST_POINTS);
  const kept = [];
  for (let start = 0; start < points.length; start += stretch) {
    const part = points.slice(start, start + stretch).sort((a, b) => a[1] - b[1]);
    kept.push(...[part[0], part.at(-1)].sort((a, b) => a[0] - b[0]));
  }
  return kept;
}

function nearest(points, x) {
  let best = 0;
  points.forEach(([at], number) => {
    if (Math.abs(at - x) < Math.abs(points[best][0] - x)) best = number;
  });
  return best;
}
