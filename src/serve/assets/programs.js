// Any program under the explorer: its schedules as the board shows them, and a search through all of them.
import { named, quoted, reason, said } from "./words.js";
import { h, announce, scrolling } from "./dom.js";
import { Graph } from "./graph.js";
import { commandLine, verdictBadge } from "./run.js";

/** A scene of a program in the form of a scenario's, for the board. */
export function sceneOfProgram(message) {
  const { ending } = message;
  return { ...message, isProgram: true, done: message.done.map((step) => ({ ...step, saw: "" })),
    ending: ending && { ...ending, verdict: ending.outcome.verdict, token: ending.outcome.token, switches: ending.outcome.switches } };
}

/** How a schedule of a program ended: what is wrong, what it left, and the shortest schedule of each outcome. */
export function programEnding(ending, t, act) {
  const { outcome } = ending;
  const count = t("{n} switches", { n: outcome.switches });
  const distance = (one) => (one.verdict !== outcome.verdict ? "" : outcome.switches <= one.switches ? ` · ${t("as short as it can be")}` : ` · ${t("{n} switches more than the shortest", { n: outcome.switches - one.switches })}`);
  const rows = (ending.shortest ?? []).map((one) => h("li", {}, verdictBadge(one.verdict, t), one.why ? ` ${said(one.why)} · ` : " ", t("shortest: {count}", { count: t("{n} switches", { n: one.switches }) }), distance(one), " ",
    act ? h("button", { type: "button", class: "small", onclick: () => act("schedule", one.schedule) }, t("Show me")) : null));
  const proved = ending.shortest && ending.shortest.every((one) => one.is_right);
  return [h("p", { class: "outcome" }, verdictBadge(outcome.verdict, t), " ", outcome.why ? said(outcome.why) : ""), waits(outcome, t),
    facts(outcome).length ? h("dl", { class: "left-behind" }, facts(outcome).slice(0, 16).map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)))) : null,
    h("p", {}, `${t("Your schedule")}: ${count}`),
    ending.shortest ? h("ul", { class: "shortest" }, rows) : h("p", { class: "quiet" }, t("Looking for the shortest bad schedule…")),
    proved ? h("p", {}, ending.complete ? t("No schedule of this program is wrong: that is proved.") : t("No wrong schedule was found in a few seconds; there may be one.")) : null,
    commandLine(ending.replay, t)];
}

const waits = (outcome, t) => outcome.deadlock.map((wait) => h("p", { class: "reason" }, `${wait.task}: ${t("waits for: {what}", { what: named(wait.object || wait.call) })}${wait.held_by.length ? ` (${t("{who} holds the {what}", { who: wait.held_by.join(", "), what: t("lock") })})` : ""}`));

/** Why a search is not complete. */
const bounds = (found, t) => [...(found.ended ? [] : [t("the search did not come to its end")]),
  ...found.uncontrolled.map(({ what, count }) => t("not under control: {what} ({n} times)", { what: quoted(what), n: count }))];

/** What an outcome left, as names and values. */
function facts(outcome) {
  const short = (text) => (text.length > 200 ? `${text.slice(0, 200)}…` : text);
  return [...Object.entries(outcome.exit).filter(([, code]) => code !== 0).map(([task, code]) => [`${task}`, code === null ? "–" : code < 0 ? `signal ${-code}` : `exit ${code}`]),
    ...["stdout", "stderr"].flatMap((name) => Object.entries(outcome[name]).filter(([, text]) => text.trim()).map(([task, text]) => [`${name} · ${task}`, short(text)])),
    ...Object.entries(outcome.files).filter(([, file]) => file.kind !== "folder").map(([path, file]) => [path, file.text !== undefined ? short(file.text) : `${file.size} B ${(file.hash ?? "").slice(0, 8)}`])];
}

