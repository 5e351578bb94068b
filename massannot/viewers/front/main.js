"use strict";
// The start: which page this is, stands in its data.

function start() {
  const data = pageData();
  const main = document.querySelector("main");
  if (data.kind === "index") showIndex(main, data);
  else showClip(main, data);
  document.body.dataset.ready = "true";
}

document.addEventListener("DOMContentLoaded", start);
