// The view Labs: predict, let reality be measured, and see the difference.
import { h, announce, scrolling } from "./dom.js";
import { get, post } from "./api.js";
import { commandLine, verdictBadge } from "./run.js";
import { language, quoted, reason } from "./words.js";

const STATES = { right: ["✓", "right"], partly: ["◐", "partly right"], wrong: ["✗", "not yet"], failed: ["!", "could not be marked"] };
const points = (number) => String(Math.round(number * 100) / 100);

/** The little Markdown of a sheet: paragraphs, lists, tables of code, `code`, *emphasis*, **strong**. Text stays text. */
export function markdown(text) {
  const inline = (line) => line.split(/(`[^`]+`|\*\*[^*]+\*\*|\*[^*\s][^*]*\*)/).filter(Boolean).map((piece) => {
    if (/^`.+`$/.test(piece)) return h("code", {}, piece.slice(1, -1));
    if (/^\*\*.+\*\*$/.test(piece)) return h("strong", {}, piece.slice(2, -2));
    if (/^\*.+\*$/.test(piece)) return h("em", {}, piece.slice(1, -1));
    return piece;
  });
  const blocks = [];
  let paragraph = [], items = null, fence = null;
  const joined = (lines) => lines.reduce((all, line) => (all && /[\x21-\x7e]$/.test(all) ? `${all} ${line}` : all + line), "");
  const flush = () => {
    if (paragraph.length) blocks.push(h("p", {}, inline(joined(paragraph))));
    if (items) blocks.push(h("ul", {}, items.map((item) => h("li", {}, inline(joined(item))))));
    paragraph = [];
    items = null;
  };
  for (const line of text.split("\n")) {
    if (line.trimStart().startsWith("```")) {
      if (fence) { blocks.push(h("pre", { class: "output", tabindex: "0" }, fence.join("\n"))); fence = null; } else { flush(); fence = []; }
    } else if (fence) fence.push(line);
    else if (!line.trim()) flush();
    else if (/^\s*[-*] /.test(line)) { if (!items) { flush(); items = []; } items.push([line.replace(/^\s*[-*] /, "")]); }
    else if (items) items.at(-1).push(line.trim());
    else paragraph.push(line.trim());
  }
  if (fence) blocks.push(h("pre", { class: "output", tabindex: "0" }, fence.join("\n")));
  flush();
  return blocks;
}

