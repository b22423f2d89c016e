// Class mode, on the lecturer's side: the address, questions, and votes beside what came of it.
import { h, s, copy } from "./dom.js";
import { post } from "./api.js";
import { verdictBadge } from "./run.js";

const VERDICTS = ["ok", "oversold", "lost-update", "torn-read", "deadlock", "crashed", "unproven"];

/** An option of a question in the reader's language. */
export const optionText = (question, option, t) => (VERDICTS.includes(option) ? verdictBadge(option, t) : question.kind === "next" ? h("strong", {}, option) : option);
const ASKED = { outcome: "What will come of it?", next: "Who is next?", tickets: "How many tickets will be sold?" };
export const questionText = (question, t) => t(ASKED[question.kind] ?? question.kind);

/** The votes as bars, and which option came true. */
export function votes(view, t) {
  const [, question] = view.question;
  const all = Math.max(1, view.voted);
  return h("ul", { class: "votes" }, question.options.map((option, at) => {
    const n = view.votes?.[at];
    const real = view.reality === at;
    const fill = h("div", { class: "fill" });
    fill.style.width = `${((n ?? 0) / all) * 100}%`;
    return h("li", { class: real ? "real" : null }, h("span", { class: "option" }, optionText(question, option, t), real ? h("span", { class: "came" }, ` ← ${t("this came true")}`) : null),
      h("div", { class: "bar", "aria-hidden": "true" }, fill), h("span", { class: "count" }, n === undefined || view.votes === null ? "" : `${n}`));
  }));
}

/** A bar at the bottom of every view. */
export class ClassBar {
  constructor(page) {
    this.page = page;
    this.element = h("section", { class: "class-bar" });
    const happened = (what) => this.happened(what);
    page.happened = happened;
  }

  speak() {
    this.element.setAttribute("aria-label", this.page.t("class"));
    if (this.page.class) this.show(this.page.class);
  }

  show(view) {
    const { t } = this.page;
    const act = (request) => post("class", request).catch(() => {});
    const parts = [h("strong", {}, t("Class")), h("span", { class: "count", title: t("followers") }, t("{n} follow", { n: view.followers }))];
    if (view.question) {
      parts.push(h("span", {}, questionText(view.question[1], t)), h("span", { class: "count" }, t("{n} votes", { n: view.voted })), votes(view, t));
      if (view.open) parts.push(h("button", { type: "button", onclick: () => act("close") }, t("Close the vote")));
      parts.push(h("button", { type: "button", onclick: () => act("clear") }, t("Take it away")));
    } else {
      // A view without `asks` answers any question later; one that `sells` nothing knows of no tickets.
      const asks = this.page.view?.asks?.() ?? [{ kind: "outcome", options: VERDICTS.slice(0, 5) }];
      for (const question of asks) parts.push(h("button", { type: "button", onclick: () => this.ask(question) }, `${t("Ask")}: ${questionText(question, t)}`));
      if (this.page.view?.sells ?? true) parts.push(h("button", { type: "button", onclick: () => this.ask({ kind: "tickets", options: ["0", "1", "2", "3", "4", "5"] }) }, `${t("Ask")}: ${t(ASKED.tickets)}`));
    }
    this.element.replaceChildren(...parts);
  }

  async ask(question) {
    // Who is next may have changed since the button was drawn.
    const fresh = this.page.view?.asks?.().find((one) => one.kind === question.kind) ?? question;
    this.asked = { question: fresh, at: this.last?.at ?? 0 };
    await this.page.ask(fresh).catch(() => {});
  }

  /** Reality: what the lecturer's view has seen. It answers the question if it is of that kind. */
  happened(what) {
    this.last = what;
    const view = this.page.class;
    if (!view?.question || view.reality !== null) return;
    const [, { kind, options }] = view.question;
    if (kind === "next" && what.at <= (this.asked?.at ?? 0)) return;
    const real = { outcome: what.outcome, next: what.next, tickets: what.tickets }[kind];
    if (real === undefined || (kind === "outcome" && !what.outcome)) return;
    const at = options.indexOf(String(real));
    this.page.reveal(at < 0 ? null : at);
  }
}

/** The QR code of an address. */
function code(rows, label) {
  const size = rows.length;
  const path = rows.flatMap((row, y) => [...row].map((bit, x) => (bit === "1" ? `M${x} ${y}h1v1h-1z` : ""))).join("");
  return s("svg", { class: "qr", viewBox: `-4 -4 ${size + 8} ${size + 8}`, role: "img", "aria-label": label }, s("rect", { x: -4, y: -4, width: size + 8, height: size + 8, class: "light" }), s("path", { d: path, class: "dark" }));
}

/** The view Class: how to come in. */
export function classView(page) {
  const { t, catalogue } = page;
  const [first, ...others] = catalogue.class ?? [];
  if (!first) return { element: h("div", { class: "view" }, h("h1", {}, t("Class")), h("p", {}, t("There is no class: start the page with --class."))) };
  const button = h("button", { type: "button", onclick: async () => { button.textContent = (await copy(first)) ? `${t("copied")} ✓` : t("cannot be copied here"); } }, t("Copy the link"));
  return { element: h("div", { class: "view class-view" }, h("h1", {}, t("Follow and vote")), h("p", { class: "address" }, first), catalogue.qr ? code(catalogue.qr, t("QR code of the class's address")) : null, button,
    others.map((address) => h("p", { class: "quiet" }, address)), h("p", { class: "lead" }, t("Students see what the lecturer sees, and answer. No names, no cookies."))) };
}
