// The view Wire: both ends of a network program, and what passes between them.
import { about as told, quoted, reason, said } from "./words.js";
import { h, announce } from "./dom.js";
import { get, post } from "./api.js";
import { commandLine } from "./run.js";
import { Standing } from "./standing.js";

/** Rows of one scene that are drawn; of a longer one the beginning and the end. */
const MOST_DRAWN = 240;
const milliseconds = (ns) => (ns / 1e6).toFixed(ns < 1e8 ? 2 : 0);

/** What is seen of a demo. `send` passes a command to it; a student has none. */
export class WirePanel {
  constructor(t, { send = null } = {}) {
    this.t = t;
    this.rows = [];
    this.begin = null;
    this.over = null;
    this.failed = null;
    /** How many rows are shown; null shows all as they come. */
    this.upTo = null;
    this.timer = null;
    this.title = h("h2", {}, t("Waiting for the first process"));
    this.banner = h("div", { class: "banner", hidden: true });
    this.slow = h("button", { type: "button", "aria-pressed": "false", onclick: () => this.slowly() }, t("Slowly"));
    this.stop = send && h("button", { type: "button", class: "danger", onclick: () => send("stop") }, t("Stop"));
    this.standing = new Standing(t, send);
    this.moment = h("input", { type: "range", min: "0", max: "0", value: "0", "aria-label": t("moment"), oninput: () => { this.halt(); this.upTo = Number(this.moment.value); this.draw(); } });
    this.scenes = h("div", { class: "scenes" });
    this.element = h("section", { class: "wire" }, h("div", { class: "row" }, this.title, h("span", { class: "grow" }), this.slow, this.stop), this.moment, this.banner, this.standing.element, this.scenes);
    this.drawn = [];
  }

  apply(messages) {
    for (const message of messages) {
      if (message.type === "wire") { this.begin = message; this.rows = []; this.over = null; }
      else if (message.type === "rows") this.rows.push(...message.rows);
      else if (message.type === "wire-standing") this.standing.now = message;
      else if (message.type === "wire-over") this.over = message;
      else if (message.type === "failed") this.failed = reason(message)[0];
    }
    // Both ends and the trace are heard through pipes of their own.
    this.rows.sort((one, other) => one.at_ns - other.at_ns);
    if (!this.due) {
      this.due = true;
      requestAnimationFrame(() => { this.due = false; this.draw(); });
    }
  }

  halt() {
    clearInterval(this.timer);
    this.timer = null;
    this.slow.setAttribute("aria-pressed", "false");
  }

  /** Shows one row after another, from where it stands or from the beginning. */
  slowly() {
    if (this.timer) { this.halt(); return; }
    if (this.upTo === null || this.upTo >= this.rows.length) this.upTo = 0;
    this.slow.setAttribute("aria-pressed", "true");
    this.timer = setInterval(() => { if (this.step(1)) this.halt(); }, 450);
    this.step(1);
  }

  /** Goes some rows on or back; whether the end is reached. */
  step(by) {
    this.upTo = Math.min(this.rows.length, Math.max(0, (this.upTo ?? this.rows.length) + by));
    this.draw();
    return this.over !== null && this.upTo >= this.rows.length;
  }

  draw() {
    const { t, over } = this;
    const until = this.upTo ?? this.rows.length;
    this.moment.max = String(this.rows.length);
    this.moment.value = String(until);
    if (this.stop) this.stop.hidden = over !== null || this.failed !== null;
    this.standing.draw(this.begin?.by_hand && over === null && this.failed === null);
    const scenes = scenesOf(this.rows.slice(0, until));
    scenes.forEach((scene, at) => {
      const key = `${scene.rows.length}/${scene.rows.at(-1)?.at_ns}`;
      if (this.drawn[at]?.key === key) return;
      const element = drawScene(scene, t);
      if (this.drawn[at]) this.drawn[at].element.replaceWith(element); else this.scenes.append(element);
      this.drawn[at] = { key, element };
    });
    for (const gone of this.drawn.splice(scenes.length)) gone.element.remove();
    if (this.upTo !== null || !over) this.drawn.at(-1)?.element.querySelector(".wire-row:last-child")?.scrollIntoView({ block: "nearest" });
    this.drawEnd();
  }

