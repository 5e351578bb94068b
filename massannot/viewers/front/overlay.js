"use strict";
// What was found, drawn over the film: outlines instead of tints, so that a thing's own colour is
// seen. All coordinates are source pixels.

const TRAIL_FRAMES = 24; // about as long as the eye follows
const LAYERS = [
  ["boxes", "Boxes", "b", true],
  ["outlines", "Outlines", "o", true],
  ["trails", "Trails", "t", true],
  ["names", "Names", "l", true],
  ["depth", "Depth", "d", false],
];

class Overlay {
  constructor(data, player) {
    this.data = data;
    this.player = player;
    this.shown = Object.fromEntries(LAYERS.map(([key, , , on]) => [key, on]));
    this.entities = new Map(data.entities.map((entity) => [entity.entity, entity]));
    this.hidden = new Set();
    this.proof = []; // boxes of a question's evidence: {frame, box}
    this.draft = null; // a box, a point or an outline that a person draws
    this.paths = new Map();
    this.sheet = null; // of depth pictures, loaded when they are first wanted
    this.canvas = el("canvas", { "aria-hidden": "true" });
    this.rows = new Map();
    for (const [entity, rows] of Object.entries(data.masks)) {
      for (const row of rows) this.rows.set(`${entity} ${row.frame}`, row);
    }
    player.follow(() => this.draw());
    redrawOn(this.canvas, () => this.draw());
  }

  row(entity, frame) {
    return this.rows.get(`${entity} ${frame}`);
  }

  /** While the film seeks, what is drawn stays that of the picture that is still shown. */
  draw() {
    if (this.player.seeking) return;
    const { pen, width } = sized(this.canvas);
    const scale = width / this.data.width;
    if (!scale) return;
    const frame = this.player.frame;
    this.unit = 1 / scale; // a CSS pixel in source pixels
    pen.scale(scale, scale);
    pen.lineJoin = "round";
    if (this.shown.depth) this.drawDepth(pen, frame);
    for (const entity of this.data.entities) {
      if (this.hidden.has(entity.entity)) continue;
      const row = this.row(entity.entity, frame);
      if (this.shown.trails && row && row.state === "visible") this.drawTrails(pen, entity, frame);
      if (!row || !row.box) continue;
      if (this.shown.outlines) this.drawOutline(pen, entity, row);
      if (this.shown.boxes) this.drawBox(pen, row.box, entity.colour, row.state !== "visible");
      if (this.shown.names) this.drawName(pen, row.box, entity);
    }
    for (const { box } of this.proof.filter((p) => p.frame === frame)) {
      this.drawBox(pen, box, "#ffffff", true);
    }
    if (this.draft) this.drawDraft(pen);
  }

  drawDepth(pen, frame) {
    const depth = this.data.depth;
    const tile = depth ? depth.frames.indexOf(frame) : -1;
    if (tile < 0 || !this.sheet.naturalWidth) return;
    const [w, h] = depth.tile;
    const [x, y] = [(tile % depth.columns) * w, Math.floor(tile / depth.columns) * h];
    pen.globalAlpha = 0.85;
    pen.drawImage(this.sheet, x, y, w, h, 0, 0, this.data.width, this.data.height);
    pen.globalAlpha = 1;
  }

  drawOutline(pen, entity, row) {
    const key = `${entity.entity} ${row.frame}`;
    if (!this.paths.has(key)) this.paths.set(key, outlineOf(row.counts, this.data.height));
    this.stroke(pen, this.paths.get(key), entity.colour, 1.6);
  }

  drawBox(pen, [x0, y0, x1, y1], colour, dashed) {
    const path = new Path2D();
    path.rect(x0, y0, x1 - x0, y1 - y0);
    if (dashed) pen.setLineDash([5 * this.unit, 4 * this.unit]);
    this.stroke(pen, path, colour, 1.4);
    pen.setLineDash([]);
  }

  /** A line in the colour on a dark line that is a little wider, to be seen on anything. */
  stroke(pen, path, colour, width) {
    pen.strokeStyle = "rgba(0, 0, 0, 0.55)";
    pen.lineWidth = (width + 1.6) * this.unit;
    pen.stroke(path);
    pen.strokeStyle = colour;
    pen.lineWidth = width * this.unit;
    pen.stroke(path);
  }

