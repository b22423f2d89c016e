// The view Explore: every interleaving of the steps, counted.
import { reason } from "./words.js";
import { h, announce } from "./dom.js";
import { get, post } from "./api.js";
import { chooser } from "./forms.js";
import { Graph } from "./graph.js";
import { commandLine, verdictBadge, verdictMark } from "./run.js";
import { ProgramSearchPanel } from "./programs.js";

/** What is seen of a search. Without `act` it can only be read. */
export class ExplorePanel {
  constructor(t, act = null) {
    this.t = t;
    this.act = act;
    this.hidden = new Set();
    this.title = h("h2", {}, t("Searching…"));
    this.bar = h("progress", { max: "1", value: "0", "aria-label": t("part of the search that is done") });
    this.numbers = h("dl", { class: "numbers" });
    this.outcomes = h("ul", { class: "outcomes", "aria-label": t("outcomes") });
    this.stop = act && h("button", { type: "button", onclick: () => act(this.status === "stopped" ? "resume" : "stop") }, t("Stop"));
    this.detail = h("div", { class: "detail", "aria-live": "polite" }, h("p", { class: "quiet" }, t("Choose a state: click it, or use the arrow keys.")));
    this.graph = new Graph(t, (node, open) => this.choose(node, open));
    this.note = h("p", { class: "quiet" });
    this.element = h("section", { class: "explore" }, h("div", { class: "row" }, this.title, h("span", { class: "grow" }), this.stop), this.bar, this.numbers, this.outcomes, this.note,
      h("div", { class: "columns wide-first" }, this.graph.element, this.detail));
    this.rows = new Map();
  }

  apply(messages) {
    for (const message of messages) {
      if (message.type === "graph") this.graph.clear();
      if (message.type === "graph" || message.type === "growth") { this.graph.add(message.nodes, message.edges); this.now = message; }
      if (message.type === "failed") { this.failed = reason(message)[0]; }
      if (message.type === "end") this.ended = true;
    }
    if (this.now) this.draw(this.now);
  }

  draw(now) {
    const { t } = this;
    const before = this.status;
    this.status = this.ended && now.status !== "complete" ? "ended" : now.status;
    const bad = now.outcomes.some((one) => one.verdict !== "ok");
    this.title.textContent = this.failed ? t("The search failed") : { searching: t("Searching…"), stopped: t("Stopped"), ended: t("Ended before everything was seen") }[this.status]
      ?? (bad ? t("Complete: a promise can be broken") : t("Proved for these parameters: every schedule is right"));
    if (this.stop) {
      this.stop.hidden = this.status === "complete" || this.status === "ended";
      this.stop.textContent = t(this.status === "stopped" ? "Go on" : "Stop");
    }
    this.bar.hidden = now.explored === null;
    this.bar.value = this.status === "complete" ? 1 : now.explored ?? 0;
    const number = (name, value) => h("div", {}, h("dt", {}, t(name)), h("dd", {}, value));
    this.numbers.replaceChildren(number("schedules", now.schedules.toLocaleString()), number("classes", now.classes.toLocaleString()), number("interleavings that they stand for", now.represented.toLocaleString()), number("states", (this.graph.nodes.size + now.hidden).toLocaleString()), number("seconds", now.seconds.toFixed(1)));
    this.note.textContent = [this.failed ?? "", now.hidden ? t("{n} states are not drawn: there are too many.", { n: now.hidden }) : "", t("A share of schedules is no probability.")].filter(Boolean).join(" ");
    const all = now.outcomes.reduce((sum, one) => sum + one.count, 0);
    for (const one of now.outcomes) {
      let row = this.rows.get(one.verdict);
      if (!row) { row = this.row(one.verdict); this.rows.set(one.verdict, row); this.outcomes.append(row.element); }
      row.one = one;
      row.count.textContent = t("{n} schedules, {classes} classes", { n: one.count.toLocaleString(), classes: one.classes.toLocaleString() });
      row.fill.style.width = `${(one.count / Math.max(1, all)) * 100}%`;
      row.short.textContent = t("shortest: {schedule}, {n} switches", { schedule: one.shortest.schedule, n: one.shortest.switches });
    }
    this.graph.star(now.outcomes.map((one) => one.node).filter((id) => id !== null));
    if (before !== this.status) announce(this.title.textContent);
  }

  row(verdict) {
    const { t, act } = this;
    const count = h("span", { class: "count" }), fill = h("div", { class: `fill v-${verdict}` }), short = h("span", { class: "quiet" });
    const row = { count, fill, short };
    const seen = h("button", { type: "button", class: "filter", "aria-pressed": "true", onclick: () => {
      if (this.hidden.delete(verdict)) seen.setAttribute("aria-pressed", "true"); else { this.hidden.add(verdict); seen.setAttribute("aria-pressed", "false"); }
      this.graph.filter(this.hidden);
    } }, verdictBadge(verdict, t));
    const open = act && h("button", { type: "button", class: "small", onclick: () => act("open", row.one.shortest.schedule) }, t("Schedule it"));
    row.element = h("li", {}, seen, h("div", { class: "bar", "aria-hidden": "true" }, fill), count, short, open);
    return row;
  }

