// The filters, which are the legend of every chart as well.
"use strict";

function swatch(optimizer, size) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("width", "30"); svg.setAttribute("height", "12"); svg.setAttribute("aria-hidden", "true");
  const line = document.createElementNS("http://www.w3.org/2000/svg", "line");
  const dark = page.dark();
  let colour, dash = "", width = 7;
  if (optimizer === null) {
    const place = page.styles.sizes.indexOf(size), last = Math.max(1, page.styles.sizes.length - 1);
    const grey = Math.round((dark ? 110 : 50) + ((dark ? 130 : 150) * place) / last);
    colour = `rgb(${grey},${grey},${grey})`;
  } else {
    const ink = inkOf(page.styles, optimizer, null, dark);
    colour = ink.colour; width = Math.max(2, ink.width);
    dash = ink.dash === "solid" ? "" : ink.dash;
  }
  for (const [name, value] of Object.entries({ x1: 0, x2: 30, y1: 6, y2: 6, stroke: colour, "stroke-width": width, "stroke-dasharray": dash }))
    line.setAttribute(name, value);
  svg.append(line);
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
    for (const [axis, name] of [["optimizer", "optimizer"], ["batch_size", "batch size, by shade"], ["device", "device"], ["dtype", "dtype"]]) {
      if (!page.axes[axis].length) continue;
      const set = element("fieldset", { id: `filter-${axis}` }, element("legend", { textContent: name }));
      for (const value of page.axes[axis]) {
        const tick = element("input", { type: "checkbox", checked: page.state[axis].has(value), value });
        const label = element("label", {}, tick);
        tick.onchange = () => { tick.checked ? page.state[axis].add(value) : page.state[axis].delete(value); label.className = tick.checked ? "" : "off"; refresh(); };
        label.className = tick.checked ? "" : "off";
        if (axis === "optimizer") label.append(swatch(value, null));
        if (axis === "batch_size" && page.axes[axis].length > 1) label.append(swatch(null, value));
        label.append(element("span", { textContent: value }));
        set.append(label);
      }
      box.append(set);
    }
    box.append(element("div", { className: "acts" }, element("button", { type: "button", id: "reset", textContent: "Show all", onclick: () => {
      for (const axis of ["optimizer", "batch_size", "device", "dtype"]) page.state[axis] = new Set(page.axes[axis]);
      rebuild(); refresh();
    } })));
  };
  rebuild();
  return rebuild;
}
