// Draw a view with plotly. Users' names pass through escape(), as plotly reads markup and TeX in texts;
// none is put into a template of plotly's ("%{x}" in a name stays as it is).
"use strict";

const MOST_LINES = 16; // in a panel: with more, lines cannot be told apart; the filters choose others
const MOST_PANELS = 6;

const shown = (value, axis) => (axis.unit === "s" ? duration(value) : number(value));

/** Return whether an axis has batch sizes as its categories. */
const bySize = (axis) => axis.column === "batch" || axis.column === "at";

/** Return whether a view's lines are of suboptimality over a trial, where diverged ones are cut. */
const falls = (view) => view.key === "convergence" || view.key === "theory";

/** Group rows into series: one optimizer, at one batch size, on one panel. */
function series(view, rows, apart) {
  const c = view.table.columns, groups = new Map();
  const at = (name, i) => (c[name] ? c[name][i] : "");
  for (const i of rows) {
    const panel = view.facets ? view.panels.map((name) => (name === "batch" ? `batch size ${at(name, i)}` : at(name, i))).join(", ") : "";
    const parts = [panel, at("optimizer", i), apart ? at("batch", i) : ""];
    if (!view.facets) parts.push(at("device", i), at("dtype", i));
    const key = JSON.stringify(parts);
    if (!groups.has(key)) {
      const size = apart ? at("batch", i) : null;
      groups.set(key, { panel, optimizer: c.optimizer[i], size, direct: at("batch", i) === "direct",
                        where: view.facets ? "" : `, ${at("device", i)}`, rows: [] });
    }
    groups.get(key).rows.push(i);
  }
  return [...groups.values()];
}

const UNRANKED = 1e9;
const settingOf = (c, i) => JSON.stringify([c.optimizer[i], c.batch[i], c.device[i], c.dtype[i]]);

/** Return the place of each setting on its problem, and its best on any, of a table in that order. */
function placesByRank({ columns: c, rows }) {
  const places = new Map(), counts = {};
  for (let i = 0; i < rows; i++) {
    const setting = settingOf(c, i), place = (counts[c.problem[i]] = (counts[c.problem[i]] ?? -1) + 1);
    places.set(c.problem[i] + setting, place);
    places.set(setting, Math.min(place, places.get(setting) ?? UNRANKED));
  }
  return places;
}

/** Return the best place in the ranking of the settings that a series shows. */
function rankOf(view, s) {
  const c = view.table.columns, place = (i) =>
    page.places.get((c.problem ? c.problem[i] : "") + settingOf(c, i)) ?? UNRANKED;
  return s.size === null ? Math.min(...s.rows.map(place)) : place(s.rows[0]);
}

/** Return the series that are drawn: of too many panels, and of too many lines in each, the best by rank. */
function chosen(view, all) {
  const rank = new Map(all.map((s) => [s, rankOf(view, s)])), inPanel = Map.groupBy(all, (s) => s.panel);
  const first = (list, most, of) => [...list].sort((a, b) => of(a) - of(b)).slice(0, most);
  const panels = first(inPanel.keys(), MOST_PANELS, (panel) => Math.min(...inPanel.get(panel).map((s) => rank.get(s))));
  const each = Math.min(MOST_LINES, Math.floor((2 * MOST_LINES) / panels.length));
  const kept = new Set(panels.flatMap((panel) => first(inPanel.get(panel), each, (s) => rank.get(s))));
  return { kept: all.filter((s) => kept.has(s)), hidden: inPanel.size - panels.length,
           of: panels.reduce((sum, panel) => sum + inPanel.get(panel).length, 0) };
}

/** Return colour, dash and marker of a series on the current background. */
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

const label = (s, batch = s.size) => page.cells[s.optimizer][batch || ""] + s.where;

/** The name of a series in a saved chart's legend. */
const nameOf = (s) => escape(short(label(s), 110));