  choose(node, open = false) {
    const { t, act, now } = this;
    if (!node) return;
    if (open && act) { act("open", node.schedule); return; }
    const at = node.at.map((step, process) => h("li", {}, h("strong", {}, String.fromCharCode(65 + process)), ` ${step ? t("at {step}", { step: t(step) }) : t("has ended")}`));
    this.detail.replaceChildren(...[h("h3", {}, node.outcome ? verdictBadge(node.outcome, t) : t("State {n}", { n: node.id })),
      h("dl", { class: "shared" }, node.shared.map(([name, value]) => h("div", { class: "value" }, h("dt", {}, t(name)), h("dd", {}, value)))), h("ul", { class: "at" }, at),
      h("p", {}, t("Schedule"), ": ", h("code", {}, node.schedule || "–")),
      act && now ? h("button", { type: "button", class: "primary", onclick: () => act("open", node.schedule) }, t(node.outcome ? "Look at it in Schedule" : "Go on from here in Schedule")) : null].filter(Boolean));
    announce(`${node.outcome ? t(node.outcome) : t("State {n}", { n: node.id })}: ${node.shared.map((pair) => pair.join(" ")).join(", ")}`);
  }
}

const PROGRAM_OPTIONS = [
  { name: "expect-same", kind: "flag", help: "All outcomes must be the same" },
  { name: "expect-exit", kind: "text", unit: "N", help: "An outcome is right if the command exits with N" },
];

/** The view: `#/explore/JOB`, or `#/explore/of/CODE` to begin one. */
export function exploreView(page, [job, code]) {
  const { t } = page;
  const place = h("div", { class: "stage" });
  const reduce = h("input", { type: "checkbox", id: "explore-reduce" });
  const kills = h("select", { id: "explore-kills" }, ["0", "1", "2"].map((n) => h("option", { value: n }, n)));
  const ofProgram = (options) => ({ "explore-program": { expect_same: options["expect-same"] === true, kills: Number(kills.value), ...(options["expect-exit"] ? { expect_exit: Number(options["expect-exit"]) } : {}) } });
  const start = async (request) => {
    const view = await post("jobs", request.program ? ofProgram(request.options) : { explore: { ...request, reduce: reduce.checked, kills: Number(kills.value) } });
    page.go(`explore/${view.job}`);
  };
  const form = chooser(page.catalogue, "explore", t, page.remembered("explore") ?? (page.catalogue.command ? { program: true } : null) ?? { scenario: "tickets", options: { lock: "none", "no-search": true, store: "rename" } }, async (asked) => { page.remember("explore", asked); await start(asked); }, PROGRAM_OPTIONS);
  form.querySelector("button[type=submit]").before(h("div", { class: "field flag" }, reduce, h("label", { for: reduce.id }, t("one schedule of each class is enough"))), h("div", { class: "field" }, h("label", { for: kills.id }, t("processes that may be killed")), kills));
  const what = form.querySelector("select");
  const ofScenario = [reduce.closest(".field")];
  const fit = () => ofScenario.forEach((field) => { field.hidden = what.value === ""; });
  what.addEventListener("change", fit);
  what.addEventListener("change-shown", fit);
  fit();
  const side = h("aside", { class: "side" }, h("h1", {}, t("Explore")), h("p", { class: "lead" }, t("Every order in which the steps can happen, executed on real processes.")), form);
  const element = h("div", { class: "view with-side" }, side, place);
  let closed = false;
  const view = { element, close() { closed = true; }, sells: false };
  if (job === "of") {
    place.append(h("p", { class: "empty" }, t("Searching…")));
    post("jobs", code === "program" ? ofProgram({}) : { explore: { code } }).then((made) => { history.replaceState(null, "", `#/explore/${made.job}`); dispatchEvent(new HashChangeEvent("hashchange")); }, (error) => place.replaceChildren(h("p", { class: "trouble", role: "alert" }, error.message)));
  } else if (job) show();
  else place.append(h("p", { class: "empty" }, t("Choose a scenario, and press Start.")));

  async function show() {
    let of = null;
    let made = null;
    try {
      made = await get(`jobs/${job}`);
    } catch {
      page.unfollow();
      place.replaceChildren(h("p", { class: "empty" }, t("That search is forgotten. Start it again.")));
      return;
    }
    if (closed) return;
    if (made.chosen ?? made.program) form.show(made.chosen ?? { program: true });
    page.look("explore", job);
    if (made.program) {
      const panel = new ProgramSearchPanel(t, (what, token) => (what === "open" ? page.go(`schedule/${token.replace(/^(p~[^~]*)~/, "$1/")}`) : post(`jobs/${job}`, what).catch(() => {})));
      place.replaceChildren(commandLine(made.command, t), panel.element);
      page.follow(job, (messages) => {
        panel.apply(messages);
        const worst = panel.now?.found?.outcomes[0];
        if (worst) page.happened({ outcome: worst.verdict });
      });
      view.asks = () => [{ kind: "outcome", options: ["ok", "deadlock", "crashed", "outlived"] }];
      return;
    }
    const panel = new ExplorePanel(t, (what, schedule) => {
      if (what === "open") page.go(`schedule/${of}${schedule ? `/${schedule}` : ""}`);
      else post(`jobs/${job}`, what).catch(() => {});
    });
    page.follow(job, (messages) => {
      of = messages.findLast((message) => message.code)?.code ?? of;
      panel.apply(messages);
      const verdicts = panel.now?.outcomes;
      if (panel.status === "complete" && verdicts?.length) page.happened({ outcome: verdicts[0].verdict });
    });
    view.asks = () => [{ kind: "outcome", options: ["ok", "oversold", "lost-update", "torn-read", "deadlock"] }];
    place.replaceChildren(commandLine(made.command, t), panel.element);
    panel.graph.fitted = false;
    panel.graph.ask();
  }
  return view;
}

export { verdictMark };
