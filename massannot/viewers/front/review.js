"use strict";
// Deciding about a clip: accept, reject with a reason, note, fix, undo. A decision is shown as saved
// when the server has answered, which it does after the disk has. Until then it waits in the tab's
// own storage and is sent again, always as the same request, so that it counts once.

const TOO_LARGE = "NOT saved: it is larger than this browser keeps";
const AGAIN_MS = 700;
const MOST_CORNERS = 500; // of an outline, as the server takes it

/** Decisions that no answer has come to yet, oldest first; each reviewer's apart. */
const waiting = {
  reviewer: "",
  get key() { return `massannot-decisions ${waiting.reviewer}`; },
  read: () => JSON.parse(sessionStorage.getItem(waiting.key) || "[]"),
  write: (all) => sessionStorage.setItem(waiting.key, JSON.stringify(all)),
  add: (one) => waiting.write([...waiting.read(), one]),
  drop: (request) => waiting.write(waiting.read().filter((one) => one.request !== request)),
};

/** Send them all, those too that are added meanwhile. `heard(decision, error)`: the answer to each. */
async function sendWaiting(heard) {
  for (let one; (one = waiting.read()[0]); ) {
    const answer = await fromServer("../api/reviews", {
      method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(one),
    });
    waiting.drop(one.request);
    heard(one, answer.error);
  }
}

/** A decision in words; a reason is a word of the tables. */
function decided({ decision, reason }) {
  return decision === "accept" ? "accepted" : `rejected: ${(reason || "").replaceAll("_", " ")}`;
}

/** Reasons to choose from, none chosen. */
function reasonChoice(label, reasons) {
  return el("select", { "aria-label": label }, el("option", { value: "" }, "reason …"),
    reasons.map((reason) => el("option", { value: reason }, reason.replaceAll("_", " "))));
}

class ReviewBar {
  constructor(data, { player, overlay, stage }) {
    Object.assign(this, { data, player, overlay, stage, fixes: [], tool: null, sending: false, panels: [] });
    waiting.reviewer = data.review.reviewer;
    this.said = el("p.said", { role: "status" });
    this.reason = reasonChoice("Reason of a rejection", data.review.reasons);
    this.note = el("textarea", { "aria-label": "Note", placeholder: "note (optional)", maxlength: "4000" });
    this.list = el("ul", null);
    this.entity = el("select", { "aria-label": "Entity to fix" },
      data.entities.map((e) => el("option", { value: e.entity }, e.name)),
      el("option", { value: "" }, "a thing that is missing"));
    this.buttons = Object.fromEntries([
      ["accept", "Accept", "a"], ["reject", "Reject", "r"], ["withdraw", "Undo", "u"],
    ].map(([decision, label, key]) => [decision, el("button", {
      type: "button", "data-decision": decision, onclick: () => this.decide(decision),
    }, label, el("span.key", null, ` (${key})`))]));
    const tools = [["box", "Drag a box"], ["point", "Click a point"], ["mask", "Draw an outline"]];
    this.tools = Object.fromEntries(tools.map(
      ([kind, label]) => [kind, el("button", {
        type: "button", "data-tool": kind, "aria-pressed": "false", onclick: () => this.take(kind),
      }, label)]));
    this.marks = [
      ["unseen", "Not in this frame", { kind: "mask", mask: [] }], ["remove", "No such thing", { kind: "remove" }],
    ].map(([name, label, fix]) => el("button", { type: "button", "data-tool": name, onclick: () => this.mark(fix) }, label));
    this.next = el("a", { href: safeNext(data.review.next) }, "Next", el("span.key", null, " (n)"));
    this.more = el("button.more", {
      type: "button", "aria-label": "All of your decision", "aria-expanded": "false",
      onclick: () => this.open(!this.root.classList.contains("open")),
    }, "…");
    this.root = el("section.review", { "aria-label": "Your decision" },
      el("div.line", null, this.said, this.ofQuestions ? null : this.buttons.accept, this.next,
        this.ofQuestions ? null : this.more),
      this.ofQuestions ? null : el("div.rest", null,
        el("div.answers", null, this.reason, this.buttons.reject, this.buttons.withdraw, this.note),
        el("details", null, el("summary", null, "Put something right"),
          el("div.answers", null, this.entity, Object.values(this.tools), this.marks,
            el("button", { type: "button", "data-tool": "name", onclick: () => this.rename() }, "Wrong name")),
          this.list)));
    this.restore();
    this.draw();
    document.addEventListener("keydown", (event) => this.pressed(event));
    window.addEventListener("focus", () => this.send());
    this.tell(data.review);
    this.send();
  }

