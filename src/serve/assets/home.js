// Where a lecture begins: something to see or to try for each view, one click away.
import { h } from "./dom.js";
import { post } from "./api.js";

const BEGIN = [
  { view: "Run", title: "Ten buyers race for three tickets", text: "Real processes, a lane each, first without a lock and then with one: who runs, who is ready, who is blocked on what? How many tickets are sold?", request: { run: { scenario: "tickets", options: { stock: "3", think: "60" } } }, to: "run" },
  { view: "Schedule", title: "Sell the last ticket twice", text: "You are the scheduler of two buyers. Each waits at its next step until you let it go on.", href: "schedule/t2k1.no.qr" },
  { view: "Explore", title: "Every order, counted", text: "All interleavings of the same sale, executed: equal states are one node, and each ending is counted.", href: "explore/of/t2k1.no.qr" },
  { view: "Wire", title: "Where does a message end?", text: "Twelve small sends over TCP: see which of them one read returns, and the segments between the two processes.", request: { wire: { program: "sticky" } }, to: "wire" },
  { view: "Labs", title: "Predict, then measure", text: "Whose child is it? When is it a zombie? Answer first, and let real processes decide.", href: "labs" },
];

/** The view without an address. */
export function homeView(page) {
  const { t, catalogue } = page;
  const trouble = h("p", { class: "trouble", role: "alert", hidden: true });
  const own = catalogue.command ? [
    { view: "Watch", title: catalogue.command.join(" "), text: "Observe any program: who runs, who is ready, who is blocked on what.", href: "watch" },
  ] : [];
  const vote = catalogue.class ? [{ view: "Class", title: "Let the class vote", text: "Students see what the lecturer sees, and answer. No names, no cookies.", href: "class" }] : [];
  const card = ({ view, title, text, href, request, to }) => {
    const content = [h("span", { class: "of-view" }, t(view)), h("strong", {}, t(title)), h("span", { class: "quiet" }, t(text))];
    if (href) return h("a", { class: "begin", href: `#/${href}` }, content);
    return h("button", { type: "button", class: "begin", onclick: async (event) => {
      event.currentTarget.disabled = true;
      try { page.go(`${to}/${(await post("jobs", request)).job}`); } catch (error) { trouble.hidden = false; trouble.textContent = error.message; }
      event.target.closest("button").disabled = false;
    } }, content);
  };
  return { element: h("div", { class: "view home" }, h("h1", {}, t("Real processes, to look at and to touch")), trouble, h("div", { class: "begins" }, [...own, ...BEGIN, ...vote].map(card)),
    own.length ? null : h("p", { class: "quiet" }, t("With a program of your own:"), " ", h("code", {}, "proclab serve -- python3 tickets.py"))) };
}
