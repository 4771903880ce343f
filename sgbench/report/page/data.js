// The cells, column by column, and how their numbers are written.
const data = JSON.parse(document.getElementById("data").textContent);

function reader(name) {
  const column = data.columns[name];
  if (column === undefined) return () => null;
  if (Array.isArray(column)) return line => column[line];
  if ("always" in column) return () => column.always;
  return line => column.values[column.codes[line]];
}

const column = Object.fromEntries(Object.keys(data.columns).map(name => [name, reader(name)]));
const read = (name, line) => (column[name] ? column[name](line) : null);
const rules = new Map(data.rules.map(rule => [rule.name, rule]));
const metrics = new Map(data.metrics.map(metric => [metric.key, metric]));
const axes = new Map(data.axes.map(axis => [axis.key, axis]));
const lines = [...Array(data.cells).keys()];
const lineOf = new Map(lines.map(line => [read("cell", line), line]));
const models = distinct("model");

function distinct(name) {
  return [...new Set(lines.map(line => read(name, line)))];
}

// A value with its standard error, to the digits that the error leaves: as sgbench.stats.digits does.
function withError(value, error) {
  if (value === null) return "";
  if (error === null) return brief(value);
  const digits = error > 0 && error < 0.005 ? Math.min(9, 1 - Math.floor(Math.log10(error))) : 3;
  return `${value.toFixed(digits)} ± ${error.toFixed(digits)}`;
}

function brief(value) {
  if (value === null) return "";
  if (typeof value !== "number") return String(value);
  const size = Math.abs(value);
  if (Number.isInteger(value) || size >= 1000) return value.toLocaleString("en", { maximumFractionDigits: 0 });
  return size >= 0.001 ? String(Number(value.toPrecision(4))) : value.toPrecision(3);
}

// The same in a column: trailing zeros stay, so that digits are aligned.
function aligned(value) {
  return typeof value !== "number" || Math.abs(value) >= 1000 ? brief(value) : value.toPrecision(4);
}

const cellsOf = number => `${number.toLocaleString("en")} ${number === 1 ? "cell" : "cells"}`;

// An element with attributes and children; text never becomes markup.
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

const markers = "http://www.w3.org/2000/svg";

function marker(rule) {
  const svg = document.createElementNS(markers, "svg");
  svg.setAttribute("viewBox", "-1.6 -1.6 3.2 3.2");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(markers, "path");
  path.setAttribute("d", rule.path);
  path.setAttribute("fill", rule.colour === BLACK ? "currentColor" : rule.colour);
  svg.append(path);
  return svg;
}

// Rules keep their colours everywhere; black alone would vanish on a dark page.
const BLACK = "#000000";
const dark = matchMedia("(prefers-color-scheme: dark)");
const onPage = colour => (dark.matches && colour === BLACK ? "#e6e9ec" : colour);
