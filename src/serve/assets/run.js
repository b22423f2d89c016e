// The views Run and Watch: a command's processes as they live.
import { language, named, said } from "./words.js";
import { h, announce, copy, scrolling } from "./dom.js";
import { get, post } from "./api.js";
import { chooser } from "./forms.js";
import { Watched } from "./lanes.js";
import { Waits } from "./waits.js";
import { Timeline, duration } from "./timeline.js";

const MARKS = { ok: "✓", oversold: "✗", "lost-update": "≠", "torn-read": "~", deadlock: "⟳", crashed: "†", unproven: "?", "check-failed": "✗", outlived: "⤳", "cut-short": "✂" };

/** A verdict as a word with its mark and colour. */
export const verdictBadge = (verdict, t) => h("span", { class: `verdict v-${verdict}` }, h("span", { "aria-hidden": "true" }, `${MARKS[verdict] ?? "?"} `), t(verdict));
export const verdictMark = (verdict) => MARKS[verdict] ?? "?";

/** The command line that does the same. */
export function commandLine(text, t, label = t("The same in a terminal:")) {
  const button = h("button", { type: "button", class: "small", onclick: async () => {
    const copied = await copy(text);
    announce(copied ? t("copied") : t("cannot be copied here"));
    button.textContent = copied ? `${t("copied")} ✓` : t("Copy");
    setTimeout(() => { button.textContent = t("Copy"); }, 1500);
  } }, t("Copy"));
  return h("p", { class: "command" }, h("span", { class: "label" }, label), h("code", {}, text), button);
}

/** Everything that is seen of a watch. `stop` ends it; a student has none. */
export class WatchPanel {
  constructor(t, { stop = null, isRun = true } = {}) {
    this.t = t;
    this.isRun = isRun;
    this.watched = new Watched();
    this.paused = null;
    this.due = false;
    this.shownLines = -1;
    this.title = h("h2", {}, t("Waiting for the first process"));
    this.banner = h("div", { class: "banner", hidden: true });
    this.source = h("p", { class: "quiet source" });
    this.pause = h("button", { type: "button", onclick: () => this.toggle() }, t("Pause"));
    this.stop = stop && h("button", { type: "button", class: "danger", onclick: stop }, t("Stop"));
    this.moment = h("input", { type: "range", min: "0", max: "1000", value: "1000", "aria-label": t("moment"), hidden: true, oninput: () => { this.paused = (Number(this.moment.value) / 1000) * this.watched.now; this.draw(); } });
    this.place = h("div", { class: "timeline" });
    this.timeline = new Timeline(this.place, t);
    this.rows = h("tbody");
    this.table = scrolling(t("Processes"), "", h("table", { class: "processes" }, h("caption", {}, t("Processes")), h("thead", {}, h("tr", {}, ["PID", "PPID", t("name"), t("state"), t("blocked on"), t("end")].map((head) => h("th", { scope: "col" }, head)))), this.rows));
    this.lines = h("ol", { class: "lines", tabindex: "0", "aria-label": t("lines"), "aria-live": "off" });
    this.waits = new Waits(t);
    this.totals = h("div", { class: "totals" });
    this.output = h("pre", { class: "output", tabindex: "0", "aria-label": t("output"), hidden: true });
    this.said = h("div", {}, h("h3", {}, isRun ? t("What they say") : t("Output")), this.lines, this.output);
    this.element = h("section", { class: "watch" }, h("div", { class: "row" }, this.title, h("span", { class: "grow" }), this.pause, this.stop), this.moment, this.banner, this.place, this.source,
      h("div", { class: "columns" },
        h("div", {}, this.table, h("h3", {}, t("Who waits for whom")), this.waits.element),
        this.said), this.totals);
  }

  apply(messages) {
    this.watched.apply(messages);
    if (!this.due) {
      this.due = true;
      requestAnimationFrame(() => { this.due = false; if (this.paused === null) this.draw(); });
    }
  }

  toggle() {
    this.paused = this.paused === null ? this.watched.now : null;
    this.pause.textContent = this.t(this.paused === null ? "Pause" : "Go on");
    this.pause.setAttribute("aria-pressed", String(this.paused !== null));
    this.moment.hidden = this.paused === null;
    this.moment.value = "1000";
    this.timeline.follows = this.paused === null;
    this.draw();
  }