  drawEnd() {
    const { t, over, begin, failed } = this;
    const harm = begin?.by_hand ? t("in your hand") : begin?.damage ? t("a bit is flipped at {place}", { place: begin.damage }) : begin?.cut ? t("cut at {place}", { place: begin.cut }) : null;
    this.title.textContent = begin ? `${begin.program}: ${told(`net ${begin.program}`, begin.about)}${harm ? ` · ⚡ ${harm}` : ""}` : t("Waiting for the first process");
    const said = failed ?? (!over ? "" : over.stopped ? t("It was stopped.") : over.failed ? t("{failed} of {checks} checks failed", over) : t("All {checks} checks passed", over));
    this.banner.hidden = !said;
    this.banner.className = `banner ${failed || over?.failed ? "bad" : ""}`;
    const text = `${failed || over?.failed ? "✗" : "✓"} ${said}${over?.hidden ? ` · ${t("{n} rows are not shown: there are too many", { n: over.hidden })}` : ""}`;
    if (this.banner.textContent !== text) { this.banner.textContent = text; if (said) announce(said); }
  }
}

/** Rows by scene, each with the sends that its reads and segments carry. */
function scenesOf(rows) {
  const scenes = [];
  for (const row of rows) {
    if (row.kind === "scene" || !scenes.length) scenes.push({ text: row.kind === "scene" ? said(row) : null, rows: [] });
    if (row.kind !== "scene") scenes.at(-1).rows.push(row);
  }
  scenes.forEach(attribute);
  return scenes;
}

/**
 * Which sends a segment or a read carries: a stream has no boundaries, so this follows from how many bytes came before.
 * It is only known where one connection is open at a time.
 */
function attribute(scene) {
  const opened = scene.rows.filter((row) => row.kind === "process" && row.who === "client" && row.what === "opened").length;
  if (opened !== 1) return;
  const streams = [{ sends: [], sent: 0, read: 0 }, { sends: [], sent: 0, read: 0 }];
  const carried = (stream, from, to) => stream.sends.filter((send) => send.from < to && send.to > from)
    .map((send) => ({ number: send.number, whole: send.from >= from && send.to <= to }));
  for (const row of scene.rows) {
    if (row.kind === "process" && row.what === "sent") {
      const stream = streams[row.who === "client" ? 0 : 1];
      row.number = stream.sends.push({ number: stream.sends.length + 1, from: stream.sent, to: stream.sent + row.bytes });
      stream.sent += row.bytes;
    }
  }
  for (const row of scene.rows) {
    if (row.kind === "process" && row.what === "received" && row.bytes > 0) {
      const stream = streams[row.who === "client" ? 1 : 0];
      row.carries = carried(stream, stream.read, stream.read + row.bytes);
      stream.read += row.bytes;
    } else if (row.kind === "segment" && row.bytes > 0) {
      row.carries = carried(streams[row.to_server ? 0 : 1], row.seq - 1, row.seq - 1 + row.bytes);
    }
  }
}

/** The numbers of the sends, as chips; a part of one is cut. */
function chips(row, t) {
  if (!row.carries?.length) return null;
  const many = row.carries.length > 14;
  const shown = many ? [...row.carries.slice(0, 6), null, ...row.carries.slice(-6)] : row.carries;
  const label = row.carries.length > 1 ? t("joins {n} sends", { n: row.carries.length }) : row.carries[0].whole ? t("send {n}", { n: row.carries[0].number }) : t("a part of send {n}", { n: row.carries[0].number });
  return h("span", { class: "chips", role: "img", "aria-label": label, title: label }, shown.map((one) => (one
    ? h("span", { class: `chip${one.number % 2 ? " odd" : ""}${one.whole ? "" : " part"}` }, String(one.number)) : h("span", {}, "…"))));
}

const WORDS = { listening: "listens", opened: "connection", sent: "send", received: "read", message: "message", note: "note", progress: "progress", failed: "failed", closed: "closed" };

