// The Vega chart: redrawn for other axes, refilled for other filters; hovering and clicking.
const chart = document.getElementById("chart");
const tip = document.getElementById("tip");
const MOST_VECTORS = 400;
const ERRORS_ALONE = 1;
const POINTS = ["behind", "ahead"];
const FONT = "system-ui, sans-serif";
let view = null;
let drawing = 0;
let waiting = false;

function prepareChart() {
  if (!chart) return;
  const { x, y, logX, logY } = axisForm.elements;
  x.append(...data.axes.map(axis => new Option(axis.title, axis.key)));
  y.append(...data.metrics.map(metric => new Option(metric.title, metric.key)));
  axisForm.addEventListener("submit", event => event.preventDefault());
  setLog(logX, axes.get(x.value));
  setLog(logY, metrics.get(y.value));
  axisForm.addEventListener("change", event => {
    if (event.target === x) setLog(logX, axes.get(x.value));
    if (event.target === y) setLog(logY, metrics.get(y.value));
    drawChart();
  });
  dark.addEventListener("change", drawChart);
  chart.addEventListener("pointerleave", hideTip);
  addEventListener("scroll", hideTip, { passive: true });
  addEventListener("keydown", event => event.key === "Escape" && hideTip());
}

// Drawing thousands of marks takes longer than a keystroke: what changes within a frame is drawn once.
function fillChart() {
  if (!view || waiting) return;
  waiting = true;
  requestAnimationFrame(async () => {
    waiting = false;
    await refill(plotted());
  });
}

async function refill(drawn) {
  describe(drawn);
  for (const [name, values] of Object.entries(drawn)) view.data(name, values);
  await view.runAsync();
  chart.dataset.marks = drawn.behind.length + drawn.ahead.length;
}

async function drawChart() {
  if (!chart) return;
  const mine = ++drawing;
  const { x, y, logX, logY } = axisForm.elements;
  const metric = metrics.get(y.value);
  const axis = axes.get(x.value);
  explain(metric, axis);
  const result = await vegaEmbed(chart, spec(metric, axis, logX.checked, logY.checked), {
    mode: "vega",
    renderer: data.cells > MOST_VECTORS ? "canvas" : "svg",
    actions: false,
    ast: true,
    tooltip: false,
    // That no cell is shown is no fault to warn of.
    logLevel: ERRORS_ALONE,
  });
  if (mine !== drawing) return result.finalize();
  view?.finalize();
  view = result.view;
  view.addEventListener("mousemove", (event, item) => showTip(event, item));
  view.addEventListener("click", (event, item) => {
    if (item?.datum?.line === undefined) return;
    hideTip();
    plot.focus({ preventScroll: true });
    location.hash = `cell-${read("cell", item.datum.line)}`;
  });
  await refill(plotted());
}

// Logarithmic to begin with where the figures are; no such axis has a place for zero and below.
function setLog(box, { key, log }) {
  box.disabled = lines.some(line => read(key, line) !== null && read(key, line) <= 0);
  box.checked = log && !box.disabled;
}

