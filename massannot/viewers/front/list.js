"use strict";
// The list of clips: search, filter, sort. The cards come from the page itself, or from the server.

const CHOICES = {
  sort: [["worst", "worst first"], ["best", "best first"], ["name", "by name"],
    ["most", "most entities first"], ["longest", "longest first"]],
  camera: [["", "any camera"], ["still", "still camera"], ["moving", "moving camera"],
    ["unknown", "camera unknown"]],
  state: [["", "any state"], ["interpolated", "interpolated somewhere"], ["hidden", "hidden somewhere"],
    ["left", "left the picture"], ["lost", "lost somewhere"]],
};
const A_PAGE = 60;

class ClipList {
  constructor(data) {
    this.data = data;
    this.query = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
    this.cards = el("div.cards", null);
    this.count = el("p.sub", { role: "status" });
    this.more = el("button", { type: "button", onclick: () => this.load(true) }, "More");
    this.asked = this.answered = 0;
    const phrases = [["", "any phrase"], ...data.phrases.map((p) => [p.text, p.text])];
    const failures = [["", "annotated clips"], ["*", "failures"],
      ...[...new Set(data.failures.map((f) => f.class))].map((name) => [name, `failed: ${name}`])];
    const decisions = [["", "any decision"], ["open", "not looked at"], ["accept", "accepted"], ["reject", "rejected"]];
    this.root = el("section", null, el("h2", null, "Clips"),
      el("form.filters", { role: "search", onsubmit: (event) => event.preventDefault() },
        this.text("q", "Search name, address, id, phrase", "search"),
        this.choice("phrase", "Phrase", phrases), this.choice("state", "State", CHOICES.state),
        this.choice("camera", "Camera", CHOICES.camera),
        this.text("most", "Quality at most", "number"), this.text("shot", "Shot", "number"),
        data.failures.length ? this.choice("failure", "Show", failures) : null,
        data.review ? this.choice("sample", "Clips", [["", "of the sample"], ["no", "all"]]) : null,
        data.review ? this.choice("decision", "Decision", decisions) : null,
        this.choice("sort", "Order", CHOICES.sort)),
      this.count, this.cards, this.more);
    this.load();
  }

  text(key, label, type) {
    const shape = type === "number" ? { step: key === "shot" ? "1" : "0.05", min: "0" } : {};
    return el("label", null, label, el("input", {
      type, ...shape, name: key, value: this.query[key] || null, oninput: (event) => this.set(key, event.target.value),
    }));
  }

  choice(key, label, options) {
    return el("label", null, label, el("select", {
      name: key, onchange: (event) => this.set(key, event.target.value),
    }, options.map(([value, text]) => el("option", { value, selected: (this.query[key] || "") === value }, text))));
  }

  set(key, value) {
    if (value === "") delete this.query[key];
    else this.query[key] = value;
    history.replaceState(null, "", `#${new URLSearchParams(this.query)}`);
    this.asked++; // what is on its way answers other filters
    clearTimeout(this.waiting);
    this.waiting = setTimeout(() => this.load(), 120);
  }

  async load(more = false) {
    if (more && this.answered !== this.asked) return; // these cards are about to be replaced
    const asked = ++this.asked;
    const offset = more ? this.cards.childElementCount : 0;
    const found = this.data.server ? await this.listed(offset) : this.fromPage(offset);
    if (asked !== this.asked) return; // the filters have changed meanwhile
    this.answered = asked;
    if (!more) this.cards.replaceChildren();
    fill(this.cards, found.clips.map((clip) => clipCard(clip)));
    this.count.textContent = found.error ? `No list: ${found.error}` : this.counted(found);
    this.count.classList.toggle("bad", Boolean(found.error));
    this.more.textContent = found.error ? "Try again" : "More";
    this.more.hidden = !found.error && this.cards.childElementCount >= found.matched;
    document.body.dataset.loaded = String(asked);
  }

  counted(found) {
    return `${found.matched.toLocaleString()} of ${found.total.toLocaleString()}`
      + (this.data.shown_of ? ` shown here, a sample of ${this.data.shown_of.toLocaleString()}` : "")
      + (found.pending ? `; states are counted of ${Math.round(100 * found.pending)} % as yet` : "");
  }