  draw() {
    const { watched, t } = this;
    const moment = this.paused ?? watched.now;
    watched.label();
    this.timeline.set(watched.drawing);
    const living = [...watched.lanes.values()].filter((lane) => lane.reaped_ns == null).length;
    const over = watched.over !== null || watched.ended;
    this.title.textContent = over ? t("Over after {time}", { time: duration(watched.now) }) : watched.begin
      ? t("{n} processes after {time}", { n: living, time: duration(moment) }) : t("Waiting for the first process");
    if (this.stop) this.stop.hidden = over;
    this.pause.hidden = over && this.paused === null && watched.lanes.size === 0;
    const rows = watched.at(moment);
    const depth = new Map(watched.lanes.size ? [...watched.lanes.values()].map((lane) => [lane.id, lane.indent ?? 0]) : []);
    this.rows.replaceChildren(...rows.slice(-200).map(({ lane, state, on }) => h("tr", { class: `is-${state}` },
      h("td", {}, String(lane.pid)), h("td", {}, String(lane.ppid)), h("td", { class: "left" }, "\u2003".repeat(Math.min(6, depth.get(lane.id))), lane.title ?? lane.name),
      h("td", { class: "left" }, h("span", { class: `state s-${state}` }, t(state))), h("td", { class: "left on" }, named(on)), h("td", {}, state === "reaped" || state === "zombie" ? exit(lane.exit, t) : ""))));
    this.drawLines(moment);
    this.waits.show(watched);
    const source = watched.begin ? `${t("Source")}: ${t(watched.begin.tier)}, ${language() === "zh" ? t(`tier-${watched.begin.tier}`) : watched.begin.resolution}` : "";
    this.source.textContent = [source, watched.leftOut ? t("{n} processes are not shown", { n: watched.leftOut }) : "", watched.lost ? t("{n} records lost: times may be wrong", { n: watched.lost }) : "", watched.skipped ? t("Some messages were left out: this page was too slow.") : ""].filter(Boolean).join(" · ");
    this.output.hidden = !watched.output;
    // Only programs of this house tell what they do.
    this.lines.hidden = !this.isRun && watched.notes.length === 0;
    this.said.hidden = this.lines.hidden && this.output.hidden;
    if (this.output.textContent !== watched.output) {
      this.output.textContent = watched.output;
      this.output.scrollTop = this.output.scrollHeight;
    }
    this.drawEnd();
  }

  drawLines(moment) {
    const notes = this.watched.notes;
    const until = this.paused === null ? notes.length : notes.filter((note) => note.at_ns <= moment).length;
    const key = `${until}/${notes[0]?.at_ns}/${notes.length}`;
    if (this.shownLines === key) return;
    this.shownLines = key;
    const atEnd = this.lines.scrollHeight - this.lines.scrollTop - this.lines.clientHeight < 40;
    this.lines.replaceChildren(...notes.slice(Math.max(0, until - 250), until).map((note) => h("li", { class: `w-${note.what}` },
      h("span", { class: "when" }, (note.at_ns / 1e6).toFixed(1)), h("span", { class: "who" }, note.process), h("span", { class: "text" }, note.text))));
    if (atEnd) this.lines.scrollTop = this.lines.scrollHeight;
  }

  drawEnd() {
    const { watched, t } = this;
    const parts = [];
    for (const deadlock of watched.deadlocks) parts.push(h("p", { class: "bad" }, h("strong", {}, `⟳ ${t("Deadlock")}: `), circle(deadlock, t)));
    if (watched.failed) parts.push(h("p", { class: "bad" }, h("strong", {}, `† ${t("The run failed")}: `), watched.failed));
    const over = watched.over;
    if (over) {
      for (const record of over.records) {
        parts.push(h("div", { class: record.verdict === "ok" ? "outcome" : "outcome bad" }, verdictBadge(record.verdict, t), record.summary.map((one) => h("p", {}, said(one)))));
      }
      if (over.stopped) parts.push(h("p", {}, t("It was stopped.")));
      if (!over.records.length) parts.push(...over.report.summary.map((one) => h("p", {}, said(one))));
      for (const deadlock of over.report.deadlocks) {
        parts.push(h("p", { class: "bad" }, h("strong", {}, `⟳ ${t("Deadlock")}: `), circle(deadlock, t)));
      }
      if (!this.totals.hasChildNodes()) this.totals.append(totals(over.report, t));
    }
    const key = parts.map((part) => part.textContent).join("\n");
    if (key !== this.endText) {
      this.endText = key;
      this.banner.hidden = parts.length === 0;
      this.banner.replaceChildren(...parts);
      if (key) announce(key);
    }
  }
}

/** Who waits for what in a deadlock; of many, the first few. */
function circle({ waits }, t) {
  const who = ({ pid, tid }) => (tid === undefined || tid === pid ? String(pid) : t("thread {tid} of {pid}", { tid, pid }));
  const all = waits.slice(0, 4).map((wait) => t("{who} waits for {what}", { who: who(wait), what: named(wait.on) }));
  return `${all.join("; ")}${waits.length > 4 ? " …" : ""}`;
}

const exit = (code, t) => (code == null ? "" : code < 0 ? t("signal {n}", { n: -code }) : String(code));

