// Numbers as text, and the ticks of a logarithmic axis: here because filters and sorting change which
// numbers are shown. duration() and roundValues() are optlab.text.format_seconds and
// optlab.report.ticks.log_ticks; a test compares them.
"use strict";

const escape = (text) =>
  String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;").replace(/\$/g, "&#36;");
/** A text of at most so many characters, its middle left out: ends tell names apart. */
const short = (text, most = 22) => {
  const end = Math.floor((most - 1) / 2);
  return text.length > most ? `${text.slice(0, most - 1 - end)}…${text.slice(text.length - end)}` : text;
};

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
  const rounded = Number(seconds.toPrecision(3));
  const [unit, scale] = rounded >= 1 || rounded === 0 ? ["s", 1] : rounded >= 1e-3 ? ["ms", 1e-3] :
    rounded >= 1e-7 ? ["µs", 1e-6] : ["ns", 1e-9];
  const value = seconds / scale;
  return `${value >= 999.5 ? value.toFixed(0) : Number(value.toPrecision(3))} ${unit}`;
}

function bytes(size) {
  for (const [unit, scale] of [["GiB", 2 ** 30], ["MiB", 2 ** 20], ["KiB", 2 ** 10]])
    if (size >= scale) return `${number(size / scale, 3)} ${unit}`;
  return `${number(size, 3)} B`;
}

/** Round values from low to high: three to most, where such are found. */
function roundValues(low, high, most) {
  const first = Math.floor(Math.log10(low)), last = Math.ceil(Math.log10(high));
  for (let every = Math.max(1, Math.ceil((last - first) / most)); every > 0; every--)
    for (const within of every > 1 ? [[1]] : [[1], [1, 3], [1, 2, 5], [1, 1.5, 2, 3, 4, 5, 6, 8]]) {
      const found = [];
      for (let power = first; power <= last; power++)
        if (power % every === 0) for (const m of within) found.push(Number(`${m}e${power}`));
      const inside = found.filter((v) => v >= low && v <= high);
      if (inside.length >= Math.min(3, most - 1) && inside.length <= most) return inside;
    }
  const rough = (high - low) / Math.min(most, 5), power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 3, 4, 5, 10].map((m) => m * power).find((s) => s >= rough * 0.999);
  const even = [];
  for (let n = Math.ceil(low / step - 1e-9); n <= high / step + 1e-9; n++) even.push(Number((n * step).toPrecision(6)));
  return even;
}

/** Range and ticks of a logarithmic axis, of so many decades or more; seconds with their unit. */
function logAxis(values, unit, most, least = 0.5) {
  const good = values.filter((v) => typeof v === "number" && v > 0 && Number.isFinite(v));
  if (!good.length) return {};
  let low = Math.log10(good.reduce((a, b) => Math.min(a, b))), high = Math.log10(good.reduce((a, b) => Math.max(a, b)));
  const pad = Math.max(0.06 * (high - low), (least - (high - low)) / 2);
  low -= pad; high += pad;
  const tickvals = roundValues(10 ** low, 10 ** high, most);
  const plain = low > -4 && high < 5; // one way of writing on one axis
  const text = (v) => {
    if (unit === "s") return duration(v);
    if (plain || v === 1) return String(v);
    const [times, power] = v.toExponential().split("e").map(Number);
    return `${times === 1 ? "" : `${times}·`}10<sup>${power}</sup>`;
  };
  return { range: [low, high], tickvals, ticktext: tickvals.map(text) };
}
