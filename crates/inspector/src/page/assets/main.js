// The page's state: what is open, how it is coloured, keys and the address.

import { byId, element, takesText, visible } from "./dom.js";
import { index, load } from "./data.js";
import { labelOf, valuesOf } from "./values.js";
import { onThemeChange } from "./colour.js";
import { hideCard } from "./tokens.js";
import { Curves } from "./curves.js";
import { Table } from "./table.js";
import { enlargeImage, showResponse } from "./response.js";
import { showComparison, sourcesOf } from "./compare.js";
import { showConfiguration } from "./configuration.js";

const TABS = ["rollouts", "curves", "configuration"];
const state = { tab: "rollouts", row: null, value: null, scope: "response", clip: true, marks: true, view: "response", pair: [0, 1] };
let values = [];
let table = null;
let shown = null;
let turn = 0;

async function start() {
  await load();
  values = valuesOf(index);
  byId("title").textContent = visible(index.title);
  showConfiguration(index.configuration);
  choices();
  const curves = new Curves((step) => {
    chooseTab("rollouts");
    table.showStep(step);
  });
  table = new Table(values, open);
  for (const tab of TABS) byId(`tab-${tab}`).addEventListener("click", () => chooseTab(tab));
  for (const view of ["response", "group", "compare"]) byId(`view-${view}`).addEventListener("click", () => chooseView(view));
  byId("help-button").addEventListener("click", () => byId("help").showModal());
  byId("enlarged").addEventListener("click", () => byId("enlarged").close());
  document.addEventListener("keydown", key);
  document.addEventListener("scroll", hideCard, { capture: true, passive: true });
  addEventListener("hashchange", () => follow(location.hash));
  onThemeChange(recolour);
  state.value = values[0]?.key ?? null;
  byId("loading").remove();
  byId("page").hidden = false;
  if (location.hash.length > 1) await follow(location.hash);
  if (state.row === null && index.rollouts.step.length > 0) await open(firstRow());
  if (index.rollouts.step.length === 0 && curves.series.size > 0) chooseTab("curves");
  table.draw();
  document.documentElement.dataset.ready = "true";
}

/** The first response with tokens, else the first. */
function firstRow() {
  return Math.max(0, index.rollouts.block.findIndex((block) => block !== null));
}

function choices() {
  const options = values.map((value, at) => element("option", { value: value.key }, at < 9 ? `${at + 1}  ${labelOf(value.key)}` : labelOf(value.key)));
  byId("value").append(...options, element("option", { value: "" }, "0  no colour"));
  byId("value").addEventListener("input", (event) => chooseValue(event.target.value || null));
  byId("scope").addEventListener("input", (event) => change({ scope: event.target.value }));
  byId("clip").addEventListener("input", (event) => change({ clip: event.target.checked }));
  byId("marks").addEventListener("input", (event) => change({ marks: event.target.checked }));
}

function change(part) {
  Object.assign(state, part);
  recolour();
}

function chooseValue(key) {
  byId("value").value = key ?? "";
  change({ value: key });
  keepAddress();
}

function chooseTab(tab) {
  state.tab = tab;
  for (const known of TABS) {
    byId(`tab-${known}`).setAttribute("aria-selected", known === tab);
    byId(known).hidden = known !== tab;
  }
  hideCard();
  table?.draw();
  keepAddress();
}

async function chooseView(view) {
  if (state.row === null || (view === "compare" && sourcesOf(state.row).length < 2)) return;
  state.view = state.view === view ? "response" : view;
  await open(state.row);
}

/** Opens a response in the view that is chosen. */
async function open(row) {
  if (row === null || row === undefined) return;
  const begin = performance.now();
  const own = ++turn;
  state.row = row;
  const comparable = sourcesOf(row).length > 1;
  if (state.view === "compare" && !comparable) state.view = "response";
  const enlarge = enlargeImage;
  const choosePair = (pair) => {
    state.pair = pair;
    open(state.row);
  };
  const openAlone = (other) => {
    state.view = "response";
    open(other);
  };
  const made = state.view === "compare" ? await showComparison(row, { pair: state.pair, choosePair, enlarge })
    : await showResponse(row, { view: state.view, enlarge, open: openAlone });
  if (own !== turn) return;
  shown = made;
  hideCard();
  for (const view of ["response", "group", "compare"]) byId(`view-${view}`).setAttribute("aria-pressed", state.view === view);
  byId("marks").disabled = state.view === "compare";
  byId("view-compare").disabled = !comparable;
  byId("view-compare").title = comparable ? "c" : "no other recipe or checkpoint scored this response";
  byId("head").replaceChildren(...made.head.filter((part) => part !== null));
  byId("about").replaceChildren(made.problem);
  byId("content").replaceChildren(made.content);
  byId("detail").scrollTop = 0;
  byId("value").value = state.value ?? "";
  table.select(row);
  await recolour();
  keepAddress();
  performance.clearMeasures("open");
  performance.measure("open", { start: begin });
  document.documentElement.dataset.open = `${row} ${state.view}`;
}

async function recolour() {
  if (shown === null) return;
  const own = turn;
  const value = values.find((known) => known.key === state.value) ?? null;
  const legend = await shown.recolour({ ...state, value });
  if (own === turn) byId("legend").replaceChildren(legend);
}

/** The address says what is open: `#STEP/GROUP/RESPONSE/VALUE`, a view that is not the response's own, or the tab. */
function keepAddress() {
  const { step, group, response } = index.rollouts;
  const row = state.row;
  let address = state.tab;
  if (state.tab === "rollouts") {
    if (row === null) return;
    address = [step[row], group[row], response[row], encodeURIComponent(state.value ?? "none"), ...(state.view === "response" ? [] : [state.view])].join("/");
  }
  history.replaceState(null, "", `#${address}`);
}

async function follow(hash) {
  const [first, second, third, value, view] = hash.slice(1).split("/");
  if (TABS.includes(first)) return chooseTab(first);
  const { step, group, response } = index.rollouts;
  const wanted = [first, second, third].map(Number);
  const row = step.findIndex((_, at) => step[at] === wanted[0] && group[at] === wanted[1] && response[at] === wanted[2]);
  if (row < 0) return;
  let key = state.value;
  try {
    key = value === undefined ? key : decodeURIComponent(value);
  } catch {
    // Not an address that this page made.
  }
  if (key === "none") state.value = null;
  else if (values.some((known) => known.key === key)) state.value = key;
  state.view = ["group", "compare"].includes(view) ? view : "response";
  if (state.tab !== "rollouts") chooseTab("rollouts");
  await open(row);
}

function key(event) {
  if (event.altKey || event.ctrlKey || event.metaKey || document.querySelector("dialog[open]")) return;
  if (event.key === "Escape") {
    hideCard();
    document.activeElement?.blur();
    if (state.view !== "response" && !takesText(event.target)) chooseView("response");
    return;
  }
  if (takesText(event.target)) return;
  const digit = event.key === "0" ? null : values[Number(event.key) - 1]?.key;
  const actions = {
    j: () => table.move(1),
    k: () => table.move(-1),
    g: () => chooseView("group"),
    c: () => chooseView("compare"),
    "/": () => {
      chooseTab("rollouts");
      byId("filter-text").select();
      byId("filter-text").focus();
    },
    "?": () => byId("help").showModal(),
  };
  if (event.key in actions) actions[event.key]();
  else if (digit !== undefined && /^[0-9]$/.test(event.key)) chooseValue(digit);
  else return;
  event.preventDefault();
}

start().catch((error) => {
  document.body.textContent = `This page cannot be shown: ${error.message}. It needs a browser of 2023 or later.`;
  throw error;
});
