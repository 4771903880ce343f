// All details of one cell, in a dialog that #cell-<id> opens and leaving closes.
const detail = document.getElementById("detail");
const PREFIX = "#cell-";
const PIXELATED = 700;
let arrived = false;
let followed = false;

function prepareDetail() {
  addEventListener("hashchange", () => {
    arrived = true;
    followHash();
  });
  detail.addEventListener("close", leaveHash);
  detail.addEventListener("click", event => event.target === detail && detail.close());
  followHash();
}

function followHash() {
  const line = location.hash.startsWith(PREFIX) ? lineOf.get(location.hash.slice(PREFIX.length)) : undefined;
  if (line === undefined) {
    // The close event comes later, and the address may name a cell again by then: it is not to be left once more.
    followed = detail.open;
    return detail.close();
  }
  fillDetail(line);
  if (!detail.open) detail.showModal();
  detail.scrollTop = 0;
}

// Whoever came here from the page goes back to it; whoever opened the page at a cell has nothing to go back to.
function leaveHash() {
  const leave = !followed && location.hash.startsWith(PREFIX);
  followed = false;
  if (!leave) return;
  if (arrived) history.back();
  else history.replaceState(null, "", location.pathname + location.search);
}

function fillDetail(line) {
  const cell = read("cell", line);
  const rule = rules.get(read("rule", line));
  const close = make("button", { type: "button", class: "close", "aria-label": "Close" }, "×");
  close.addEventListener("click", () => detail.close());
  const title = make("h2", { id: "detail-title" }, marker(rule), `${rule.title}: ${read("text", line)}`);
  detail.replaceChildren(
    make("header", {}, title, close),
    make("p", { class: "note" }, `${read("model", line)}, cell ${cell}`, standingText(line)),
    ...(read("picture", line) ? [pictureOf(line)] : []),
    ...scores(line),
    ...facts("Costs", data.costs, line),
    ...facts("Settings", data.settings, line),
    ...facts("Origin", data.origin, line),
    make("h3", {}, "Export the images for other tools"),
    command(`sgbench export ${cell} --adm ${cell}.npz`)
  );
}

function standingText(line) {
  const told = { frontier: "on its rule's frontier", tie: "tied with its rule's frontier", dominated: "dominated by its rule's frontier" };
  const standing = read("standing", line);
  return standing ? `, ${told[standing]} (${data.metrics[0].title}, GMACs)` : "";
}

function image(line, alt) {
  const [width, height] = [read("picture_width", line), read("picture_height", line)];
  const element = make("img", { src: read("picture", line), alt, width, height, decoding: "async" });
  if (width < PIXELATED) element.className = "pixelated";
  return element;
}

function pictureOf(line) {
  const caption = make("figcaption", {}, "The first images of this cell, in order and uncurated.");
  if (data.prompts.length) {
    const list = make("ol", {}, ...data.prompts.map(prompt => make("li", {}, prompt)));
    caption.append(make("details", {}, make("summary", {}, "The prompts, in order"), list));
  }
  return make("figure", {}, image(line, read("picture_alt", line)), caption);
}

function scores(line) {
  const body = data.metrics
    .filter(metric => read(metric.key, line) !== null)
    .flatMap(metric => [
      scoreTexts(metric.title, metric.key, line),
      ...metric.groups.map(group => scoreTexts(groupTitle(metric, group), group, line)),
    ]);
  if (!body.length) return [];
  const names = ["metric", "value", "bias-corrected", "real images", "protocol"];
  const kept = names.map((_, place) => body.some(texts => texts[place]));
  const used = texts => texts.filter((_, place) => kept[place]);
  const head = make("tr", {}, ...used(names).map(name => make("th", { scope: "col" }, name)));
  const caption = make("caption", { class: "unseen" }, "Scores with one standard error");
  const grid = make("table", {}, caption, make("thead", {}, head), make("tbody", {}, ...body.map(texts => scoreLine(used(texts)))));
  return [make("h3", {}, "Scores"), make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Scores" }, grid)];
}

function scoreTexts(title, key, line) {
  const floor = read(`${key}_floor`, line);
  const spread = read(`${key}_floor_sd`, line);
  return [
    title,
    withError(read(key, line), read(`${key}_se`, line)),
    brief(read(`${key}_corrected`, line)),
    floor === null || spread === null ? brief(floor) : withError(floor, spread),
    read(`${key}_protocol`, line) ?? "",
  ];
}

function scoreLine([title, ...texts]) {
  return make("tr", {}, make("th", { scope: "row" }, title), ...texts.map(text => make("td", {}, text)));
}

function groupTitle(metric, group) {
  return `– ${group.slice(metric.key.length + 1, -1).replaceAll("_", " ")}`;
}

function facts(title, names, line) {
  const known = names.filter(name => ![null, ""].includes(read(name, line)));
  const list = known.map(name =>
    make("div", {}, make("dt", {}, data.titles[name]), make("dd", {}, fact(name, read(name, line))))
  );
  return list.length ? [make("h3", {}, title), make("dl", { class: "facts" }, ...list)] : [];
}

function fact(name, value) {
  if (typeof value === "boolean") return value ? "yes" : "no";
  // A seed is a name, not a quantity.
  return name === "seed" ? String(value) : brief(value);
}

function command(text) {
  const copy = make("button", { type: "button", "data-copy": "detail-command", "aria-live": "polite" }, "Copy");
  const code = make("code", { id: "detail-command" }, text);
  return make("div", { class: "command" }, make("pre", { tabindex: "0", "aria-label": "Command" }, code), copy);
}
