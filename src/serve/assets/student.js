// The students' page: it follows the lecturer's view, and votes. It can do nothing else.
import { h, announce, keep } from "./dom.js";
import { follow, post } from "./api.js";
import { language, words } from "./words.js";
import { WatchPanel } from "./run.js";
import { Board } from "./schedule.js";
import { ExplorePanel } from "./explore.js";
import { WirePanel } from "./wire.js";
import { ProgramSearchPanel, sceneOfProgram } from "./programs.js";
import { optionText, questionText, votes } from "./class.js";

const t = words(language());
let voter = null, view = null, job = null, shown = null, voted = null;
try { voter = sessionStorage.getItem("proclab-voter"); voted = JSON.parse(sessionStorage.getItem("proclab-voted")); } catch { /* private mode */ }
const question = h("section", { class: "question", "aria-live": "polite" });
const place = h("div", { class: "stage" });
const kinds = { run: () => new WatchPanel(t, {}), watch: () => new WatchPanel(t, { isRun: false }), schedule: () => new Board(t), explore: () => new ExplorePanel(t), wire: () => new WirePanel(t) };

function top() {
  document.documentElement.lang = language() === "zh" ? "zh-CN" : "en";
  document.getElementById("top").replaceChildren(h("span", { class: "brand" }, "proclab"), h("span", { class: "grow" }), h("div", { class: "tools" },
    h("button", { type: "button", class: "ghost", "aria-label": language() === "zh" ? "English" : "中文", onclick: () => { keep.set("language", language() === "zh" ? "en" : "zh"); location.reload(); } }, language() === "zh" ? "EN" : "中")));
}

function build() {
  shown = view?.job && kinds[view.view] ? kinds[view.view]() : null;
  place.replaceChildren(shown ? shown.element : h("p", { class: "empty" }, t("The lecturer will begin in a moment.")));
}

function take(news) {
  if (!shown) return;
  if (shown instanceof Board) {
    const scene = news.findLast((message) => message.type === "scene" || message.type === "program-scene");
    if (scene) shown.show(scene.type === "scene" ? scene : sceneOfProgram(scene));
    return;
  }
  if (shown instanceof ExplorePanel && news.some((message) => message.type === "program-search" || message.type === "program-growth")) {
    shown = new ProgramSearchPanel(t);
    place.replaceChildren(shown.element);
  }
  shown.apply(news);
}

function ask() {
  if (!view?.question) { question.replaceChildren(h("h1", { class: "unseen" }, t("Follow and vote"))); return; }
  const [number, asked] = view.question;
  const mine = voted?.question === number ? voted.option : null;
  const vote = async (option) => {
    try {
      await post("vote", { voter, question: number, option });
      voted = { question: number, option };
      try { sessionStorage.setItem("proclab-voted", JSON.stringify(voted)); } catch { /* private mode */ }
      announce(t("Your vote is counted."));
    } catch (error) { announce(error.message); }
    ask();
  };
  const buttons = asked.options.map((option, at) => h("button", { type: "button", class: "vote", "aria-pressed": String(mine === at), onclick: () => vote(at) }, optionText(asked, option, t), mine === at ? " ✓" : ""));
  const hit = mine !== null && view.reality !== null ? h("p", { class: "hit" }, t(view.reality === mine ? "You were right." : "It came out differently.")) : null;
  question.replaceChildren(h("h1", {}, questionText(asked, t)), view.open ? h("div", { class: "choices" }, buttons) : votes(view, t), hit ?? "", mine !== null && view.open ? h("p", { class: "quiet" }, t("Your vote is counted.")) : "");
}

document.getElementById("main").append(h("div", { class: "view student" }, question, place));
top();
ask();
build();
follow(() => `events${voter ? `?voter=${voter}` : ""}`, {
  you: (you) => { voter = you.voter; try { sessionStorage.setItem("proclab-voter", voter); } catch { /* private mode */ } },
  class: (next) => {
    const changed = next.job !== job || next.view !== view?.view;
    view = next;
    if (changed) { job = next.job; build(); }
    ask();
  },
  job: take,
  lost: () => document.body.classList.add("lost"),
  back: () => document.body.classList.remove("lost"),
});
