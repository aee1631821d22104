// Draws a view with plotly. Names come from users: everything that plotly would read as markup or
// as TeX goes through escape(), and nothing goes through templates ("%{x}" in a name stays as it is).
"use strict";

const MOST_LINES = 48; // a chart with more is a carpet; the filters choose which
const MOST_PANELS = 6;

const escape = (text) =>
  String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;").replace(/\$/g, "&#36;");
const short = (text, most = 22) =>
  text.length > most ? text.slice(0, most - 1) + "…" : text;

function number(value, digits = 4) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (typeof value !== "number") return String(value);
  if (Number.isInteger(value) && Math.abs(value) < 1e6) return String(value);
  const text = Number(value.toPrecision(digits));
  return Math.abs(text) >= 1e6 || (text !== 0 && Math.abs(text) < 1e-3)
    ? text.toExponential(Math.max(0, digits - 2)).replace(/\.?0+e/, "e")
    : String(text);
}

function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds >= 1 || seconds === 0) return `${number(seconds, 3)} s`;
  return seconds >= 1e-3 ? `${number(seconds * 1e3, 3)} ms` : `${number(seconds * 1e6, 3)} µs`;
}

function bytes(size) {
  for (const [unit, scale] of [["GiB", 2 ** 30], ["MiB", 2 ** 20], ["KiB", 2 ** 10]])
    if (size >= scale) return `${number(size / scale, 3)} ${unit}`;
  return `${number(size, 3)} B`;
}

const shown = (value, axis) => (axis.unit === "s" ? duration(value) : number(value));

/** Whether an axis has the batch sizes for its places. */
const bySize = (axis) => axis.column === "batch_size" || axis.column === "at";

/** Ticks of a logarithmic axis: decades, or 1-2-5 where it spans few; seconds with their unit. */
function logTicks(values, unit) {
  const good = values.filter((v) => typeof v === "number" && v > 0);
  if (!good.length) return {};
  const low = Math.log10(Math.min(...good)), high = Math.log10(Math.max(...good));
  const step = Math.max(1, Math.ceil((high - low) / 6)), span = high - low;
  const within = span < 0.6 ? [1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8] : span < 1.6 ? [1, 2, 5] : [1];
  const tickvals = [];
  for (let power = Math.floor(low) - 1; power <= high + 1; power++)
    if (step === 1 || power % step === 0) for (const m of within) tickvals.push(m * 10 ** power);
  const plain = low > -3.05 && high < 4.05; // one way of writing on one axis
  const text = (v) => {
    if (unit === "s") return duration(v);
    const power = Math.floor(Math.log10(v) + 1e-9), times = Math.round(v / 10 ** power);
    if (plain || v === 1) return String(Number(v.toPrecision(2)));
    return `${times > 1 ? `${times}·` : ""}10<sup>${power}</sup>`;
  };
  return { tickvals, ticktext: tickvals.map(text) };
}

/** Rows of one series: one optimizer at one batch size on one panel. */
function series(view, rows, apart) {
  const c = view.table.columns, groups = new Map();
  const at = (name, i) => (c[name] ? c[name][i] : "");
  for (const i of rows) {
    const panel = view.facets ? `${at("device", i)}, ${at("dtype", i)}` : "";
    const parts = [panel, at("optimizer", i), apart ? at("batch_size", i) : ""];
    if (!view.facets) parts.push(at("device", i), at("dtype", i));
    const key = JSON.stringify(parts);
    if (!groups.has(key)) {
      const size = apart ? at("batch_size", i) : null;
      groups.set(key, { panel, optimizer: c.optimizer[i], size, direct: at("batch_size", i) === null,
                        where: view.facets ? "" : `, ${at("device", i)}`, rows: [] });
    }
    groups.get(key).rows.push(i);
  }
  return [...groups.values()];
}

/** At most MOST_LINES series, evenly over panels, optimizers and batch sizes. */
function thinned(all) {
  if (all.length <= MOST_LINES) return all;
  const kin = new Map();
  for (const s of all) {
    const key = JSON.stringify([s.panel, s.optimizer]);
    kin.set(key, [...(kin.get(key) || []), s]);
  }
  const each = Math.max(1, Math.floor(MOST_LINES / kin.size));
  const kept = [...kin.values()].flatMap((group) =>
    group.filter((_, i) => group.length <= each || i % Math.ceil(group.length / each) === 0));
  return kept.slice(0, MOST_LINES);
}

