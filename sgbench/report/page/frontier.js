// The chart: cells on the plane of compute and quality, and each rule's frontier over the cells that are shown.
const chart = document.getElementById("chart");
// Vega names its own element; the name that counts is on the one around it.
const plot = document.getElementById("plot");
const axisForm = document.getElementById("axes");
const tip = document.getElementById("tip");
const MOST_BARS = 400;
const MOST_VECTORS = 400;
const DASHES = { "-": [1, 0], "--": [6, 3], ":": [2, 2], "-.": [8, 3, 2, 3] };
const FAINT = { light: 0.35, dark: 0.5 };
const ERRORS_ALONE = 1;
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

// What is drawn of the shown cells: points, bars of 95 % and frontiers.
function plotted() {
  const { x: xs, y: ys, logX, logY } = axisForm.elements;
  const metric = metrics.get(ys.value);
  const home = metric === data.metrics[0] && xs.value === "gmacs_per_image";
  const cost = column[xs.value];
  const value = column[metric.key];
  const drawable = shown.filter(
    line =>
      cost(line) !== null && value(line) !== null && (!logX.checked || cost(line) > 0) && (!logY.checked || value(line) > 0)
  );
  const fronts = frontiers(drawable, cost, value, metric.better);
  const kept = new Set(fronts.flatMap(front => front.lines));
  const faint = dark.matches ? FAINT.dark : FAINT.light;
  const points = drawable.map(line => {
    const rule = rules.get(read("rule", line));
    const colour = onPage(rule.colour);
    const tie = home && read("standing", line) === "tie";
    const strong = kept.has(line) || tie || !metric.better;
    return {
      line, x: cost(line), y: value(line), path: rule.path, colour,
      fill: tie && !kept.has(line) ? "transparent" : colour, opacity: strong ? 1 : faint,
    };
  });
  // What counts is drawn last, over what does not.
  points.sort((a, b) => a.opacity - b.opacity);
  const bars = points.length > MOST_BARS ? [] : points.flatMap(point => bar(point, metric, logY.checked));
  const paths = fronts.flatMap(front =>
    front.lines.map(line => {
      const rule = rules.get(read("rule", line));
      return { x: cost(line), y: value(line), group: front.group, colour: onPage(rule.colour), dash: DASHES[rule.line] };
    })
  );
  return { points, bars, paths };
}

function bar(point, metric, log) {
  const error = read(`${metric.key}_se`, point.line);
  if (error === null || metric.half === null) return [];
  const low = point.y - metric.half * error;
  if (log && low <= 0) return [];
  return [{ x: point.x, low, high: point.y + metric.half * error, colour: point.colour, opacity: point.opacity }];
}

// Per model and rule the cells that no other of them beats in both, by rising cost.
function frontiers(drawable, cost, value, better) {
  if (!better) return [];
  const sign = better === "higher" ? -1 : 1;
  const groups = new Map();
  for (const line of drawable) {
    const group = `${read("model", line)}\n${read("rule", line)}`;
    if (!groups.has(group)) groups.set(group, []);
    groups.get(group).push(line);
  }
  return [...groups].map(([group, own]) => {
    own.sort((a, b) => cost(a) - cost(b) || sign * (value(a) - value(b)));
    let best = Infinity;
    const kept = own.filter(line => {
      const beats = sign * value(line) < best;
      if (beats) best = sign * value(line);
      return beats;
    });
    return { group, lines: kept };
  });
}

// Drawing thousands of marks takes longer than a keystroke: what changes within a frame is drawn once.
function fillChart() {
  if (!view || waiting) return;
  waiting = true;
  requestAnimationFrame(async () => {
    waiting = false;
    const drawn = plotted();
    describe(drawn.points);
    for (const [name, values] of Object.entries(drawn)) view.data(name, values);
    await view.runAsync();
    chart.dataset.marks = view.data("points").length;
  });
}

