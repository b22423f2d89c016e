// The lecturer's page: its views, their addresses, language, light, and the class.
import { h, announce, keep } from "./dom.js";
import { follow, get, post } from "./api.js";
import { language, words } from "./words.js";
import { runView, watchView } from "./run.js";
import { scheduleView } from "./schedule.js";
import { exploreView } from "./explore.js";
import { homeView } from "./home.js";
import { wireView } from "./wire.js";
import { labsView } from "./labs.js";
import { ClassBar, classView } from "./class.js";

const VERSION = 5;
const views = { home: homeView, run: runView, schedule: scheduleView, explore: exploreView, watch: watchView, wire: wireView, labs: labsView, class: classView };
const titles = { home: "Start", run: "Run", schedule: "Schedule", explore: "Explore", watch: "Watch", wire: "Wire", labs: "Labs", class: "Class" };

const page = {
  catalogue: null, class: null, bar: null, view: null, stream: null, job: null, t: words(language()),
  go(address) { location.hash = `#/${address}`; },
  /** Changes the address of what is seen without another view. */
  address(address) { history.replaceState(null, "", `#/${address}`); this.at = location.hash; },
  remembered(name) { try { return JSON.parse(keep.get(`form-${name}`)); } catch { return null; } },
  remember(name, value) { keep.set(`form-${name}`, JSON.stringify(value)); },
  /** Follows a job, and only that. */
  follow(job, handler) {
    this.job = job;
    this.open(handler);
  },
  unfollow() {
    this.job = null;
    this.open(null);
  },
  open(handler) {
    this.stream?.close();
    this.stream = null;
    if (!this.job && !this.catalogue.class) return;
    const { job } = this;
    this.stream = follow(() => (job ? `events?job=${job}` : "events"), {
      job: (messages) => handler?.(messages),
      class: (view) => { this.class = view; this.bar?.show(view); this.view?.onClass?.(view); },
      lost: (over) => document.body.classList.toggle("lost", !over),
      back: () => document.body.classList.remove("lost"),
    });
  },
  /** Lets the class see what the lecturer sees. */
  look(view, job = null) {
    if (this.catalogue.class) post("class", { look: { view, job } }).catch(() => {});
  },
  ask(question) { return post("class", { ask: question }); },
  happened() {},
  reveal(option) { return post("class", { reveal: { option } }).catch(() => {}); },
};

function route() {
  page.at = location.hash;
  const [name, ...rest] = location.hash.replace(/^#\/?/, "").split("/");
  const view = views[name] ? name : "home";
  page.view?.close?.();
  page.job = null;
  const main = document.getElementById("main");
  const { t } = page;
  page.view = null;
  const made = views[view](page, rest.filter(Boolean));
  page.view = made;
  if (!page.job) page.open(null);
  main.replaceChildren(made.element);
  document.title = `${t(titles[view])} · proclab`;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.dataset.view === view) link.setAttribute("aria-current", "page"); else link.removeAttribute("aria-current");
  }
  if (!rest.length || view === "class") page.look(view);
}

function top() {
  const { t } = page;
  const names = Object.keys(views).filter((name) => name !== "home" && (name !== "class" || page.catalogue.class));
  const links = names.map((name) => h("a", { href: `#/${name}`, "data-view": name }, t(titles[name])));
  const toggle = (label, text, act, pressed) => h("button", { type: "button", class: "ghost", "aria-label": label, title: label, "aria-pressed": pressed === undefined ? null : String(pressed), onclick: act }, text);
  const speak = language() === "zh" ? ["English", "EN"] : ["中文", "中"];
  const dark = document.documentElement.dataset.theme === "dark" || (!document.documentElement.dataset.theme && matchMedia("(prefers-color-scheme: dark)").matches);
  const big = document.documentElement.classList.contains("projector");
  document.getElementById("top").replaceChildren(
    h("a", { class: "brand", href: "#/", "aria-label": t("proclab: the beginning") }, "proclab"), h("nav", { "aria-label": t("views") }, links), h("div", { class: "tools" },
      toggle(speak[0], speak[1], () => { keep.set("language", language() === "zh" ? "en" : "zh"); restart(); }),
      toggle(t(dark ? "light" : "dark"), dark ? "☀" : "☾", () => { document.documentElement.dataset.theme = dark ? "light" : "dark"; keep.set("theme", dark ? "light" : "dark"); top(); route(); }),
      toggle(t("projector: large letters"), "A+", () => { document.documentElement.classList.toggle("projector"); keep.set("projector", big ? "" : "1"); top(); route(); }, big)));
  document.getElementById("skip").textContent = t("Skip to the view");
  if (page.catalogue.class) {
    page.bar ??= new ClassBar(page);
    page.bar.speak();
    if (!page.bar.element.isConnected) document.body.append(page.bar.element);
  }
}

function restart() {
  page.t = words(language());
  document.documentElement.lang = language() === "zh" ? "zh-CN" : "en";
  top();
  route();
}

async function begin() {
  const theme = keep.get("theme");
  if (theme) document.documentElement.dataset.theme = theme;
  if (keep.get("projector")) document.documentElement.classList.add("projector");
  try {
    page.catalogue = await get("catalogue");
  } catch (error) {
    document.getElementById("main").replaceChildren(h("p", { class: "trouble", role: "alert" }, error.message));
    return;
  }
  if (page.catalogue.version !== VERSION) {
    document.getElementById("main").replaceChildren(h("p", { class: "trouble", role: "alert" }, page.t("The program has changed: load the page again.")));
    return;
  }
  addEventListener("hashchange", () => { if (location.hash !== page.at) route(); });
  addEventListener("keydown", (event) => {
    const typing = event.target.closest?.("input, select, textarea, [contenteditable]");
    if (!typing && !event.ctrlKey && !event.metaKey && !event.altKey) page.view?.onKey?.(event);
  });
  restart();
  announce("");
}

begin();
