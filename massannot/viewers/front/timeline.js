"use strict";
// The scrubber: a slider over the frames, with the events above it and, below, a lane of states for
// every entity. A click anywhere goes there.

const STATE_LOOK = {
  measured: [1, 1], interpolated: [0.45, 1], hidden: [0.9, 0.3], left: [0, 0], lost: [0.35, 0.12],
};
const LANE = 12;
const EVENTS = 20;

class Timeline {
  constructor(data, player) {
    this.data = data;
    this.player = player;
    const last = data.t_s.length - 1;
    this.slider = el("input", {
      type: "range", min: "0", max: String(last), step: "1", value: "0", "aria-label": "Frame",
      oninput: () => { player.pause(); player.seek(Number(this.slider.value)); },
    });
    this.canvas = el("canvas.lanes", { "aria-hidden": "true" });
    const height = EVENTS + LANE * data.entities.length + 4;
    this.canvas.style.height = `${height}px`;
    this.canvas.addEventListener("pointerdown", (event) => {
      player.pause();
      player.seek(this.frameAt(event));
      this.canvas.setPointerCapture(event.pointerId);
    });
    this.canvas.addEventListener("pointermove", (event) => {
      if (event.buttons) player.seek(this.frameAt(event));
    });
    this.stamp = el("output.stamp", null);
    this.root = el("div.timeline", null, this.slider, this.canvas);
    player.follow((frame) => this.show(frame));
    redrawOn(this.canvas, () => this.draw());
  }

  frameAt(event) {
    const box = this.canvas.getBoundingClientRect();
    const share = (event.clientX - box.left) / box.width;
    return Math.floor(share * this.data.t_s.length);
  }

  show(frame) {
    this.slider.value = String(frame);
    const text = `frame ${frame}, ${number(this.data.t_s[frame])} s`;
    this.slider.setAttribute("aria-valuetext", text);
    this.stamp.textContent = text;
    this.draw();
  }

  draw() {
    const { pen, width } = sized(this.canvas);
    const n = this.data.t_s.length;
    const x = (frame) => (frame / n) * width;
    for (const segment of this.data.segments) {
      pen.fillStyle = css("--line");
      pen.fillRect(x(segment.first), 0, 1, EVENTS - 4);
    }
    for (const event of this.data.events) {
      pen.fillStyle = css("--accent");
      const at = x(event.frame + 0.5);
      if (event.end_frame > event.frame) {
        pen.fillRect(at, 8, Math.max(2, x(event.end_frame + 0.5) - at), 3);
      }
      pen.beginPath();
      pen.moveTo(at, 3);
      pen.lineTo(at + 5, 9.5);
      pen.lineTo(at, 16);
      pen.lineTo(at - 5, 9.5);
      pen.fill();
    }
    this.data.entities.forEach((entity, lane) => {
      const y = EVENTS + lane * LANE;
      const states = this.data.positions[entity.entity]?.states || [];
      states.forEach((state, frame) => {
        const [alpha, share] = STATE_LOOK[state] || [0, 0];
        if (!alpha) return;
        pen.globalAlpha = alpha;
        pen.fillStyle = entity.colour;
        const h = (LANE - 4) * share;
        pen.fillRect(x(frame), y + (LANE - 4 - h) / 2, Math.max(1, width / n - 0.5), h);
      });
      pen.globalAlpha = 1;
    });
    pen.fillStyle = css("--ink");
    pen.fillRect(x(this.player.frame + 0.5) - 0.75, 0, 1.5, 9999);
  }
}
