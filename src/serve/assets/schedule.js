// The view Schedule: the reader is the scheduler.
import { quoted, reason, said } from "./words.js";
import { h, announce, copy, scrolling } from "./dom.js";
import { post } from "./api.js";
import { chooser } from "./forms.js";
import { commandLine, verdictBadge } from "./run.js";
import { programEnding, sceneOfProgram } from "./programs.js";

const STATES = { ready: "can go on", waits: "waits", ended: "has ended", killed: "killed", absent: "not there yet" };
const SIGNS = { ready: "▶", waits: "⏸", ended: "■", killed: "†", absent: "·" };

/** What a step saw: a sentence, or a name or a value as it is. */
const saw = (step) => (step.said ? said({ ...step.said, text: step.saw }) : step.saw ? quoted(step.saw) : "");

/** At which step a schedule has gone wrong, and how; null where all is well. */
function broken({ ending, done }, t) {
  if (!ending?.broken) return null;
  const [at, how] = ending.broken;
  return at > done.length ? said(how) : t("Step {n}: {how}", { n: at, how: said(how) });
}

/** The processes at their next steps, what they share, and what was done. Without `act` it can only be read. */
export class Board {
  constructor(t, act = null) {
    this.t = t;
    this.act = act;
    this.shared = h("dl", { class: "shared", "aria-label": t("what they share") });
    this.cards = h("div", { class: "cards" });
    this.done = scrolling(t("What was done"), "done");
    this.note = h("p", { class: "note", hidden: true });
    this.ending = h("div", { class: "banner ending", hidden: true });
    this.element = h("section", { class: "board" }, this.shared, this.cards, this.note, this.ending, this.done);
  }

  show(scene) {
    const { t, act } = this;
    const before = this.scene;
    this.scene = scene;
    this.shared.replaceChildren(...scene.shared.flatMap(([name, value]) => {
      const old = before?.shared.find((one) => one[0] === name)?.[1];
      return [h("div", { class: old !== undefined && old !== value ? "value changed" : "value" }, h("dt", {}, t(name)), h("dd", {}, value))];
    }));
    const focused = document.activeElement?.closest?.("[data-letter]")?.dataset.letter;
    this.cards.replaceChildren(...scene.cards.map((card) => this.card(card, scene)));
    if (focused && act) this.cards.querySelector(`[data-letter="${focused}"]`)?.focus({ preventScroll: true });
    this.note.hidden = !scene.refused;
    this.note.textContent = scene.refused ? `⏸ ${reason(scene.refused)[0]}` : "";
    this.drawDone(scene);
    this.drawEnding(scene);
    const last = scene.done.at(-1);
    const news = scene.refused ? reason(scene.refused)[0] : (last && !scene.ending ? `${last.process}: ${t(last.name)} ${saw(last)}` : "");
    if (news && act && scene.schedule !== before?.schedule) announce(news);
  }

  card(card, scene) {
    const { t, act } = this;
    const reason = card.held_by.length ? t("{who} holds the {what}", { who: card.held_by.join(", "), what: t(card.resource) })
      : card.state === "waits" ? t("waits for: {what}", { what: t(card.resource ?? "") }) : "";
    const step = card.step ? [h("span", { class: "step" }, t(card.step)), h("span", { class: "touches" }, [t(card.access ?? ""), t(card.resource ?? "")].filter(Boolean).join(" · "))] : [];
    const content = [h("span", { class: "letter" }, card.name), h("span", { class: "role" }, `${t(card.role)} `, card.pid === null ? null : h("span", { class: "pid" }, `PID ${card.pid}`)), ...step,
      h("span", { class: "status" }, h("span", { "aria-hidden": "true" }, `${SIGNS[card.state]} `), t(STATES[card.state]), reason ? h("span", { class: "reason" }, ` ${reason}`) : null),
      card.holds.length ? h("span", { class: "holds" }, `${t("holds")}: ${card.holds.map((lock) => t(lock)).join(", ")}`) : null];
    const kind = `card c-${card.state}${card.held_by.length ? " c-held" : ""}`;
    if (!act) return h("div", { class: kind }, content);
    const can = card.state === "ready" && !scene.ending;
    const label = card.step ? t("{who}: {step}", { who: card.name, step: t(card.step) }) : `${card.name}: ${t(STATES[card.state])}`;
    return h("div", { class: kind },
      h("button", { type: "button", class: "grant", "data-letter": card.name, disabled: !can, "aria-label": `${label}, ${t(STATES[card.state])}${reason ? `, ${reason}` : ""}`, onclick: () => act("grant", card.name) }, content),
      card.killable && !scene.ending ? h("button", { type: "button", class: "kill", title: `${t("kill")} (Shift+${card.name})`, "aria-label": t("kill {who}", { who: card.name }), onclick: () => act("kill", card.name) }, `† ${t("kill")}`) : null);
  }

