// What stands on the wire until it is decided what becomes of it.
import { h, announce } from "./dom.js";

/** Bytes of a piece that are drawn, to be pointed at. */
const MOST_CELLS = 48;

/** The pieces that stand, each with what can be done to it. `send` passes a command; a student has none. */
export class Standing {
  constructor(t, send) {
    this.t = t;
    this.send = send;
    this.now = { holds: true, pieces: [] };
    /** The drawn pieces by their numbers. */
    this.drawn = new Map();
    this.free = send && h("button", { type: "button", onclick: () => send(this.now.holds ? "let-go" : "hold") });
    this.none = h("p", { class: "empty" });
    this.list = h("ol", { class: "pieces" });
    this.element = h("section", { class: "standing", hidden: true, "aria-label": t("on the wire") },
      h("div", { class: "row" }, h("h3", {}, t("On the wire")), h("span", { class: "grow" }), this.free), this.none, this.list);
  }

  draw(shown) {
    const { t, now } = this;
    this.element.hidden = !shown;
    if (!shown) return;
    if (this.free) this.free.textContent = now.holds ? t("Let everything pass") : t("Hold each piece");
    this.none.hidden = now.pieces.length > 0;
    this.none.textContent = now.holds ? t("Nothing stands on the wire.") : t("Everything passes.");
    const there = new Set(now.pieces.map((one) => one.piece));
    for (const [number, element] of this.drawn) {
      if (there.has(number)) continue;
      // Who works with keys stays where the next piece is.
      const had = element.contains(document.activeElement);
      element.remove();
      this.drawn.delete(number);
      if (had) this.list.querySelector("button")?.focus();
    }
    for (const one of now.pieces) {
      if (this.drawn.has(one.piece)) continue;
      const element = this.piece(one);
      this.drawn.set(one.piece, element);
      this.list.append(element);
      announce(`${this.way(one)}: ${one.text}`);
    }
  }

  /** Lets the oldest pass; whether there was one. */
  passFirst() {
    const [first] = this.now.pieces;
    if (!first || !this.send || this.element.hidden) return false;
    this.send({ wire: { piece: first.piece, fate: "pass" } });
    return true;
  }

  way(one) {
    return one.to_server ? this.t("client to server") : this.t("server to client");
  }

  piece(one) {
    const { t, send } = this;
    const title = h("strong", {}, `${this.way(one)} ${one.to_server ? "→" : "←"}`);
    const text = h("span", { class: "text" }, one.text);
    if (!send) return h("li", { class: `piece ${one.to_server ? "up" : "down"}` }, title, " ", text);
    const at = h("input", { type: "number", id: `piece-${one.piece}`, min: "0", max: String(one.bytes - 1), value: "0", oninput: () => mark() });
    const place = () => Math.min(one.bytes - 1, Math.max(0, Math.trunc(Number(at.value)) || 0));
    const cells = one.head.slice(0, MOST_CELLS).map((byte, index) => h("span", { class: "cell", onclick: () => { at.value = String(index); mark(); } },
      byte > 32 && byte < 127 ? String.fromCharCode(byte) : byte.toString(16).padStart(2, "0")));
    const mark = () => cells.forEach((cell, index) => cell.classList.toggle("chosen", index === place()));
    mark();
    const decide = (fate, words, kind) => h("button", { type: "button", class: kind, "aria-label": `${words}: ${this.way(one)}, ${one.text}`, onclick: () => send({ wire: { piece: one.piece, fate: fate() } }) }, words);
    return h("li", { class: `piece ${one.to_server ? "up" : "down"}` }, title, " ", text,
      h("div", { class: "cells", "aria-hidden": "true" }, cells, one.bytes > MOST_CELLS ? "…" : null),
      h("div", { class: "row" }, decide(() => "pass", t("Let it pass"), "primary"),
        h("label", { for: at.id }, t("at byte")), at,
        decide(() => ({ flip: place() }), t("Flip a bit"), ""), decide(() => ({ cut: place() }), t("Cut here"), "danger")));
  }
}
