// The page's behaviour: filters that act on every view, charts drawn before they are scrolled to,
// light and dark theme. Text of users is put into the page by textContent only.
"use strict";

const $ = (selector, root = document) => root.querySelector(selector);
const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];

function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties))
    if (name in made && name !== "style") made[name] = value;
    else made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** Decode a table: it comes column-wise, text as codes into a list of levels. */
function decoded(table) {
  const columns = {}, numeric = new Set();
  for (const [name, column] of Object.entries(table.columns)) {
    if (!column.levels) numeric.add(name);
    columns[name] = column.levels ? column.codes.map((code) => (code < 0 ? null : column.levels[code])) : column;
  }
  return { ...table, columns, numeric };
}

const page = JSON.parse($("#data").textContent);
for (const view of page.views) {
  view.table = decoded(view.table);
  for (const name of Object.keys(view.extra)) view.extra[name] = decoded(view.extra[name]);
}
for (const name of Object.keys(page.tables)) page.tables[name] = decoded(page.tables[name]);
page.places = placesByRank(decoded(page.order));
page.printing = false;
page.dark = () => !page.printing && document.documentElement.dataset.theme === "dark";
page.state = { problem: page.axes.problem[0], optimizer: new Set(page.axes.optimizer),
               batch: new Set(page.axes.batch), device: new Set(page.axes.device),
               dtype: new Set(page.axes.dtype) };

/** Return the indices of the rows that pass the filters; a column that a table lacks does not filter. */
function passing(table, filters = page.state) {
  const { columns } = table, rows = [];
  const sets = ["optimizer", "batch", "device", "dtype"].filter((name) => columns[name])
    .map((name) => [columns[name], filters[name]]);
  const one = columns.problem;
  for (let i = 0; i < table.rows; i++)
    if ((!one || one[i] === page.state.problem) &&
        sets.every(([column, set]) => column[i] === null || column[i] === "direct" || set.has(column[i]))) rows.push(i);
  return rows;
}

/* ---- charts ---- */

const charts = [];

function choiceOf(name, labels, change) {
  const select = element("select", { onchange: change });
  labels.forEach((text, i) => select.append(element("option", { value: String(i), textContent: text })));
  return [element("label", {}, element("span", { textContent: name }), select), select];
}

function makeChart(section) {
  const view = page.views.find((v) => v.key === section.dataset.view);
  const chart = { view, section, box: $(".chart", section), seen: false, stale: true, times: 0, x: 0, y: 0, pick: null };
  const tools = $(".tools", section), redraw = () => { chart.stale = true; draw(chart); };
  if (!view.table.rows || !tools) return;
  view.x.concat(view.y).forEach((axis) => { axis.now = axis.scale; });
  const several = (name, axes, key) => {
    if (axes.length < 2) return;
    const [label, select] = choiceOf(name, axes.map((a) => a.title), () => {
      chart[key] = Number(select.value); scales(); redraw();
    });
    tools.append(label);
  };
  if (view.choose) {
    const { column, label: name, values, texts, first } = view.choose;
    const start = view.key === "target" && view.table.columns[column].some((value, i) => value === page.target && view.table.columns[view.y[0].column][i] !== null)
      ? values.indexOf(page.target) : first;
    const [label, select] = choiceOf(name, texts, () => { chart.pick = Number(select.value); redraw(); });
    select.value = String(start);
    chart.pick = start;
    tools.append(label);
  }
  several("show", view.y, "y");
  several("over", view.x, "x");
  const boxes = element("span");
  const scales = () => {
    boxes.replaceChildren();
    for (const [axis, name] of [[view.x[chart.x], "x"], [view.y[chart.y], "y"]]) {
      if (!axis.other) continue;
      const box = element("input", { type: "checkbox", checked: axis.now === "log",
        onchange: () => { axis.now = box.checked ? "log" : "linear"; redraw(); } });
      boxes.append(element("label", {}, box, `log ${name} `));
    }
  };
  scales();
  tools.append(boxes);
  if (view.kind !== "matrix")
    $(".head", section).append(element("span", { className: "last" },
      ...["svg", "png"].map((format) => element("button", { type: "button", textContent: format.toUpperCase(),
        ariaLabel: `Save ${view.title} as ${format.toUpperCase()}`, title: `Save this chart as ${format.toUpperCase()}`, onclick: () => saveChart(chart, format) }))));
  chart.behind = makeTable($(".behind", section), view.table, `${page.name}-${view.key}`, () => chartRows(chart),
                           { title: `The numbers of ${view.title}`, seconds: view.seconds });
  charts.push(chart);
  reserve(chart);
}

/** Return the choices that a chart shows, for paper and for saved charts. */
function shownWords(chart, axis = true) {
  const { view } = chart, words = view.choose ? [`${view.choose.label} ${view.choose.texts[chart.pick]}`] : [];
  if (axis && view.x.length > 1) words.push(`over ${view.x[chart.x].title}`);
  if (axis && view.y.length > 1) words.push(`showing ${view.y[chart.y].title}`);
  return words.join(", ");
}