/** What is seen of a search. Without `act` it can only be read. */
export class ProgramSearchPanel {
  constructor(t, act = null) {
    this.t = t;
    this.act = act;
    this.hidden = new Set();
    this.title = h("h2", {}, t("Searching…"));
    this.stop = act && h("button", { type: "button", onclick: () => act(this.now?.status === "stopped" ? "resume" : "stop") }, t("Stop"));
    this.finish = act && h("button", { type: "button", onclick: () => act("finish") }, t("End the search"));
    this.bar = h("progress", { max: "1", "aria-label": t("part of the search that is done") });
    this.numbers = h("dl", { class: "numbers" });
    this.outcomes = h("ul", { class: "outcomes", "aria-label": t("outcomes") });
    this.note = h("p", { class: "quiet" });
    this.detail = h("div", { class: "detail", "aria-live": "polite" }, h("p", { class: "quiet" }, t("Choose a state: click it, or use the arrow keys.")));
    this.graph = new Graph(t, (node, open) => this.choose(node, open), { joins: true, look: (at) => ({ verdict: this.now.ends[at]?.verdict ?? "unproven", mark: String(at + 1) }) });
    this.about = h("p", { class: "quiet" }, t("Schedules that differ only in the order of independent steps lead to one state; steps without an alternative are one line. A number is an outcome, ★ the end of its shortest schedule."));
    this.found = h("div");
    this.rows = [];
    this.element = h("section", { class: "explore" }, h("div", { class: "row" }, this.title, h("span", { class: "grow" }), this.stop, this.finish), this.bar, this.numbers, this.outcomes, this.note,
      h("div", { class: "columns wide-first" }, this.graph.element, this.detail), this.about, this.found);
  }

  apply(messages) {
    for (const message of messages) {
      if (message.type === "program-search" || message.type === "program-growth") {
        if (message.type === "program-search") this.graph.clear();
        this.graph.add(message.nodes, message.edges.map(([from, to, who, call]) => [from, to, who.replace("root", "r").replace("!", ""), call, who.endsWith("!")]));
        this.now = message;
      } else if (message.type === "failed") this.failed = reason(message)[0];
      else if (message.type === "end") this.ended = true;
    }
    this.draw();
  }

  draw() {
    const { t, now, failed } = this;
    const found = now?.found;
    const rests = now?.status === "stopped" && !found;
    const title = failed ? t("The search failed") : !found ? t(this.ended ? "Ended before everything was seen" : rests ? "Stopped" : "Searching…") : !now.is_right ? t("A schedule is wrong") : found.complete ? t("Proved: every schedule is right") : t("No schedule that was seen is wrong");
    if (this.title.textContent !== title) { this.title.textContent = title; announce(title); }
    if (this.stop) {
      this.stop.hidden = this.finish.hidden = Boolean(found || failed || this.ended);
      this.stop.textContent = t(rests ? "Go on" : "Stop");
    }
    this.bar.hidden = Boolean(failed || this.ended && !found);
    if (found) this.bar.value = 1; else if (now?.explored != null) this.bar.value = now.explored; else this.bar.removeAttribute("value");
    if (!now) return;
    this.note.textContent = [failed, ...(found ? bounds(found, t) : []), now.hidden ? t("{n} states are not drawn: there are too many.", { n: now.hidden.toLocaleString() }) : "", t("A share of schedules is no probability.")].filter(Boolean).join(" · ");
    const number = (name, value) => h("div", {}, h("dt", {}, t(name)), h("dd", {}, value));
    this.numbers.replaceChildren(number("executions", now.executions.toLocaleString()), number("classes", now.classes.toLocaleString()), number("outcomes", now.outcomes.toLocaleString()), found?.schedules != null ? number("interleavings that they stand for", found.schedules.toLocaleString()) : "", number("seconds", now.seconds.toFixed(1)));
    const all = Math.max(1, now.ends.reduce((sum, one) => sum + one.classes, 0));
    while (this.rows.length > now.ends.length) this.rows.pop().element.remove();
    now.ends.forEach((one, at) => {
      const row = this.rows[at] ??= this.row(at);
      if (row.verdict !== one.verdict) { row.verdict = one.verdict; row.seen.replaceChildren(h("span", { class: "number" }, `${at + 1} `), verdictBadge(one.verdict, t)); row.fill.className = `fill v-${one.verdict}`; }
      row.what.textContent = said(one.why ?? one.headline);
      row.count.textContent = t("{n} executions, {classes} classes", { n: one.executions.toLocaleString(), classes: one.classes.toLocaleString() });
      row.fill.style.width = `${(one.classes / all) * 100}%`;
      row.short.textContent = `★ ${t("shortest: {count}", { count: t("{n} switches", { n: one.switches }) })}`;
    });
    this.graph.star(now.ends.map((one) => one.node).filter((id) => id !== null));
    if (found && this.shown !== found) { this.shown = found; if (this.graph.selected === null) { this.graph.fitted = false; this.graph.ask(); } this.found.replaceChildren(...this.details(found)); }
  }

