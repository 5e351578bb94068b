"use strict";
// Deciding about a question of a clip: accept, with what was changed in it, reject with a reason, undo.
// It waits and is sent as a decision about the clip is, by the clip's bar.

const QUESTION_FIELDS = [
  ["question", "Question, reworded", "textarea"], ["category", "Category", "input"],
  ["start_s", "Span from, s", "number"], ["end_s", "Span to, s", "number"],
  ["event", "What happens, as a sentence", "textarea"],
];

class QuestionReview {
  constructor(question, bar) {
    Object.assign(this, { question, bar });
    this.said = el("p.said", { role: "status" });
    this.reason = reasonChoice("Reason of the question's rejection", bar.data.review.question_reasons);
    this.fields = Object.fromEntries(QUESTION_FIELDS.map(([name, , kind]) => [name,
      kind === "textarea" ? el("textarea", { name, maxlength: "2000" })
        : el("input", { name, maxlength: "2000", type: kind === "number" ? "number" : "text",
          min: kind === "number" ? "0" : null, step: kind === "number" ? "any" : null })]));
    this.buttons = Object.fromEntries([["accept", "Accept"], ["reject", "Reject"], ["withdraw", "Undo"]].map(
      ([decision, label]) => [decision, el("button", {
        type: "button", "data-question-decision": decision, "aria-label": `${label} this question`,
        onclick: () => this.decide(decision),
      }, label)]));
    this.root = el("div.review", { role: "group", "aria-label": "Your decision about the question" },
      this.said,
      el("div.answers", null, this.buttons.accept, this.reason, this.buttons.reject, this.buttons.withdraw),
      el("details", null, el("summary", null, "Change it, then accept"),
        QUESTION_FIELDS.map(([name, label]) => el("label.field", null, label, this.fields[name]))));
    this.restore();
    this.tell();
  }

  get mine() {
    return this.bar.data.review.questions[this.question.id];
  }

  /** What was changed before stands in the form, so that accepting again keeps it. */
  restore() {
    for (const [name, field] of Object.entries(this.fields)) field.value = this.mine?.[name] ?? "";
    this.reason.value = this.mine?.reason ?? "";
  }

  tell() {
    const mine = this.mine;
    const open = waiting.read().some((one) => one.question_id === this.question.id);
    this.said.textContent = this.wanting || (open ? "Not saved yet"
      : mine ? `Saved: ${decided(mine)}` : "Not decided");
    for (const [decision, button] of Object.entries(this.buttons)) {
      button.classList.toggle("chosen", mine?.decision === decision);
    }
    this.buttons.withdraw.disabled = !mine;
  }

  /** Why the last decision was not saved; it stands until the next one, whatever the server says since. */
  refuse(why) {
    this.wanting = why;
    this.tell();
  }

  decide(decision) {
    this.wanting = "";
    const spans = [this.fields.start_s, this.fields.end_s];
    if (decision === "reject" && !this.reason.value) {
      this.reason.focus();
      return this.refuse("Not saved: choose a reason");
    }
    if (decision === "accept" && !spans.every((field) => field.validity.valid)) {
      return this.refuse("Not saved: a span is in seconds from 0 on");
    }
    const value = (field) => field.type === "number" ? Number(field.value) : field.value;
    const edits = decision !== "accept" ? {} : Object.fromEntries(Object.entries(this.fields)
      .filter(([, field]) => field.value.trim()).map(([name, field]) => [name, value(field)]));
    const kept = this.bar.submit({
      request: crypto.randomUUID(), kind: "question", clip_id: this.bar.data.id,
      question_id: this.question.id, decision, reason: decision === "reject" ? this.reason.value : null,
      rows_hash: this.bar.data.review.rows_hash, ...edits,
    });
    if (!kept) return this.refuse(TOO_LARGE);
    this.said.textContent = "Saving";
  }
}

/** A panel under each question that can be decided, and what its bar tells when it hears. */
function questionReviews(data, bar) {
  const known = new Set(data.review.question_ids);
  return data.questions.filter((question) => known.has(question.id)).map((question) => {
    const panel = new QuestionReview(question, bar);
    document.querySelector(`[data-question="${CSS.escape(question.id)}"]`).append(panel.root);
    return panel;
  });
}
