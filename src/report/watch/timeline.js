// The timeline of a run: a lane for each CPU, process and thread, with pieces of time, arrows and a queue's depth.
//
// The live page and `proclab watch --html` draw with this module. It takes the drawing as the JSON of `watch` has it
// (`timeline`) and can be given more of it at any time. States differ in colour, height and hatching.

const LANE = 26, AXIS = 26, DEPTH = 84, DENSE = 1.5;
export const STATES = ["running", "ready", "blocked", "stopped", "zombie", "unknown"];
const OWNERS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b8860b", "#2f8fc4", "#7a5195", "#8c6d31"];
const HEIGHT = { running: 1, ready: 0.8, blocked: 0.32, stopped: 0.8, zombie: 0.62, unknown: 0.5 };
const FALLBACK = {
  running: "#0072b2", ready: "#e69f00", blocked: "#aeb6bf", stopped: "#cc79a7", zombie: "#4a4f57", unknown: "#ffffff",
  lock: "#006b4f", ink: "#1c1e21", faint: "#5b6570", line: "#e3e6ea", paper: "#ffffff",
};

/** What each mark of the drawing means. */
const MEANINGS = {
  running: "it has a CPU", ready: "it could run and waits for a CPU", blocked: "it waits for something else",
  stopped: "stopped by a signal or a debugger", zombie: "ended, its exit status not yet taken by its parent",
  unknown: "alive, in an unknown state", bounds: "reaped at some time in this period; before that, a zombie",
  lock: "it held the lock", cpu: "in a CPU's lane: the process that had it, a colour for each",
  fork: "forked a process; the arrow ends at the child", message: "a message; the arrow ends where it was taken",
  signal: "a signal; the arrow ends at the receiver",
};
const ARROWS = { fork: [], message: [4, 2], signal: [1.5, 2.5] };

/** A time in the unit that reads best. */
export function duration(ns) {
  const units = [[1e9, "s"], [1e6, "ms"], [1e3, "µs"], [1, "ns"]];
  const [size, unit] = units.find(([size]) => Math.abs(ns) >= size) ?? units[3];
  const n = ns / size;
  return `${n >= 100 ? n.toFixed(0) : n >= 10 ? n.toFixed(1) : n.toFixed(2)} ${unit}`.replace(/\.0+ /, " ");
}

const indent = (lane) => 4 + Math.min(6, lane.indent ?? 0) * 11;

/** The text, or its two ends if it is wider than `room`: names often differ in their last character only. */
function shortened(pen, text, room) {
  if (pen.measureText(text).width <= room) return text;
  let kept = text.length - 1;
  const cut = () => `${text.slice(0, Math.ceil(kept / 2))}…${text.slice(text.length - Math.floor(kept / 2))}`;
  while (kept > 2 && pen.measureText(cut()).width > room) kept -= 1;
  return cut();
}

