"use strict";
// Position with its interval, speed, and distance over time; the pointer and the film move together.

const PLOT_LEFT = 52, PLOT_TOP = 8, PLOT_BOTTOM = 20, PLOT_RIGHT = 8;

/** Values of one entity over the frames: [{value, low, high}] or null where unknown. */
const QUANTITIES = {
  x: (series) => axis(series, 0), y: (series) => axis(series, 1), z: (series) => axis(series, 2),
  distance: (series) => series.cam.map((p) => p && { value: Math.hypot(...p) }),
  speed: (series) => series.speed.map((v, frame) => {
    if (v === null) return null;
    const [low, high] = [series.speed_low[frame], series.speed_high[frame]];
    return low === null || high === null ? { value: v } : { value: v, low, high };
  }),
};

function axis(series, k) {
  return series.cam.map((p, frame) => {
    if (!p) return null;
    const half = series.half[frame];
    return half ? { value: p[k], low: p[k] - half[k], high: p[k] + half[k] } : { value: p[k] };
  });
}

class Plot {
  /** `kinds`: [key, label] of the quantities to choose from. */
  constructor(data, player, title, kinds) {
    this.data = data;
    this.player = player;
    this.kind = kinds[kinds.length - 1][0];
    this.title = title;
    this.canvas = el("canvas.plot", { role: "img", tabindex: "-1" });
    const choice = kinds.length > 1
      ? el("select", {
          "aria-label": `Axis of ${title}`,
          onchange: (event) => { this.kind = event.target.value; this.prepare(); this.draw(); },
        }, kinds.map(([key, label]) => el("option", { value: key, selected: key === this.kind }, label)))
      : null;
    this.root = el("figure", null,
      el("figcaption", null, title, choice), this.canvas);
    this.canvas.addEventListener("pointerdown", (event) => {
      this.canvas.setPointerCapture(event.pointerId);
      player.pause();
      this.go(event);
    });
    this.canvas.addEventListener("pointermove", (event) => event.buttons && this.go(event));
    player.follow(() => this.draw());
    this.prepare();
    redrawOn(this.canvas, () => this.draw());
  }

  go(event) {
    const box = this.canvas.getBoundingClientRect();
    const share = (event.clientX - box.left - PLOT_LEFT) / (box.width - PLOT_LEFT - PLOT_RIGHT);
    this.player.seek(share * (this.data.t_s.length - 1));
  }

  prepare() {
    this.lines = [];
    for (const entity of this.data.entities) {
      const series = this.data.positions[entity.entity];
      if (series) this.lines.push({ entity, points: QUANTITIES[this.kind](series) });
    }
    const known = this.lines.flatMap(({ points }) => points.filter(Boolean));
    const [low] = extent(known.map((p) => p.low ?? p.value));
    const [, high] = extent(known.map((p) => (this.kind === "speed" ? p.value : p.high ?? p.value)));
    this.range = known.length ? [low - 0.05 * (high - low) - 1e-3, high + 0.05 * (high - low) + 1e-3]
      : null;
    if (this.range && this.kind === "speed") this.range[0] = 0;
    const said = this.range ? `from ${number(low)} to ${number(high)} ${this.data.unit}` : "unknown";
    this.canvas.setAttribute("aria-label", `${this.title} ${this.kind}: ${said}`);
  }

  draw() {
    const { pen, width, height } = sized(this.canvas);
    pen.font = "11px system-ui, sans-serif";
    if (!this.range) {
      pen.fillStyle = css("--faint");
      pen.fillText("unknown", 8, 20);
      return;
    }
    const [low, high] = this.range;
    const times = this.data.t_s;
    const span = Math.max(times[times.length - 1] - times[0], 1e-6);
    const x = (frame) => PLOT_LEFT + ((times[frame] - times[0]) / span) * (width - PLOT_LEFT - PLOT_RIGHT);
    const y = (value) => height - PLOT_BOTTOM - ((value - low) / (high - low)) * (height - PLOT_TOP - PLOT_BOTTOM);
    this.grid(pen, width, height, y, span);
    pen.save();
    pen.beginPath();
    pen.rect(PLOT_LEFT, PLOT_TOP, width - PLOT_LEFT - PLOT_RIGHT, height - PLOT_TOP - PLOT_BOTTOM);
    pen.clip();
    for (const { entity, points } of this.lines) {
      const states = this.data.positions[entity.entity].states;
      this.band(pen, entity, points, x, y);
      pen.strokeStyle = entity.colour;
      pen.lineWidth = 1.6;
      for (let k = 1; k < points.length; k++) {
        if (!points[k - 1] || !points[k]) continue;
        pen.globalAlpha = states[k] === "measured" && states[k - 1] === "measured" ? 1 : 0.4;
        pen.beginPath();
        pen.moveTo(x(k - 1), y(points[k - 1].value));
        pen.lineTo(x(k), y(points[k].value));
        pen.stroke();
      }
      pen.globalAlpha = 1;
      const now = points[this.player.frame];
      if (now) {
        pen.fillStyle = entity.colour;
        pen.beginPath();
        pen.arc(x(this.player.frame), y(now.value), 3.2, 0, 7);
        pen.fill();
      }
    }
    pen.restore();
    pen.fillStyle = css("--ink");
    pen.fillRect(x(this.player.frame) - 0.5, PLOT_TOP, 1, height - PLOT_TOP - PLOT_BOTTOM);
  }

  band(pen, entity, points, x, y) {
    pen.fillStyle = entity.colour;
    pen.globalAlpha = 0.2;
    for (let k = 1; k < points.length; k++) {
      const [a, b] = [points[k - 1], points[k]];
      if (!a || !b || a.low === undefined || b.low === undefined) continue;
      pen.beginPath();
      pen.moveTo(x(k - 1), y(a.low));
      pen.lineTo(x(k), y(b.low));
      pen.lineTo(x(k), y(b.high));
      pen.lineTo(x(k - 1), y(a.high));
      pen.fill();
    }
    pen.globalAlpha = 1;
  }

  grid(pen, width, height, y, span) {
    const [low, high] = this.range;
    pen.fillStyle = css("--faint");
    pen.textAlign = "right";
    pen.textBaseline = "middle";
    const step = roundStep((high - low) / 4);
    for (let v = Math.ceil(low / step) * step; v <= high; v += step) {
      pen.globalAlpha = 0.25;
      pen.fillRect(PLOT_LEFT, y(v), width - PLOT_LEFT - PLOT_RIGHT, 1);
      pen.globalAlpha = 1;
      pen.fillText(v.toFixed(Math.max(0, -Math.floor(Math.log10(step)))), PLOT_LEFT - 6, y(v));
    }
    pen.textBaseline = "bottom";
    const first = this.data.t_s[0];
    const tick = roundStep(span / 5);
    pen.textAlign = "center";
    for (let t = 0; t <= span + 1e-9; t += tick) {
      const at = PLOT_LEFT + (t / span) * (width - PLOT_LEFT - PLOT_RIGHT);
      pen.fillText(`${(first + t).toFixed(tick < 0.1 ? 2 : 1)} s`, Math.min(at, width - 18), height - 2);
    }
  }
}