function drawScene(scene, t) {
  const pids = (who) => [...new Set(scene.rows.filter((row) => row.kind === "process" && (who === "client") === (row.who === "client")).map((row) => row.pid))];
  const named = (who) => { const all = pids(who); return `${t(who)}${all.length ? ` · PID ${all.slice(0, 3).join(", ")}${all.length > 3 ? " …" : ""}` : ""}`; };
  const rows = scene.rows.length > MOST_DRAWN ? [...scene.rows.slice(0, MOST_DRAWN / 2), { kind: "gap", n: scene.rows.length - MOST_DRAWN }, ...scene.rows.slice(-MOST_DRAWN / 2)] : scene.rows;
  const hasWire = scene.rows.some((row) => ["segment", "state", "touched"].includes(row.kind));
  return h("section", { class: `scene${hasWire ? "" : " no-wire"}` }, scene.text ? h("h3", {}, scene.text) : null,
    rows.length ? h("div", { class: "wire-head", "aria-hidden": "true" }, h("span", {}, "ms"), h("span", {}, named("client")), h("span", {}, hasWire ? t("on the wire") : ""), h("span", {}, named("server"))) : null,
    h("ol", { class: "wire-rows", "aria-label": scene.text ?? t("on the wire") }, rows.map((row) => drawRow(row, t))));
}

function drawRow(row, t) {
  if (row.kind === "gap") return h("li", { class: "wire-row whole quiet" }, t("… {n} rows between are not drawn", { n: row.n }));
  if (row.kind === "check") return h("li", { class: `wire-row whole check ${row.held ? "held" : "failed"}` }, `${row.held ? "✓" : "✗"} ${said(row)}`);
  if (row.kind === "fact") return h("li", { class: "wire-row whole fact" }, said(row));
  if (row.kind === "remark") return h("li", { class: "wire-row whole quiet" }, said(row));
  const time = h("span", { class: "when" }, milliseconds(row.at_ns));
  if (row.kind === "segment") {
    const says = row.to_server ? t("client to server") : t("server to client");
    return h("li", { class: "wire-row" }, time, h("span", { class: `segment ${row.to_server ? "up" : "down"}${row.flags.includes("RST") ? " reset" : ""}${row.bytes ? " data" : ""}` },
      h("span", { class: "unseen" }, `${says}: `), h("span", { class: "label" }, `${row.flags}${row.bytes ? ` · ${row.bytes} B` : ""}`, h("span", { class: "numbers-of" }, ` seq=${row.seq}${row.ack === null ? "" : ` ack=${row.ack}`}`)),
      h("span", { class: "shaft", "aria-hidden": "true" }), chips(row, t)));
  }
  if (row.kind === "touched") {
    const held = row.held_ns >= 1e6 ? t("held for {time} s", { time: (row.held_ns / 1e9).toFixed(1) }) : null;
    const done = row.what === "cut" ? `✂ ${t("cut at {place}", row)}` : row.what === "flipped" ? `⚡ ${t("a bit is flipped at {place}", row)}` : null;
    const says = [done, `${row.bytes} B`, held].filter(Boolean).join(" · ");
    return h("li", { class: "wire-row" }, time, h("span", { class: `segment touched ${row.to_server ? "up" : "down"} t-${row.what}` },
      h("span", { class: "unseen" }, `${row.to_server ? t("client to server") : t("server to client")}: `), h("span", { class: "label" }, says), h("span", { class: "shaft", "aria-hidden": "true" })));
  }
  if (row.kind === "state") return h("li", { class: "wire-row" }, time, h("span", { class: `end ${row.at_server ? "at-server" : "at-client"} state-of` }, `${row.before ? `${row.before} → ` : ""}${row.now ?? t("gone")}`));
  const isClient = row.who === "client";
  const empty = row.what === "received" && row.bytes === 0;
  const text = empty ? t("end of stream") : row.said ? said(row.said) : row.text;
  return h("li", { class: "wire-row" }, time, h("span", { class: `end ${isClient ? "at-client" : "at-server"} e-${row.what}` },
    h("span", { class: "what" }, `${t(WORDS[row.what] ?? row.what)}${row.number ? ` ${row.number}` : ""}${row.who === "worker" ? ` · ${t("worker")} ${row.pid}` : ""}`), " ", h("span", { class: "text" }, row.what === "failed" ? quoted(text) : text), chips(row, t)));
}