/** Give a chart that is not drawn yet its height, so that nothing below it moves when it is drawn. */
function reserve(chart) {
  const { view, box } = chart, c = view.table.columns, rows = chartRows(chart);
  if (view.kind === "matrix") return draw(chart);
  const panels = view.facets ? new Set(rows.map((i) => JSON.stringify(view.panels.map((name) => c[name] && c[name][i])))).size : 1;
  const values = c[view.y[chart.y].column], some = rows.some((i) => values[i] !== null);
  box.style.minHeight = some ? `${sizeOf(view, panels, box.clientWidth).height}px` : "0";
}

/** Return the reason why a chart is empty: the view's own, or the filters. */
function whyEmpty(chart) {
  const { view } = chart;
  if (chartRows(chart).length) return `The rows that pass the filters have no value here; “The numbers of this view” has the reason.`;
  const all = { problem: page.state.problem };
  for (const axis of ["optimizer", "batch", "device", "dtype"]) all[axis] = new Set(page.axes[axis]);
  return passing(view.table, all).length ? "Nothing is left by these filters." : view.missing;
}

function chartRows(chart) {
  const rows = passing(chart.view.table);
  if (!chart.view.choose) return rows;
  const { column, values } = chart.view.choose, chosen = chart.view.table.columns[column];
  return rows.filter((i) => String(chosen[i]) === values[chart.pick]);
}

function figureFor(chart, width) {
  const { view } = chart;
  return figureOf(view, chartRows(chart), view.x[chart.x], view.y[chart.y], page, width);
}

function draw(chart, width = chart.box.clientWidth) {
  if (!chart.stale) return;
  chart.stale = false;
  chart.width = width;
  const { view, box, section } = chart;
  if (view.kind === "matrix") drawMatrix(chart);
  else {
    const { data, layout, note, legend } = figureFor(chart, width);
    $(".printed", section).textContent = shownWords(chart);
    box.style.minHeight = "";
    const empty = !data.some((trace) => trace.x && trace.x.length && trace.type === "scatter");
    box.classList.toggle("text", empty);
    $(".note", section).textContent = empty ? whyEmpty(chart) : note;
    if (empty) { Plotly.purge(box); box.replaceChildren(); }
    else Plotly.react(box, data, layout, { displayModeBar: false, responsive: false });
    $(".legend", section).replaceChildren(...[...legend].map(([name, ink]) =>
      element("li", {}, swatch(ink), element("span", { textContent: name }))));
    box.setAttribute("aria-label", `${view.title}: ${legend.size} series drawn. ` +
      "The table below the chart has the numbers.");
  }
  box.dataset.drawn = String(++chart.times);
  if (chart.behind) chart.behind.refresh();
}

/** Draw a table of batch sizes by devices; the fastest of a row and the crossover are marked. */
function drawMatrix(chart) {
  const { view, box } = chart, c = view.table.columns, rows = chartRows(chart);
  const devices = page.axes.device.filter((device) => page.state.device.has(device));
  const dtypes = page.axes.dtype.length > 1, lines = new Map();
  for (const i of rows) {
    const key = JSON.stringify([c.optimizer[i], c.dtype[i], c.batch[i]]);
    if (!lines.has(key)) lines.set(key, new Map());
    lines.get(key).set(c.device[i], i);
  }
  const table = element("table"), head = element("tr");
  table.append(element("caption", { textContent: "Median seconds of work [its interval]" }), element("thead", {}, head));
  for (const name of ["optimizer", ...(dtypes ? ["dtype"] : []), "batch size"]) head.append(element("th", { scope: "col", textContent: name }));
  for (const name of devices) head.append(element("th", { scope: "col", className: "number", textContent: name }));
  const body = element("tbody");
  let before = "";
  for (const [key, cells] of lines) {
    const [optimizer, dtype, size] = JSON.parse(key), line = element("tr", { className: optimizer === before ? "" : "first" });
    line.append(element("td", { textContent: optimizer === before ? "" : optimizer }));
    if (optimizer === before) line.firstChild.append(element("span", { className: "sr", textContent: "" }));
    if (dtypes) line.append(element("td", { textContent: dtype }));
    line.append(element("td", { textContent: size }));
    for (const device of devices) {
      const i = cells.get(device), cell = element("td", { className: "number" });
      if (i === undefined) cell.textContent = "–";
      else {
        const interval = c.low[i] !== null && c.low[i] !== c.high[i] ? ` [${duration(c.low[i])}, ${duration(c.high[i])}]` : "";
        cell.textContent = duration(c.seconds[i]) + interval;
        if (c.fastest[i]) { cell.classList.add("fastest"); cell.append(" ◀ fastest"); }
        if (c.crossover[i]) cell.append(element("b", { className: "crossover", textContent: " · crossover" }));
      }
      line.append(cell);
    }
    before = optimizer;
    body.append(line);
  }
  table.append(body);
  box.replaceChildren(rows.length ? element("div", { className: "scroll", tabIndex: 0, role: "region", ariaLabel: "Seconds by batch size and device" }, table)
                                  : element("p", { className: "missing", textContent: whyEmpty(chart) }));
}

