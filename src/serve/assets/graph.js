// Every interleaving as a graph: a node for each state, a line for each step, the depth from top to bottom.
import { h, s } from "./dom.js";
import { verdictMark } from "./run.js";

const DX = 46, DY = 58, PAD = 34;

export class Graph {
  /** `chosen(node)` is called with the node that was clicked. `look(outcome)` is its verdict and its mark. If `joins`, steps without an alternative are one line. */
  constructor(t, chosen, { look = (outcome) => ({ verdict: outcome, mark: verdictMark(outcome) }), joins = false } = {}) {
    this.t = t;
    this.chosen = chosen;
    this.look = look;
    this.joins = joins;
    this.clear();
    this.hidden = new Set();
    this.shortest = new Set();
    this.lines = s("g", { class: "edges" });
    this.marks = s("g", { class: "nodes" });
    this.svg = s("svg", { class: "graph", tabindex: "0", role: "application", "aria-label": t("graph of states: arrow keys move, Enter opens"), onkeydown: (event) => this.key(event) }, this.lines, this.marks);
    this.scroll = h("div", { class: "graph-scroll" }, this.svg);
    this.size = 1;
    const zoom = (by, label, text) => h("button", { type: "button", class: "tl-button", "aria-label": t(label), title: t(label), onclick: () => { this.zoomed = true; this.size = Math.min(3, Math.max(0.15, this.size * by)); this.scale(); } }, text);
    this.element = h("div", { class: "graph-box" }, h("div", { class: "tl-bar" }, zoom(1.3, "zoom in", "+"), zoom(1 / 1.3, "zoom out", "−"), h("button", { type: "button", class: "tl-button", "aria-label": t("all of it"), title: t("all of it"), onclick: () => { this.zoomed = false; this.fit(); } }, "⤢")), this.scroll);
    this.due = 0;
    // Another width of the window, until the reader chooses a size or a state.
    new ResizeObserver(() => { if (this.fitted && !this.zoomed && this.selected === null) this.fit(); }).observe(this.element);
  }

  clear() {
    this.nodes = new Map();
    this.edges = [];
    this.selected = null;
    this.fitted = false;
    this.parents = new Map();
    this.children = new Map();
  }

  /** Adds nodes, and edges `[from, to, who, step, killed]`. */
  add(nodes, edges) {
    for (const node of nodes) this.nodes.set(node.id, node);
    for (const edge of edges) {
      this.edges.push(edge);
      const [from, to] = edge;
      if (!this.parents.has(to)) this.parents.set(to, []);
      if (!this.children.has(from)) this.children.set(from, []);
      this.parents.get(to).push(from);
      this.children.get(from).push(to);
    }
    if (nodes.length || edges.length) this.ask();
  }

  /** Outcomes that are not to be seen, and what leads to these alone. */
  filter(hidden) { this.hidden = hidden; this.ask(); }

  /** The last states of the shortest schedules. */
  star(ids) {
    const same = ids.length === this.shortest.size && ids.every((id) => this.shortest.has(id));
    this.shortest = new Set(ids);
    if (!same) this.ask();
  }

  ask() {
    if (this.due) return;
    // A large graph is drawn less often: the processes want the processor too.
    this.due = setTimeout(() => { this.due = 0; requestAnimationFrame(() => { const begin = performance.now(); this.draw(); this.took = performance.now() - begin; }); }, Math.max(120, 12 * (this.took ?? 0)));
  }

  /** For each node the outcomes that can still come of it. */
  reach() {
    const reach = new Map([...this.nodes.values()].map((node) => [node.id, new Set(node.outcome !== null ? [node.outcome] : [])]));
    const layers = [...this.nodes.values()].sort((one, other) => other.depth - one.depth);
    for (const node of layers) for (const child of this.children.get(node.id) ?? []) for (const outcome of reach.get(child) ?? []) reach.get(node.id).add(outcome);
    return reach;
  }

  /** What is drawn: nodes with their depth, and lines between them. */
  picture() {
    const all = [...this.nodes.values()].sort((one, other) => one.depth - other.depth);
    const count = (map, id) => map.get(id)?.length ?? 0;
    const stays = (node) => !this.joins || node.id === 0 || node.id === this.selected || node.outcome !== null || count(this.children, node.id) !== 1 || count(this.parents, node.id) !== 1;
    const out = new Map();
    for (const edge of this.edges) { if (!out.has(edge[0])) out.set(edge[0], []); out.get(edge[0]).push(edge); }
    const shown = all.filter(stays);
    const depth = new Map(shown.map((node) => [node.id, 0]));
    const lines = [];
    for (const node of shown) {
      for (const first of out.get(node.id) ?? []) {
        const steps = [first];
        let to = first[1];
        while (this.nodes.has(to) && !depth.has(to)) { const [next] = out.get(to); steps.push(next); [, to] = next; }
        if (!this.nodes.has(to)) continue;
        depth.set(to, Math.max(depth.get(to), (this.joins ? depth.get(node.id) : node.depth) + 1));
        lines.push({ from: node.id, to, steps });
      }
    }
    this.above = new Map();
    this.below = new Map();
    for (const { from, to } of lines) {
      if (!this.above.has(to)) this.above.set(to, []);
      if (!this.below.has(from)) this.below.set(from, []);
      this.above.get(to).push(from);
      this.below.get(from).push(to);
    }
    return { shown, depth: this.joins ? depth : new Map(shown.map((node) => [node.id, node.depth])), lines };
  }