/** The view: `#/wire/JOB`. */
export function wireView(page, [job]) {
  const { t } = page;
  const before = page.remembered("wire") ?? { program: "sticky" };
  const programs = page.catalogue.programs;
  const about = h("p", { class: "about" });
  const program = h("select", { id: "wire-program", onchange: () => choose() }, programs.map(([name]) => h("option", { value: name }, name)));
  const choose = () => { about.textContent = told(`net ${program.value}`, programs.find(([name]) => name === program.value)?.[1] ?? ""); };
  program.value = programs.some(([name]) => name === before.program) ? before.program : programs[0][0];
  choose();
  const harm = h("select", { id: "wire-harm", onchange: () => show() }, [["", "leave it alone"], ["damage", "flip a bit"], ["cut", "cut the connection"], ["by_hand", "I decide, piece by piece"]].map(([value, text]) => h("option", { value }, t(text))));
  const direction = h("select", { id: "wire-direction" }, [["up", "client to server"], ["down", "server to client"]].map(([value, text]) => h("option", { value }, t(text))));
  const byte = h("input", { id: "wire-byte", type: "number", min: "0", max: "1000000000", value: "0" });
  const place = h("div", { class: "place-of-harm" }, h("div", { class: "field" }, h("label", { for: direction.id }, t("direction")), direction), h("div", { class: "field" }, h("label", { for: byte.id }, t("before byte number")), byte));
  const show = () => { place.hidden = !["damage", "cut"].includes(harm.value); };
  harm.value = before.harm ?? "";
  direction.value = before.direction ?? "up";
  byte.value = before.byte ?? "0";
  show();
  const trouble = h("p", { class: "trouble", role: "alert", hidden: true });
  const form = h("form", { class: "chooser", onsubmit: async (event) => {
    event.preventDefault();
    trouble.hidden = true;
    page.remember("wire", { program: program.value, harm: harm.value, direction: direction.value, byte: byte.value });
    try {
      const view = await post("jobs", { wire: { program: program.value, ...(harm.value === "by_hand" ? { by_hand: true } : harm.value ? { [harm.value]: `${direction.value}:${Math.trunc(Number(byte.value)) || 0}` } : {}) } });
      page.go(`wire/${view.job}`);
    } catch (error) {
      trouble.hidden = false;
      trouble.textContent = error.hint ? `${error.message}. ${error.hint}` : error.message;
    }
  } }, h("div", { class: "field" }, h("label", { for: program.id }, t("Program")), program), about,
  h("div", { class: "field" }, h("label", { for: harm.id }, t("What happens on the wire")), harm), place, trouble, h("button", { class: "primary", type: "submit" }, t("Start")));
  const stage = h("div", { class: "stage" });
  const side = h("aside", { class: "side" }, h("h1", {}, t("Wire")), h("p", { class: "lead" }, t("Both ends of a network program as processes, and what passes between them. Does a read return what a send sent?")), form);
  const view = { element: h("div", { class: "view with-side" }, side, stage), asks: () => [], sells: false };
  if (!job) { stage.append(h("p", { class: "empty" }, t("Choose a program, and press Start."))); return view; }
  const panel = new WirePanel(t, { send: (command) => post(`jobs/${job}`, command).catch(() => {}) });
  page.follow(job, (messages) => panel.apply(messages));
  view.close = () => panel.halt();
  view.onKey = (event) => {
    if (event.key === "." && panel.standing.passFirst()) { event.preventDefault(); return; }
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!by) return;
    event.preventDefault();
    panel.halt();
    panel.step(by);
  };
  get(`jobs/${job}`).then((made) => {
    stage.replaceChildren(commandLine(made.command, t), panel.element);
    page.look("wire", job);
  }, () => {
    page.unfollow();
    stage.replaceChildren(h("p", { class: "empty" }, t("That run is forgotten. Start it again.")));
  });
  return view;
}