function lineTraces(view, x, y, group, ink, span) {
  const c = view.table.columns, rows = group.rows, traces = [];
  const hover = (i) => `${escape(label(group))}<br>${escape(x.title)}: ${shown(c[x.column][i], x)}` +
    `<br>${shown(c[y.column][i], y)}` +
    (y.low && c[y.low][i] !== null ? ` [${shown(c[y.low][i], y)}, ${shown(c[y.high][i], y)}]` : "");
  // Where theory is drawn too, dashed, what was measured is pale and never dashed.
  const line = y.predicted ? { color: faint(ink.colour, 0.5), width: ink.width + 1 } : { color: ink.colour, dash: ink.dash, width: ink.width };
  if (falls(view) && group.direct && rows.length <= 2) {
    const last = rows[rows.length - 1], value = c[y.column][last];
    const ends = span || [c[x.column][last], c[x.column][last]];
    return [{ x: ends, y: [value, value], mode: span ? "lines" : "markers", line,
              marker: { color: ink.colour, symbol: ink.marker, size: 9 },
              hovertext: [hover(last), hover(last)], hoverinfo: "text" }];
  }
  // The start cannot be on a logarithmic axis; plotly would draw a line towards it.
  const placed = rows.filter((i) => x.now !== "log" || c[x.column][i] > 0);
  if (y.low && rows.some((i) => c[y.high][i] > c[y.low][i] * 1.001)) {
    traces.push({ x: [...placed, ...[...placed].reverse()].map((i) => c[x.column][i]),
                  y: [...placed.map((i) => c[y.high][i]), ...placed.map((i) => c[y.low][i]).reverse()],
                  mode: "lines", line: { width: 0 }, fill: "toself", fillcolor: faint(ink.colour, 0.16),
                  hoverinfo: "skip", showlegend: false });
  }
  traces.push({ x: placed.map((i) => c[x.column][i]), y: placed.map((i) => c[y.column][i]), mode: placed.length === 1 ? "markers" : "lines", line,
                marker: { color: ink.colour, symbol: ink.marker, size: 8 }, hovertext: placed.map(hover),
                hoverinfo: "text", ...(view.key === "profile" ? { line: { ...line, shape: "hv" } } : {}) });
  return y.predicted ? traces.concat(theoryTraces(view, x, y, group, ink, placed)) : traces;
}

/** Return what theory predicts of a line, dashed, and its floor in the long run, dotted. */
function theoryTraces(view, x, y, group, ink, placed) {
  const c = view.table.columns, traces = [], xs = placed.map((i) => c[x.column][i]);
  const told = (what, value, i) => `${escape(label(group))}<br>${escape(x.title)}: ${shown(c[x.column][i], x)}<br>${what}: ${shown(value, y)}`;
  const add = (column, dash, what) => traces.push({ x: xs, y: placed.map((i) => c[column][i]), mode: "lines",
    line: { color: ink.colour, dash, width: 1.6 }, hoverinfo: "text", showlegend: false,
    hovertext: placed.map((i) => told(what, c[column][i], i)) });
  add(y.predicted, "6px,3px", "theory");
  if (placed.length && c[y.floor][placed[0]] !== null) add(y.floor, "1px,4px", "noise floor");
  return traces;
}

