// Every interleaving as a graph: a node for each state, a line for each step, the depth from top to bottom.
import { h, s } from "./dom.js";
import { verdictMark } from "./run.js";

const DX = 46, DY = 58, PAD = 34;

export class Graph {
  /** `chosen(node)` is told which node was clicked. */
  constructor(t, chosen) {
    this.t = t;
    this.chosen = chosen;
    this.clear();
    this.hidden = new Set();
    this.lines = s("g", { class: "edges" });
    this.marks = s("g", { class: "nodes" });
    this.svg = s("svg", { class: "graph", tabindex: "0", role: "application", "aria-label": t("graph of states: arrow keys move, Enter opens"), onkeydown: (event) => this.key(event) }, this.lines, this.marks);
    this.scroll = h("div", { class: "graph-scroll" }, this.svg);
    this.size = 1;
    const zoom = (by, label, text) => h("button", { type: "button", class: "tl-button", "aria-label": t(label), title: t(label), onclick: () => { this.size = Math.min(3, Math.max(0.15, this.size * by)); this.scale(); } }, text);
    this.element = h("div", { class: "graph-box" }, h("div", { class: "tl-bar" }, zoom(1.3, "zoom in", "+"), zoom(1 / 1.3, "zoom out", "−"), h("button", { type: "button", class: "tl-button", "aria-label": t("all of it"), title: t("all of it"), onclick: () => this.fit() }, "⤢")), this.scroll);
    this.due = 0;
  }

  clear() {
    this.nodes = new Map();
    this.edges = [];
    this.selected = null;
    this.parents = new Map();
    this.children = new Map();
  }

  add(growth) {
    for (const node of growth.nodes) this.nodes.set(node.id, node);
    for (const edge of growth.edges) {
      this.edges.push(edge);
      const [from, to] = edge;
      if (!this.parents.has(to)) this.parents.set(to, []);
      if (!this.children.has(from)) this.children.set(from, []);
      this.parents.get(to).push(from);
      this.children.get(from).push(to);
    }
    if (growth.nodes.length || growth.edges.length) this.ask();
  }

  /** Outcomes that are not to be seen, and what leads to these alone. */
  filter(hidden) { this.hidden = hidden; this.ask(); }

  ask() {
    if (this.due) return;
    this.due = setTimeout(() => { this.due = 0; requestAnimationFrame(() => this.draw()); }, this.nodes.size > 300 ? 500 : 120);
  }

  /** For each node the outcomes that can still come of it. */
  reach() {
    const reach = new Map([...this.nodes.values()].map((node) => [node.id, new Set(node.outcome ? [node.outcome] : [])]));
    const layers = [...this.nodes.values()].sort((one, other) => other.depth - one.depth);
    for (const node of layers) for (const child of this.children.get(node.id) ?? []) for (const outcome of reach.get(child) ?? []) reach.get(node.id).add(outcome);
    return reach;
  }

  layout() {
    const layers = [];
    for (const node of this.nodes.values()) (layers[node.depth] ??= []).push(node);
    const place = new Map();
    for (const layer of layers) {
      if (!layer) continue;
      const weight = new Map(layer.map((node) => {
        const above = (this.parents.get(node.id) ?? []).map((id) => place.get(id)?.x).filter((x) => x !== undefined);
        return [node.id, above.length ? above.reduce((sum, x) => sum + x, 0) / above.length : node.id];
      }));
      layer.sort((one, other) => weight.get(one.id) - weight.get(other.id) || one.id - other.id);
      layer.forEach((node, at) => place.set(node.id, { x: (at - (layer.length - 1) / 2) * DX, y: node.depth * DY, at, layer }));
    }
    this.place = place;
    const wide = Math.max(1, ...layers.map((layer) => layer?.length ?? 0));
    return { width: Math.max(240, wide * DX) + 2 * PAD, height: Math.max(1, layers.length - 1) * DY + 2 * PAD };
  }