  drawTrails(pen, entity, frame) {
    const unit = this.unit;
    for (const track of this.data.trails[entity.entity] || []) {
      if (track.visible[frame] !== "1") continue;
      const first = Math.max(1, frame + 1 - TRAIL_FRAMES);
      pen.strokeStyle = entity.colour;
      pen.lineWidth = 1.3 * unit;
      for (let k = first; k <= frame; k++) {
        const seen = track.visible[k] === "1" && track.visible[k - 1] === "1";
        pen.globalAlpha = (seen ? 0.9 : 0.25) * ((k - first + 1) / (frame - first + 1)) ** 1.5;
        pen.beginPath();
        pen.moveTo(track.x[k - 1], track.y[k - 1]);
        pen.lineTo(track.x[k], track.y[k]);
        pen.stroke();
      }
      pen.globalAlpha = 1;
      pen.fillStyle = entity.colour;
      pen.beginPath();
      pen.arc(track.x[frame], track.y[frame], 1.9 * unit, 0, 7);
      pen.fill();
    }
  }

  drawName(pen, [x0, y0, , y1], entity) {
    const unit = this.unit;
    const text = entity.name.length > 40 ? `${entity.name.slice(0, 39)}…` : entity.name;
    pen.font = `${12 * unit}px system-ui, sans-serif`;
    const width = pen.measureText(text).width + 8 * unit;
    const left = Math.max(0, Math.min(x0, this.data.width - width));
    const height = 17 * unit;
    const top = y0 >= height ? y0 - height : Math.min(y1, this.data.height - height);
    pen.fillStyle = "rgba(12, 13, 16, 0.82)";
    pen.fillRect(left, top, width, height);
    pen.fillStyle = entity.colour;
    pen.fillRect(left, top, 3 * unit, height);
    pen.fillStyle = "#ffffff";
    pen.textBaseline = "middle";
    pen.fillText(text, left + 6 * unit, top + height / 2);
  }

  drawDraft(pen) {
    const { box, mask, point } = this.draft;
    if (box) return this.drawBox(pen, box, "#ffffff", true);
    const path = new Path2D();
    if (point) path.arc(...point, 6 * this.unit, 0, 7);
    else {
      for (let k = 0; k < mask.length; k += 2) path.lineTo(mask[k], mask[k + 1]);
      path.closePath();
    }
    this.stroke(pen, path, "#ffffff", 2);
  }

  /** A pointer's place in source pixels, inside the picture. */
  place(event) {
    const box = this.canvas.getBoundingClientRect();
    const clamp = (value, most) => Math.max(0, Math.min(most, value));
    return [
      clamp(((event.clientX - box.left) / box.width) * this.data.width, this.data.width),
      clamp(((event.clientY - box.top) / box.height) * this.data.height, this.data.height),
    ];
  }

  toggles() {
    const buttons = LAYERS.filter(([key]) => key !== "depth" || this.data.depth).map(
      ([key, label, letter]) => el("button", {
        type: "button", "data-layer": key, title: `${label} (key ${letter})`,
        "aria-pressed": String(this.shown[key]),
        onclick: () => this.toggle(key),
      }, label),
    );
    this.buttons = el("div.toggles", { role: "group", "aria-label": "Layers" }, buttons);
    this.scaleBar = this.data.depth ? this.depthBar() : null;
    return el("div", null, this.buttons, this.scaleBar);
  }

  toggle(key) {
    const button = this.buttons.querySelector(`[data-layer="${key}"]`);
    if (!button) return;
    this.shown[key] = !this.shown[key];
    button.setAttribute("aria-pressed", String(this.shown[key]));
    if (this.scaleBar) this.scaleBar.hidden = !this.shown.depth;
    if (this.shown.depth && !this.sheet) this.loadSheet();
    this.draw();
  }

  loadSheet() {
    this.sheet = new Image();
    this.sheet.addEventListener("load", () => this.draw());
    this.sheet.addEventListener("error", () => {
      this.scaleBar.replaceChildren("The depth pictures could not be loaded.");
    });
    this.sheet.src = this.data.depth.src;
  }

  depthBar() {
    const { near, far } = this.data.depth;
    const bar = el("div.depthbar", null, el("span", null, `${number(near)} ${this.data.unit}`),
      el("i", { "aria-hidden": "true" }), el("span", null, `${number(far)} ${this.data.unit}`));
    bar.hidden = true;
    return bar;
  }
}
