// The table of all cells: sorted by any column, a hundred lines at a time.
const table = document.getElementById("table");
const more = document.getElementById("more");
const STEP = 100;
let limit = STEP;
let sorted = { name: null, up: true };

const STANDINGS = ["frontier", "tie", "dominated"];

// Of each column its name, its header, what it is sorted by and what it shows.
const columns = [
  { name: "text", title: "settings", key: line => ordinal(column.text(line)), show: column.text },
  { name: "rule", title: "rule", key: line => rules.get(read("rule", line)).title },
  ...(models.length > 1 ? [{ name: "model", title: "model", key: column.model }] : []),
  ...data.axes.map(axis => ({
    name: axis.key,
    title: axis.title,
    key: column[axis.key],
    number: true,
    show: line => aligned(read(axis.key, line)),
  })),
  ...data.metrics.map(metric => ({
    name: metric.key,
    title: metric.title,
    key: column[metric.key],
    number: true,
    show: line => withError(read(metric.key, line), read(`${metric.key}_se`, line)),
  })),
  ...(lines.some(line => read("standing", line)) ? [standingColumn()] : []),
];

function standingColumn() {
  const key = line => (read("standing", line) === null ? null : STANDINGS.indexOf(read("standing", line)));
  return { name: "standing", title: "standing", key, show: line => read("standing", line) ?? "" };
}

// Numbers within texts count by their size: 6 steps come before 10 steps.
function ordinal(text) {
  return text.replace(/\d+(\.\d+)?/g, number => Number(number).toFixed(6).padStart(20, "0"));
}

function prepareTable() {
  const headers = columns.map(one => {
    const button = make("button", { type: "button" }, one.title);
    button.addEventListener("click", () => sortBy(one.name));
    const header = make("th", { scope: "col", "aria-sort": "none", "data-column": one.name }, button);
    if (one.number) header.className = "number";
    return header;
  });
  table.tHead.replaceChildren(make("tr", {}, ...headers));
  more.addEventListener("click", () => {
    const first = table.tBodies[0].rows.length;
    limit += STEP;
    fillTable(false);
    table.tBodies[0].rows[first].querySelector("a").focus();
  });
}

function sortBy(name) {
  sorted = { name, up: sorted.name === name ? !sorted.up : true };
  for (const header of table.tHead.rows[0].cells) {
    const order = sorted.up ? "ascending" : "descending";
    header.setAttribute("aria-sort", header.dataset.column === name ? order : "none");
  }
  fillTable(true);
}

// Numbers by their size, texts by their letters, missing values last either way.
function inOrder() {
  const one = columns.find(candidate => candidate.name === sorted.name);
  if (!one) return shown;
  const keys = new Map(shown.map(line => [line, one.key(line)]));
  const sign = sorted.up ? 1 : -1;
  return [...shown].sort((a, b) => {
    const [x, y] = [keys.get(a), keys.get(b)];
    if (x === null || y === null) return (x === null) - (y === null);
    return sign * (x > y ? 1 : x < y ? -1 : 0);
  });
}

function fillTable(afresh) {
  if (afresh) limit = STEP;
  const ordered = inOrder();
  table.tBodies[0].replaceChildren(...ordered.slice(0, limit).map(tableLine));
  const left = ordered.length - limit;
  more.hidden = left <= 0;
  more.textContent = `Show ${Math.min(STEP, left)} more of ${left.toLocaleString("en")}`;
}

function tableLine(line) {
  const [first, ...others] = columns;
  // Cells of several rules have the same settings; out of the table a link is read without its line.
  const name = `${rules.get(read("rule", line)).title}: ${first.show(line)}`;
  const link = make("a", { href: `#cell-${read("cell", line)}`, "aria-label": name }, first.show(line));
  const cells = others.map(one => {
    const text = one.show ? one.show(line) : brief(one.key(line));
    return make("td", one.number ? { class: "number" } : {}, ...(one.name === "rule" ? [ruleMarker(line)] : []), text);
  });
  return make("tr", {}, make("th", { scope: "row" }, link), ...cells);
}

function ruleMarker(line) {
  return marker(rules.get(read("rule", line)));
}