// Vega itself and not Vega-Lite, which asks of every mark in every frame whether its values are valid: here they are.
function spec(metric, axis, logX, logY) {
  const style = getComputedStyle(document.documentElement);
  const [ink, pale, line] = ["--ink", "--faint", "--line"].map(name => style.getPropertyValue(name).trim());
  const crowded = data.cells > MOST_VECTORS;
  const own = (channel, field) => ({ [channel]: { field } });
  const at = (channel, field = channel) => ({ [channel]: { scale: channel[0], field } });
  const scale = (name, range, log, fields) => ({
    name,
    range,
    padding: 12,
    // A nice logarithmic axis would end at powers of ten, and leave most of the chart empty.
    ...(log ? { type: "log", nice: false } : { type: "linear", zero: false, nice: true }),
    domain: { fields: fields.map(([from, field]) => ({ data: from, field })) },
  });
  const axisOf = (name, orient, title) => ({
    scale: name, orient, title, grid: true, gridColor: line, gridOpacity: 0.6, domain: false, tickColor: line, tickCount: 8,
    labelColor: pale, labelFontSize: 11, labelOverlap: true, titleColor: ink, titleFontWeight: 500, titleFontSize: 12,
    titlePadding: 10, labelFont: FONT, titleFont: FONT, aria: false,
  });
  const symbols = (from, look) => ({
    type: "symbol", aria: false, from: { data: from },
    encode: {
      enter: { ...own("shape", "path"), ...own("fill", "fill"), size: { value: crowded ? 40 : 84 }, cursor: { value: "pointer" }, ...look },
      update: { ...at("x"), ...at("y") },
    },
  });
  const roomy = "isFinite(containerSize()[0]) ? containerSize()[0] : 300";
  const best = metric.better ? ` (${metric.better} is better)` : "";
  return {
    signals: [{ name: "width", init: roomy, on: [{ events: "window:resize", update: roomy }] }],
    height: matchMedia("(max-width: 40rem)").matches ? 300 : 440,
    // Resized with every change: other values have longer labels.
    autosize: { type: "fit", contains: "padding", resize: true },
    padding: 5,
    background: "transparent",
    data: ["bars", "paths", ...POINTS].map(name => ({ name })),
    scales: [
      scale("x", "width", logX, POINTS.map(name => [name, "x"])),
      scale("y", "height", logY, [...POINTS.map(name => [name, "y"]), ["bars", "low"], ["bars", "high"]]),
    ],
    axes: [axisOf("x", "bottom", axis.title), axisOf("y", "left", metric.title + best)],
    marks: [
      {
        type: "group",
        from: { facet: { name: "path", data: "paths", groupby: ["group", "colour", "dash"] } },
        marks: [
          {
            type: "line", aria: false, from: { data: "path" }, interactive: false,
            encode: {
              enter: { ...own("stroke", "colour"), ...own("strokeDash", "dash"), strokeWidth: { value: 1.75 }, opacity: { value: 0.8 } },
              update: { ...at("x"), ...at("y") },
            },
          },
        ],
      },
      {
        type: "rule", aria: false, from: { data: "bars" }, interactive: false,
        encode: {
          enter: { ...own("stroke", "colour"), ...own("opacity", "opacity"), strokeWidth: { value: 1 } },
          update: { ...at("x"), ...at("y", "low"), ...at("y2", "high") },
        },
      },
      symbols("behind", { opacity: { value: faint() } }),
      symbols("ahead", { ...own("stroke", "stroke"), strokeWidth: { value: 1.4 } }),
    ],
  };
}

function showTip(event, item) {
  if (item?.datum?.line === undefined) return hideTip();
  const line = item.datum.line;
  if (tip.dataset.line !== String(line)) {
    const { x, y } = axisForm.elements;
    tip.dataset.line = line;
    tip.replaceChildren(
      make("strong", {}, rules.get(read("rule", line)).title),
      make("div", {}, read("text", line)),
      ...(models.length > 1 ? [make("div", {}, read("model", line))] : []),
      make("div", {}, told(y.value, metrics.get(y.value).title, line)),
      make("div", {}, costOf(x.value, line)),
      ...(read("picture", line) ? [image(line, "")] : [])
    );
  }
  tip.hidden = false;
  const { width, height } = tip.getBoundingClientRect();
  const left = event.clientX + 16 + width > innerWidth ? event.clientX - 16 - width : event.clientX + 16;
  // Beside the pointer where there is room, inside of the window in any case.
  const inside = (wanted, most) => Math.max(8, Math.min(wanted, most - 8));
  tip.style.transform = `translate(${inside(left, innerWidth - width)}px, ${inside(event.clientY + 16, innerHeight - height)}px)`;
}

function hideTip() {
  tip.hidden = true;
  delete tip.dataset.line;
}
