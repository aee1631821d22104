// Tables that fit their place, sort, turn pages, and are saved as CSV and LaTeX.
"use strict";

const ROWS = 20;
const tables = [];

function save(name, blob) {
  const url = URL.createObjectURL(blob);
  const link = element("a", { href: url, download: name.replace(/[^\p{L}\p{N}._-]+/gu, "_") });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}

const quoted = (value) => {
  const text = value === null ? "" : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text;
};

function csv(table, rows) {
  const names = Object.keys(table.columns);
  const lines = rows.map((i) => names.map((name) => quoted(table.columns[name][i])).join(","));
  return [names.map(quoted).join(","), ...lines].join("\r\n") + "\r\n";
}

const TEX = { "\\": "\\textbackslash{}", "{": "\\{", "}": "\\}", $: "\\$", "&": "\\&", "#": "\\#", _: "\\_", "%": "\\%",
              "~": "\\textasciitilde{}", "^": "\\textasciicircum{}", "<": "\\textless{}", ">": "\\textgreater{}",
              "|": "\\textbar{}" };
const tex = (text) => String(text).replace(/[\\{}$&#_%~^<>|]/g, (c) => TEX[c]).replace(/\s+/g, " ");

function texNumber(value) {
  const [digits, power] = number(value).split("e");
  return power === undefined ? `$${digits}$` : `$${digits} \\times 10^{${Number(power)}}$`;
}

function latex(table, rows, names = Object.keys(table.columns)) {
  const numeric = names.map((name) => isNumeric(table, name));
  const cell = (value, isNumber) =>
    value === null ? "--" : isNumber && typeof value === "number" ? texNumber(value) : tex(value);
  const lines = rows.map((i) => names.map((name, j) => cell(table.columns[name][i], numeric[j])).join(" & ") + " \\\\");
  return ["% \\usepackage{booktabs}", `\\begin{tabular}{${numeric.map((n) => (n ? "r" : "l")).join("")}}`, "\\toprule",
          names.map((name) => tex(page.headings[name])).join(" & ") + " \\\\", "\\midrule",
          ...lines, "\\bottomrule", "\\end{tabular}", ""].join("\n");
}

const isNumeric = (table, name) => {
  const value = table.columns[name].find((v) => v !== null);
  return value === undefined ? table.numeric.has(name) : typeof value === "number";
};

/** Order rows by a column: numbers by size, texts by name with their numbers by size, missing last. */
function sorted(table, rows, name, down) {
  const column = table.columns[name], collator = new Intl.Collator("en", { numeric: true });
  const compare = isNumeric(table, name) ? (a, b) => a - b : (a, b) => collator.compare(String(a), String(b));
  return [...rows].sort((i, j) => {
    const a = column[i], b = column[j];
    if (a === null || b === null) return (a === null) - (b === null);
    return down ? compare(b, a) : compare(a, b);
  });
}

function shownCell(name, value, seconds) {
  if (value === null) return "–";
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (typeof value !== "number") return value;
  if (name === "peak_bytes") return bytes(value);
  return page.seconds.includes(name) || seconds.includes(name) ? duration(value) : number(value);
}

/** Return a text with the places at which a long name may be broken: after a bracket, a comma, an equals sign, a word. */
const broken = (text) => String(text).split(/(?<=[(=,_])|(?<=[a-z])(?=[A-Z])/).flatMap((part, i) => (i ? [element("wbr"), part] : [part]));

const PAPER_WIDTH = 860; // of a page of paper, in the larger letters of the screen

/** Show the columns of a table that find room, in an order of which the last leave first; return how many are hidden. */
function fit(grid, order, every) {
  const count = grid.tHead.rows[0].cells.length, rows = [...grid.rows].filter((row) => row.cells.length === count);
  const show = (kept) => { for (const row of rows) [...row.cells].forEach((cell, i) => { cell.hidden = !(every || kept.has(i)); }); };
  show(new Set(order));
  const widths = [...rows[0].cells].map((cell) => cell.offsetWidth), kept = new Set();
  let room = page.printing ? PAPER_WIDTH : grid.parentElement.clientWidth;
  for (const place of order) {
    room -= widths[place];
    if (room < 0 && kept.size > 1) break;
    kept.add(place);
  }
  show(kept);
  return every ? 0 : count - kept.size;
}

/** Keep a table to the columns that fit, with a button after it that shows all of them. */
function makeFitting(grid, order, place, title) {
  const state = { every: false };
  const more = element("button", { type: "button", className: "more", onclick: () => { state.every = !state.every; refit(); } });
  const refit = () => {
    if (!grid.offsetParent) return;
    const hidden = fit(grid, order(), state.every);
    more.hidden = !hidden && !state.every;
    more.textContent = state.every ? "Fewer columns" : `All ${grid.rows[0].cells.length} columns`;
    more.ariaLabel = `${more.textContent} of ${title}`;
  };
  place(more);
  return refit;
}

/** Let the tables that are written in the page fit their place; headings say what is kept longest. */
function fitWritten(scroll) {
  const grid = $("table", scroll), heads = [...$("thead tr", grid).cells];
  for (const cell of $$("tbody td:not(:has(*))", grid)) cell.replaceChildren(...broken(cell.textContent));
  const order = heads.map((_, i) => i).sort((a, b) => (heads[a].dataset.keep || 0) - (heads[b].dataset.keep || 0));
  const refit = makeFitting(grid, () => order, (more) => scroll.after(more), scroll.ariaLabel);
  tables.push({ refresh: refit });
  const around = scroll.closest("details");
  if (around) around.addEventListener("toggle", refit);
  refit();
}

/** Make a table in a box, in a <details> when that is opened; seconds and paper name columns. */
function makeTable(box, table, name, rowsNow, { open = false, title, seconds = [], paper, chosen = [] } = {}) {
  const state = { sort: null, down: false, at: 0, made: false };
  const names = Object.keys(table.columns).filter((n) => !(page.single.includes(n)));
  const first = chosen.filter((n) => names.includes(n) && table.columns[n].some((value) => value !== null)), order = () => (first.length ? first : names).map((n) => names.indexOf(n));
  let refit;
  const grid = element("table"), head = element("tr"), body = element("tbody"), where = element("span", { role: "status" });
  const printed = element("p", { className: "printed", ariaHidden: "true" });
  const numeric = new Set(names.filter((column) => isNumeric(table, column)));
  const turn = (step) => {
    state.at += step;
    fill();
    if (on.disabled && step > 0) back.focus(); // a disabled button loses the focus
    if (back.disabled && step < 0) on.focus();
  };
  const back = element("button", { type: "button", textContent: "‹ before", ariaLabel: `before: earlier rows of ${title}`, onclick: () => turn(-ROWS) });
  const on = element("button", { type: "button", textContent: "next ›", ariaLabel: `next rows of ${title}`, onclick: () => turn(ROWS) });
  const ordered = () => (state.sort ? sorted(table, rowsNow(), state.sort, state.down) : rowsNow());
  function make() {
    state.made = true;
    grid.append(element("thead", {}, head), body);
    for (const column of names) {
      const th = element("th", { scope: "col", className: isNumeric(table, column) ? "number" : "" });
      const text = page.headings[column];
      th.append(element("button", { type: "button", textContent: text, title: `Sort by ${text}`, onclick: () => {
        state.down = state.sort === column ? !state.down : false;
        state.sort = column; state.at = 0;
        for (const other of head.children) other.removeAttribute("aria-sort");
        th.setAttribute("aria-sort", state.down ? "descending" : "ascending");
        for (const [i, other] of [...head.children].entries())
          other.firstChild.textContent = page.headings[names[i]] +
            (other === th ? (state.down ? " ▾" : " ▴") : "");
        fill();
      } }));
      if (page.terms[text]) th.append(element("a", { className: "term", href: `#${page.terms[text]}`, ariaLabel: `Meaning of ${text}` }));
      head.append(th);
    }
    let more;
    refit = makeFitting(grid, order, (button) => { more = button; }, title);
    const text = (format, type, make_) => element("button", { type: "button", textContent: format,
      title: `Save all rows that the filters let through as ${format}`, ariaLabel: `Save ${title} as ${format}`,
      onclick: () => save(`${name}.${type}`, new Blob([make_(table, ordered(), type === "tex" ? paper : undefined)], { type: "text/plain;charset=utf-8" })) });
    box.append(element("div", { className: "scroll", tabIndex: 0, role: "region", ariaLabel: title }, grid), printed,
               element("div", { className: "tools" }, back, where, on, more,
                       element("span", { className: "last" }, text("CSV", "csv", csv), text("LaTeX", "tex", latex))));
  }
  function fill() {
    const rows = ordered();
    state.at = Math.max(0, Math.min(state.at, Math.floor((rows.length - 1) / ROWS) * ROWS));
    const some = rows.slice(state.at, state.at + (page.printing ? 10 * ROWS : ROWS));
    body.replaceChildren(...some.map((i) => element("tr", {}, ...names.map((column) => {
      const value = table.columns[column][i];
      const cell = element("td", {}, ...broken(shownCell(column, value, seconds)));
      if (numeric.has(column)) cell.className = "number";
      if (typeof value === "number") cell.title = String(value);
      if (column === "message") { cell.className = "long"; if (value) cell.title = value; }
      else if (typeof value === "string" && (value.length < 24 || column === "machine")) cell.className = "short";
      return cell;
    }))));
    where.textContent = rows.length ? `rows ${state.at + 1} to ${state.at + some.length} of ${rows.length}` : "no rows";
    printed.textContent = some.length < rows.length ? where.textContent : "";
    back.disabled = state.at === 0;
    on.disabled = state.at + ROWS >= rows.length;
    back.hidden = on.hidden = rows.length <= ROWS;
    refit();
  }
  const shownNow = () => open || box.open;
  const refresh_ = () => { if (!shownNow()) return; if (!state.made) make(); fill(); };
  if (!open) box.addEventListener("toggle", refresh_);
  else refresh_();
  return { refresh: refresh_ };
}