/** Where the time of a watched run went. */
export function totals(report, t) {
  const rows = report.processes.slice(0, 300);
  const more = report.processes.length - rows.length + report.folded_processes;
  const time = (ns) => h("td", {}, duration(ns));
  return scrolling(t("Totals"), "", h("table", {}, h("caption", {}, t("Totals")),
    h("thead", {}, h("tr", {}, ["PID", t("name"), t("running"), t("ready"), t("blocked"), t("zombie"), t("turns")].map((head) => h("th", { scope: "col" }, head)))),
    h("tbody", {}, rows.map((one) => h("tr", {}, h("td", {}, String(one.pid)), h("td", { class: "left" }, one.name), time(one.running_ns), time(one.ready_ns), time(one.blocked_ns), time(one.zombie_ns), h("td", {}, String(one.turns)))),
      more ? h("tr", {}, h("td", { class: "left", colspan: "7" }, t("{n} processes are not shown", { n: more }))) : null)));
}

/** The view Run: a scenario or lesson is chosen, started, and followed. */
export function runView(page, [job]) {
  const { t } = page;
  const place = h("div", { class: "stage" });
  const side = h("aside", { class: "side" }, h("h1", {}, t("Run")), h("p", { class: "lead" }, t("Start real processes and see how they live.")),
    chooser(page.catalogue, "run", t, page.remembered("run"), async (asked) => {
      page.remember("run", asked);
      const view = await post("jobs", { run: asked });
      page.go(`run/${view.job}`);
    }));
  const element = h("div", { class: "view with-side" }, side, place);
  if (job) showJob(page, job, place, true);
  else place.append(h("p", { class: "empty" }, t("Choose what to run, and press Start.")));
  return { element };
}

/** The view Watch: the command that was given, or a report of the past. */
export function watchView(page, [job]) {
  const { t } = page;
  const place = h("div", { class: "stage" });
  const { command } = page.catalogue;
  const file = h("input", { type: "file", id: "report-file", accept: ".json,application/json", onchange: async () => {
    try { openReport(JSON.parse(await file.files[0].text()), place, t); } catch { place.replaceChildren(h("p", { class: "trouble", role: "alert" }, t("That is no report of proclab watch --format json."))); }
  } });
  const trouble = h("p", { class: "trouble", role: "alert", hidden: true });
  const begin = command ? [h("p", { class: "command" }, h("code", {}, command.join(" "))), h("button", { class: "primary", type: "button", onclick: async () => {
    try { page.go(`watch/${(await post("jobs", "watch")).job}`); } catch (error) { trouble.hidden = false; trouble.textContent = error.message; }
  } }, t("Start"))] : [h("p", {}, t("Give the program on the command line:")), h("p", { class: "command" }, h("code", {}, "proclab serve -- python3 tickets.py"))];
  const side = h("aside", { class: "side" }, h("h1", {}, t("Watch")), h("p", { class: "lead" }, t("Observe any program: who runs, who is ready, who is blocked on what.")), begin, trouble,
    h("h2", {}, t("A report of the past")), h("label", { for: "report-file" }, withCommand(t("Open a file of {command}"), "proclab watch --format json")), file);
  if (job) showJob(page, job, place, false);
  else place.append(h("p", { class: "empty" }, command ? t("Press Start to run the command and watch it.") : t("Open a report, or start the page with a command.")));
  return { element: h("div", { class: "view with-side" }, side, place), asks: () => [], sells: false };
}

/** A text with a command in it. */
function withCommand(text, command) {
  const [before, after] = text.split("{command}");
  return [before, h("code", { class: "whole" }, command), after];
}

async function showJob(page, job, place, isRun) {
  const { t } = page;
  const panel = new WatchPanel(t, { isRun, stop: () => post(`jobs/${job}`, "stop").catch(() => {}) });
  page.follow(job, (messages) => {
    panel.apply(messages);
    const over = messages.find((message) => message.type === "over");
    const record = over?.records[0];
    if (record) page.happened({ outcome: record.verdict, tickets: record.runs?.[0]?.outcome?.sold });
  });
  try {
    const view = await get(`jobs/${job}`);
    place.replaceChildren(commandLine(view.command, t), panel.element);
    page.look(isRun ? "run" : "watch", job);
  } catch {
    page.unfollow();
    place.replaceChildren(h("p", { class: "empty" }, t("That run is forgotten. Start it again.")));
  }
}

function openReport(report, place, t) {
  if (!Array.isArray(report.processes) || !Array.isArray(report.summary)) throw new Error("no report");
  const panel = h("section", { class: "watch" }, h("h2", {}, (report.command ?? [String(report.pid)]).join(" ")), report.summary.map((one) => h("p", {}, said(one))));
  for (const deadlock of report.deadlocks ?? []) panel.append(h("p", { class: "banner bad" }, `⟳ ${t("Deadlock")}: ${circle(deadlock, t)}`));
  place.replaceChildren(panel);
  if (report.timeline) {
    const drawing = h("div", { class: "timeline" });
    panel.append(drawing);
    const timeline = new Timeline(drawing, t);
    timeline.set(report.timeline);
    timeline.fit();
  } else panel.append(h("p", { class: "quiet" }, t("The report holds no timeline: it was written by an older version.")));
  panel.append(totals(report, t));
}
