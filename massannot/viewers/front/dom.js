"use strict";
// Elements, numbers and colours. Texts only ever become text nodes: nothing here parses HTML.

const SVG = "http://www.w3.org/2000/svg";
const PATIENCE_MS = 30_000; // with the server, which answers in well under a second

/** An element: `el("a.card", {href}, "text", child)`. Null children are left out. */
function el(name, attributes, ...children) {
  const [tag, ...classes] = name.split(".");
  const made = document.createElement(tag);
  if (classes.length) made.className = classes.join(" ");
  for (const [key, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value === true ? "" : value);
  }
  fill(made, children);
  return made;
}

function fill(parent, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined) continue;
    parent.append(child instanceof Node ? child : String(child));
  }
  return parent;
}

/** The page's own data, written into it as JSON. */
function pageData() {
  return JSON.parse(document.getElementById("data").textContent);
}

/** What the server answers, as JSON; `error` in it says why it refuses. Throws where it does not
 * answer. */
async function fromServer(address, options) {
  const signal = AbortSignal.timeout(PATIENCE_MS);
  const answer = await fetch(new URL(address, location.href), { signal, ...options });
  if (answer.status >= 500 || answer.status === 404) throw new Error(`status ${answer.status}`);
  return answer.json();
}

/** Whether a press of a key is for the page: not for a field or the browser. */
function isForPage(event) {
  return !event.ctrlKey && !event.metaKey && !event.altKey
    && !event.target.closest("input:not([type=range], [type=checkbox]), select, textarea");
}

/** The least and the greatest of any number of values. */
function extent(values) {
  return values.reduce(([low, high], v) => [Math.min(low, v), Math.max(high, v)], [Infinity, -Infinity]);
}

function number(value, digits = 2) {
  return value === null || value === undefined ? "unknown" : value.toFixed(digits);
}

/** "1 clip", "2 clips", "2 entities". */
function counted(n, thing) {
  const many = thing.endsWith("y") ? `${thing.slice(0, -1)}ies` : `${thing}s`;
  return `${n} ${n === 1 ? thing : many}`;
}

/** A link target of ours, or none: never an address that a name of the user's could run. */
function safeLink(target) {
  return typeof target === "string" && /^(\.\.\/)?(clips?\/|index\.html|\.?\/?$)[\w./-]*$/.test(target)
    ? target
    : null;
}

function css(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** A canvas of the element's size in device pixels; returns its context in CSS pixels. */
function sized(canvas) {
  const ratio = window.devicePixelRatio || 1;
  const box = canvas.getBoundingClientRect();
  const [width, height] = [Math.round(box.width * ratio), Math.round(box.height * ratio)];
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width;
    canvas.height = height;
  }
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, box.width, box.height);
  return { pen, width: box.width, height: box.height };
}

/** A table of headings and rows of cells; a heading that begins with # is a column of numbers. */
function dataTable(caption, heads, rows) {
  const numeric = heads.map((head) => head.startsWith("#"));
  const cell = (tag, content, k) =>
    el(tag + (numeric[k] ? ".n" : ""), tag === "th" ? { scope: "col" } : null, content);
  return el(
    "div.scroll",
    { tabindex: "0", role: "region", "aria-label": caption },
    el(
      "table",
      null,
      el("thead", null, el("tr", null, heads.map((h, k) => cell("th", h.replace(/^#/, ""), k)))),
      el("tbody", null, rows.map((row) => el("tr", null, row.map((c, k) => cell("td", c, k))))),
    ),
  );
}

/** Quality 0..1 as a bar with its number and its ground. */
function qualityBar(quality, basis) {
  if (quality === null || quality === undefined) return el("span.sub", null, "quality unknown");
  const calibrated = basis === "calibrated";
  const kind = !calibrated ? "rank" : quality >= 0.5 ? "good" : "low";
  const bar = document.createElementNS(SVG, "svg");
  for (const [k, v] of Object.entries({ class: "bar", viewBox: "0 0 100 6", "aria-hidden": "true",
    preserveAspectRatio: "none" })) bar.setAttribute(k, v);
  for (const [width, name] of [[100, "all"], [100 * quality, kind]]) {
    const part = document.createElementNS(SVG, "rect");
    part.setAttribute("width", String(width));
    part.setAttribute("height", "6");
    part.setAttribute("class", name);
    bar.append(part);
  }
  const ground = calibrated ? "calibrated" : "internal: a rank, no probability";
  return el("span.quality", null, bar, el("span.sub", null, `${quality.toFixed(2)}, ${ground}`));
}

/** 1, 2 or 5 times a power of ten, at least `wanted`. */
function roundStep(wanted) {
  const power = 10 ** Math.floor(Math.log10(Math.max(wanted, 1e-9)));
  return [1, 2, 5, 10].map((k) => k * power).find((step) => step >= wanted * 0.999999);
}

/** Draw again when the size or the colour scheme changes. */
function redrawOn(element, draw) {
  new ResizeObserver(draw).observe(element);
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
}
