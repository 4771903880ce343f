// One bar of filters: which cells are shown, in the chart, in the table and in the count.
const filters = document.getElementById("filters");
const hidden = new Set();
let shown = lines;

const haystack = lines.map(line =>
  [read("text", line), rules.get(read("rule", line)).title, read("model", line), samplerOf(line), read("cell", line)]
    .join(" ")
    .toLowerCase()
);

// What a reader types begins a word or a number: 2 finds w 2 and w 2.5, not gamma 0.2.
function pattern(word) {
  return new RegExp(`(?<![\\p{L}\\p{N}.])${word.replace(/[\\^$.*+?()[\]{}|\-/]/g, "\\$&")}`, "u");
}

function samplerOf(line) {
  return `${read("sampler", line)}, ${read("steps", line)} steps`;
}

function prepareFilters() {
  // Models have frontiers of their own: the first alone is easier to read than all on top of each other.
  fillSelect("model", models, "all models", models[0]);
  fillSelect("sampler", [...new Set(lines.map(samplerOf))], "any", "");
  if (!lines.some(line => read("standing", line))) field("standing").closest("label").hidden = true;
  drawLegend();
  filters.addEventListener("input", applyFilters);
  filters.addEventListener("submit", event => event.preventDefault());
  filters.addEventListener("reset", () => {
    hidden.clear();
    // The form holds its new values only after this event.
    setTimeout(() => {
      field("model").value = "";
      drawLegend();
      applyFilters();
    });
  });
}

function field(name) {
  return filters.elements[name];
}

function fillSelect(name, values, all, chosen) {
  const select = field(name);
  select.append(new Option(all, ""), ...values.map(value => new Option(value, value)));
  select.value = values.length > 1 ? chosen : "";
  select.closest("label").hidden = values.length < 2;
}

function drawLegend() {
  const buttons = data.rules.map(rule => {
    const button = make("button", { type: "button", "aria-pressed": String(!hidden.has(rule.name)) });
    button.dataset.rule = rule.name;
    button.append(marker(rule), rule.title);
    button.addEventListener("click", () => {
      if (!hidden.delete(rule.name)) hidden.add(rule.name);
      button.setAttribute("aria-pressed", String(!hidden.has(rule.name)));
      applyFilters();
    });
    return button;
  });
  document.getElementById("rules").replaceChildren(...buttons);
}

function applyFilters() {
  const model = field("model").value;
  const sampler = field("sampler").value;
  const standings = { "": null, frontier: ["frontier"], tie: ["frontier", "tie"] }[field("standing").value];
  const words = field("words").value.toLowerCase().split(/\s+/).filter(Boolean).map(pattern);
  shown = lines.filter(
    line =>
      !hidden.has(read("rule", line)) &&
      (!model || read("model", line) === model) &&
      (!sampler || samplerOf(line) === sampler) &&
      (!standings || standings.includes(read("standing", line))) &&
      words.every(word => word.test(haystack[line]))
  );
  const count = `${shown.length.toLocaleString("en")} of ${cellsOf(data.cells)} shown.`;
  document.getElementById("count").textContent = count;
  document.getElementById("count-again").textContent = count;
  fillTable(true);
  fillChart();
}