/** The meaning of each option, which the text lists, and the text without that list. */
function optionsOf(part) {
  const meanings = new Map(), rest = [];
  let last = null;
  for (const line of part.text.split("\n")) {
    const found = /^\s*- `([^`]+)`\s*[:：]?\s*(.*)$/.exec(line);
    if (found && part.options.includes(found[1])) { last = found[1]; meanings.set(last, found[2]); }
    else if (last && /^\s+\S/.test(line)) meanings.set(last, `${meanings.get(last)} ${line.trim()}`);
    else { last = null; rest.push(line); }
  }
  return [meanings, rest.join("\n")];
}

/** One question. It is made once, so that what is being typed stays; what came of it is drawn anew. */
class PartCard {
  constructor(part, number, t, act) {
    this.t = t;
    this.act = act;
    const [meanings, text] = part.kind === "choose" ? optionsOf(part) : [null, part.text];
    const id = `part-${part.id}`;
    this.state = h("span", { class: "part-state" });
    this.result = h("div", { class: "part-result", "aria-live": "polite" });
    this.hints = h("div", { class: "hints" });
    this.check = h("button", { class: "primary", type: "submit" }, t(part.kind === "program" ? "Check the file" : "Ask reality"));
    this.hint = h("button", { type: "button", onclick: () => act({ hint: part.id }) });
    this.field = this.input(part, meanings, id);
    this.element = h("section", { class: "part", "aria-labelledby": `${id}-title` },
      h("div", { class: "row" }, h("h2", { id: `${id}-title` }, `${number} · ${part.title}`), h("span", { class: "grow" }), this.state),
      h("div", { class: "question-text" }, markdown(text)),
      h("form", { onsubmit: (event) => { event.preventDefault(); act({ answer: { part: part.id, text: this.read() } }); } }, this.field,
        h("div", { class: "row controls" }, this.check, this.hint, part.code ? h("a", { class: "button", href: `#/schedule/${part.code}` }, t("Try it in Schedule")) : null)),
      this.hints, this.result);
    this.show(part);
  }

  input(part, meanings, id) {
    const { t } = this;
    if (part.kind === "program") {
      this.read = () => "";
      this.file = h("div", { class: "student-file" });
      this.opened = new Map();
      return this.file;
    }
    if (part.kind === "choose") {
      const radios = part.options.map((option) => h("input", { type: "radio", name: id, id: `${id}-${option}`, required: true, "data-option": option }));
      radios.forEach((radio) => { radio.checked = radio.dataset.option === part.answer; });
      this.read = () => radios.find((radio) => radio.checked)?.dataset.option ?? "";
      return h("fieldset", {}, h("legend", { class: "unseen" }, part.title), part.options.map((option, at) => h("label", { class: "option", for: `${id}-${option}` }, radios[at], h("span", {}, h("strong", {}, option), meanings.get(option) ? [": ", meanings.get(option)] : null))));
    }
    const long = part.kind === "grid" || part.kind === "tree";
    const input = h(long ? "textarea" : "input", { id, type: long ? null : "text", rows: long ? "2" : null, inputmode: part.kind === "number" ? "decimal" : null, autocomplete: "off", spellcheck: "false", required: true, maxlength: "4000", value: part.answer ?? "", "aria-describedby": `${id}-form` });
    this.read = () => input.value;
    return h("div", { class: "field" }, h("label", { for: id }, t("Your prediction")), input, h("span", { class: "help", id: `${id}-form` }, part.form));
  }

  /** The student's files as they are now. The page shows them; they are edited elsewhere. */
  program(part, lab) {
    const { t } = this;
    if (!lab?.folder) {
      return [h("p", {}, t("This part is a program of yours. Its folder is made here, or in a terminal:"), " ", h("code", {}, `proclab lab start ${lab?.name ?? ""}`)),
        h("p", {}, h("button", { type: "button", class: "primary", onclick: () => this.act("make-folder") }, t("Make the folder")))];
    }
    const numbers = new Map();
    part.mark?.schedule?.steps.forEach((step, at) => { if (step.line) numbers.set(step.line, [...(numbers.get(step.line) ?? []), at + 1]); });
    const listing = (source) => {
      const shown = h("details", { open: this.opened.get(source.name) ?? source.is_marked, ontoggle: () => this.opened.set(source.name, shown.open) },
        h("summary", {}, h("code", {}, `${lab.folder}/${source.name}`), h("span", { class: "quiet" }, ` ${t(source.is_changed ? "changed" : "as it was in the beginning")}${source.is_marked ? ` · ${t("this one is checked")}` : ""}`)),
        h("div", { class: "listing", tabindex: "0", role: "region", "aria-label": source.name }, h("ol", {}, source.text.replace(/\n$/, "").split("\n").map((line, at) => {
          const steps = numbers.get(`${source.name}:${at + 1}`);
          return h("li", { class: steps ? "in-schedule" : null }, h("code", {}, line || " "), steps ? h("span", { class: "steps-here" }, ` ← ${t("step {n}", { n: steps.length > 4 ? `${steps.slice(0, 4).join(", ")} …` : steps.join(", ") })}`) : null);
        }))));
      return shown;
    };
    return [h("p", { class: "quiet" }, t("Edit it with your own editor: it is checked each time you save it.")), ...(part.sources.length ? part.sources.map(listing) : [h("p", { class: "trouble" }, t("There is no file {file} in the folder.", { file: `${lab.folder}/${part.file}` }))])];
  }

  show(part, lab = null) {
    const { t } = this;
    const [sign, word] = part.is_right ? STATES.right : STATES[part.mark?.state] ?? ["·", "open"];
    this.state.textContent = `${sign} ${t(word)} · ${points(part.best)} / ${part.points}`;
    this.state.className = `part-state p-${part.is_right ? "right" : part.mark?.state ?? "open"}`;
    this.hint.hidden = part.more_hints === 0;
    this.hint.textContent = t("A hint ({n} left)", { n: part.more_hints });
    this.hints.replaceChildren(...part.hints.map((hint) => h("p", { class: "hint-text" }, "💡 ", hint)));
    this.check.disabled = part.is_busy;
    this.element.setAttribute("aria-busy", String(part.is_busy));
    if (this.file) {
      this.file.replaceChildren(...this.program(part, lab));
      this.check.hidden = !lab?.folder;
    }
    this.result.replaceChildren(...[
      part.is_busy ? h("p", { class: "quiet" }, t("Reality is being measured…")) : null,
      part.trouble ? h("p", { class: "trouble", role: "alert" }, part.trouble) : null,
      part.mark?.rows.length ? rows(part.mark.rows, t) : null,
      ...part.told.map((text) => h("p", { class: "told" }, text)),
      part.mark?.schedule ? badSchedule(part.mark.schedule, t) : null,
      part.why ? h("div", { class: "banner why" }, markdown(part.why)) : null,
    ].filter(Boolean));
  }
}

