// Which responses are listed, and in what order.

import { index } from "./data.js";

let searched = null;

/** What lets every response pass. */
export const EVERYTHING = {
  text: "", step: null, group: null, verdict: "", finish: "", least: null, most: null, tokens: false,
};

/** Whether a response is right. */
export function isRight(row) {
  return index.rollouts.accuracy[row] >= 0.5;
}

/** The number of a response's tokens, if they are known. */
export function lengthOf(row) {
  const block = index.rollouts.block[row];
  return block === null ? null : index.blocks[block][1];
}

/** The responses that pass, by their place in the page. Text is looked for in problem, answer and response alike. */
export function passing(filter) {
  const { step, group, finish, reward, block, problem, answer, text } = index.rollouts;
  searched ??= text.map((own, row) => `${own}\n${problem[row]}\n${answer[row]}`.toLowerCase());
  const wanted = filter.text.toLowerCase();
  const rows = [];
  for (let row = 0; row < text.length; row += 1) {
    const passes =
      (filter.step === null || step[row] === filter.step) &&
      (filter.group === null || group[row] === filter.group) &&
      (filter.verdict === "" || (filter.verdict === "right") === isRight(row)) &&
      (filter.finish === "" || finish[row] === filter.finish) &&
      (filter.least === null || reward[row] >= filter.least) &&
      (filter.most === null || reward[row] <= filter.most) &&
      (!filter.tokens || block[row] !== null) &&
      (wanted === "" || searched[row].includes(wanted));
    if (passes) rows.push(row);
  }
  return rows;
}

/** Orders responses by what `by(row)` gives; those without a value come last, equal ones stay in the page's order. */
export function ordered(rows, by, descending) {
  const sign = descending ? -1 : 1;
  const keys = new Map(rows.map((row) => [row, by(row)]));
  return rows.sort((left, right) => {
    const [a, b] = [keys.get(left), keys.get(right)];
    if (a === b) return left - right;
    if (a === null || Number.isNaN(a)) return 1;
    if (b === null || Number.isNaN(b)) return -1;
    return a < b ? -sign : sign;
  });
}

/** The responses to the same problem of the same step, by their place in the group. */
export function groupOf(row) {
  const { step, group, response } = index.rollouts;
  const rows = step.map((_, other) => other).filter((o) => step[o] === step[row] && group[o] === group[row]);
  return rows.sort((left, right) => response[left] - response[right]);
}