  row(at) {
    const { t, act } = this;
    const fill = h("div"), count = h("span", { class: "count" }), short = h("span", { class: "quiet" }), what = h("span", { class: "what" });
    const seen = h("button", { type: "button", class: "filter", "aria-pressed": "true", onclick: () => {
      const on = this.hidden.delete(at);
      if (!on) this.hidden.add(at);
      seen.setAttribute("aria-pressed", String(on));
      this.graph.filter(this.hidden);
    } });
    const open = act && h("button", { type: "button", class: "small", "aria-label": `${t("Schedule it")}: ${at + 1}`, onclick: () => act("open", this.now.ends[at].schedule) }, t("Schedule it"));
    const element = h("li", { class: "of-program" }, seen, what, h("div", { class: "bar", "aria-hidden": "true" }, fill), count, short, open);
    this.outcomes.append(element);
    return { element, seen, fill, count, short, what };
  }

  choose(node, open = false) {
    const { t, act } = this;
    if (!node) return;
    if (open && act) { act("open", node.schedule); return; }
    const end = node.outcome === null ? null : this.now.ends[node.outcome];
    this.detail.replaceChildren(...[h("h3", {}, end ? [`${node.outcome + 1} `, verdictBadge(end.verdict, t)] : t("State {n}", { n: node.id })), end ? h("p", {}, said(end.why ?? end.headline)) : null,
      h("dl", { class: "shared" }, node.shared.map(([name, value]) => h("div", { class: "value" }, h("dt", {}, name), h("dd", {}, value)))),
      h("ul", { class: "at" }, node.at.map(([task, call]) => h("li", {}, h("strong", {}, task), ` ${t("at {step}", { step: call })}`))),
      h("p", {}, t("{n} steps", { n: node.depth })),
      act ? h("button", { type: "button", class: "primary", onclick: () => act("open", node.schedule) }, t(end ? "Look at it in Schedule" : "Go on from here in Schedule")) : null].filter(Boolean));
    announce(`${end ? t(end.verdict) : t("State {n}", { n: node.id })}: ${node.shared.map((pair) => pair.join(" ")).join(", ")}`);
  }

  /** What the outcomes left, and the shortest schedule of each, with the numbers that they have in the graph. */
  details(found) {
    const { t } = this;
    const known = (one) => this.now.ends.findIndex((end) => end.schedule === one.token);
    const outcomes = found.outcomes.map((one, at) => ({ ...one, number: known(one) < 0 ? `(${at + 1})` : `${known(one) + 1}` }));
    const details = outcomes.slice(0, 12).map((one, at) => h("details", { open: at === 0 && one.verdict !== "ok" }, h("summary", {}, `${one.number} `, verdictBadge(one.verdict, t), " ", one.why ? said(one.why) : "", ` · ${t("{n} steps", { n: one.witness.length })}`), waits(one, t), witness(one, t)));
    return [compared(outcomes.slice(0, 8), t), h("h3", {}, t("The shortest schedule of each")), ...details];
  }
}

/** What the outcomes left, side by side: only that in which they differ. */
function compared(outcomes, t) {
  const maps = outcomes.map((one) => new Map(facts(one)));
  const names = [...new Set(maps.flatMap((map) => [...map.keys()]))];
  const differ = names.filter((name) => outcomes.length === 1 || maps.some((map) => map.get(name) !== maps[0].get(name))).slice(0, 40);
  if (!differ.length) return "";
  return scrolling(t("outcomes"), "", h("table", { class: "compared" }, h("caption", {}, t(outcomes.length > 1 ? "In what the outcomes differ" : "What it leaves")),
    h("thead", {}, h("tr", {}, h("td", {}), outcomes.map((one) => h("th", { scope: "col" }, `${one.number} `, t(one.verdict))))),
    h("tbody", {}, differ.map((name) => h("tr", {}, h("th", { scope: "row", class: "left" }, name), maps.map((map) => h("td", { class: "left" }, map.has(name) ? h("code", {}, map.get(name)) : h("span", { class: "quiet" }, "–"))))))));
}

/** A schedule as a table: a column for each process. */
function witness(outcome, t) {
  const tasks = [...new Set(outcome.witness.map((step) => step.task.split("@")[0]))].sort((one, other) => one.localeCompare(other, undefined, { numeric: true }));
  const first = Math.max(0, outcome.witness.length - 60);
  return scrolling(t("Schedule"), "", first ? h("p", { class: "quiet" }, t("… {n} rows between are not drawn", { n: first })) : null, h("table", { class: "steps" }, h("thead", {}, h("tr", {}, h("th", { scope: "col" }, t("step")), tasks.map((task) => h("th", { scope: "col" }, task)))),
    h("tbody", {}, outcome.witness.slice(first).map((step, at) => h("tr", {}, h("th", { scope: "row" }, String(first + at + 1)), tasks.map((task) => h("td", { class: "left" }, task === step.task.split("@")[0] ? h("span", { class: "did call", title: step.object }, step.call) : null)))))));
}
