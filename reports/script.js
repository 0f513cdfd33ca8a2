"use strict";
// Draws the plots one after the other, so that the page can be read meanwhile, in its own colours.
(() => {
  const plots = JSON.parse(document.getElementById("plots").textContent);
  const frames = [...document.querySelectorAll("[data-plot]")];
  const printing = window.matchMedia("print");
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const drawn = new Set();

  // A colour of a plot is a variable of the style, which a dark screen changes.
  const coloured = (value, style) => {
    if (typeof value === "string" && value.startsWith("--")) return style.getPropertyValue(value).trim();
    if (Array.isArray(value)) return value.map((each) => coloured(each, style));
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, coloured(each, style)]));
  };

  const draw = (frame) => {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    const { data, layout } = coloured(plots[frame.dataset.plot], style);
    const narrow = frame.clientWidth < 500;
    const axis = { automargin: true, gridcolor: colour("--line"), zerolinecolor: colour("--line"),
      linecolor: colour("--line") };
    const axes = {};
    for (const name of Object.keys(layout)) {
      if (!/axis/.test(name)) continue;
      axes[name] = { ...axis, ...layout[name] };
      if (narrow && axes[name].type === "date") axes[name].nticks = Math.ceil(axes[name].nticks / 3);
    }
    Plotly.react(frame, data, {
      margin: { l: 10, r: 10, t: layout.showlegend ? 40 : 10, b: 40 },
      showlegend: false,
      legend: { orientation: "h", y: 1, yanchor: "bottom" },
      hoverlabel: { align: "left" },
      ...layout, ...axes,
      font: { family: "system-ui, sans-serif", size: narrow ? 10 : 12, color: colour("--ink") },
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    }, { displaylogo: false, responsive: true, displayModeBar: false });
    drawn.add(frame);
  };

  const next = () => {
    const frame = frames.find((each) => !drawn.has(each));
    if (frame) {
      draw(frame);
      setTimeout(next);
    }
  };
  next();
  dark.addEventListener("change", () => drawn.forEach(draw));
  // Paper shows what a reader of the screen could open.
  const closed = [...document.querySelectorAll("details[data-print]:not([open])")];
  printing.addEventListener("change", (event) => {
    closed.forEach((each) => each.toggleAttribute("open", event.matches));
    (event.matches ? frames : [...drawn]).forEach(draw);
  });
})();
