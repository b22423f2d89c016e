// What a viewer knows of a watch: processes, pieces of time, lines. Built from the messages, in bounded memory.
import { reason } from "./words.js";

const LETTERS = { r: "running", y: "ready", b: "blocked", s: "stopped", z: "zombie", u: "unknown" };
const MIXED = ["running", "ready", "blocked", "stopped"];
/** Lanes, pieces and spans of locks per lane, and lines, that are kept; of older pieces neighbours are joined. */
const MOST_LANES = 500, MOST_SPANS = 2000, MOST_PIECES = 6000, MOST_LINES = 5000, MOST_OUTPUT = 200_000, MOST_DEPTHS = 8000;

export class Watched {
  constructor() { this.reset(); }

  reset(begin = null) {
    this.begin = begin;
    this.lanes = new Map();
    this.byPid = new Map();
    this.notes = [];
    this.output = "";
    this.edges = [];
    this.deadlocks = [];
    this.locks = new Map();
    this.queues = 0;
    this.now = 0;
    this.lost = 0;
    this.leftOut = 0;
    this.over = null;
    this.failed = null;
    this.ended = false;
    this.skipped = false;
    this.drawing = { length_ns: 1, lanes: [], arrows: [], depth: [] };
  }

  /** Takes messages; whether they change what is seen. */
  apply(messages) {
    for (const message of messages) {
      if (message.type === "watch") this.reset(message);
      else if (message.type === "tick") this.tick(message);
      else if (message.type === "over") this.finish(message);
      else if (message.type === "failed") this.failed = reason(message)[0];
      else if (message.type === "skipped") this.skipped = true;
      else if (message.type === "end") this.ended = true;
    }
  }

  tick(tick) {
    this.now = Math.max(this.now, tick.now_ns);
    this.lost = tick.lost;
    this.leftOut = tick.left_out ?? 0;
    this.output = (this.output + (tick.output ?? "")).slice(-MOST_OUTPUT);
    let order = false;
    for (const seen of tick.lanes ?? []) {
      let lane = this.lanes.get(seen.id);
      if (!lane) {
        lane = { pieces: [], lock_spans: [], kind: "process" };
        this.lanes.set(seen.id, lane);
        order = true;
      }
      order ||= lane.ppid !== seen.ppid;
      Object.assign(lane, seen);
      this.byPid.set(seen.pid, lane);
    }
    for (const [id, pieces] of tick.pieces ?? []) {
      const lane = this.lanes.get(id);
      if (!lane) continue;
      while (lane.pieces.at(-1)?.open) lane.pieces.pop();
      for (const [from_ns, to_ns, letter, on, parts] of pieces) {
        const shares = parts ? parts.map((part, at) => [MIXED[at], part / 100]).filter(([, part]) => part > 0) : [[LETTERS[letter], 1]];
        lane.pieces.push({ from_ns, to_ns, shares, on: on ?? null });
      }
      if (lane.pieces.length > MOST_PIECES) lane.pieces = joined(lane.pieces);
    }
    for (const lane of this.lanes.values()) this.open(lane);
    for (const note of tick.notes ?? []) this.note(note);
    if (tick.edges) this.edges = tick.edges;
    if (tick.deadlocks) this.deadlocks = tick.deadlocks;
    if (this.lanes.size > MOST_LANES) this.forget();
    if (order) this.arrange();
    this.drawing.length_ns = Math.max(1, this.now);
    for (const [pid, from] of this.locks) {
      const span = this.byPid.get(pid)?.lock_spans.at(-1);
      if (span && span[0] === from) span[1] = this.now;
    }
  }

  /** Leaves out those that were reaped, the oldest first, as the server does. */
  forget() {
    for (const lane of this.lanes.values()) {
      if (this.lanes.size <= MOST_LANES) break;
      if (lane.reaped_ns == null) continue;
      this.lanes.delete(lane.id);
      if (this.byPid.get(lane.pid) === lane) {
        this.byPid.delete(lane.pid);
        this.locks.delete(lane.pid);
      }
    }
  }

  /** The piece in which a process is now. */
  open(lane) {
    while (lane.pieces.at(-1)?.open) lane.pieces.pop();
    lane.over = lane.reaped_ns != null;
    if (lane.ended_ns == null) {
      const from_ns = Math.max(lane.since_ns, lane.pieces.at(-1)?.to_ns ?? 0);
      if (this.now > from_ns) lane.pieces.push({ from_ns, to_ns: this.now, shares: [[lane.state, 1]], on: lane.wait, open: true });
      return;
    }
    const to_ns = lane.reaped_ns ?? this.now;
    if (to_ns > lane.ended_ns) lane.pieces.push({ from_ns: lane.ended_ns, to_ns, shares: [["zombie", 1]], on: null, open: true });
  }

