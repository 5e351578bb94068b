"use strict";
// The 3D view: paths, intervals as tubes, the camera's way, a floor grid. Turn it with the mouse or
// the arrow keys. Axes are the camera's: x right, y down, z forward; no perspective, so that equal
// lengths look equal.

class Space {
  constructor(data, player) {
    this.data = data;
    this.player = player;
    this.yaw = -0.6;
    this.pitch = 0.5;
    this.zoom = 1;
    this.canvas = el("canvas.space", {
      tabindex: "0", role: "img",
      "aria-label": "Paths in space; arrow keys turn, plus and minus zoom, 0 looks from the start",
    });
    this.root = el("figure", null, el("figcaption", null, this.caption()), this.canvas);
    this.fit();
    this.listen();
    player.follow(() => this.draw());
    redrawOn(this.canvas, () => this.draw());
  }

  caption() {
    const where = this.data.world ? "In the world, the clip's first camera"
      : this.data.camera_static === true ? "As the camera sees it, which stands still"
      : "Seen from the camera as it moves; the world is not known";
    return el("span", null, `In space. ${where}. `, el("span.sub", null, "Drag to turn."));
  }

  listen() {
    this.canvas.addEventListener("pointerdown", (event) => {
      this.canvas.setPointerCapture(event.pointerId);
      this.held = [event.clientX, event.clientY];
    });
    this.canvas.addEventListener("pointermove", (event) => {
      if (!event.buttons || !this.held) return;
      const [x, y] = this.held;
      this.held = [event.clientX, event.clientY];
      this.turn((event.clientX - x) * 0.01, (event.clientY - y) * 0.01);
    });
    this.canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.closer(Math.exp(-event.deltaY * 0.001));
    }, { passive: false });
    this.canvas.addEventListener("keydown", (event) => {
      const turns = { ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, -0.1], ArrowDown: [0, 0.1] };
      if (turns[event.key]) this.turn(...turns[event.key]);
      else if (event.key === "+") this.closer(1.15);
      else if (event.key === "-") this.closer(1 / 1.15);
      else if (event.key === "0") { [this.yaw, this.pitch, this.zoom] = [-0.6, 0.5, 1]; this.draw(); }
      else return;
      event.preventDefault();
      event.stopPropagation();
    });
  }

  turn(yaw, pitch) {
    this.yaw += yaw;
    this.pitch = Math.max(-1.57, Math.min(1.57, this.pitch + pitch));
    this.draw();
  }

  closer(factor) {
    this.zoom = Math.max(0.2, Math.min(20, this.zoom * factor));
    this.draw();
  }

  place(entity, frame) {
    const series = this.data.positions[entity];
    return series ? (this.data.world ? series.world : series.cam)[frame] : null;
  }

  fit() {
    const points = this.data.camera ? this.data.camera.map((pose) => pose.slice(0, 3)) : [[0, 0, 0]];
    for (const { entity } of this.data.entities) {
      for (let k = 0; k < this.data.t_s.length; k++) {
        const place = this.place(entity, k);
        if (place) points.push(place);
      }
    }
    const ends = [0, 1, 2].map((k) => extent(points.map((p) => p[k])));
    this.low = ends.map(([low]) => low);
    this.high = ends.map(([, high]) => high);
    this.middle = this.low.map((v, k) => (v + this.high[k]) / 2);
    this.radius = Math.max(0.5 * Math.hypot(...this.low.map((v, k) => this.high[k] - v)), 0.25);
  }

  /** A direction in the picture of this view: x right, y down. */
  turned([x, y, z]) {
    const [cy, sy, cp, sp] = [Math.cos(this.yaw), Math.sin(this.yaw), Math.cos(this.pitch), Math.sin(this.pitch)];
    const [u, w] = [cy * x + sy * z, -sy * x + cy * z];
    return [this.scale * u, this.scale * (cp * y - sp * w)];
  }

  seen(point) {
    const [x, y] = this.turned(point.map((v, k) => v - this.middle[k]));
    return [this.centre[0] + x, this.centre[1] + y];
  }

  draw() {
    const { pen, width, height } = sized(this.canvas);
    this.scale = (this.zoom * 0.46 * Math.min(width, height)) / this.radius;
    this.centre = [width / 2, height / 2];
    this.floor(pen);
    for (const entity of this.data.entities) this.path(pen, entity);
    this.cameraWay(pen);
  }

  line(pen, from, to) {
    pen.beginPath();
    pen.moveTo(...this.seen(from));
    pen.lineTo(...this.seen(to));
    pen.stroke();
  }

  floor(pen) {
    const step = roundStep(this.radius / 4);
    const y = this.high[1];
    const ends = [0, 2].map((k) => [
      Math.floor(this.low[k] / step - 1) * step, Math.ceil(this.high[k] / step + 1) * step,
    ]);
    pen.strokeStyle = css("--line");
    pen.lineWidth = 1;
    for (let x = ends[0][0]; x <= ends[0][1] + step / 2; x += step) {
      this.line(pen, [x, y, ends[1][0]], [x, y, ends[1][1]]);
    }
    for (let z = ends[1][0]; z <= ends[1][1] + step / 2; z += step) {
      this.line(pen, [ends[0][0], y, z], [ends[0][1], y, z]);
    }
    pen.fillStyle = css("--faint");
    pen.font = "11px system-ui, sans-serif";
    pen.fillText(`grid ${Number(step.toPrecision(2))} ${this.data.unit}`, 8, 16);
  }

  path(pen, entity) {
    const { states, half } = this.data.positions[entity.entity] || { states: [] };
    for (let k = 0; k < states.length; k++) {
      const place = this.place(entity.entity, k);
      if (!place) continue;
      const past = k <= this.player.frame;
      if (half[k] && past) this.tube(pen, entity, place, half[k], k);
      const before = k ? this.place(entity.entity, k - 1) : null;
      if (!before) continue;
      pen.globalAlpha = (past ? 1 : 0.25) * (states[k] === "measured" ? 1 : 0.45);
      pen.strokeStyle = entity.colour;
      pen.lineWidth = past ? 2 : 1;
      this.line(pen, before, place);
    }
    pen.globalAlpha = 1;
    const now = this.place(entity.entity, this.player.frame);
    if (!now) return;
    const [x, y] = this.seen(now);
    pen.fillStyle = entity.colour;
    pen.strokeStyle = css("--ink");
    pen.lineWidth = 1;
    pen.beginPath();
    pen.arc(x, y, 4, 0, 7);
    pen.fill();
    pen.stroke();
    pen.strokeStyle = css("--faint");
    this.line(pen, now, [now[0], this.high[1], now[2]]);
  }

  /** The outline of the interval's ellipsoid: its half axes are the camera's of that frame. */
  tube(pen, entity, place, half, frame) {
    const axes = this.data.world && this.data.camera ? this.data.camera[frame].slice(3) : null;
    let [xx, xy, yy] = [0, 0, 0];
    for (let k = 0; k < 3; k++) {
      const axis = [0, 1, 2].map((row) => half[k] * (axes ? axes[3 * row + k] : Number(row === k)));
      const [u, v] = this.turned(axis);
      xx += u * u;
      xy += u * v;
      yy += v * v;
    }
    const middle = (xx + yy) / 2;
    const apart = Math.hypot((xx - yy) / 2, xy);
    pen.fillStyle = entity.colour;
    pen.globalAlpha = 0.06;
    pen.beginPath();
    pen.ellipse(...this.seen(place), Math.sqrt(middle + apart), Math.sqrt(Math.max(middle - apart, 0)),
      0.5 * Math.atan2(2 * xy, xx - yy), 0, 7);
    pen.fill();
    pen.globalAlpha = 1;
  }

  cameraWay(pen) {
    const poses = this.data.world ? this.data.camera : null;
    pen.strokeStyle = css("--ink");
    pen.lineWidth = 1.5;
    if (poses) {
      for (let k = 1; k <= this.player.frame; k++) this.line(pen, poses[k - 1].slice(0, 3), poses[k].slice(0, 3));
    }
    const pose = poses ? poses[this.player.frame] : [0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1];
    const eye = pose.slice(0, 3);
    const [w, h] = this.data.half_view;
    const size = this.radius * 0.14;
    const corners = [[-w, -h], [w, -h], [w, h], [-w, h]].map(([x, y]) =>
      [0, 1, 2].map((row) => eye[row] + size * (pose[3 + 3 * row] * x + pose[4 + 3 * row] * y + pose[5 + 3 * row])));
    corners.forEach((corner, k) => {
      this.line(pen, eye, corner);
      this.line(pen, corner, corners[(k + 1) % 4]);
    });
  }
}