/** Colour, dash and marker of a series on the current ground. */
function inkOf(styles, optimizer, size, dark) {
  const style = styles.optimizers[optimizer];
  const shades = dark ? style.dark : style.shades;
  const place = size === null ? -1 : styles.sizes.indexOf(size);
  const dash = style.dash.length ? style.dash.map((d) => `${d * style.width}px`).join(",") : "solid";
  return { colour: shades[place < 0 ? shades.length - 1 : place], dash, width: style.width,
           marker: style.marker };
}

const faint = (colour, alpha) =>
  `rgba(${[1, 3, 5].map((i) => parseInt(colour.slice(i, i + 2), 16)).join(",")},${alpha})`;

const label = (s) => s.optimizer + (s.size ? `, batch size ${s.size}` : "") + s.where;

function lineTraces(view, x, y, group, ink, span) {
  const c = view.table.columns, rows = group.rows, traces = [];
  const hover = rows.map((i) => `${escape(label(group))}<br>${escape(x.title)}: ${shown(c[x.column][i], x)}` +
    `<br>${shown(c[y.column][i], y)}` +
    (y.low && c[y.low][i] !== null ? ` [${shown(c[y.low][i], y)}, ${shown(c[y.high][i], y)}]` : ""));
  const line = { color: ink.colour, dash: ink.dash, width: ink.width };
  if (view.key === "convergence" && group.direct && rows.length <= 2) {
    const last = rows[rows.length - 1], value = c[y.column][last];
    const ends = span || [c[x.column][last], c[x.column][last]];
    return [{ x: ends, y: [value, value], mode: span ? "lines" : "markers", line,
              marker: { color: ink.colour, symbol: ink.marker, size: 9 },
              hovertext: [hover[rows.length - 1], hover[rows.length - 1]], hoverinfo: "text" }];
  }
  const xs = rows.map((i) => c[x.column][i]);
  if (y.low && rows.some((i) => c[y.high][i] > c[y.low][i] * 1.001)) {
    const positive = rows.filter((i) => x.now !== "log" || c[x.column][i] > 0);
    traces.push({ x: [...positive, ...[...positive].reverse()].map((i) => c[x.column][i]),
                  y: [...positive.map((i) => c[y.high][i]), ...positive.map((i) => c[y.low][i]).reverse()],
                  mode: "lines", line: { width: 0 }, fill: "toself", fillcolor: faint(ink.colour, 0.16),
                  hoverinfo: "skip", showlegend: false });
  }
  traces.push({ x: xs, y: rows.map((i) => c[y.column][i]), mode: "lines", line, hovertext: hover,
                hoverinfo: "text", ...(view.key === "profile" ? { line: { ...line, shape: "hv" } } : {}) });
  return traces;
}

function pointTraces(view, x, y, group, ink, places, dodge) {
  const c = view.table.columns, rows = group.rows.filter((i) => c[y.column][i] !== null);
  const xs = rows.map((i) => places.get(c[x.column][i] === null ? "direct" : c[x.column][i]) + dodge);
  const values = rows.map((i) => c[y.column][i]);
  const bound = (name, sign) => rows.map((i) =>
    y.low && c[name][i] !== null ? Math.max(0, sign * (c[name][i] - c[y.column][i])) : 0);
  const hover = rows.map((i) => {
    const where = bySize(x) ? "" : `<br>${escape(c[x.column][i])}`;
    const size = group.size === null && c.batch_size[i] !== null ? `, batch size ${c.batch_size[i]}` : "";
    const interval = y.low && c[y.low][i] !== null && c[y.low][i] !== c[y.high][i]
      ? ` [${shown(c[y.low][i], y)}, ${shown(c[y.high][i], y)}]` : "";
    return `${escape(label(group) + size)}${where}<br>${shown(c[y.column][i], y)}${interval}` +
      (c.verdict ? `<br>${escape(c.verdict[i])}` : "") + (c.unstable && c.unstable[i] ? "<br>unstable" : "");
  });
  const joined = bySize(x), unsure = c.unstable ? rows.map((i) => c.unstable[i]) : [];
  const traces = [{
    x: xs, y: values, mode: joined ? "lines+markers" : "markers", hovertext: hover, hoverinfo: "text",
    line: { color: ink.colour, dash: ink.dash, width: Math.min(ink.width, 2) },
    marker: { color: ink.colour, size: 9, line: { width: unsure.map((u) => (u ? 2 : 0)) },
              symbol: rows.map((_, i) => ink.marker + (unsure[i] ? "-open" : "")) },
    ...(y.low ? { error_y: { type: "data", symmetric: false, array: bound(y.high, 1),
      arrayminus: bound(y.low, -1), color: ink.colour, thickness: 1.4, width: 4 } } : {}) }];
  if (x.column === "batch_size" && group.direct && places.size > 1 && values.length)
    traces.push({ x: [-0.4, places.size - 0.6], y: [values[0], values[0]], mode: "lines",
                  line: { color: faint(ink.colour, 0.55), dash: ink.dash, width: 1.2 },
                  hoverinfo: "skip", showlegend: false });
  return traces;
}

