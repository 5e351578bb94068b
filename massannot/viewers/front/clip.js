"use strict";
// The page of one clip: picture, time and space together, all at the same frame.

const SPEEDS = [0.25, 0.5, 1, 2];

function showClip(main, data) {
  const player = new Player(data);
  const overlay = new Overlay(data, player);
  const timeline = new Timeline(data, player);
  const stage = el("div.stage", null, player.video || el("p.nofilm", null, data.no_film), overlay.canvas);
  stage.style.aspectRatio = `${data.width} / ${data.height}`;
  const space = new Space(data, player);
  const plots = [
    new Plot(data, player, `Position in the camera's frame, ${data.unit}`,
      [["x", "x, right"], ["y", "y, down"], ["z", "z, forward"]]),
    new Plot(data, player, `Speed between a frame's neighbours, ${data.unit}/s, and its 90 % band${data.internal ? " or wider" : ""}`,
      [["speed", "speed"]]),
    new Plot(data, player, `Distance from the camera, ${data.unit}`, [["distance", "distance"]]),
  ];
  fill(main, [
    data.index_link
      ? el("nav.crumbs", { "aria-label": "Where" }, el("a", { href: safeLink(data.index_link) }, "All clips"))
      : null,
    el("h1", null, data.name),
    el("p.sub", null, data.facts),
    data.notes.map((note) => el("p.notes", null, note)),
    el("div.look", null,
      el("div.film", null, stage, controls(player, timeline), timeline.root, overlay.toggles()),
      el("div.side", null, space.root, plots.map((plot) => plot.root))),
    section("Entities", entityTable(data, overlay)),
    data.story ? section("Through the video", videoStory(data)) : null,
    data.events.length ? section("Events", eventList(data, player)) : null,
    data.questions.length ? section("Questions", questionList(data, player, overlay)) : null,
    section("Motions", motionTable(data, player)),
    section("Motion profile", el("pre", { tabindex: "0" }, data.profile)),
    section("Keys", el("p.sub", null, "Space plays; left and right step a frame, with Shift ten; "
      + "Home and End jump; b, o, t, l, d toggle the layers.")),
    rowTable(data),
    el("div", { id: "review" }),
  ]);
  document.addEventListener("keydown", (event) => pressed(event, player, overlay));
  player.seek(startFrame(data));
  window.massannot = { player, overlay, space, data };
  if (data.review) {
    const bar = new ReviewBar(data, { player, overlay, stage });
    document.getElementById("review").append(bar.root);
    bar.panels = questionReviews(data, bar);
  }
}

/** `#f=12` in the address; else the first frame in which something is seen. */
function startFrame(data) {
  const asked = /f=(\d+)/.exec(location.hash);
  if (asked) return Number(asked[1]);
  return Math.min(...data.entities.map((entity) => entity.first), data.t_s.length - 1);
}

function controls(player, timeline) {
  const play = el("button.primary", { type: "button", onclick: () => player.toggle() }, "Play");
  player.follow((frame, playing) => { play.textContent = playing ? "Pause" : "Play"; });
  const step = (by, label) => el("button", {
    type: "button", "aria-label": label, onclick: () => { player.pause(); player.seek(player.frame + by); },
  }, by < 0 ? "◀" : "▶");
  return el("div.controls", null, play, step(-1, "Frame back"), step(1, "Frame on"),
    el("select", { "aria-label": "Speed", onchange: (event) => player.setRate(Number(event.target.value)) },
      SPEEDS.map((rate) => el("option", { value: rate, selected: rate === 1 }, `${rate} ×`))),
    timeline.stamp);
}

function pressed(event, player, overlay) {
  if (!isForPage(event)) return;
  const far = event.shiftKey ? 10 : 1;
  const moves = {
    ArrowLeft: player.frame - far, ArrowRight: player.frame + far,
    Home: 0, End: player.times.length - 1,
  };
  if (event.key in moves && !event.target.matches(".scroll, pre")) {
    player.pause();
    player.seek(moves[event.key]);
  } else if (event.key === " " && !event.target.closest("button, summary, [type=checkbox]")) {
    player.toggle();
  } else {
    const layer = LAYERS.find(([, , letter]) => letter === event.key);
    if (!layer) return;
    overlay.toggle(layer[0]);
  }
  event.preventDefault();
}