/** How a program goes wrong: step by step, with the student's own lines, and the command that does it again. */
function badSchedule(bad, t) {
  const tasks = [...new Set(bad.steps.map((step) => step.task))].sort((one, other) => one.localeCompare(other, undefined, { numeric: true }));
  const lines = bad.steps.some((step) => step.line);
  const rows = bad.steps.map((step, at) => {
    const before = bad.steps[at - 1];
    const isNew = step.line && (before?.line !== step.line || before?.task !== step.task);
    return h("tr", {}, h("th", { scope: "row" }, String(at + 1)), tasks.map((task) => h("td", { class: "left" }, task === step.task ? h("span", { class: `did call${step.killed ? " killed" : ""}` }, step.killed ? `† ${step.call}` : step.call) : null)),
      lines ? h("td", { class: "left source" }, isNew ? [h("span", { class: "quiet" }, `${step.line} `), h("code", {}, step.source ?? "")] : null) : null);
  });
  return h("div", { class: "bad-schedule" }, h("p", {}, verdictBadge(bad.verdict, t), ` ${t("The shortest schedule that was found, with {n} switches:", { n: bad.switches })}`),
    scrolling(t("Schedule"), "", h("table", { class: "steps" }, h("thead", {}, h("tr", {}, h("th", { scope: "col" }, t("step")), tasks.map((task) => h("th", { scope: "col" }, task)), lines ? h("th", { scope: "col", class: "left" }, t("your line")) : null)), h("tbody", {}, rows))),
    bad.left_out ? h("p", { class: "quiet" }, t("… and {n} more steps", { n: bad.left_out })) : null,
    bad.why ? h("p", { class: "told bad-sign" }, quoted(bad.why)) : null, commandLine(bad.replay, t, t("Again, in your folder:")));
}

/** A prediction beside what was measured. */
function rows(all, t) {
  const sign = (right) => (right === true ? h("span", { class: "good-sign" }, "✓", h("span", { class: "unseen" }, t("right"))) : right === false ? h("span", { class: "bad-sign" }, "✗", h("span", { class: "unseen" }, t("not yet"))) : h("span", { class: "quiet", title: t("changes from run to run, and does not count") }, "~"));
  return scrolling(t("predicted"), "", h("table", { class: "predicted" }, h("thead", {}, h("tr", {}, h("td", {}), h("th", { scope: "col" }, t("predicted")), h("th", { scope: "col" }, t("measured")), h("td", {}))),
    h("tbody", {}, all.map((row) => h("tr", { class: row.right === false ? "broken" : null }, h("th", { scope: "row", class: "left" }, row.label), h("td", { class: "left" }, row.predicted ?? "—"), h("td", { class: "left" }, row.measured ?? "—"), h("td", {}, sign(row.right)))))));
}