  draw() {
    const { t } = this;
    const { width, height } = this.layout();
    const reach = this.reach();
    this.box = { width, height };
    this.svg.setAttribute("viewBox", `${-width / 2} ${-PAD} ${width} ${height}`);
    const visible = (id) => { const all = reach.get(id); return !all?.size || [...all].some((outcome) => !this.hidden.has(outcome)); };
    this.lines.replaceChildren(...this.edges.filter(([from, to]) => this.place.has(from) && this.place.has(to)).map(([from, to, name, step, kill]) => {
      const [one, other] = [this.place.get(from), this.place.get(to)];
      const dim = !visible(from) || !visible(to);
      const line = s("line", { x1: one.x, y1: one.y, x2: other.x, y2: other.y, class: `edge${dim ? " dim" : ""}${kill ? " kill" : ""}` });
      const [x, y] = [(one.x + 2 * other.x) / 3, (one.y + 2 * other.y) / 3];
      return this.nodes.size > 160 ? line : s("g", {}, line, s("text", { x, y: y + 3, class: `edge-name${dim ? " dim" : ""}` }, `${kill ? "†" : ""}${name}`), s("title", {}, `${name} ${t(step)}`));
    }));
    this.marks.replaceChildren(...[...this.nodes.values()].map((node) => this.mark(node, visible(node.id))));
    this.scale();
    if (!this.fitted) this.fit();
  }

  mark(node, visible) {
    const { x, y } = this.place.get(node.id);
    const kind = `state-node${node.outcome ? ` v-${node.outcome}` : ""}${visible ? "" : " dim"}${this.selected === node.id ? " selected" : ""}`;
    const shape = !node.outcome ? s("circle", { cx: x, cy: y, r: 9 })
      : node.outcome === "ok" ? s("circle", { cx: x, cy: y, r: 13 })
        : node.outcome === "deadlock" ? s("rect", { x: x - 12, y: y - 12, width: 24, height: 24 })
          : s("path", { d: `M${x} ${y - 15} L${x + 15} ${y} L${x} ${y + 15} L${x - 15} ${y} z` });
    return s("g", { class: kind, onclick: () => this.select(node.id) }, shape, node.outcome ? s("text", { x, y: y + 5 }, verdictMark(node.outcome)) : null,
      s("title", {}, `${node.schedule || this.t("the beginning")}: ${node.shared.map((pair) => pair.join(" ")).join(", ")}${node.outcome ? ` → ${this.t(node.outcome)}` : ""}`));
  }

  select(id) {
    this.selected = id;
    this.draw();
    const at = this.place.get(id);
    if (at) {
      const scale = this.svg.clientWidth / this.box.width;
      const [x, y] = [(at.x + this.box.width / 2) * scale, (at.y + PAD) * scale];
      const { scroll } = this;
      if (x < scroll.scrollLeft + 30 || x > scroll.scrollLeft + scroll.clientWidth - 30) scroll.scrollLeft = x - scroll.clientWidth / 2;
      if (y < scroll.scrollTop + 30 || y > scroll.scrollTop + scroll.clientHeight - 30) scroll.scrollTop = y - scroll.clientHeight / 2;
    }
    this.chosen(this.nodes.get(id));
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || !this.nodes.size) return;
    const id = this.selected ?? 0;
    const at = this.place?.get(id);
    const step = { ArrowUp: () => this.parents.get(id)?.[0], ArrowDown: () => this.children.get(id)?.[0], ArrowLeft: () => at?.layer[at.at - 1]?.id, ArrowRight: () => at?.layer[at.at + 1]?.id }[event.key];
    if (event.key === "Enter" && this.selected !== null) { event.preventDefault(); this.chosen(this.nodes.get(id), true); return; }
    if (!step) return;
    event.preventDefault();
    event.stopPropagation();
    const next = this.selected === null ? 0 : step();
    if (next !== undefined) this.select(next);
  }

  scale() {
    if (!this.box) return;
    this.svg.style.width = `${this.box.width * this.size}px`;
    this.svg.style.height = `${this.box.height * this.size}px`;
  }

  fit() {
    if (!this.box || !this.scroll.clientWidth) return;
    this.fitted = this.nodes.size > 1;
    const tall = Math.max(320, Math.min(window.innerHeight * 0.6, 900));
    this.size = Math.min(1.5, Math.max(0.15, Math.min((this.scroll.clientWidth - 8) / this.box.width, tall / this.box.height)));
    this.scale();
  }
}