  note(note) {
    this.notes.push(note);
    if (this.notes.length > MOST_LINES) this.notes.splice(0, MOST_LINES / 10);
    const lane = this.byPid.get(note.pid);
    if (lane && lane.name !== note.process && note.process !== "MainProcess") lane.title = note.process;
    if (note.lock && lane) {
      if (note.lock[1]) {
        lane.lock_spans.push([note.at_ns, note.at_ns]);
        if (lane.lock_spans.length > MOST_SPANS) lane.lock_spans.splice(0, MOST_SPANS / 10);
        this.locks.set(note.pid, note.at_ns);
      } else if (this.locks.delete(note.pid)) {
        lane.lock_spans.at(-1)[1] = note.at_ns;
      }
    }
    if (note.queue) {
      this.queues += note.queue[1];
      this.drawing.depth.push([note.at_ns, Math.max(0, this.queues)]);
      if (this.drawing.depth.length > MOST_DEPTHS) this.drawing.depth = this.drawing.depth.filter((_, at) => at % 2);
    }
  }

  /** Children below their parents, in the order of their births. */
  arrange() {
    const children = new Map(), rows = [];
    for (const lane of this.lanes.values()) {
      const parent = this.byPid.get(lane.orphan_of ?? lane.ppid);
      const at = parent && parent !== lane && parent.started_ns <= lane.started_ns ? parent.id : -1;
      if (!children.has(at)) children.set(at, []);
      children.get(at).push(lane);
    }
    const walk = (id, indent) => {
      for (const lane of children.get(id) ?? []) {
        lane.indent = indent;
        lane.label = `${lane.pid} ${lane.title ?? lane.name}`;
        rows.push(lane);
        if (indent < 60) walk(lane.id, indent + 1);
      }
    };
    walk(-1, 0);
    const place = new Map(rows.map((lane, at) => [lane.pid, at]));
    this.drawing.lanes = rows;
    this.drawing.arrows = rows.flatMap((lane, at) => {
      const parent = place.get(lane.orphan_of ?? lane.ppid);
      return parent === undefined ? [] : [{ kind: "fork", from: [parent, lane.started_ns], to: [at, lane.started_ns] }];
    });
  }

  /** The names that processes gave themselves, and their labels. */
  label() {
    for (const lane of this.lanes.values()) lane.label = `${lane.pid} ${lane.title ?? lane.name}`;
  }

  finish(over) {
    this.over = over;
    if (over.report.timeline) this.drawing = over.report.timeline;
    this.now = over.report.wall_ns;
  }

  /** The processes as they were at a moment, in the order of the tree. */
  at(moment) {
    const rows = [...this.lanes.values()].filter((lane) => lane.started_ns <= moment);
    return rows.map((lane) => {
      if (lane.reaped_ns != null && lane.reaped_ns <= moment) return { lane, state: "reaped", on: null };
      if (lane.ended_ns != null && lane.ended_ns <= moment) return { lane, state: "zombie", on: null };
      const piece = lane.pieces.findLast((piece) => piece.from_ns <= moment);
      const most = piece?.shares.reduce((one, other) => (other[1] > one[1] ? other : one));
      const isNew = !piece || (piece === lane.pieces[0] && moment - lane.started_ns < 1e5);
      return { lane, state: isNew && most?.[0] !== "blocked" ? "new" : most[0], on: piece?.on ?? null };
    });
  }
}

function joined(pieces) {
  const half = [];
  for (let at = 0; at + 1 < pieces.length; at += 2) {
    const [one, other] = [pieces[at], pieces[at + 1]];
    const [a, b] = [one.to_ns - one.from_ns, other.to_ns - other.from_ns];
    const shares = new Map();
    for (const [piece, ns] of [[one, a], [other, b]]) {
      for (const [state, share] of piece.shares) shares.set(state, (shares.get(state) ?? 0) + (share * ns) / Math.max(1, a + b));
    }
    half.push({ from_ns: one.from_ns, to_ns: other.to_ns, shares: [...shares], on: null });
  }
  if (pieces.length % 2) half.push(pieces.at(-1));
  return half;
}