async function drawChart() {
  if (!chart) return;
  const mine = ++drawing;
  const { x, y, logX, logY } = axisForm.elements;
  const metric = metrics.get(y.value);
  const axis = axes.get(x.value);
  const drawn = plotted();
  explain(metric, axis);
  describe(drawn.points);
  const result = await vegaEmbed(chart, spec(metric, axis, logX.checked, logY.checked, drawn), {
    mode: "vega-lite",
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
  chart.dataset.marks = view.data("points").length;
  view.addEventListener("mousemove", (event, item) => showTip(event, item));
  view.addEventListener("click", (event, item) => {
    if (item?.datum?.line === undefined) return;
    hideTip();
    plot.focus({ preventScroll: true });
    location.hash = `cell-${read("cell", item.datum.line)}`;
  });
}

// Logarithmic to begin with where the figures are; no such axis has a place for zero and below.
function setLog(box, { key, log }) {
  box.disabled = lines.some(line => read(key, line) !== null && read(key, line) <= 0);
  box.checked = log && !box.disabled;
}

// What the chart shows, for who does not see it.
function describe(points) {
  const { x, y } = axisForm.elements;
  const metric = metrics.get(y.value);
  const direction = metric.better ? `${metric.better} is better` : "neither end is better";
  const title = `Scatter plot of ${metric.title} (${direction}) against ${axes.get(x.value).title}`;
  const parts = [`${title}, one mark for each of ${points.length} cells.`];
  if (metric.better && points.length) {
    const best = points.reduce((a, b) => (metric.better === "higher" ? b.y > a.y : b.y < a.y) ? b : a);
    const rule = rules.get(read("rule", best.line)).title;
    parts.push(`Best: ${rule}, ${read("text", best.line)}: ${told(y.value, metric.title, best.line)}, ${costOf(x.value, best.line)}.`);
  }
  plot.setAttribute("aria-label", parts.join(" "));
}

const told = (key, title, line) => `${title} ${withError(read(key, line), read(`${key}_se`, line))}`;
const costOf = (key, line) => `${brief(read(key, line))} ${axes.get(key).title}`;

function explain(metric, axis) {
  const home = metric === data.metrics[0] && axis.key === "gmacs_per_image";
  const parts = metric.better
    ? ["Lines join each rule's frontier over the cells shown; the cells behind it are faint."]
    : ["Neither end of this metric is better, so there is no frontier."];
  if (home) parts.push("Hollow marks are behind it only within noise: ties.");
  if (metric.half !== null) {
    parts.push(data.cells > MOST_BARS ? `Up to ${MOST_BARS} cells have bars: 95 % intervals.` : "Bars are 95 % intervals.");
  }
  document.getElementById("chart-key").textContent = parts.join(" ");
}

function spec(metric, axis, logX, logY, drawn) {
  const style = getComputedStyle(document.documentElement);
  const [ink, faint, line] = ["--ink", "--faint", "--line"].map(name => style.getPropertyValue(name).trim());
  const scale = log => ({ nice: true, padding: 12, ...(log ? { type: "log" } : { zero: false }) });
  const best = metric.better ? ` (${metric.better} is better)` : "";
  const x = { field: "x", type: "quantitative", title: axis.title, scale: scale(logX) };
  const y = { field: "y", type: "quantitative", title: metric.title + best, scale: scale(logY) };
  const own = (name, type = "nominal") => ({ field: name, type, scale: null });
  const opacity = own("opacity", "quantitative");
  const still = { aria: false };
  return {
    width: "container",
    height: matchMedia("(max-width: 40rem)").matches ? 300 : 440,
    autosize: { type: "fit", contains: "padding" },
    background: "transparent",
    datasets: drawn,
    layer: [
      {
        data: { name: "paths" }, mark: { type: "line", strokeWidth: 1.75, opacity: 0.8, ...still },
        encoding: { x, y, detail: { field: "group" }, stroke: own("colour"), strokeDash: own("dash") },
      },
      {
        data: { name: "bars" }, mark: { type: "rule", strokeWidth: 1, ...still },
        encoding: { x, y: { ...y, field: "low" }, y2: { field: "high" }, stroke: own("colour"), opacity },
      },
      {
        data: { name: "points" }, mark: { type: "point", size: 70, strokeWidth: 1.4, cursor: "pointer", ...still },
        encoding: { x, y, shape: own("path"), fill: own("fill"), stroke: own("colour"), opacity },
      },
    ],
    config: {
      font: "system-ui, sans-serif",
      view: { stroke: null },
      // What cannot be drawn is left out before it comes here.
      mark: { invalid: null },
      axis: {
        labelColor: faint, titleColor: ink, titleFontWeight: 500, titleFontSize: 12, titlePadding: 10, labelFontSize: 11,
        gridColor: line, gridOpacity: 0.6, domain: false, tickColor: line, tickCount: 8, labelFlush: false, aria: false,
      },
    },
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