  drawDone(scene) {
    const { t } = this;
    if (!scene.done.length) { this.done.replaceChildren(h("p", { class: "quiet" }, t("No step is done yet."))); return; }
    const broken = scene.ending?.broken?.[0];
    const rows = scene.done.map((step, at) => h("tr", { class: broken === at + 1 ? "broken" : null }, h("th", { scope: "row" }, `${at + 1}${broken === at + 1 ? " ✗" : ""}`),
      scene.cards.map((card) => h("td", { class: "left" }, card.name === step.process ? h("span", { class: `did${step.killed ? " killed" : ""}${scene.isProgram ? " call" : ""}` }, step.killed ? `† ${scene.isProgram ? step.name : t("killed before {step}", { step: t(step.name) })}` : `${t(step.name)}${saw(step) ? `: ${saw(step)}` : ""}`, step.ended && !step.killed ? h("span", { class: "quiet" }, ` ■`) : null) : null))));
    this.done.replaceChildren(h("table", { class: "steps" }, h("caption", {}, t("What was done")), h("thead", {}, h("tr", {}, h("th", { scope: "col" }, t("step")), scene.cards.map((card) => h("th", { scope: "col" }, `${t(card.role)} ${card.name}`)))), h("tbody", {}, rows)));
  }

  drawEnding(scene) {
    const { t, act } = this;
    const { ending } = scene;
    this.ending.hidden = !ending;
    if (!ending) return;
    if (scene.isProgram) {
      this.ending.className = `banner ending ${ending.verdict === "ok" ? "good" : "bad"}`;
      this.ending.replaceChildren(...programEnding(ending, t, act).flat().filter(Boolean));
      return;
    }
    const count = (one) => `${t("{n} switches", { n: one.switches })}, ${t("{n} preemptions", { n: one.preemptions })}`;
    const bad = ending.shortest?.filter((one) => one.verdict !== "ok") ?? [];
    const distance = (one) => {
      const more = ending.switches - one.switches;
      if (one.verdict === ending.verdict) return more === 0 ? t("as short as it can be") : t("{n} switches more than the shortest", { n: more });
      return t("it has {n} switches", { n: one.switches });
    };
    const rows = bad.map((one) => h("li", {}, verdictBadge(one.verdict, t), " ", t("shortest: {count}", { count: count(one) }), " · ", distance(one), " ",
      act ? h("button", { type: "button", class: "small", onclick: () => act("schedule", one.schedule) }, t("Show me")) : null));
    this.ending.className = `banner ending ${ending.verdict === "ok" ? "good" : "bad"}`;
    this.ending.replaceChildren(h("p", { class: "outcome" }, verdictBadge(ending.verdict, t), " ", ending.broken ? broken(scene, t) : ending.verdict === "ok" ? t("Every promise was kept.") : ""),
      h("p", {}, `${t("Your schedule")}: ${count(ending)}`),
      ending.shortest ? (bad.length ? h("ul", { class: "shortest" }, rows) : h("p", {}, ending.complete ? t("No schedule of these parameters is wrong: that is proved.") : t("No wrong schedule was found in a few seconds; there may be one."))) : h("p", { class: "quiet" }, t("Looking for the shortest bad schedule…")),
      act ? commandLine(`proclab replay ${ending.token}`, t) : null);
    const key = `${ending.token}`;
    if (act && key !== this.announced) { this.announced = key; announce(`${t(ending.verdict)} ${broken(scene, t) ?? ""}`); }
  }
}

