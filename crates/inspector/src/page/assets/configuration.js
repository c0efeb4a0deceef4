// The run's configuration, as it was resolved.

import { byId, element, visible } from "./dom.js";

/** Shows TOML with its sections, keys and comments told apart. */
export function showConfiguration(text) {
  const lines = visible(text).split("\n").map((line) => {
    if (/^\s*\[/.test(line)) return element("span", { class: "section" }, `${line}\n`);
    if (/^\s*#/.test(line)) return element("span", { class: "comment" }, `${line}\n`);
    const [, key, rest] = line.match(/^(\s*[\w."'-]+)(\s*=.*)$/) ?? [null, "", line];
    return element("span", {}, element("span", { class: "key" }, key), `${rest}\n`);
  });
  byId("toml").replaceChildren(...(text === "" ? ["No configuration was kept."] : lines));
}
