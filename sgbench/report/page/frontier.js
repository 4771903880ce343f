// What the chart shows: the cells on the plane of compute and quality, and each rule's frontier over those that are shown.
const plot = document.getElementById("plot");
const axisForm = document.getElementById("axes");
const MOST_BARS = 400;
const DASHES = { "-": [1, 0], "--": [6, 3], ":": [2, 2], "-.": [8, 3, 2, 3] };
const faint = () => (dark.matches ? 0.5 : 0.35);

// What is drawn of the shown cells: bars of 95 %, frontiers, and points, those that are dominated behind the others.
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
  const points = drawable.map(line => {
    const rule = rules.get(read("rule", line));
    const colour = onPage(rule.colour);
    const tie = home && !kept.has(line) && read("standing", line) === "tie";
    return {
      line, x: cost(line), y: value(line), path: rule.path, colour, fill: tie ? "transparent" : colour,
      stroke: tie ? colour : null, behind: !kept.has(line) && !tie && metric.better !== "",
    };
  });
  const bars = points.length > MOST_BARS ? [] : points.flatMap(point => bar(point, metric, logY.checked));
  const paths = fronts.flatMap(front =>
    front.lines.map(line => {
      const rule = rules.get(read("rule", line));
      return { x: cost(line), y: value(line), group: front.group, colour: onPage(rule.colour), dash: DASHES[rule.line] };
    })
  );
  return { bars, paths, behind: points.filter(point => point.behind), ahead: points.filter(point => !point.behind) };
}

function bar(point, metric, log) {
  const error = read(`${metric.key}_se`, point.line);
  if (error === null || metric.half === null) return [];
  const low = point.y - metric.half * error;
  if (log && low <= 0) return [];
  return [{ x: point.x, low, high: point.y + metric.half * error, colour: point.colour, opacity: point.behind ? faint() : 1 }];
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

// What the chart shows, for who does not see it.
function describe({ behind, ahead }) {
  const points = [...behind, ...ahead];
  const { x, y } = axisForm.elements;
  const metric = metrics.get(y.value);
  const direction = metric.better ? `${metric.better} is better` : "neither end is better";
  const title = `Scatter plot of ${metric.title} (${direction}) against ${axes.get(x.value).title}`;
  const parts = [`${title}, one mark for each of ${cellsOf(points.length)}.`];
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
    ? ["Lines connect each rule's frontier over the cells shown; dominated cells are faint."]
    : ["Neither end of this metric is better, so there is no frontier."];
  if (home) parts.push("Hollow marks are ties: dominated, but not significantly.");
  if (metric.half !== null) {
    parts.push(data.cells > MOST_BARS ? `Up to ${MOST_BARS} cells have bars: 95 % intervals.` : "Bars are 95 % intervals.");
  }
  document.getElementById("chart-key").textContent = parts.join(" ");
}