function pointTraces(view, x, y, group, ink, places, dodge) {
  const c = view.table.columns, rows = group.rows.filter((i) => c[y.column][i] !== null);
  const xs = rows.map((i) => places.get(c[x.column][i]) + dodge);
  const values = rows.map((i) => c[y.column][i]);
  const bound = (name, sign) => rows.map((i) =>
    y.low && c[name][i] !== null ? Math.max(0, sign * (c[name][i] - c[y.column][i])) : 0);
  const hover = rows.map((i) => {
    const where = bySize(x) ? "" : `<br>${escape(c[x.column][i])}`;
    const interval = y.low && c[y.low][i] !== null && c[y.low][i] !== c[y.high][i]
      ? ` [${shown(c[y.low][i], y)}, ${shown(c[y.high][i], y)}]` : "";
    return `${escape(label(group, c.batch[i]))}${where}<br>${shown(c[y.column][i], y)}${interval}` +
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
  if (x.column === "batch" && group.direct && places.size > 1 && values.length)
    traces.push({ x: [-0.4, places.size - 0.6], y: [values[0], values[0]], mode: "lines",
                  line: { color: faint(ink.colour, 0.55), dash: ink.dash, width: 1.2 },
                  hoverinfo: "skip", showlegend: false });
  return traces;
}

/** Return in words which lines rise above the chart's upper end, and the names of those that are never in it. */
function aboveChart(view, x, y, groups, most) {
  const several = new Set(groups.map((s) => s.panel)).size > 1;
  const c = view.table.columns, said = [], never = new Set();
  for (const s of groups) {
    const rows = s.rows.filter((i) => x.now !== "log" || c[x.column][i] > 0);
    const out = rows.findIndex((i) => !(c[y.column][i] <= most));
    if (rows.length && out < 0) continue;
    if (out <= 0) never.add(nameOf(s));
    const when = rows.length ? `from epoch ${number(c.epoch[rows[out]])} on` : "at once";
    const panel = s.panel.replace(/^batch size [^,]*, /u, ""); // which the label has
    said.push(`${label(s)} (${several ? `${panel}, ` : ""}${when})`);
  }
  const more = said.length > 6 ? `; ${said.length - 6} more` : "";
  return { never, note: said.length ? `Diverged, above the chart: ${said.slice(0, 6).join("; ")}${more}.` : "" };
}

/** Return the categories of an axis, in order, with their positions. */
function placesOf(view, x, rows, order) {
  const values = new Set(rows.map((i) => view.table.columns[x.column][i]));
  const names = bySize(x) ? [...order, "direct"].filter((size) => values.has(size)) : [...values];
  return new Map(names.map((name, place) => [name, place]));
}

/** Return the traces of a view, each with its panel and the name that a saved legend shows. */
function tracesOf(view, rows, x, y, page, dark) {
  const categories = x.scale === "category";
  const all = series(view, rows, !bySize(x));
  const { kept, of, hidden } = chosen(view, all), c = view.table.columns;
  const places = categories ? placesOf(view, x, rows, page.styles.sizes) : new Map();
  const names = Object.keys(page.styles.optimizers).filter((n) => kept.some((s) => s.optimizer === n));
  const inner = [...new Set(kept.map((s) => s.size))];
  let span = null;
  for (const s of kept) if (!s.direct) for (const i of s.rows) {
    const value = c[x.column] && c[x.column][i];
    if (typeof value === "number" && value > 0)
      span = span ? [Math.min(span[0], value), Math.max(span[1], value)] : [value, value];
  }
  if (!span) { // direct methods alone: horizontal lines, of any length
    const last = kept.map((s) => c[x.column] && c[x.column][s.rows[s.rows.length - 1]]).filter((v) => v > 0);
    if (last.length) span = [Math.min(...last) / 3, Math.max(...last) * 3];
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
    traces.forEach((t) => drawn.push({ ...t, panel: s.panel, name: nameOf(s) }));
  }
  return { drawn, places, kept, of, hidden };
}

/** Return the box of a problem's contours, [[least x, largest x], [least y, largest y]], or null. */
function boxOf(view, problem) {
  if (!view.extra.contours) return null;
  const c = view.extra.contours.columns, rows = c.problem.map((_, i) => i).filter((i) => c.problem[i] === problem);
  return rows.length ? [c.x1, c.x2].map((values) => [values[rows[0]], values[rows[rows.length - 1]]]) : null;
}

/** Return the contours of the suboptimality, a constant factor apart, and a cross at the minimum. */
function contourTraces(view, problem, ink) {
  const of = (table) => table.columns.problem.map((_, i) => i).filter((i) => table.columns.problem[i] === problem);
  const { contours, minimum } = view.extra, c = contours.columns, rows = of(contours);
  const logs = rows.map((i) => Math.log10(Math.max(c.suboptimality[i], 1e-300)));
  const most = Math.max(...logs), sorted = [...logs].sort((a, b) => a - b);
  const least = Math.min(sorted[Math.ceil(sorted.length / 100)], most - 1);
  const m = minimum.columns, at = of(minimum), faded = faint(ink, 0.35);
  return [
    { type: "contour", x: rows.map((i) => c.x1[i]), y: rows.map((i) => c.x2[i]), z: logs, showscale: false, showlegend: false,
      contours: { coloring: "lines", start: least, end: most, size: (most - least) / 14 },
      colorscale: [[0, faded], [1, faded]], line: { width: 1 }, hoverinfo: "skip", name: "contours" },
    { x: at.map((i) => m.x1[i]), y: at.map((i) => m.x2[i]), mode: "markers", name: "minimum", showlegend: false,
      marker: { color: ink, symbol: "x-thin-open", size: 11, line: { width: 2 } }, hoverinfo: "x+y" }];
}

/** Return the trace behind the marks: the points of a fit, or the parameters of the reference. */
function backdrop(view, x, y, problem, places, ink) {
  const extra = view.extra.points || view.extra.reference;
  if (!extra || (view.extra.reference && y.column !== "value")) return null;
  const c = extra.columns, rows = c.problem.map((_, i) => i).filter((i) => c.problem[i] === problem);
  if (view.extra.points)
    return { x: rows.map((i) => c.x[i]), y: rows.map((i) => c.y[i]), mode: "markers", name: "data",
             marker: { color: faint(ink, 0.6), size: rows.length > 300 ? 4 : 9 }, hoverinfo: "x+y" };
  const here = rows.filter((i) => places.has(c.parameter[i])), ends = (list) => [...list, null];
  return { x: here.flatMap((i) => ends([-0.42, 0.42].map((d) => places.get(c.parameter[i]) + d))), name: "reference",
           y: here.flatMap((i) => ends([c.value[i], c.value[i]])), mode: "lines", line: { color: ink, width: 1.5 },
           hovertext: here.flatMap((i) => Array(3).fill(`reference<br>${escape(c.parameter[i])}: ${number(c.value[i], 8)}`)),
           hoverinfo: "text" };
}

/** Return columns, rows and height of the panels, before anything is drawn. */
function sizeOf(view, panels, width) {
  const columns = width < 600 ? 1 : Math.min(panels, width < 1000 ? 2 : 3) || 1;
  const down = Math.max(1, Math.ceil(Math.min(panels, MOST_PANELS) / columns));
  const tall = page.printing ? 265 : width < 640 ? 300 : columns > 1 ? 330 : view.key === "convergence" ? 460 : 390;
  return { columns, down, height: tall * down + 20 };
}

/** Return the names under an axis as they fit: level, or turned and cut in the middle, or only some. */
function ticksOf(names, sizes, room) {
  const each = room / Math.max(1, names.length), longest = Math.max(1, ...names.map((name) => String(name).length));
  if (sizes || longest * 7.5 <= each) return { angle: 0, extra: 0, text: names.map((name) => escape(name)) };
  if (each >= 90) return { angle: 0, extra: 0, text: names.map((name) => escape(short(name, Math.floor(each / 7.5)))) };
  const every = Math.ceil(15 / each), most = Math.min(longest, 22);
  return { angle: -60, extra: Math.round(most * 6), text: names.map((name, i) => (i % every ? "" : escape(short(name, most)))) };
}

/** Return the whole figure: traces over panels, and a layout in the page's colours. */
function figureOf(view, rows, x, y, page, width) {
  const css = getComputedStyle(document.documentElement);
  const tone = (name) => css.getPropertyValue(name).trim();
  const { drawn, places, kept, of, hidden } = tracesOf(view, rows, x, y, page, page.dark());
  const panels = [...new Set(drawn.map((t) => t.panel))];
  const { columns, down, height } = sizeOf(view, panels.length, width);
  const names = ticksOf([...places.keys()], bySize(x), width / columns - 90);
  const layout = { width, height: height + names.extra, margin: { l: width < 640 ? 74 : 84, r: 14, t: 30, b: 52 + names.extra }, showlegend: false,
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", hovermode: "closest", annotations: [],
    font: { family: "system-ui, sans-serif", size: 13, color: tone("--ink") }, shapes: [],
    hoverlabel: { bgcolor: tone("--card"), bordercolor: tone("--rule"), font: { color: tone("--ink") }, align: "left" } };
  const all = (key, error) => drawn.flatMap((t) => t[key].flatMap((v, i) =>
    error && t.error_y ? [v, v + t.error_y.array[i], v - t.error_y.arrayminus[i]] : [v]));
  const ticksX = !places.size && x.now === "log" ? logAxis(all("x"), x.unit, width / columns < 420 ? 4 : 8) : {};
  // Diverged lines would leave no room for the others: they are cut at the upper end.
  const values = all("y", true).filter((v) => v > 0), most = Math.max(...values), least = Math.min(...values);
  const bound = falls(view) && most > 30;
  const capped = !bound ? {} : { range: y.now === "log" ? [Math.log10(Math.min(least, 1)) - 0.5, 1] : [-0.1, 2] };
  const box = boxOf(view, page.state.problem);
  const gone = bound ? aboveChart(view, x, y, kept, y.now === "log" ? 10 : 2) : { never: new Set(), note: "" };
  const ticksY = y.now === "log" ? logAxis(all("y", true).filter((v) => !bound || v < 10).concat(bound ? 10 : [], y.reference || []), y.unit, 8, falls(view) ? 3 : 0.5) : {};
  const data = [], gapX = columns > 1 ? 0.055 : 0, gapY = down > 1 ? 76 / layout.height : 0;
  panels.forEach((panel, p) => {
    const n = p ? String(p + 1) : "", col = p % columns, row = Math.floor(p / columns);
    const wide = (1 - gapX * (columns - 1)) / columns, high = (1 - gapY * (down - 1)) / down;
    const left = col * (wide + gapX), top = 1 - row * (high + gapY);
    const common = { gridcolor: tone("--grid"), linecolor: tone("--rule"), tickcolor: tone("--rule"), ticks: "outside",
                     zeroline: false, showline: true, exponentformat: "power" };
    const below = p + columns >= panels.length; // the lowest of its column has the title of x
    layout["xaxis" + n] = { ...common, domain: [left, left + wide], anchor: "y" + n,
      title: { text: below ? escape(x.title) : "", standoff: 8, font: { size: 13 } }, type: x.now === "log" ? "log" : "linear",
      ...(p && !places.size ? { matches: "x" } : {}), ...ticksX, ...(box ? { range: box[0] } : {}),
      ...(places.size ? { range: [-0.6, places.size - 0.4], tickvals: [...places.values()], showgrid: false, tickangle: names.angle, ticktext: names.text } : {}) };
    layout["yaxis" + n] = { ...common, domain: [Math.max(0, top - high), top], anchor: "x" + n, matches: p ? "y" : undefined,
      title: { text: col ? "" : escape(y.title), standoff: 10, font: { size: 13 } }, type: y.now === "log" ? "log" : "linear", ...ticksY,
      automargin: col ? false : "left", showticklabels: !col, ...(view.key === "profile" ? { range: [-0.02, 1.04] } : {}),
      ...(view.key === "digits" ? { rangemode: "tozero" } : {}), ...capped, ...(box ? { range: box[1] } : {}) };
    if (panels.length > 1 || (panel && view.facets)) layout.annotations.push({ text: escape(panel), showarrow: false,
      xref: "paper", yref: "paper", x: left, y: top, xanchor: "left", yanchor: "bottom", font: { size: 13, color: tone("--soft") } });
    if (y.reference) layout.shapes.push({ type: "line", xref: `x${n} domain`, yref: "y" + n, x0: 0, x1: 1,
      y0: y.reference, y1: y.reference, line: { color: tone("--ink"), width: 1.2 } });
    const backs = box ? contourTraces(view, page.state.problem, tone("--ink"))
                      : [backdrop(view, x, y, page.state.problem, places, tone("--ink"))];
    for (const back of backs) if (back) data.push({ ...back, xaxis: "x" + n, yaxis: "y" + n, showlegend: !p && !box });
    const named = new Set(data.filter((t) => t.showlegend !== false).map((t) => t.name));
    for (const trace of drawn.filter((t) => t.panel === panel)) {
      const again = named.has(trace.name) && trace.showlegend !== false && p > 0;
      if (gone.never.has(trace.name)) trace.showlegend = false;
      data.push({ type: "scatter", ...trace, xaxis: "x" + n, yaxis: "y" + n, ...(again ? { showlegend: false } : {}) });
    }
  });
  const notes = [];
  if (kept.length < of) notes.push(`${kept.length} of ${of} lines are drawn: the best of each method, then the others by rank. The filters choose others, and the table has all.`);
  if (hidden > 0) notes.push(`${hidden} more panel${hidden > 1 ? "s are" : " is"} left out; the filters choose others.`);
  if (gone.note) notes.push(gone.note);
  const seen = new Set(drawn.filter((t) => t.showlegend !== false && t.x.length && panels.includes(t.panel)).map((t) => t.name));
  data.forEach((trace) => delete trace.panel);
  const place = (s) => [Object.keys(page.styles.optimizers).indexOf(s.optimizer), page.styles.sizes.indexOf(s.size)];
  const inOrder = kept.toSorted((a, b) => place(a)[0] - place(b)[0] || place(a)[1] - place(b)[1]); // as the filters have them
  const legend = new Map(inOrder.filter((s) => seen.has(nameOf(s)) && !gone.never.has(nameOf(s))).map((s) => [label(s), inkOf(page.styles, s.optimizer, s.size, page.dark())]));
  return { data, layout, note: notes.join(" "), legend };
}
