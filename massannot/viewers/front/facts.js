"use strict";
// What the tables say of one clip, in words: entities, motions, events, questions with their proof.

function section(title, ...content) {
  return el("section", null, el("h2", null, title), content);
}

function entityTable(data, overlay) {
  const rows = data.entities.map((entity) => {
    const dot = el("span.dot", { "aria-hidden": "true" });
    dot.style.background = entity.colour;
    const eye = el("input", {
      type: "checkbox", checked: true, "aria-label": `Draw ${entity.name}`,
      onchange: (event) => {
        if (event.target.checked) overlay.hidden.delete(entity.entity);
        else overlay.hidden.add(entity.entity);
        overlay.draw();
      },
    });
    return [
      el("label.name", null, eye, dot, entity.name), qualityBar(entity.quality, entity.basis),
      `${entity.first}–${entity.last}`, number(entity.score), entity.states,
      number(entity.fb_error_px), number(entity.in_mask_share), number(entity.depth_valid_share),
      number(entity.points_alive_share),
    ];
  });
  const words = {
    frames: "first and last frame in which it is seen",
    states: "measured: from the picture; interpolated: seen, without depth of its own; hidden: "
      + "something is in front; left: outside of the picture; lost: not seen, nobody knows why",
    "fb error": "median distance, in pixels, of its points after tracking there and back",
    "in mask": "share of its visible points that lie inside its mask",
    depth: "share of its points whose depth was measured",
    alive: "share of its points that are visible where the mask is",
  };
  return el("div", null,
    dataTable("Entities",
      ["entity", "quality", "#frames", "#score", "states", "#fb error", "#in mask", "#depth", "#alive"],
      rows),
    data.left_out ? el("p.sub", null, data.left_out) : null,
    el("details", null, el("summary", null, "What the columns say"),
      el("dl", null, Object.entries(words).flatMap(([k, v]) => [el("dt", null, k), el("dd", null, v)]))));
}

/** The clips of the video, and where else each thing of this one is seen. */
function videoStory(data) {
  const { clips, things, n_clips } = data.story;
  const chip = (clip) => clip.here
    ? el("b.chip.here", { "aria-current": "page" }, clip.text)
    : clip.link ? el("a.chip", { href: safeLink(clip.link) }, clip.text) : el("span.chip", null, clip.text);
  const knownBy = {
    first: () => "",
    shared_frame: (score) => `overlap of ${number(score)} in the shared frame`,
    look: (score) => `look, likeness ${number(score)}`,
  };
  const shots = new Set(clips.map((clip) => clip.shot));
  const parts = [...shots].map((shot) => el("p.chips", null,
    shots.size > 1 ? el("span.sub", null, `Shot ${shot + 1}: `) : null,
    clips.filter((clip) => clip.shot === shot).map(chip)));
  const rows = data.entities.filter((entity) => things[entity.entity]).map((entity) => {
    const thing = things[entity.entity];
    return [
      entity.name, String(thing.identity),
      thing.clips.length ? el("span.chips", null, thing.clips.map((k) => chip(clips[k]))) : "this clip alone",
      knownBy[thing.how](thing.score),
      thing.proposed === null ? "" : `perhaps thing ${thing.proposed} (likeness ${number(thing.proposed_score)})`,
    ];
  });
  return el("div", null,
    n_clips > clips.length ? el("p.sub", null, `${clips.length} of ${counted(n_clips, "clip")}, the nearest.`) : null, parts,
    dataTable("Things through the video",
      ["entity", "#thing of the video", "also seen in", "known by", "proposed"], rows));
}

function motionTable(data, player) {
  const rows = data.motions.map((m) => [
    el("button.link", { type: "button", onclick: () => player.seek(m.frame) }, m.name),
    String(m.segment + 1), m.reference, number(m.length), m.interval, number(m.speed),
    m.above_noise === null ? "unknown" : m.above_noise ? "yes" : "no", qualityBar(m.quality, m.basis),
  ]);
  return dataTable("Motions", ["name", "#segment", "relative to", `#length, ${data.unit}`,
    "90 % interval", `#speed, ${data.unit}/s`, "above noise", "quality"], rows);
}

function eventList(data, player) {
  return el("ul.events", null, data.events.map((event) => el("li", null,
    el("button.link", { type: "button", onclick: () => { player.pause(); player.seek(event.frame); } },
      `${number(event.t_s)} s`), ` ${event.text}`)));
}

/** Questions: a press on a moment of the proof shows its frame and its boxes. */
function questionList(data, player, overlay) {
  return data.questions.map((question) => {
    const proof = question.evidence.map((item) => el("button.chip", {
      type: "button",
      onclick: () => {
        overlay.proof = question.evidence.filter((e) => e.box);
        player.pause();
        player.seek(item.frame);
      },
    }, `${item.role} at ${number(data.t_s[item.frame])} s`));
    return el("article.question", { "data-question": question.id },
      el("h3", null, question.question),
      question.options.length ? el("ol.options", { type: "A" }, question.options.map((o) => el("li", null, o))) : null,
      el("p", null, el("b", null, "Answer: "), question.answer ?? "unknown"),
      question.lines.length ? el("ol.lines", null, question.lines.map((line) => el("li", null, line))) : null,
      proof.length ? el("p.chips", null, el("span.sub", null, "Proof: "), proof) : null);
  });
}

function rowTable(data) {
  return el("details", null, el("summary", null, "The clip's row"),
    dataTable("The clip's row", ["column", "value"], data.row.map(([k, v]) => [k, v ?? "unknown"])));
}