/** The view: `#/schedule/CODE/DECISIONS`. */
export function scheduleView(page, [code, ...rest]) {
  const schedule = rest.join("/");
  const { t } = page;
  let job = null, scene = null, busy = false, closed = false;
  const send = async (command) => {
    if (!job || busy) return;
    busy = true;
    try { await post(`jobs/${job}`, command); } catch (error) { if (error.status !== 429) await start(from(scene?.code ?? code, next(command))); }
    busy = false;
  };
  // Where its worker has gone, another one begins where the schedule stands.
  const next = (command) => (command === "undo" ? "" : command.schedule ?? scene?.schedule ?? "");
  const from = (code, schedule) => (code.startsWith("p~") ? { "schedule-program": { token: schedule.startsWith("p~") ? schedule : `${code}~${schedule}` } } : { schedule: { token: code, schedule } });
  const act = (what, value) => send({ [what]: value });
  const board = new Board(t, act);
  const trouble = h("p", { class: "trouble", role: "alert", hidden: true });
  const place = h("div", { class: "stage" });
  const undo = h("button", { type: "button", onclick: () => send("undo") }, `↶ ${t("Undo")}`, h("kbd", {}, "⌫"));
  const onward = h("button", { type: "button", onclick: () => send("continue") }, `» ${t("Go on while only one can")}`, h("kbd", {}, "."));
  const again = h("button", { type: "button", onclick: () => send({ schedule: "" }) }, `⟲ ${t("From the beginning")}`);
  const share = h("button", { type: "button", onclick: async () => {
    const copied = await copy(location.href);
    share.textContent = copied ? `${t("copied")} ✓` : t("The address of this page is the link.");
    setTimeout(() => { share.textContent = t("Copy the link"); }, 1500);
  } }, t("Copy the link"));
  const explore = h("a", { class: "button", href: "#/explore" }, t("Explore all of them"));
  const controls = h("div", { class: "row controls" }, undo, onward, again, share, explore, h("span", { class: "quiet keys" }, t("A letter grants a step, with Shift it kills, Backspace takes back.")));
  const command = h("p", { class: "quiet" });
  const form = chooser(page.catalogue, "explore", t, page.remembered("schedule") ?? (page.catalogue.command ? { program: true } : null) ?? { scenario: "tickets", options: { lock: "none", "no-search": true, store: "rename" } }, async (asked) => {
      page.remember("schedule", asked);
      await start(asked.program ? { "schedule-program": {} } : { schedule: asked });
    }, []);
  const side = h("aside", { class: "side" }, h("h1", {}, t("Schedule")), h("p", { class: "lead" }, t("You are the scheduler: real processes stand at their next step, and go on when you say so. Can you break the promise?")), form);

  async function start(request) {
    try {
      const view = await post("jobs", request);
      if (closed) return;
      job = view.job;
      if (request.schedule?.token || request["schedule-program"]?.token) form.show(view.chosen ?? { program: true });
      trouble.hidden = true;
      command.textContent = view.title;
      place.replaceChildren(h("div", { class: "row" }, h("h2", {}, view.title)), controls, trouble, board.element);
      page.follow(job, apply);
      page.look("schedule", job);
    } catch (error) {
      if (!place.contains(trouble)) place.replaceChildren(trouble);
      trouble.hidden = false;
      trouble.textContent = error.hint ? `${error.message}. ${error.hint}` : error.message;
      if (request.schedule?.scenario) throw error;
    }
  }

  function apply(messages) {
    for (const message of messages) {
      if (message.type === "scene" || message.type === "program-scene") {
        scene = message.type === "scene" ? message : sceneOfProgram(message);
        board.show(scene);
        undo.disabled = scene.done.length === 0;
        onward.disabled = scene.cards.filter((card) => card.state === "ready").length !== 1;
        explore.setAttribute("href", `#/explore/of/${scene.isProgram ? "program" : scene.code}`);
        page.address(`schedule/${scene.code}${scene.schedule ? `/${scene.schedule}` : ""}`);
        if (scene.ending) page.happened({ outcome: scene.ending.verdict });
        else if (scene.done.length) page.happened({ next: scene.done.at(-1).process, at: scene.done.length });
      } else if (message.type === "failed") {
        trouble.hidden = false;
        trouble.textContent = reason(message)[0];
      }
    }
  }

  if (code) start(from(code, schedule)).catch(() => {});
  else place.append(h("p", { class: "empty" }, t("Choose a scenario, and press Start.")));
  return {
    element: h("div", { class: "view with-side" }, side, place),
    close() { closed = true; },
    // How many were sold is known of runs only.
    sells: false,
    onKey(event) {
      if (!scene) return;
      if (event.key === "Backspace" || event.key === "-") { event.preventDefault(); send("undo"); return; }
      if (event.key === ".") { event.preventDefault(); send("continue"); return; }
      const letter = /^[a-zA-Z]$/.test(event.key) ? event.key.toUpperCase() : null;
      const card = letter && scene.cards.find((one) => one.name === letter);
      if (!card || scene.ending) return;
      event.preventDefault();
      if (event.shiftKey) { if (card.killable) act("kill", letter); } else if (card.state === "ready") act("grant", letter);
      else announce(`${letter}: ${t(STATES[card.state])}`);
    },
    asks() {
      const verdicts = scene?.isProgram ? ["ok", "deadlock", "crashed", "outlived"] : ["ok", "oversold", "lost-update", "torn-read", "deadlock"];
      const ready = scene?.cards.filter((card) => card.state === "ready").map((card) => card.name) ?? [];
      return [{ kind: "outcome", options: verdicts }, ...(ready.length > 1 ? [{ kind: "next", options: ready }] : [])];
    },
  };
}