async function saveChart(chart, format) {
  const { data, layout } = figureFor(chart, 860), css = getComputedStyle(document.documentElement);
  const named = data.filter((t) => t.showlegend !== false), b = layout.margin.b;
  const entry = Math.min(760, 7 * Math.max(...named.map((t) => t.name.replace(/&[^;]+;/g, "x").length)) + 10);
  const rows = Math.ceil(named.length / Math.max(1, Math.floor(800 / (entry + 45))));
  const height = layout.height + 21 * rows + 50, paper = css.getPropertyValue("--ground").trim(), plot = layout.height - 30 - b;
  const legend = { orientation: "h", y: -(b + 6) / plot, yanchor: "top", font: { size: 12 }, entrywidth: entry, entrywidthmode: "pixels",
                   maxheight: 21 * rows + 40 };
  const { view } = chart, of = view.table.columns.problem ? `: ${page.state.problem}` : "", shows = shownWords(chart, false);
  const whole = { ...layout, height, showlegend: true, legend, paper_bgcolor: paper, plot_bgcolor: paper,
    title: { text: escape(short(`${view.title}${of}${shows ? `, ${shows}` : ""}`, 110)), x: 0.01, font: { size: 14 } },
    margin: { ...layout.margin, t: 64, b: b + 21 * rows + 16 } };
  const url = await Plotly.toImage({ data, layout: whole }, { format, width: 860, height, scale: format === "png" ? 2 : 1 });
  save(`${page.name}-${chart.view.key}.${format}`, await (await fetch(url)).blob());
}

const REST = 1000; // ms without a change of the filters

/** Draw what is in sight at once; the other charts follow after a rest, or when they come near. */
function refresh(rest = 0) {
  for (const chart of charts) {
    chart.stale = true;
    delete chart.box.dataset.drawn;
    if (chart.seen) draw(chart);
    else reserve(chart);
  }
  for (const table of tables) table.refresh();
  drawNext(rest);
}

let nextDraw = 0;

/** Draw the charts out of sight, each in a task of its own: at once, or after a rest while the page is idle. */
function drawNext(rest = 0) {
  clearTimeout(nextDraw);
  const next = () => {
    const chart = page.printing ? null : charts.find((c) => c.stale);
    if (chart) { draw(chart); drawNext(rest && 1); }
  };
  nextDraw = setTimeout(rest && window.requestIdleCallback ? () => requestIdleCallback(next, { timeout: 500 }) : next, rest);
}

/* ---- theme, sight, print ---- */

const wide = window.matchMedia("(min-width: 1100px)");
const night = window.matchMedia("(prefers-color-scheme: dark)");
let ownTheme = null;
const theme = () => { document.documentElement.dataset.theme = ownTheme || (night.matches ? "dark" : "light"); };
theme();
$$("section[data-view]").forEach(makeChart);
for (const box of $$("[data-table]"))
  tables.push(makeTable(box, page.tables[box.dataset.table], `${page.name}-${box.dataset.table}`,
                        () => passing(page.tables[box.dataset.table]),
                        { open: box.tagName !== "DETAILS", title: box.dataset.title, paper: page.paper[box.dataset.table], chosen: page.chosen[box.dataset.table] }));
$$("main .scroll:has(> table th[scope])").filter((scroll) => !scroll.closest("[data-table], .chart")).forEach(fitWritten);
const rebuildFilters = makeFilters();
const retheme = () => { theme(); rebuildFilters(); refresh(); };
night.addEventListener("change", retheme);
$("#theme").onclick = () => { ownTheme = document.documentElement.dataset.theme === "dark" ? "light" : "dark"; retheme(); };
$("#print").onclick = () => window.print();
$(".ranking[data-problem]")?.before(element("div", { className: "tools" }, ...problemChoice("ranking-problem")));
makeContents();
makeTerms();
showRanking();

const sight = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    const chart = charts.find((c) => c.box === entry.target);
    chart.seen = entry.isIntersecting;
    if (chart.seen) draw(chart);
  }
}, { rootMargin: "200px" });
charts.forEach((chart) => sight.observe(chart.box));
drawNext();

let widthBefore = window.innerWidth, waiting = 0;
window.addEventListener("resize", () => {
  if (window.innerWidth === widthBefore || page.printing) return;
  widthBefore = window.innerWidth;
  clearTimeout(waiting);
  waiting = setTimeout(() => { if (charts.some((c) => c.width !== c.box.clientWidth)) refresh(); }, 120);
});
window.addEventListener("beforeprint", () => {
  const before = document.documentElement.dataset.theme;
  page.printing = true;
  document.documentElement.dataset.theme = "light";
  const closed = $$("details.plain:not([open])");
  closed.forEach((traceback) => { traceback.open = true; });
  for (const chart of charts) { chart.stale = true; draw(chart, 640); }
  showRanking();
  for (const table of tables) table.refresh();
  window.addEventListener("afterprint", () => {
    page.printing = false;
    closed.forEach((traceback) => { traceback.open = false; });
    document.documentElement.dataset.theme = before;
    showRanking();
    refresh();
  }, { once: true });
});