  async listed(offset) {
    const query = new URLSearchParams({ ...this.query, offset, n: A_PAGE });
    const answer = await fromServer(`api/clips?${query}`).catch(() => ({ error: "the server does not answer" }));
    return { clips: [], ...answer };
  }

  fromPage(offset) {
    const all = this.query.failure ? this.data.failed : this.data.clips;
    const found = all.filter((clip) => matches(clip, this.query)).sort(ORDERS[this.query.sort || "worst"]);
    return { total: all.length, matched: found.length, clips: found.slice(offset, offset + A_PAGE) };
  }
}

/** Clips without anything first, then those of unknown quality, then the worst. */
const rank = (clip) => (!clip.entities ? 0 : clip.quality === null ? 1 : 2);
const compare = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
const ORDERS = {
  worst: (a, b) => rank(a) - rank(b) || a.quality - b.quality || compare(a.id, b.id),
  best: (a, b) => (b.quality ?? -1) - (a.quality ?? -1) || compare(a.id, b.id),
  name: (a, b) => compare(a.name, b.name),
  most: (a, b) => b.entities - a.entities || compare(a.id, b.id),
  longest: (a, b) => b.n_frames - a.n_frames || compare(a.id, b.id),
};

function matches(clip, query) {
  if (query.failure) return query.failure === "*" || clip.class === query.failure;
  const text = [clip.name, clip.uri, clip.id, ...clip.phrases].join("\n").toLowerCase();
  return (!query.q || text.includes(query.q.toLowerCase()))
    && (!query.phrase || clip.phrases.includes(query.phrase))
    && (!query.camera || clip.camera === query.camera)
    && (!query.state || clip.states.includes(query.state))
    && (!query.most || (clip.quality !== null && clip.quality <= Number(query.most)))
    && (!query.shot || clip.shot === Number(query.shot))
    && (!query.decision || (clip.decision || "open") === query.decision);
}

function clipCard(clip) {
  if (clip.class) {
    return el("div.card", null, el("b", null, clip.name),
      el("span.bad", null, `${clip.class} while doing ${clip.stage}`), el("span.sub", null, clip.message));
  }
  const still = clip.still ? el("img", { src: clip.still, alt: "", loading: "lazy" }) : null;
  const unknown = clip.quality !== null && clip.unknown ? `; ${clip.unknown} of unknown quality` : "";
  return el("a.card", { href: safeLink(clip.link), "data-clip": clip.id }, still, el("b", null, clip.name),
    el("span.sub", null, `${number(clip.t0_s, 1)}–${number(clip.t1_s, 1)} s, ${counted(clip.n_frames, "frame")}, `
      + `${counted(clip.entities, "entity")}, camera ${clip.camera}`),
    el("span.sub", null, clip.phrases.join(", ")),
    qualityBar(clip.quality, clip.basis), unknown ? el("span.sub", null, unknown) : null,
    clip.decision ? el("span.decision", null, clip.decision === "accept" ? "accepted" : "rejected") : null);
}

function showIndex(main, data) {
  fill(main, [
    el("h1", null, data.title),
    data.lines.map((line) => el("p.sub", null, line)),
    data.notes.map((note) => el("p.notes", null, note)),
    el("div", { id: "progress" }),
  ]);
  if (data.review) showProgress(document.getElementById("progress"), data.review);
  const list = new ClipList(data);
  fill(main, [
    list.root,
    section("Phrases", dataTable("Phrases", ["phrase", "#clips asked", "#clips found", "#entities"],
      data.phrases.map((p) => [
        el("span", null, p.text, p.n_found ? null : el("span.bad", null, " never found")),
        p.n_clips.toLocaleString(), p.n_found.toLocaleString(), p.n_entities.toLocaleString()]))),
    data.failures.length ? section("Failures", dataTable("Failures", ["class", "stage", "#clips", "for example"],
      data.failures.map((f) => [f.class, f.stage, f.n.toLocaleString(), f.example]))) : null,
  ]);
}
