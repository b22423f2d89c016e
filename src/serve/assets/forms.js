// Forms made from the same options as the command line has.
import { h } from "./dom.js";
import { about as told } from "./words.js";

let count = 0;

/** The fields of the options of `scenario`, with what was chosen before. Returns the element and a function that reads them. */
export function fields(options, t, chosen = {}, scenario = null) {
  const inputs = options.map((option) => {
    const id = `field-${(count += 1)}`;
    const before = chosen[option.name] ?? option.default ?? "";
    let input;
    if (option.kind === "flag") {
      input = h("input", { id, type: "checkbox", name: option.name });
      input.checked = chosen[option.name] === true;
    } else if (option.kind === "choice") {
      const all = option.required || option.default ? option.values : [["", ""], ...option.values];
      input = h("select", { id, name: option.name }, all.map(([value, help]) => h("option", { value, title: help && told(`${scenario} --${option.name}=${value}`, help) || null }, value === "" ? t("as usual") : t(value))));
      input.value = before;
      if (!input.value && option.required) input.selectedIndex = 0;
    } else {
      const isNumber = ["N", "K", "S", "MS"].includes(option.unit);
      input = h("input", { id, type: "text", name: option.name, inputmode: isNumber ? "decimal" : null, placeholder: t("as usual"), autocomplete: "off", spellcheck: "false", maxlength: "200" });
      input.value = before;
    }
    const help = h("span", { class: "help", id: `${id}-help` }, scenario ? told(`${scenario} --${option.name}`, option.help) : t(option.help));
    input.setAttribute("aria-describedby", `${id}-help`);
    const label = h("label", { for: id }, t(option.name), option.kind === "text" && option.unit ? h("span", { class: "unit" }, ` ${option.unit}`) : null);
    const row = option.kind === "flag" ? h("div", { class: "field flag" }, input, label, help) : h("div", { class: "field" }, label, input, help);
    return { option, input, row };
  });
  const read = () => Object.fromEntries(inputs
    .map(({ option, input }) => [option.name, option.kind === "flag" ? input.checked : input.value])
    .filter(([name, value]) => value !== "" && value !== false && value !== options.find((option) => option.name === name).default));
  return { element: h("div", { class: "fields" }, inputs.map(({ row }) => row)), read };
}

/** A choice among scenarios and lessons. `which` is `run` or `explore`; `program` has the options of the command that was given. */
export function chooser(catalogue, which, t, begun, start, program = null) {
  const scenarios = catalogue.scenarios.filter((one) => one[which]);
  const lessons = (one) => (which === "run" ? one.parts : []);
  const entries = scenarios.flatMap((one) => (lessons(one).length
    ? lessons(one).map(([name, about]) => ({ value: `${one.name} ${name}`, label: name, about: told(`${one.name} ${name}`, about), one, fixed: { lesson: name } }))
    : [{ value: one.name, label: one.name, about: told(one.name, one.about), one, fixed: {} }]));
  const groups = scenarios.map((one) => (lessons(one).length
    ? h("optgroup", { label: t(one.name) }, lessons(one).map(([name]) => h("option", { value: `${one.name} ${name}` }, t(name))))
    : h("option", { value: one.name }, t(one.name))));
  if (program && catalogue.command) {
    const label = catalogue.command.join(" ");
    entries.unshift({ value: "", label, about: t("The command that was given, unmodified: its system calls on what its processes share are the steps."), one: { [which]: program }, fixed: {}, isProgram: true });
    groups.unshift(h("option", { value: "" }, label.length > 60 ? `${label.slice(0, 60)}…` : label));
  }
  const select = h("select", { id: `choose-${which}` }, groups);
  const about = h("p", { class: "about" });
  const place = h("div");
  const more = h("details", { class: "more", open: which === "explore" }, h("summary", {}, t("Parameters")), place);
  const trouble = h("p", { class: "trouble", role: "alert", hidden: true });
  const button = h("button", { class: "primary", type: "submit" }, t("Start"));
  let now = null, form = null;
  const choose = (chosen) => {
    now = entries.find((entry) => entry.value === select.value) ?? entries[0];
    about.textContent = now.about;
    more.hidden = now.one[which].length === 0;
    form = fields(now.one[which].filter((option) => !(option.name in now.fixed)), t, chosen, now.one.name);
    place.replaceChildren(form.element);
  };
  select.addEventListener("change", () => choose());
  const show = (begun) => {
    const lesson = begun?.options?.lesson;
    if (begun?.scenario) select.value = lesson ? `${begun.scenario} ${lesson}` : begun.scenario;
    else if (begun?.program && program && catalogue.command) select.value = "";
    choose(begun?.options);
  };
  show(begun);
  const element = h("form", { class: "chooser", onsubmit: async (event) => {
    event.preventDefault();
    button.disabled = true;
    trouble.hidden = true;
    try {
      await start(now.isProgram ? { program: true, options: form.read() } : { scenario: now.one.name, options: { ...form.read(), ...now.fixed } });
    } catch (error) {
      trouble.hidden = false;
      trouble.textContent = error.hint ? `${error.message}. ${error.hint}` : error.message;
    }
    button.disabled = false;
  } }, h("div", { class: "field" }, h("label", { for: select.id }, t("What")), select), about,
  more, trouble, button);
  // What is on the stage, if it was not started here.
  element.show = (begun) => { show(begun); select.dispatchEvent(new Event("change-shown")); };
  return element;
}