  /** Whether decisions are about questions alone, not about the clip. */
  get ofQuestions() {
    return this.data.review.unit === "questions";
  }

  /** What was decided of these very rows stands in the form, so that deciding again keeps it. */
  restore() {
    const { mine, rows_hash } = this.data.review;
    if (mine?.rows_hash !== rows_hash) return;
    this.reason.value = mine.reason || "";
    this.note.value = mine.note || "";
    this.fixes = [...mine.fixes];
    this.listFixes();
  }

  /** On a narrow page the bar is one line until it is opened. */
  open(open) {
    this.root.classList.toggle("open", open);
    this.more.setAttribute("aria-expanded", String(open));
  }

  tell(review) {
    this.data.review = review;
    this.next.setAttribute("href", safeNext(review.next));
    if (!safeNext(review.next)) this.next.removeAttribute("href");
    const mine = review.mine;
    const open = waiting.read().find((one) => one.clip_id === this.data.id && !one.question_id);
    this.say(this.wanting || (open ? "Not saved yet" : this.standing(review)));
    for (const [decision, button] of Object.entries(this.buttons)) {
      button.classList.toggle("chosen", mine?.decision === decision);
    }
    this.buttons.withdraw.disabled = !mine;
    for (const panel of this.panels) panel.tell();
  }

  standing({ mine, rows_hash, question_ids, questions }) {
    if (mine && mine.rows_hash !== rows_hash) return `Changed since it was ${decided(mine)}; look again`;
    if (mine) return `Saved: ${decided(mine)}`;
    if (!this.ofQuestions || !question_ids.length) return "Not decided";
    const left = question_ids.filter((id) => !questions[id]).length;
    return left ? `${left} of ${counted(question_ids.length, "question")} here not decided` : "Saved: all questions here";
  }

  say(text) {
    const { done, total, reviewer, stratum, unit } = this.data.review;
    this.said.textContent = `${text}. ${done} of ${unit === "clips" ? total : counted(total, "question")} by ${reviewer}`
      + (stratum ? ` (${stratum})` : "; this clip is not of the sample");
    this.said.title = this.said.textContent;
    if (/^NOT saved:|^Not saved: choose/.test(text)) this.open(true);
    document.body.dataset.saved = String(text.startsWith("Saved"));
  }

  /** Why the last decision was not saved; it stands until the next one, whatever the server says since. */
  refuse(why) {
    this.wanting = why;
    this.say(why);
  }

  decide(decision) {
    this.wanting = "";
    if (decision === "reject" && !this.reason.value) {
      this.reason.focus();
      return this.refuse("Not saved: choose a reason");
    }
    const rejected = decision === "reject";
    const kept = this.submit({
      request: crypto.randomUUID(), kind: "clip", clip_id: this.data.id, decision,
      reason: rejected ? this.reason.value : null, note: this.note.value || null,
      fixes: rejected ? this.fixes : [], rows_hash: this.data.review.rows_hash,
    });
    if (kept) this.say("Saving");
    else this.refuse(TOO_LARGE);
  }

  /** Keep a decision until the server has it; false: the browser does not. */
  submit(one) {
    try {
      waiting.add(one);
    } catch {
      return false;
    }
    this.send();
    return true;
  }

  async send() {
    if (this.sending) return;
    this.sending = true;
    try {
      let elsewhere = "";
      const about = (one) => `${one.clip_id} ${one.question_id}`;
      const last = new Map(); // of a clip or a question, what came of its last decision
      await sendWaiting((one, error) => last.set(about(one), [one, error]))
        .finally(() => {
          const open = new Set(waiting.read().map(about)); // a later decision has no answer yet
          for (const [one, error] of last.values()) {
            if (!error || open.has(about(one))) continue;
            const panel = this.panels.find((p) => p.question.id === one.question_id);
            if (panel) panel.refuse(`NOT saved: ${error}`);
            else if (one.clip_id === this.data.id) this.refuse(`NOT saved: ${error}`);
            else elsewhere = `NOT saved: clip ${one.clip_id}, ${error}`;
          }
        });
      await this.refresh();
      if (elsewhere) this.say(elsewhere);
    } catch {
      this.say(waiting.read().length ? "NOT saved yet, the server does not answer; trying again"
        : "The server does not answer");
    } finally {
      this.sending = false;
    }
    clearTimeout(this.again);
    if (waiting.read().length) this.again = setTimeout(() => this.send(), AGAIN_MS);
  }

  async refresh() {
    this.tell(await fromServer(`../api/reviews/${this.data.id}`));
  }

