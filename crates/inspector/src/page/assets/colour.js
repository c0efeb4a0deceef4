// Numbers as colours that the colour-blind can tell apart. On light paper a sequential scale goes from paper to
// dark blue, in the dark from black to yellow (viridis), so that strong always stands out; signed numbers go from blue
// through paper to orange.

import { brief, element } from "./dom.js";

const dark = matchMedia("(prefers-color-scheme: dark)");
const SCALES = {
  light: {
    sequential: ["#ffffff", "#eef8d9", "#c9e8c4", "#84cdbb", "#42b0c4", "#2186ba", "#24539f", "#202f7c", "#0d1a4d"],
    diverging: ["#12488f", "#3f7dc0", "#85b1dd", "#c9def0", "#ffffff", "#fbdcb8", "#f2ac63", "#d97a1a", "#a04a00"],
    missing: "#c8c8c8",
  },
  dark: {
    sequential: ["#14171b", "#2b1c47", "#443377", "#3a528b", "#2c728e", "#21918c", "#34b679", "#8fd744", "#fde725"],
    diverging: ["#8ec5ff", "#559fe8", "#3272b5", "#234567", "#14171b", "#5b3a16", "#a5611a", "#e08c32", "#ffc480"],
    missing: "#5a5a5a",
  },
};
const LEVELS = 256;
const tables = new Map();

/** Calls back when the theme changes. */
export function onThemeChange(listener) {
  dark.addEventListener("change", listener);
}

/** The number's place on its scale, from 0 to 1; `null` if it is not a number. */
export function place(scale, value) {
  if (value === undefined || value === null || Number.isNaN(value)) return null;
  const width = scale.high - scale.low;
  if (!(width > 0)) return scale.kind === "diverging" ? 0.5 : 0;
  const share = Math.min(1, Math.max(0, (value - scale.low) / width));
  return scale.kind === "reversed" ? 1 - share : share;
}

/** Colours an element's background, and its letters so that they can be read. */
export function paint(node, scale, value) {
  const [background, ink] = colourOf(scale, value);
  node.style.backgroundColor = background;
  node.style.color = ink;
}

/** The background and the ink of a number. */
export function colourOf(scale, value) {
  const share = place(scale, value);
  const theme = dark.matches ? "dark" : "light";
  if (share === null) return [SCALES[theme].missing, dark.matches ? "#ffffff" : "#000000"];
  return levelsOf(theme, scale.kind === "diverging" ? "diverging" : "sequential")[Math.round(share * (LEVELS - 1))];
}

function levelsOf(theme, kind) {
  const key = `${theme} ${kind}`;
  if (!tables.has(key)) tables.set(key, levels(SCALES[theme][kind]));
  return tables.get(key);
}

function levels(stops) {
  const channels = stops.map((stop) => [1, 3, 5].map((at) => parseInt(stop.slice(at, at + 2), 16)));
  return Array.from({ length: LEVELS }, (_, level) => {
    const at = (level / (LEVELS - 1)) * (stops.length - 1);
    const left = Math.min(Math.floor(at), stops.length - 2);
    const mixed = channels[left].map((from, i) => Math.round(from + (channels[left + 1][i] - from) * (at - left)));
    return [`rgb(${mixed.join(", ")})`, luminance(mixed) > 0.2 ? "#0b0d10" : "#ffffff"];
  });
}

function luminance(channels) {
  const [red, green, blue] = channels.map((byte) => {
    const share = byte / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

/** The scale drawn, with its ends and how many of `numbers` lie where. */
export function legend(scale, numbers) {
  const bins = new Array(48).fill(0);
  for (const number of numbers) {
    const width = scale.high - scale.low;
    const share = width > 0 ? (number - scale.low) / width : 0.5;
    if (!Number.isNaN(share)) bins[Math.min(bins.length - 1, Math.max(0, Math.floor(share * bins.length)))] += 1;
  }
  const most = Math.max(1, ...bins);
  const bars = bins.map((count, at) => {
    const value = scale.low + ((at + 0.5) / bins.length) * (scale.high - scale.low);
    const bar = element("span", { class: "bin" }, element("span", { class: "count" }));
    bar.firstChild.style.height = `${Math.ceil((14 * Math.log1p(count)) / Math.log1p(most))}px`;
    bar.style.setProperty("--colour", colourOf(scale, value)[0]);
    return bar;
  });
  const middle = (scale.low + scale.high) / 2;
  const ends = [scale.low, middle, scale.high].map((value) => element("span", {}, brief(value)));
  const label = `Scale from ${brief(scale.low)} to ${brief(scale.high)}; bars count tokens, by logarithm`;
  return element("div", { class: "legend", role: "img", "aria-label": label, title: label },
    element("div", { class: "bins" }, ...bars), element("div", { class: "ends" }, ...ends));
}
