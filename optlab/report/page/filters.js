// The filters; they are the legend of every chart as well.
"use strict";

/** Outlines of the markers, as points around 0. */
const OUTLINES = {
  square: "-4,-4 4,-4 4,4 -4,4", diamond: "0,-5.5 5.5,0 0,5.5 -5.5,0", "triangle-up": "0,-5 5,4 -5,4",
  "triangle-down": "0,5 5,-4 -5,-4", cross: "-2,-5 2,-5 2,-2 5,-2 5,2 2,2 2,5 -2,5 -2,2 -5,2 -5,-2 -2,-2",
  x: "0,-2.4 2.6,-5 5,-2.6 2.4,0 5,2.6 2.6,5 0,2.4 -2.6,5 -5,2.6 -2.4,0 -5,-2.6 -2.6,-5",
  star: "0,-6 1.6,-1.9 6,-1.9 2.4,0.9 3.7,5 0,2.4 -3.7,5 -2.4,0.9 -6,-1.9 -1.6,-1.9",
};

function swatch(optimizer, size) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("width", "30"); svg.setAttribute("height", "14"); svg.setAttribute("aria-hidden", "true");
  const line = document.createElementNS("http://www.w3.org/2000/svg", "line");
  const dark = page.dark();
  let colour, dash = "", width = 7, marker = null;
  if (optimizer === null) {
    const place = page.styles.sizes.indexOf(size), last = Math.max(1, page.styles.sizes.length - 1);
    const grey = Math.round((dark ? 110 : 50) + ((dark ? 130 : 150) * place) / last);
    colour = `rgb(${grey},${grey},${grey})`;
  } else {
    const ink = inkOf(page.styles, optimizer, null, dark);
    colour = ink.colour; width = Math.max(2, ink.width); marker = ink.marker;
    dash = ink.dash === "solid" ? "" : ink.dash;
  }
  for (const [name, value] of Object.entries({ x1: 0, x2: 30, y1: 7, y2: 7, stroke: colour, "stroke-width": width, "stroke-dasharray": dash }))
    line.setAttribute(name, value);
  svg.append(line);
  if (marker) {
    const mark = document.createElementNS("http://www.w3.org/2000/svg", OUTLINES[marker] ? "polygon" : "circle");
    const shape = OUTLINES[marker] ? { points: OUTLINES[marker] } : { r: 4.5 };
    for (const [name, value] of Object.entries({ ...shape, fill: colour, transform: "translate(15 7)" })) mark.setAttribute(name, value);
    svg.append(mark);
  }
  return svg;
}

function makeFilters() {
  const box = $("#filters");
  const rebuild = () => {
    box.replaceChildren();
    if (page.axes.problem.length > 1) {
      const [label, select] = choiceOf("", page.axes.problem, () => { page.state.problem = page.axes.problem[Number(select.value)]; refresh(); });
      select.value = String(page.axes.problem.indexOf(page.state.problem));
      select.id = "filter-problem"; label.style.display = "block";
      box.append(element("fieldset", {}, element("legend", { textContent: "problem" }), label));
      select.setAttribute("aria-label", "problem");
    }
    for (const [axis, name] of [["optimizer", "optimizer"], ["batch", "batch size, by shade"], ["device", "device"], ["dtype", "dtype"]]) {
      if (!page.axes[axis].length) continue;
      const set = element("fieldset", { id: `filter-${axis}` }, element("legend", { textContent: name }));
      for (const value of page.axes[axis]) {
        const tick = element("input", { type: "checkbox", checked: page.state[axis].has(value), value });
        const label = element("label", {}, tick);
        tick.onchange = () => { tick.checked ? page.state[axis].add(value) : page.state[axis].delete(value); label.className = tick.checked ? "" : "off"; refresh(); };
        label.className = tick.checked ? "" : "off";
        if (axis === "optimizer") label.append(swatch(value, null));
        if (axis === "batch" && page.axes[axis].length > 1) label.append(swatch(null, value));
        label.append(element("span", { textContent: value }));
        set.append(label);
      }
      box.append(set);
    }
    box.append(element("div", { className: "acts" }, element("button", { type: "button", id: "reset", textContent: "Show all", onclick: () => {
      for (const axis of ["optimizer", "batch", "device", "dtype"]) page.state[axis] = new Set(page.axes[axis]);
      rebuild(); refresh();
      $("#reset").focus();
    } })));
  };
  rebuild();
  return rebuild;
}
