// The filters; they are the legend of every chart as well.
"use strict";

/** Outlines of the markers, as points around 0. */
const OUTLINES = {
  square: "-4,-4 4,-4 4,4 -4,4", diamond: "0,-5.5 5.5,0 0,5.5 -5.5,0", "triangle-up": "0,-5 5,4 -5,4",
  "triangle-down": "0,5 5,-4 -5,-4", cross: "-2,-5 2,-5 2,-2 5,-2 5,2 2,2 2,5 -2,5 -2,2 -5,2 -5,-2 -2,-2",
  x: "0,-2.4 2.6,-5 5,-2.6 2.4,0 5,2.6 2.6,5 0,2.4 -2.6,5 -5,2.6 -2.4,0 -5,-2.6 -2.6,-5",
  star: "0,-6 1.6,-1.9 6,-1.9 2.4,0.9 3.7,5 0,2.4 -3.7,5 -2.4,0.9 -6,-1.9 -1.6,-1.9",
};
const OPEN_VALUES = 30; // with more, the settings of a method are folded at first

/** Return a piece of a line as charts draw it. */
function swatch({ colour, dash, width, marker }) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const add = (tag, values) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(values)) made.setAttribute(name, value);
    svg.append(made);
  };
  for (const [name, value] of [["width", 22], ["height", 14], ["aria-hidden", "true"]]) svg.setAttribute(name, value);
  add("line", { x1: 0, x2: 22, y1: 7, y2: 7, stroke: colour, "stroke-width": Math.max(2, width),
                "stroke-dasharray": dash === "solid" ? "" : dash });
  const at = { fill: colour, transform: "translate(11 7)" };
  if (OUTLINES[marker]) add("polygon", { points: OUTLINES[marker], ...at });
  else if (marker) add("circle", { r: 4.5, ...at });
  return svg;
}

/** Return the shade of a batch size, in grey. */
function shadeOf(size) {
  const dark = page.dark(), last = Math.max(1, page.styles.sizes.length - 1);
  const grey = Math.round((dark ? 110 : 50) + ((dark ? 130 : 150) * page.styles.sizes.indexOf(size)) / last);
  return { colour: `rgb(${grey},${grey},${grey})`, dash: "solid", width: 7, marker: null };
}

function makeFilters() {
  const box = $("#filters"), ticks = [], folded = new Set();
  const areLong = (texts) => texts.some((text) => text.length > 7), alone = areLong(page.methods.map(({ method }) => method));
  if (page.axes.optimizer.length > OPEN_VALUES) page.methods.forEach(({ method }) => folded.add(method));
  const sync = () => {
    for (const { tick, axis, own } of ticks) {
      const on = own.filter((value) => page.state[axis].has(value)).length;
      tick.checked = on === own.length;
      tick.indeterminate = on > 0 && on < own.length;
      tick.parentElement.classList.toggle("off", !on);
    }
  };
  const choose = (axis, own) => { page.state[axis] = new Set(own); sync(); refresh(REST); };
  /** Make the box of some values of an axis, with the button that leaves only these. */
  const value = (axis, own, text, ink, wide, name = text) => {
    const tick = element("input", { type: "checkbox", value: own.length === 1 ? own[0] : "", onchange: () => {
      for (const one of own) tick.checked ? page.state[axis].add(one) : page.state[axis].delete(one);
      sync(); refresh(REST);
    } });
    if (name !== text) tick.ariaLabel = name;
    ticks.push({ tick, axis, own });
    const label = element("label", {}, tick, ...(ink ? [swatch(ink)] : []), element("span", { textContent: text }));
    return element("div", { className: wide ? "value long" : "value" }, label,
      element("button", { type: "button", className: "only", textContent: "only", ariaLabel: `only ${name}`, onclick: () => choose(axis, own) }));
  };
  const group = ({ method, by, settings }) => {
    const ink = (optimizer) => inkOf(page.styles, optimizer, null, page.dark());
    if (settings.length === 1) return [value("optimizer", [settings[0][0]], settings[0][0], ink(settings[0][0]), alone)];
    const whole = value("optimizer", settings.map(([optimizer]) => optimizer), by ? `${method}, ${by}` : method, null, true);
    const long = areLong(settings.map(([, text]) => text));
    const each = element("div", { className: "values", hidden: folded.has(method) },
      ...settings.map(([optimizer, text]) => value("optimizer", [optimizer], text, ink(optimizer), long, optimizer)));
    const turn = element("button", { type: "button", className: "fold", ariaLabel: `settings of ${method}`,
      ariaExpanded: String(!each.hidden), onclick: () => {
        each.hidden = !each.hidden;
        turn.ariaExpanded = String(!each.hidden);
        each.hidden ? folded.add(method) : folded.delete(method);
      } });
    whole.prepend(turn);
    return [whole, each];
  };
  const axis = (name, title, rows) => element("fieldset", { id: `filter-${name}` }, element("legend", { textContent: title }),
    element("div", { className: "acts" }, ...[["all", page.axes[name]], ["none", []]].map(([text, own]) =>
      element("button", { type: "button", textContent: text, ariaLabel: `${text}: ${title}`, onclick: () => choose(name, own) }))),
    element("div", { className: "values" }, ...rows));
  const rebuild = () => {
    ticks.length = 0;
    box.replaceChildren(...problemChoice("filter-problem"), axis("optimizer", "optimizer", page.methods.flatMap(group)));
    for (const [name, title] of [["batch", "batch size, by shade"], ["device", "device"], ["dtype", "dtype"]])
      if (page.axes[name].length > 1)
        box.append(axis(name, title, page.axes[name].map((one) => value(name, [one], one, name === "batch" ? shadeOf(one) : null, areLong(page.axes[name])))));
    box.append(element("button", { type: "button", id: "reset", textContent: "Show all", onclick: () => {
      for (const name of ["optimizer", "batch", "device", "dtype"]) page.state[name] = new Set(page.axes[name]);
      sync(); refresh(REST);
    } }));
    sync();
  };
  rebuild();
  return rebuild;
}

/** Make a choice of the problem that charts and tables show, where there are several. */
function problemChoice(id) {
  if (page.axes.problem.length < 2) return [];
  const [label, select] = choiceOf("problem", page.axes.problem, () => {
    page.state.problem = page.axes.problem[Number(select.value)];
    for (const other of $$(".problem")) other.value = select.value;
    showRanking();
    refresh(REST);
  });
  select.value = String(page.axes.problem.indexOf(page.state.problem));
  select.className = "problem";
  select.id = id;
  return [label];
}

/** Show the ranked table of the chosen problem; on paper there are those of all problems. */
function showRanking() {
  for (const part of $$("[data-problem]")) part.hidden = !page.printing && part.dataset.problem !== page.state.problem;
}
