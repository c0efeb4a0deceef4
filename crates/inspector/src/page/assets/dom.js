// Elements, and how text and numbers are shown. Nothing here or elsewhere takes HTML from text.

/** Makes an element. A function among the attributes listens to the event of that name. */
export function element(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") node.addEventListener(key, value);
    else node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

/** The element of the shell with this id. */
export function byId(id) {
  return document.getElementById(id);
}

/** Whether typing goes into this element. */
export function takesText(node) {
  return node.matches?.("input:not([type=checkbox]), select, textarea") ?? false;
}

// Controls, marks that turn the reading direction, and characters without a width.
const UNSEEN =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]/gu;

/** Text with what cannot be seen made visible; line breaks and tabs stay. */
export function visible(text) {
  return text.replace(UNSEEN, (unseen) => {
    const code = unseen.codePointAt(0);
    if (code < 0x20) return String.fromCodePoint(0x2400 + code);
    return `⟨${code.toString(16).toUpperCase().padStart(4, "0")}⟩`;
  });
}

/** Text on one line. */
export function oneLine(text) {
  return visible(text).replace(/\s+/g, " ");
}

/** The shortest decimal that is this 32-bit number. */
export function exact(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "-∞";
  if (Object.is(value, -0)) return "-0";
  for (let digits = 1; digits < 10; digits += 1) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return String(short);
  }
  return String(value);
}

/** A number in about three digits. */
export function brief(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  const size = Math.abs(value);
  if (!Number.isFinite(value) || size === 0) return exact(value).replace("-", "−");
  let text;
  if (size < 0.001 || size >= 1e6) text = value.toExponential(1);
  else if (size >= 1000) text = value.toFixed(0);
  else text = value.toPrecision(3);
  return text.replaceAll("-", "−");
}