  layout({ shown, depth }) {
    const layers = [];
    for (const node of shown) (layers[depth.get(node.id)] ??= []).push(node);
    const place = new Map();
    layers.forEach((layer, level) => {
      const weight = new Map(layer.map((node) => {
        const above = (this.above.get(node.id) ?? []).map((id) => place.get(id)?.x).filter((x) => x !== undefined);
        return [node.id, above.length ? above.reduce((sum, x) => sum + x, 0) / above.length : node.id];
      }));
      layer.sort((one, other) => weight.get(one.id) - weight.get(other.id) || one.id - other.id);
      layer.forEach((node, at) => place.set(node.id, { x: (at - (layer.length - 1) / 2) * DX, y: level * DY, at, layer }));
    });
    this.place = place;
    const wide = Math.max(1, ...layers.map((layer) => layer?.length ?? 0));
    return { width: Math.max(240, wide * DX) + 2 * PAD, height: Math.max(1, layers.length - 1) * DY + 2 * PAD };
  }

  draw() {
    const { t } = this;
    const picture = this.picture();
    const { width, height } = this.layout(picture);
    const reach = this.reach();
    this.box = { width, height };
    this.svg.setAttribute("viewBox", `${-width / 2} ${-PAD} ${width} ${height}`);
    const visible = (id) => { const all = reach.get(id); return !all?.size || [...all].some((outcome) => !this.hidden.has(outcome)); };
    this.lines.replaceChildren(...picture.lines.map(({ from, to, steps }) => {
      const [one, other] = [this.place.get(from), this.place.get(to)];
      const dim = !visible(from) || !visible(to);
      const line = s("line", { x1: one.x, y1: one.y, x2: other.x, y2: other.y, class: `edge${dim ? " dim" : ""}${steps.some((step) => step[4]) ? " kill" : ""}` });
      const [x, y] = [(one.x + 2 * other.x) / 3, (one.y + 2 * other.y) / 3];
      return picture.shown.length > 160 ? line : s("g", {}, line, s("text", { x, y: y + 3, class: `edge-name${dim ? " dim" : ""}` }, turns(steps)), s("title", {}, steps.slice(0, 20).map(([, , name, step]) => `${name} ${t(step)}`).join("\n")));
    }));
    this.marks.replaceChildren(...picture.shown.map((node) => this.mark(node, visible(node.id))));
    this.scale();
    if (!this.fitted) this.fit();
  }

  mark(node, visible) {
    const { x, y } = this.place.get(node.id);
    const { verdict, mark } = node.outcome !== null ? this.look(node.outcome) : {};
    const kind = `state-node${verdict ? ` v-${verdict}` : ""}${this.joins && verdict ? ` o-${node.outcome % 3}` : ""}${visible ? "" : " dim"}${this.selected === node.id ? " selected" : ""}`;
    const shape = !verdict ? s("circle", { cx: x, cy: y, r: 9 })
      : verdict === "ok" ? s("circle", { cx: x, cy: y, r: 13 })
        : verdict === "deadlock" ? s("rect", { x: x - 12, y: y - 12, width: 24, height: 24 })
          : s("path", { d: `M${x} ${y - 15} L${x + 15} ${y} L${x} ${y + 15} L${x - 15} ${y} z` });
    const star = this.shortest.has(node.id);
    return s("g", { class: kind, onclick: () => this.select(node.id) }, shape, verdict ? s("text", { x, y: y + 5 }, mark) : null, star ? s("text", { x, y: y + 30, class: "star" }, "★") : null,
      s("title", {}, `${node.schedule || this.t("the beginning")}: ${node.shared.map((pair) => pair.join(" ")).join(", ")}${verdict ? ` → ${this.t(verdict)}` : ""}${star ? ` · ${this.t("the shortest")}` : ""}`));
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
    const step = { ArrowUp: () => this.above.get(id)?.[0], ArrowDown: () => this.below.get(id)?.[0], ArrowLeft: () => at?.layer[at.at - 1]?.id, ArrowRight: () => at?.layer[at.at + 1]?.id }[event.key];
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

/** Who goes, and how often: `A×3 B …`. */
function turns(steps) {
  const runs = [];
  for (const [, , name, , killed] of steps) {
    const who = `${killed ? "†" : ""}${name}`;
    if (runs.at(-1)?.who === who) runs.at(-1).n += 1; else runs.push({ who, n: 1 });
  }
  const text = runs.slice(0, 3).map(({ who, n }) => (n > 1 ? `${who}×${n}` : who)).join(" ");
  return runs.length > 3 ? `${text} …` : text;
}