export class Timeline {
  /** Draws into `host`; `words` names the states and buttons in the reader's language. */
  constructor(host, words = (word) => word) {
    this.words = words;
    this.model = { length_ns: 1, lanes: [], arrows: [], depth: [] };
    this.follows = true;
    this.from = 0;
    this.to = 1;
    this.asked = false;
    this.build(host);
    this.scroll.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    this.scroll.addEventListener("scroll", () => this.ask());
    this.canvas.addEventListener("pointermove", (event) => this.move(event));
    this.canvas.addEventListener("pointerdown", (event) => this.grab(event));
    this.canvas.addEventListener("pointerup", () => { this.held = null; });
    this.canvas.addEventListener("pointerleave", () => { this.tip.hidden = true; });
    this.canvas.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.ask()).observe(this.scroll);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.ask());
  }

  build(host) {
    const make = (name, kind) => {
      const element = document.createElement(name);
      element.className = kind;
      return element;
    };
    const bar = make("div", "tl-bar");
    const button = (text, label, act) => {
      const made = make("button", "tl-button");
      made.type = "button";
      made.textContent = text;
      made.setAttribute("aria-label", this.words(label));
      made.title = this.words(label);
      made.addEventListener("click", act);
      bar.append(made);
      return made;
    };
    button("+", "zoom in", () => this.zoom(2));
    button("−", "zoom out", () => this.zoom(0.5));
    button("←", "earlier", () => this.pan(-0.25));
    button("→", "later", () => this.pan(0.25));
    this.whole = button("⤢", "the whole run", () => this.fit());
    this.scroll = make("div", "tl-scroll");
    this.room = make("div", "tl-room");
    this.canvas = make("canvas", "tl-canvas");
    this.canvas.tabIndex = 0;
    this.canvas.setAttribute("role", "img");
    this.tip = make("div", "tl-tip");
    this.tip.hidden = true;
    this.room.append(this.canvas);
    this.scroll.append(this.room);
    this.legend = make("ul", "tl-legend");
    host.append(bar, this.scroll, this.tip, this.legend);
    this.drawLegend();
  }

  /** The marks of the present drawing: states always, the rest where they occur. */
  marks() {
    const { lanes, arrows } = this.model;
    const has = {
      cpu: lanes.some((lane) => lane.kind === "cpu"),
      lock: lanes.some((lane) => lane.lock_spans?.length),
      bounds: lanes.some((lane) => lane.pieces.some((piece) => piece.known === false)),
    };
    for (const kind of Object.keys(ARROWS)) has[kind] = arrows.some((arrow) => arrow.kind === kind);
    return [...STATES, ...Object.keys(has).filter((mark) => has[mark])];
  }

  drawLegend() {
    const marks = this.marks();
    if (marks.join() === this.shownMarks) return;
    this.shownMarks = marks.join();
    this.legend.replaceChildren(...marks.map((state) => {
      const row = document.createElement("li");
      const sample = document.createElement("canvas");
      sample.width = 44;
      sample.height = 24;
      sample.className = "tl-sample";
      const name = STATES.includes(state) ? `${this.words(state)}: ` : "";
      row.append(sample, document.createTextNode(` ${name}${this.words(MEANINGS[state])}`));
      requestAnimationFrame(() => {
        const pen = sample.getContext("2d");
        this.colours();
        pen.scale(2, 2);
        if (state === "lock") {
          pen.fillStyle = this.colour.lock;
          pen.fillRect(0, 8, 22, 3);
        } else if (state === "bounds") {
          this.hatch(pen, this.colour.zombie, 0, 1, 22, 10);
        } else if (state === "cpu") {
          pen.fillStyle = OWNERS[0];
          pen.fillRect(0, 0, 22, 12);
        } else if (state in ARROWS) {
          this.arrow(pen, state, 0, 6, 20, 6);
        } else {
          this.block(pen, state, 0, 0, 22, 12);
        }
      });
      return row;
    }));
  }

  /** Shows another drawing, or the same after it has grown. */
  set(model) {
    this.model = model;
    this.drawLegend();
    if (this.follows) [this.from, this.to] = [this.from === 0 ? 0 : Math.max(0, model.length_ns - (this.to - this.from)), model.length_ns];
    this.ask();
  }

  ask() {
    if (this.asked) return;
    this.asked = true;
    requestAnimationFrame(() => { this.asked = false; this.draw(); });
  }

  // Where things are.

  /** As wide as the names that were drawn need, within bounds that leave most of the width to the time. */
  get gutter() { return Math.min(210, Math.max(84, this.width * 0.2, Math.min(this.needed ?? 0, this.width * 0.4))); }
  x(ns) { return this.gutter + ((ns - this.from) / Math.max(1, this.to - this.from)) * (this.width - this.gutter - 8); }
  ns(x) { return this.from + ((x - this.gutter) / (this.width - this.gutter - 8)) * (this.to - this.from); }

  zoom(by, at = (this.from + this.to) / 2) {
    const span = Math.max(1000, Math.min(this.model.length_ns, (this.to - this.from) / by));
    const share = (at - this.from) / Math.max(1, this.to - this.from);
    this.show(at - share * span, span);
  }
  pan(share) { this.show(this.from + share * (this.to - this.from), this.to - this.from); }
  fit() { this.follows = true; this.from = 0; this.to = this.model.length_ns; this.ask(); }
  show(from, span) {
    const most = this.model.length_ns;
    this.from = Math.max(0, Math.min(from, most - span));
    this.to = this.from + span;
    this.follows = this.to >= most * 0.999;
    this.ask();
  }

  wheel(event) {
    if (event.ctrlKey || event.metaKey) {
      event.preventDefault();
      this.zoom(event.deltaY < 0 ? 1.25 : 0.8, this.ns(event.clientX - this.canvas.getBoundingClientRect().left));
    } else if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
      event.preventDefault();
      this.pan((event.deltaX || event.deltaY) / 600);
    }
  }
  key(event) {
    const act = { "+": () => this.zoom(2), "=": () => this.zoom(2), "-": () => this.zoom(0.5), ArrowLeft: () => this.pan(-0.25), ArrowRight: () => this.pan(0.25), 0: () => this.fit(), Home: () => this.show(0, this.to - this.from), End: () => this.show(this.model.length_ns, this.to - this.from) }[event.key];
    if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    act();
  }
  grab(event) {
    this.held = { x: event.clientX, from: this.from };
    this.canvas.setPointerCapture(event.pointerId);
  }

  /** The piece at a place, in words. */
  move(event) {
    const box = this.canvas.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    if (this.held) {
      const ns = ((this.held.x - event.clientX) / (this.width - this.gutter - 8)) * (this.to - this.from);
      this.show(this.held.from + ns, this.to - this.from);
      return;
    }
    const lane = this.model.lanes[Math.floor((y - AXIS + this.scroll.scrollTop) / LANE)];
    if (!lane || y < AXIS) { this.tip.hidden = true; return; }
    const at = this.ns(x);
    const grain = ((this.to - this.from) / this.width) * 2;
    const piece = x < this.gutter ? null : lane.pieces.findLast((piece) => piece.from_ns <= at + grain && piece.to_ns >= at - grain);
    this.tip.hidden = false;
    this.tip.textContent = piece ? `${lane.label}: ${piece.text ?? this.say(piece)} · ${duration(piece.from_ns)} – ${duration(piece.to_ns)}` : lane.title ?? lane.label;
    const host = this.scroll.parentElement.getBoundingClientRect();
    this.tip.style.left = `${Math.max(4, Math.min(event.clientX - host.left + 12, host.width - this.tip.offsetWidth - 4))}px`;
    this.tip.style.top = `${event.clientY - host.top + 16}px`;
  }
  say(piece) {
    const states = piece.shares.filter(([, share]) => share > 0.005);
    const parts = states.map(([state, share]) => (states.length > 1 ? `${this.words(state)} ${(share * 100).toFixed(0)} %` : this.words(state)));
    return parts.join(", ") + (piece.on ? `: ${piece.on}` : "") + ` (${duration(piece.to_ns - piece.from_ns)})`;
  }

  // The drawing itself.

  colours() {
    const style = getComputedStyle(this.canvas);
    this.colour = Object.fromEntries(Object.entries(FALLBACK).map(([name, value]) => [name, style.getPropertyValue(`--${name}`).trim() || value]));
    this.font = parseFloat(style.fontSize) || 13;
  }

  draw() {
    const { lanes, depth } = this.model;
    this.width = this.scroll.clientWidth;
    if (this.width < 10) return;
    const full = AXIS + lanes.length * LANE + (depth.length ? DEPTH : 8);
    this.room.style.height = `${full}px`;
    const height = Math.max(60, Math.min(full, this.scroll.clientHeight || full));
    const ratio = Math.min(2, devicePixelRatio || 1);
    const size = [Math.round(this.width * ratio), Math.round(height * ratio)];
    if (this.canvas.width !== size[0] || this.canvas.height !== size[1]) {
      [this.canvas.width, this.canvas.height] = size;
      this.canvas.style.width = `${this.width}px`;
      this.canvas.style.height = `${height}px`;
    }
    this.colours();
    const pen = this.canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.fillStyle = this.colour.paper;
    pen.fillRect(0, 0, this.width, height);
    const top = this.scroll.scrollTop;
    const first = Math.max(0, Math.floor((top - AXIS) / LANE));
    const last = Math.min(lanes.length, Math.ceil((top + height) / LANE) + 1);
    pen.font = `${this.font}px system-ui, sans-serif`;
    pen.textBaseline = "middle";
    // It only grows: a width that changed with every scroll would move what is looked at.
    for (let at = first; at < last; at += 1) this.needed = Math.max(this.needed ?? 0, indent(lanes[at]) + pen.measureText(lanes[at].label).width + 8);
    for (let at = first; at < last; at += 1) this.lane(pen, lanes[at], AXIS + at * LANE - top);
    this.arrows(pen, top, height);
    if (depth.length) this.depth(pen, AXIS + lanes.length * LANE - top);
    this.axis(pen);
    const living = lanes.length;
    this.canvas.setAttribute("aria-label", `${this.words("timeline")}: ${living} ${this.words("lanes")}, ${duration(this.from)} – ${duration(this.to)}`);
  }

  lane(pen, lane, y) {
    pen.strokeStyle = this.colour.line;
    pen.lineWidth = 1;
    pen.beginPath();
    pen.moveTo(0, y + 0.5);
    pen.lineTo(this.width, y + 0.5);
    pen.stroke();
    pen.save();
    pen.beginPath();
    pen.rect(this.gutter, y, this.width - this.gutter, LANE);
    pen.clip();
    this.pieces(pen, lane, y);
    pen.fillStyle = this.colour.lock;
    for (const [from, to] of lane.lock_spans ?? []) {
      if (to >= this.from && from <= this.to) pen.fillRect(this.x(from), y + LANE - 5, Math.max(2, this.x(to) - this.x(from)), 3);
    }
    pen.restore();
    pen.save();
    pen.beginPath();
    pen.rect(0, y, this.gutter - 6, LANE);
    pen.clip();
    pen.fillStyle = lane.over ? this.colour.faint : this.colour.ink;
    pen.font = `${lane.kind === "cpu" ? "600 " : ""}${this.font}px system-ui, sans-serif`;
    pen.textAlign = "left";
    pen.fillText(shortened(pen, lane.label, this.gutter - 6 - indent(lane)), indent(lane), y + LANE / 2 + 1);
    pen.restore();
  }

  pieces(pen, lane, y) {
    const pieces = lane.pieces;
    let low = 0, high = pieces.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (pieces[middle].to_ns < this.from) low = middle + 1; else high = middle;
    }
    let narrow = null;
    const flush = () => {
      if (!narrow) return;
      this.mixed(pen, narrow.shares, narrow.x, y + 4, Math.max(1, narrow.to - narrow.x), 16, narrow.ns, lane);
      narrow = null;
    };
    for (let at = low; at < pieces.length && pieces[at].from_ns <= this.to; at += 1) {
      const piece = pieces[at];
      const x = this.x(piece.from_ns), to = this.x(piece.to_ns);
      if (to - x >= DENSE) {
        flush();
        this.mixed(pen, piece.shares, x, y + 4, to - x, 16, 1, lane, piece);
        continue;
      }
      // What is narrower than a pixel is drawn together with its neighbours, by the share of each state.
      if (narrow && x - narrow.x >= DENSE) flush();
      narrow ??= { x, to, shares: [], ns: 0 };
      narrow.to = Math.max(narrow.to, to);
      const ns = Math.max(1, piece.to_ns - piece.from_ns);
      narrow.ns += ns;
      for (const [state, share] of piece.shares) {
        const known = narrow.shares.find((one) => one[0] === state);
        if (known) known[1] += share * ns; else narrow.shares.push([state, share * ns]);
      }
    }
    flush();
  }

  mixed(pen, shares, x, y, width, height, whole, lane, piece) {
    if (lane.kind === "cpu") {
      const used = shares.reduce((sum, [, share]) => sum + share, 0) / whole;
      pen.fillStyle = piece?.owner == null ? this.colour.running : OWNERS[piece.owner % OWNERS.length];
      pen.fillRect(x, y + height * (1 - used), width, height * used);
      return;
    }
    if (piece?.known === false) {
      // Somewhere between these two moments: hatched, not filled.
      this.hatch(pen, this.colour[shares[0][0]] ?? this.colour.faint, x, y + 3, width, height - 6);
      return;
    }
    if (shares.length === 1) {
      this.block(pen, shares[0][0], x, y, width, height);
      return;
    }
    let bottom = y + height;
    for (const [state, share] of shares) {
      const part = (share / whole) * height;
      bottom -= part;
      pen.fillStyle = this.colour[state] ?? this.colour.unknown;
      pen.fillRect(x, bottom, width, part);
    }
  }

  hatch(pen, colour, x, y, width, height) {
    pen.save();
    pen.beginPath();
    pen.rect(x, y, Math.max(1, width), height);
    pen.clip();
    pen.strokeStyle = colour;
    pen.lineWidth = 1.2;
    pen.beginPath();
    const begin = Math.max(x, -10), end = Math.min(x + width, (this.width ?? 4000) + 10);
    for (let at = begin - (begin % 5) - height; at < end; at += 5) {
      pen.moveTo(at, y + height);
      pen.lineTo(at + height, y);
    }
    pen.stroke();
    pen.strokeRect(x + 0.5, y + 0.5, Math.max(0.5, width - 1), height - 1);
    pen.restore();
  }

  block(pen, state, x, y, width, height) {
    const tall = height * (HEIGHT[state] ?? 0.5);
    const top = y + (height - tall) / 2;
    pen.fillStyle = this.colour[state] ?? this.colour.unknown;
    pen.fillRect(x, top, Math.max(0.75, width), tall);
    if (state === "unknown") {
      pen.strokeStyle = this.colour.faint;
      pen.strokeRect(x + 0.5, top + 0.5, Math.max(0.5, width - 1), tall - 1);
    }
    const gap = { ready: 6, stopped: 4, zombie: 5 }[state];
    if (!gap || width < 4) return;
    pen.save();
    pen.beginPath();
    pen.rect(x, top, width, tall);
    pen.clip();
    pen.strokeStyle = this.colour.paper;
    pen.lineWidth = 1.4;
    pen.beginPath();
    const begin = Math.max(x, -10), end = Math.min(x + width, (this.width ?? 4000) + 10);
    for (let at = begin - (begin % gap) - tall; at < end + tall; at += gap) {
      if (state === "stopped") { pen.moveTo(at, top); pen.lineTo(at, top + tall); continue; }
      pen.moveTo(at, top + tall);
      pen.lineTo(at + tall, top);
      if (state === "zombie") { pen.moveTo(at, top); pen.lineTo(at + tall, top + tall); }
    }
    pen.stroke();
    pen.restore();
  }

  arrows(pen, scrolled, height) {
    pen.save();
    pen.beginPath();
    pen.rect(this.gutter, AXIS, this.width - this.gutter, height);
    pen.clip();
    for (const arrow of this.model.arrows) {
      if (arrow.to[1] < this.from || arrow.from[1] > this.to) continue;
      const place = ([lane, ns]) => [this.x(ns), AXIS + lane * LANE + LANE / 2 - scrolled];
      const [[x1, y1], [x2, y2]] = [place(arrow.from), place(arrow.to)];
      if (Math.max(y1, y2) < 0 || Math.min(y1, y2) > height) continue;
      pen.globalAlpha = 0.65;
      this.arrow(pen, arrow.kind, x1, y1, x2, y2);
    }
    pen.restore();
  }

  arrow(pen, kind, x1, y1, x2, y2) {
    pen.strokeStyle = { fork: this.colour.faint, signal: OWNERS[1] }[kind] ?? this.colour.ink;
    pen.setLineDash(ARROWS[kind] ?? []);
    pen.lineWidth = kind === "signal" ? 1.6 : 1;
    pen.beginPath();
    pen.moveTo(x1, y1);
    pen.lineTo(x2, y2);
    pen.stroke();
    pen.setLineDash([]);
    const angle = Math.atan2(y2 - y1, x2 - x1);
    pen.beginPath();
    pen.moveTo(x2, y2);
    for (const turn of [2.7, -2.7]) pen.lineTo(x2 + 7 * Math.cos(angle + turn), y2 + 7 * Math.sin(angle + turn));
    pen.closePath();
    pen.fillStyle = pen.strokeStyle;
    pen.fill();
  }

  depth(pen, y) {
    const points = this.model.depth;
    const most = Math.max(1, ...points.map(([, n]) => n));
    const base = y + DEPTH - 12, tall = DEPTH - 34;
    pen.fillStyle = this.colour.ink;
    pen.textAlign = "left";
    pen.fillText(this.words("queue depth"), 4, y + DEPTH / 2);
    pen.fillStyle = this.colour.faint;
    pen.textAlign = "right";
    pen.fillText(String(most), this.gutter - 8, base - tall);
    pen.fillText("0", this.gutter - 8, base);
    pen.save();
    pen.beginPath();
    pen.rect(this.gutter, y, this.width, DEPTH);
    pen.clip();
    pen.beginPath();
    pen.moveTo(this.x(0), base);
    let n = 0;
    for (const [at, next] of points) {
      pen.lineTo(this.x(at), base - (n / most) * tall);
      pen.lineTo(this.x(at), base - (next / most) * tall);
      n = next;
    }
    pen.lineTo(this.x(this.model.length_ns), base - (n / most) * tall);
    pen.lineTo(this.x(this.model.length_ns), base);
    pen.closePath();
    pen.fillStyle = this.colour.ready;
    pen.globalAlpha = 0.35;
    pen.fill();
    pen.globalAlpha = 1;
    pen.strokeStyle = this.colour.ready;
    pen.lineWidth = 1.5;
    pen.stroke();
    pen.restore();
  }

  axis(pen) {
    pen.fillStyle = this.colour.paper;
    pen.fillRect(0, 0, this.width, AXIS);
    const span = Math.max(1, this.to - this.from);
    const about = span / Math.max(2, (this.width - this.gutter) / 110);
    const power = 10 ** Math.floor(Math.log10(about));
    const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= about);
    pen.strokeStyle = this.colour.line;
    pen.fillStyle = this.colour.faint;
    pen.textAlign = "center";
    pen.font = `${this.font * 0.88}px system-ui, sans-serif`;
    for (let at = Math.ceil(this.from / step) * step; at <= this.to; at += step) {
      const x = this.x(at);
      pen.beginPath();
      pen.moveTo(x, AXIS - 5);
      pen.lineTo(x, AXIS);
      pen.stroke();
      if (x < this.width - 20) pen.fillText(at === 0 ? "0" : duration(at), x, AXIS / 2);
    }
    pen.beginPath();
    pen.moveTo(this.gutter, AXIS - 0.5);
    pen.lineTo(this.width, AXIS - 0.5);
    pen.stroke();
  }
}