/** The view: `#/labs`, `#/labs/NAME`. */
export function labsView(page, [name]) {
  return name ? oneLab(page, name) : allLabs(page);
}

function allLabs(page) {
  const { t } = page;
  const place = h("div", { class: "labs" });
  get(`labs?lang=${language()}`).then((all) => place.replaceChildren(...all.map((lab) => (lab.error ? h("p", { class: "trouble" }, quoted(lab.error))
    : h("a", { class: "lab-card", href: `#/labs/${encodeURIComponent(lab.name)}` }, h("strong", {}, lab.title), h("span", { class: "quiet" }, lab.name),
      h("progress", { max: String(lab.max), value: String(lab.score), "aria-label": t("points") }),
      h("span", { class: "quiet" }, `${lab.right === lab.parts ? "✓ " : ""}${t("{right} of {parts} right", lab)} · ${points(lab.score)} / ${lab.max} · ${t("{n} minutes", { n: lab.minutes })}`),
      lab.missing.length ? h("span", { class: "trouble" }, `${t("not installed:")} ${lab.missing.join(", ")}`) : null)))),
  (error) => place.replaceChildren(h("p", { class: "trouble", role: "alert" }, error.message)));
  return { element: h("div", { class: "view" }, h("div", { class: "stage" }, h("h1", {}, t("Labs")), h("p", { class: "lead" }, t("Predict what real processes will do, let them do it, and see the difference.")), place)), asks: () => [], sells: false };
}

function oneLab(page, name) {
  const { t } = page;
  const place = h("div", { class: "stage lab" }, h("p", { class: "empty" }, t("Waiting for the first process")));
  const cards = new Map();
  let job = null, closed = false;
  const act = (command) => post(`jobs/${job}`, command).catch(async (error) => { if (error.status === 410) await begin(); else announce(error.message); });
  const score = h("p", { class: "lab-score" });
  const bar = h("progress", { "aria-label": t("points") });
  const trouble = h("p", { class: "trouble", role: "alert", hidden: true });

  function show(lab) {
    if (!cards.size) {
      lab.parts.forEach((part, at) => cards.set(part.id, new PartCard(part, at + 1, t, act)));
      place.replaceChildren(commandLine(`proclab lab work ${lab.name}`, t), h("p", {}, h("a", { href: "#/labs" }, `← ${t("All labs")}`)), h("h1", {}, lab.title), bar, score, trouble,
        lab.missing.length ? h("p", { class: "trouble" }, `${t("not installed:")} ${lab.missing.join(", ")}`) : "", h("div", { class: "intro" }, markdown(lab.intro)),
        lab.files.length ? h("details", { class: "more files" }, h("summary", {}, t("The programs that are asked about ({n})", { n: lab.files.length })), lab.files.map(([file, text]) => h("details", {}, h("summary", {}, h("code", {}, file)), h("pre", { class: "output", tabindex: "0", "aria-label": file }, text)))) : "",
        ...[...cards.values()].map((card) => card.element));
    }
    for (const part of lab.parts) cards.get(part.id)?.show(part, lab);
    bar.max = lab.max;
    bar.value = lab.score;
    score.textContent = `${points(lab.score)} / ${lab.max} · ${t("{right} of {parts} right", { right: lab.parts.filter((part) => part.is_right).length, parts: lab.parts.length })} · ${lab.student}`;
  }

  async function begin() {
    try {
      job = (await post("jobs", { lab: { name, lang: language() } })).job;
    } catch (error) {
      place.replaceChildren(h("p", { class: "trouble", role: "alert" }, error.hint ? `${error.message}. ${error.hint}` : error.message));
      return;
    }
    if (closed) return;
    page.follow(job, (messages) => {
      for (const message of messages) {
        if (message.type === "lab") show(message);
        else if (message.type === "failed") { trouble.hidden = false; trouble.textContent = reason(message)[0]; if (!cards.size) place.replaceChildren(trouble); }
      }
    });
  }
  begin();
  return { element: h("div", { class: "view" }, place), close() { closed = true; }, asks: () => [], sells: false };
}
