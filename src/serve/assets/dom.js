// Elements from plain values. Text is always text: nothing that comes from the server becomes markup.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value") element.value = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** An element of HTML. */
export const h = (name, attributes, ...children) => fill(document.createElement(name), attributes, children);

/** An element of SVG. */
export const s = (name, attributes, ...children) => fill(document.createElementNS(SVG, name), attributes, children);

/** A region that scrolls sideways where it is too wide, by keys too. */
export const scrolling = (name, kind, ...children) => h("div", { class: `scroll${kind ? ` ${kind}` : ""}`, tabindex: "0", role: "region", "aria-label": name }, ...children);

/** Says something to those who cannot see it. */
export function announce(text) {
  const place = document.getElementById("say");
  if (place && place.textContent !== text) place.textContent = text;
}

/** A value kept for this browser; one that forbids it keeps nothing. */
export const keep = {
  get(name) { try { return localStorage.getItem(`proclab-${name}`); } catch { return null; } },
  set(name, value) { try { localStorage.setItem(`proclab-${name}`, value); } catch { /* private mode */ } },
};

/** Copies a text; whether that worked. */
export async function copy(text) {
  try { await navigator.clipboard.writeText(text); return true; } catch { /* not allowed, or no secure context */ }
  const area = h("textarea", { class: "unseen", "aria-hidden": "true" });
  area.value = text;
  document.body.append(area);
  area.select();
  const copied = document.execCommand("copy");
  area.remove();
  return copied;
}