  take(kind) {
    this.tool = this.tool === kind ? null : kind;
    this.player.pause();
    for (const [name, button] of Object.entries(this.tools)) {
      button.setAttribute("aria-pressed", String(name === this.tool));
    }
    this.stage.classList.toggle("drawing", this.tool !== null);
  }

  draw() {
    const canvas = this.overlay.canvas;
    canvas.addEventListener("pointerdown", (event) => {
      if (!this.tool) return;
      canvas.setPointerCapture(event.pointerId);
      this.from = this.overlay.place(event);
      this.corners = [this.from];
      if (this.tool === "point") this.keep({ kind: "point", point: this.from });
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!this.from) return;
      const to = this.overlay.place(event);
      if (this.tool === "mask" && Math.hypot(...to.map((v, k) => v - this.corners.at(-1)[k])) >= 1) this.corners.push(to);
      this.overlay.draft = this.tool === "mask" ? { mask: this.corners.flat() } : { box: boxOf(this.from, to) };
      this.overlay.draw();
    });
    canvas.addEventListener("pointerup", (event) => {
      if (!this.from) return;
      const box = boxOf(this.from, this.overlay.place(event));
      if (this.tool === "mask" && this.corners.length >= 3) this.keep({ kind: "mask", mask: fewer(this.corners).flat() });
      else if (this.tool === "box" && box[2] - box[0] >= 2 && box[3] - box[1] >= 2) this.keep({ kind: "box", box });
      this.from = null;
    });
  }

  /** Of a thing that is there: in this frame nothing of it is seen, or it is none. */
  mark(fix) {
    if (this.entity.value === "") this.entity.focus();
    else this.keep(fix);
  }

  keep(fix) {
    const round = (values) => values.map((v) => Math.round(v * 10) / 10);
    const entity = this.entity.value === "" ? null : Number(this.entity.value);
    const place = fix.kind === "remove" ? {} : { [fix.kind]: round(fix[fix.kind]), frame: this.player.frame };
    this.fixes.push({ ...fix, ...place, entity });
    this.overlay.draft = fix.kind === "remove" ? null : fix;
    this.from = null;
    this.overlay.draw();
    this.take(null);
    this.listFixes();
  }

  rename() {
    if (this.asking) return this.asking.focus();
    const input = el("input", { "aria-label": "Right name", maxlength: "200", placeholder: "right name, then Enter" });
    input.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || !input.value.trim()) return;
      const entity = this.entity.value === "" ? null : Number(this.entity.value);
      this.fixes.push({ kind: "name", name: input.value.trim(), entity });
      input.remove();
      this.asking = null;
      this.listFixes();
    });
    this.asking = input;
    this.list.before(input);
    input.focus();
  }

  listFixes() {
    this.list.replaceChildren(...this.fixes.map((fix, k) => el("li", null,
      `${wordsOf(fix)} `,
      el("button.link", {
        type: "button", onclick: () => {
          this.fixes.splice(k, 1);
          this.overlay.draft = null;
          this.overlay.draw();
          this.listFixes();
        },
      }, "remove"))));
  }

  pressed(event) {
    if (!isForPage(event) || event.repeat) return; // a key held down decides once
    const decision = { a: "accept", r: "reject", u: "withdraw" }[event.key];
    if (decision && this.ofQuestions) return;
    if (decision === "withdraw" && this.buttons.withdraw.disabled) return;
    if (decision) this.decide(decision);
    else if (event.key === "n" && this.next.href) this.next.click();
  }
}

function wordsOf(fix) {
  if (fix.kind === "name") return `its name is ${fix.name}`;
  if (fix.kind === "remove") return `there is no thing ${fix.entity}`;
  if (fix.kind === "mask") return `${fix.mask.length ? "outline" : "not seen"} in frame ${fix.frame}`;
  return `${fix.kind} in frame ${fix.frame}`;
}

/** At most MOST_CORNERS of an outline's corners. */
function fewer(corners) {
  const step = Math.ceil(corners.length / MOST_CORNERS);
  return corners.filter((_, k) => k % step === 0);
}

function boxOf([x0, y0], [x1, y1]) {
  return [Math.min(x0, x1), Math.min(y0, y1), Math.max(x0, x1), Math.max(y0, y1)];
}

function safeNext(target) {
  return typeof target === "string" && /^\.\.\/clip\/[\w.-]+$/.test(target) ? target : null;
}

function showProgress(place, review) {
  const how = review.unit === "clips" ? "Open the first one that is not, press a to accept, r to reject, n for the next."
    : "Open a clip, decide under each question, press n for the next clip.";
  fill(place, [el("p.notes", null, `${review.done} of ${counted(review.total, review.unit.slice(0, -1))} of the sample `
    + `looked at by ${review.reviewer}. ${how}`)]);
}