/** The categories of an axis, in order, with their places. */
function placesOf(view, x, rows, order) {
  const values = new Set(rows.map((i) => view.table.columns[x.column][i]));
  const names = bySize(x) ? order.filter((size) => values.has(size)) : [...values];
  if (values.has(null)) names.push("direct");
  return new Map(names.map((name, place) => [name, place]));
}

/** The traces of a view, each with its panel and the name that an exported legend shows. */
function tracesOf(view, rows, x, y, page, dark) {
  const categories = x.scale === "category";
  const all = series(view, rows, !bySize(x));
  const kept = thinned(all), c = view.table.columns;
  const places = categories ? placesOf(view, x, rows, page.styles.sizes) : new Map();
  const names = Object.keys(page.styles.optimizers).filter((n) => kept.some((s) => s.optimizer === n));
  const inner = [...new Set(kept.map((s) => s.size))];
  let span = null;
  for (const s of kept) if (!s.direct) for (const i of s.rows) {
    const value = c[x.column] && c[x.column][i];
    if (typeof value === "number" && value > 0)
      span = span ? [Math.min(span[0], value), Math.max(span[1], value)] : [value, value];
  }
  if (span && span[0] === span[1]) span = [span[0] / 2, span[1] * 2]; // all diverged at once
  const drawn = [];
  for (const s of kept) {
    const ink = inkOf(page.styles, s.optimizer, s.size, dark);
    const slots = names.length * inner.length;
    const slot = names.indexOf(s.optimizer) * inner.length + inner.indexOf(s.size);
    const dodge = slots > 1 ? (slot / (slots - 1) - 0.5) * Math.min(0.6, 0.07 * slots) : 0;
    const traces = categories ? pointTraces(view, x, y, s, ink, places, dodge)
                              : lineTraces(view, x, y, s, ink, span);
    traces.forEach((t) => drawn.push({ ...t, panel: s.panel, name: escape(label(s)) }));
  }
  return { drawn, places, lines: kept.length, of: all.length };
}

/** What stands behind the marks: the points of a fit, the parameters of the optimum. */
function backdrop(view, x, y, problem, places, ink) {
  const extra = view.extra.points || view.extra.optimum;
  if (!extra || (view.extra.optimum && y.column !== "value")) return null;
  const c = extra.columns, rows = c.problem.map((_, i) => i).filter((i) => c.problem[i] === problem);
  if (view.extra.points)
    return { x: rows.map((i) => c.x[i]), y: rows.map((i) => c.y[i]), mode: "markers", name: "data",
             marker: { color: faint(ink, 0.6), size: rows.length > 300 ? 4 : 9 }, hoverinfo: "x+y" };
  const here = rows.filter((i) => places.has(c.parameter[i])), ends = (list) => [...list, null];
  return { x: here.flatMap((i) => ends([-0.42, 0.42].map((d) => places.get(c.parameter[i]) + d))), name: "optimum",
           y: here.flatMap((i) => ends([c.value[i], c.value[i]])), mode: "lines", line: { color: ink, width: 1.5 },
           hovertext: here.flatMap((i) => Array(3).fill(`optimum<br>${escape(c.parameter[i])}: ${number(c.value[i], 8)}`)),
           hoverinfo: "text" };
}

