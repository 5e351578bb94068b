"use strict";
// The film's clock: one frame at a time is current, and everything on the page follows it.
// `data.t_s` are the annotated frames' times; film time + data.film.offset_s is the video's time.

const A_MOMENT_S = 0.001; // into a frame, so that rounding never shows the one before

class Player {
  constructor(data) {
    this.times = data.t_s;
    this.offset = data.film ? data.film.offset_s : 0;
    this.frame = 0;
    this.playing = false;
    this.rate = 1;
    this.followers = [];
    this.awaited = 0;
    this.video = data.film ? this.makeVideo(data.film.src) : null;
  }

  makeVideo(src) {
    const video = el("video", { playsinline: true, preload: "auto", "aria-label": "film" });
    video.muted = true;
    video.src = src.startsWith("data:") ? blobOf(src) : src;
    video.addEventListener("loadedmetadata", () => this.seek(this.frame));
    video.addEventListener("seeked", () => this.tell());
    video.addEventListener("ended", () => this.playing && this.again());
    video.addEventListener("error", () => this.withoutFilm());
    return video;
  }

  /** The film does not come, or not as the browser plays it: go on with what the tables say. */
  withoutFilm() {
    if (!this.video) return;
    const gone = this.video;
    this.video = null;
    gone.replaceWith(el("p.nofilm", null, "The film could not be loaded, or this browser does not play it."));
    this.tell();
  }

  /** Whether the picture is still that of an earlier frame. */
  get seeking() {
    return Boolean(this.video && this.video.seeking);
  }

  follow(listener) {
    this.followers.push(listener);
  }

  tell() {
    for (const listener of this.followers) listener(this.frame, this.playing);
  }

  seek(frame) {
    this.frame = Math.max(0, Math.min(this.times.length - 1, Math.round(frame)));
    if (this.video && this.video.readyState > 0) {
      this.video.currentTime = Math.max(0, this.times[this.frame] - this.offset) + A_MOMENT_S;
    }
    this.tell();
  }

  /** The frame shown at a time of the video. */
  frameAt(t_s) {
    let low = 0, high = this.times.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.times[middle] <= t_s + 2 * A_MOMENT_S) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  get lastTime() {
    const n = this.times.length;
    const step = n > 1 ? this.times[n - 1] - this.times[n - 2] : 0.1;
    return this.times[n - 1] + step;
  }

  toggle() {
    if (this.playing) this.pause();
    else this.play();
  }

  play() {
    this.playing = true;
    if (this.frame === this.times.length - 1) this.seek(0);
    if (this.video) {
      this.video.playbackRate = this.rate;
      this.video.play().catch(() => this.pause());
      this.awaitFrame();
    } else {
      this.started = performance.now() - 1000 * (this.times[this.frame] - this.times[0]) / this.rate;
      requestAnimationFrame((now) => this.tick(now));
    }
    this.tell();
  }

  pause() {
    this.playing = false;
    if (this.video) this.video.pause();
    this.tell();
  }

  again() {
    this.seek(0);
    if (this.playing) this.play();
  }

  shown(mediaTime) {
    if (!this.playing || !this.video) return;
    const t_s = mediaTime + this.offset;
    if (t_s >= this.lastTime - A_MOMENT_S) return this.again();
    this.frame = this.frameAt(t_s);
    this.tell();
    this.awaitFrame();
  }

  /** One callback at a time: the film's end is told twice, by its last frame and by `ended`. */
  awaitFrame() {
    this.video.cancelVideoFrameCallback(this.awaited);
    this.awaited = this.video.requestVideoFrameCallback((now, next) => this.shown(next.mediaTime));
  }

  tick(now) {
    if (!this.playing || this.video) return;
    const t_s = this.times[0] + ((now - this.started) / 1000) * this.rate;
    if (t_s >= this.lastTime) return this.again();
    const frame = this.frameAt(t_s);
    if (frame !== this.frame) {
      this.frame = frame;
      this.tell();
    }
    requestAnimationFrame((next) => this.tick(next));
  }

  setRate(rate) {
    this.rate = rate;
    if (this.video) this.video.playbackRate = rate;
    if (this.playing && !this.video) this.play();
  }
}

/** A film inside the page as an object that the browser can seek in. */
function blobOf(dataAddress) {
  const [head, body] = dataAddress.split(",", 2);
  const bytes = Uint8Array.from(atob(body), (letter) => letter.charCodeAt(0));
  return URL.createObjectURL(new Blob([bytes], { type: head.slice(5).split(";")[0] }));
}
