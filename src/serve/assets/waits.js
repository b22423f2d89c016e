// Who waits for whom, as a graph: an arrow leads from one that is blocked to one that could let it go on.
import { h, s } from "./dom.js";

export class Waits {
  constructor(t) {
    this.t = t;
    this.drawing = s("svg", { class: "waits", role: "img", viewBox: "0 0 10 10" });
    this.none = h("p", { class: "quiet" }, t("Nobody waits for another process."));
    this.element = h("div", { class: "waits-box" }, this.none, this.drawing);
    this.last = "";
  }

  show(watched) {
    const edges = watched.edges.slice(0, 60);
    const stuck = new Set(watched.deadlocks.flatMap((deadlock) => deadlock.pids));
    const key = JSON.stringify([edges, [...stuck]]);
    if (key === this.last) return;
    this.last = key;
    const pids = [...new Set([...edges.flat(), ...stuck])].slice(0, 24);
    this.none.hidden = pids.length > 0;
    this.drawing.toggleAttribute("hidden", pids.length === 0);
    if (pids.length === 0) return;
    const name = (pid) => watched.byPid.get(pid)?.title ?? watched.byPid.get(pid)?.name ?? "";
    const [width, height, round] = [560, Math.max(170, Math.min(420, pids.length * 42)), pids.length > 1];
    const place = new Map(pids.map((pid, at) => {
      const angle = (at / pids.length) * 2 * Math.PI - Math.PI / 2;
      return [pid, round ? [width / 2 + Math.cos(angle) * (width / 2 - 90), height / 2 + Math.sin(angle) * (height / 2 - 28)] : [width / 2, height / 2]];
    }));
    this.drawing.setAttribute("viewBox", `0 0 ${width} ${height}`);
    const say = edges.map(([from, to]) => `${from} ${name(from)} → ${to} ${name(to)}`).join("; ");
    this.drawing.setAttribute("aria-label", `${this.t("who waits for whom")}: ${say}${stuck.size ? `; ${this.t("deadlock")}: ${[...stuck].join(", ")}` : ""}`);
    const arrow = s("marker", { id: "waits-arrow", viewBox: "0 0 8 8", refX: "8", refY: "4", markerWidth: "8", markerHeight: "8", orient: "auto" }, s("path", { d: "M0 0 L8 4 L0 8 z", class: "arrow-head" }));
    const lines = edges.filter(([from, to]) => place.has(from) && place.has(to)).map(([from, to]) => {
      const [[x1, y1], [x2, y2]] = [place.get(from), place.get(to)];
      const length = Math.hypot(x2 - x1, y2 - y1) || 1;
      const cut = Math.min(0.45, 62 / length), cutY = Math.abs(y2 - y1) > Math.abs(x2 - x1) ? Math.min(0.45, 24 / length) : cut;
      const bad = stuck.has(from) && stuck.has(to);
      return s("line", { x1: x1 + (x2 - x1) * cutY, y1: y1 + (y2 - y1) * cutY, x2: x2 - (x2 - x1) * cutY, y2: y2 - (y2 - y1) * cutY, class: bad ? "wait bad" : "wait", "marker-end": "url(#waits-arrow)" });
    });
    const boxes = pids.map((pid) => {
      const [x, y] = place.get(pid);
      const bad = stuck.has(pid);
      return s("g", { class: bad ? "node bad" : "node" },
        s("rect", { x: x - 58, y: y - 17, width: 116, height: 34, rx: 8 }),
        s("text", { x, y: y + 4, "text-anchor": "middle" }, `${bad ? "⟳ " : ""}${pid} ${name(pid)}`.slice(0, 18)));
    });
    this.drawing.replaceChildren(s("defs", {}, arrow), ...lines, ...boxes);
  }
}