/** The whole figure: traces over panels, and a layout in the page's colours. */
function figureOf(view, rows, x, y, page, width) {
  const css = getComputedStyle(document.documentElement);
  const tone = (name) => css.getPropertyValue(name).trim();
  const { drawn, places, lines, of } = tracesOf(view, rows, x, y, page, page.dark());
  let panels = [...new Set(drawn.map((t) => t.panel))];
  const hidden = panels.length - MOST_PANELS;
  panels = panels.slice(0, MOST_PANELS);
  const columns = width < 600 ? 1 : Math.min(panels.length, width < 1000 ? 2 : 3) || 1;
  const down = Math.max(1, Math.ceil(panels.length / columns));
  const tall = page.printing ? 265 : width < 640 ? 300 : columns > 1 ? 330 : view.key === "convergence" ? 460 : 390;
  const layout = { width, height: tall * down + 20, margin: { l: width < 640 ? 74 : 84, r: 14, t: 30, b: 52 }, showlegend: false,
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", hovermode: "closest", annotations: [],
    font: { family: "system-ui, sans-serif", size: 13, color: tone("--ink") }, shapes: [],
    hoverlabel: { bgcolor: tone("--card"), bordercolor: tone("--rule"), font: { color: tone("--ink") }, align: "left" } };
  const all = (key, error) => drawn.flatMap((t) => t[key].flatMap((v, i) =>
    error && t.error_y ? [v, v + t.error_y.array[i], v - t.error_y.arrayminus[i]] : [v]));
  const ticksX = !places.size && x.now === "log" ? logTicks(all("x"), x.unit) : {};
  // What diverged would leave no room for the rest: it runs out of the picture.
  const values = all("y", true).filter((v) => v > 0), most = Math.max(...values), least = Math.min(...values);
  const capped = view.key === "convergence" && most > 30
    ? { range: y.now === "log" ? [Math.log10(least) - 0.5, 1] : [-0.1, 2] } : {};
  const ticksY = y.now === "log" ? logTicks(all("y", true).filter((v) => !capped.range || v < 10).concat(y.reference || []), y.unit) : {};
  const data = [], gapX = columns > 1 ? 0.055 : 0, gapY = down > 1 ? 76 / layout.height : 0;
  panels.forEach((panel, p) => {
    const n = p ? String(p + 1) : "", col = p % columns, row = Math.floor(p / columns);
    const wide = (1 - gapX * (columns - 1)) / columns, high = (1 - gapY * (down - 1)) / down;
    const left = col * (wide + gapX), top = 1 - row * (high + gapY);
    const common = { gridcolor: tone("--grid"), linecolor: tone("--rule"), tickcolor: tone("--rule"), ticks: "outside",
                     zeroline: false, showline: true, exponentformat: "power", automargin: false };
    const below = p + columns >= panels.length; // the lowest of its column says what x is
    layout["xaxis" + n] = { ...common, domain: [left, left + wide], anchor: "y" + n,
      title: { text: below ? escape(x.title) : "", standoff: 8, font: { size: 13 } }, type: x.now === "log" ? "log" : "linear",
      ...(p && !places.size ? { matches: "x" } : {}), ...ticksX,
      ...(places.size ? { range: [-0.6, places.size - 0.4], tickvals: [...places.values()], showgrid: false, ...(places.size <= 6 ? { tickangle: 0 } : {}),
        ticktext: [...places.keys()].map((t) => escape(short(t, width / columns / places.size < 70 ? 8 : 22))) } : {}) };
    layout["yaxis" + n] = { ...common, domain: [Math.max(0, top - high), top], anchor: "x" + n, matches: p ? "y" : undefined,
      title: { text: col ? "" : escape(y.title), standoff: 10, font: { size: 13 } }, type: y.now === "log" ? "log" : "linear", ...ticksY,
      showticklabels: !col, ...(view.key === "profile" ? { range: [-0.02, 1.04] } : {}),
      ...(view.key === "digits" ? { rangemode: "tozero" } : {}), ...capped };
    if (panels.length > 1 || (panel && view.facets)) layout.annotations.push({ text: escape(panel), showarrow: false,
      xref: "paper", yref: "paper", x: left, y: top, xanchor: "left", yanchor: "bottom", font: { size: 13, color: tone("--soft") } });
    if (y.reference) layout.shapes.push({ type: "line", xref: `x${n} domain`, yref: "y" + n, x0: 0, x1: 1,
      y0: y.reference, y1: y.reference, line: { color: tone("--ink"), width: 1.2 } });
    const back = backdrop(view, x, y, page.state.problem, places, tone("--ink"));
    if (back) data.push({ ...back, xaxis: "x" + n, yaxis: "y" + n, showlegend: !p });
    const named = new Set(data.filter((t) => t.showlegend !== false).map((t) => t.name));
    for (const trace of drawn.filter((t) => t.panel === panel)) {
      const again = named.has(trace.name) && trace.showlegend !== false && p > 0;
      data.push({ type: "scatter", ...trace, xaxis: "x" + n, yaxis: "y" + n, ...(again ? { showlegend: false } : {}) });
    }
  });
  data.forEach((trace) => delete trace.panel);
  const notes = [];
  if (lines < of) notes.push(`${lines} of ${of} lines are drawn; the filters choose others, and the table has all.`);
  if (hidden > 0) notes.push(`${hidden} more panels are left out; filter by device or dtype.`);
  return { data, layout, note: notes.join(" ") };
}
