// The page: its address holds the question, and every part of it is fetched as it is to be shown.
"use strict";

const parts = [...document.querySelectorAll("[data-part]")];
const form = document.getElementById("filters");
const [problem, state, chosen, presets, tip, told] = ["problem", "status", "chosen", "presets", "tip", "told"].map((id) => document.getElementById(id));
const POLL_MS = 1000;
const TYPING_MS = 700;
const DAY_MS = 86_400_000;
const lists = ["category", "brand", "product", "user"];
const named = { from: "from", to: "before", min_price: "price from", max_price: "price to", event_type: "events" };
// What each field said when it was filled: one that still says so leaves the address as it is.
const filled = new Map();
let asking = new AbortController();
let known = null;

// ---- parts

// Only well-formed answers of this server come in here; all text in them was escaped where they were made.
function place(part, markup) {
  const open = part.querySelector("details")?.open ?? false;
  const scrolled = part.querySelector(".scroll")?.scrollTop ?? 0;
  const held = part.contains(document.activeElement) ? keyOf(document.activeElement) : null;
  const parsed = new DOMParser().parseFromString(markup, "text/html");
  for (const title of parsed.querySelectorAll("svg [data-label] > title")) {
    title.parentNode.dataset.tip = title.textContent;
    title.remove();
  }
  part.replaceChildren(...parsed.body.childNodes);
  const details = part.querySelector("details");
  if (details) details.open = open;
  if (scrolled) part.querySelector(".scroll").scrollTop = scrolled;
  if (part.dataset.part === "history") prepareDays(part);
  if (held) part.querySelector(held)?.focus({ preventScroll: true });
}

// Where the keyboard is, as a selector that finds the same place in the next answer.
function keyOf(element) {
  if (element.dataset.label) return `[data-label="${CSS.escape(element.dataset.label)}"]`;
  return { summary: "summary", svg: "svg", a: ".file", div: ".scroll" }[element.localName] ?? null;
}

function widthOf(part) {
  const section = part.querySelector("section");
  if (!section) return 0;
  const style = getComputedStyle(section);
  return Math.floor(section.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight));
}

async function show(part, signal) {
  part.setAttribute("aria-busy", "true");
  const asked = new URLSearchParams(location.search);
  const width = Math.min(Math.max(widthOf(part), 200), 2000);
  if (part.dataset.part !== "figures") asked.set("width", width);
  part.dataset.width = width;
  const answer = await fetch(`/parts/${part.dataset.part}?${asked}`, { signal });
  if (!answer.ok) throw new Error((await answer.json()).error);
  place(part, await answer.text());
  part.setAttribute("aria-busy", "false");
}

async function showAll(which = parts) {
  asking.abort();
  asking = new AbortController();
  const { signal } = asking;
  const unfinished = parts.filter((part) => which.includes(part) || part.getAttribute("aria-busy") === "true");
  const shown = await Promise.allSettled(unfinished.map((part) => show(part, signal)));
  if (signal.aborted) return;
  const failed = shown.find((each) => each.status === "rejected");
  problem.hidden = !failed;
  problem.textContent = failed ? failed.reason.message : "";
}

// ---- the address

function address(asked) {
  const query = asked.toString();
  return query ? `/?${query}` : "/";
}

function go(to) {
  if (to !== location.pathname + location.search) history.pushState(null, "", to);
  fill();
  showAll();
}

// Several values in one field stand between commas; one that holds a comma is quoted, as in CSV.
const quoted = (value) => (/^[\s"]|,|\s$/.test(value) ? `"${value.replaceAll('"', '""')}"` : value);

function listed(text) {
  const items = text.matchAll(/\s*(?:"((?:[^"]|"")*)"\s*|([^,]*))(?:,|$)/g);
  return [...items].map(([, inner, plain]) => inner?.replaceAll('""', '"') ?? plain.trim()).filter(Boolean);
}

function fill() {
  const asked = new URLSearchParams(location.search);
  for (const field of form.elements) {
    if (field.name === "measure") field.checked = field.value === (asked.get("measure") ?? "revenue");
    else if (field.name) {
      const value = asked.getAll(field.name).map(lists.includes(field.name) ? quoted : String).join(", ");
      // What is chosen stands there before it is known what else there is.
      if (field.localName === "select" && ![...field.options].some((option) => option.value === value)) field.append(new Option(value));
      // A field may hold less than the address: a day without its hour is none.
      field.value = field.type === "date" && !/^\d{4}-\d\d-\d\d$/.test(value) ? "" : value;
    }
    if (field.name) filled.set(field.name, form.elements[field.name].value);
  }
  showChosen(asked);
  showPresets(asked);
}

function chip(text, asked, label) {
  const link = document.createElement("a");
  link.href = address(asked);
  link.textContent = text;
  if (label) {
    link.className = "chip";
    link.setAttribute("aria-label", label);
  }
  return link;
}

// What is chosen, each with a way out of it; a category also with the ways up the tree.
function showChosen(asked) {
  const links = [];
  for (const [name, value] of asked) {
    if (name === "measure") continue;
    const without = new URLSearchParams([...asked].filter(([other, its]) => other !== name || its !== value));
    if (name === "category") {
      const steps = value.split(".");
      for (let depth = 1; depth < steps.length; depth++) {
        const above = new URLSearchParams(without);
        above.append("category", steps.slice(0, depth).join("."));
        links.push(chip(`${steps.slice(0, depth).join(".")} ›`, above));
      }
    }
    links.push(chip(`${named[name] ?? name}: ${value} ×`, without, `Remove ${named[name] ?? name} ${value}`));
  }
  if (links.length > 1) links.push(chip("Everything", new URLSearchParams()));
  chosen.replaceChildren(...links);
}

// The last days that the store has.
function showPresets(asked) {
  if (!known?.last_event) return;
  const end = Date.parse(`${known.last_event.slice(0, 10)}T00:00:00Z`) + DAY_MS;
  const day = (instant) => new Date(instant).toISOString().slice(0, 10);
  const links = [1, 7, 14, 30].filter((days) => end - days * DAY_MS >= Date.parse(`${known.first_event.slice(0, 10)}T00:00:00Z`)).map((days) => {
    const those = new URLSearchParams(asked);
    those.set("from", day(end - days * DAY_MS));
    those.set("to", day(end));
    return chip(days === 1 ? "last day" : `last ${days} days`, those);
  });
  const texts = links.map((link) => link.outerHTML).join();
  if (presets.dataset.texts === texts) return;
  presets.dataset.texts = texts;
  presets.replaceChildren(...links);
}

let typing = 0;

form.addEventListener("submit", (event) => {
  event.preventDefault();
  clearTimeout(typing);
  const asked = new URLSearchParams(location.search);
  for (const [name, text] of new FormData(form)) {
    if (text === filled.get(name)) continue;
    asked.delete(name);
    if (name === "measure" && text === "revenue") continue;
    for (const value of lists.includes(name) ? listed(text) : [text.trim()]) if (value) asked.append(name, value);
  }
  go(address(asked));
});

// A day that is typed changes with every digit, and is no year before its fourth.
form.addEventListener("change", ({ target }) => {
  clearTimeout(typing);
  if (target.type !== "date") form.requestSubmit();
  else if (!target.value || target.value >= "1000") typing = setTimeout(() => form.requestSubmit(), TYPING_MS);
});

document.addEventListener("click", (event) => {
  const link = event.target.closest("a");
  const to = link?.getAttribute("href");
  if (!to || link.hasAttribute("download") || event.ctrlKey || event.metaKey || event.shiftKey || !/^\/(\?|$)/.test(to)) return;
  event.preventDefault();
  go(to);
});

window.addEventListener("popstate", () => { fill(); showAll(); });

// ---- choosing days: by dragging over them, or by arrow keys and Enter

const picture = () => document.querySelector("#history svg");
const days = () => [...picture().querySelectorAll("[data-label]")];
let start = null;
let at = null;

function prepareDays(part) {
  const svg = part.querySelector("svg");
  svg.tabIndex = 0;
  svg.setAttribute("role", "application");
  svg.setAttribute("aria-label", `${svg.getAttribute("aria-label")}. Arrow keys go from day to day, with Shift they choose days, Enter shows them.`);
  start = at = null;
}

function dayAt(event) {
  const middle = (day) => { const box = day.firstElementChild.getBoundingClientRect(); return (box.left + box.right) / 2; };
  const distance = (day) => Math.abs(middle(day) - event.clientX);
  return days().reduce((nearest, day) => (!nearest || distance(day) < distance(nearest) ? day : nearest), null);
}

// Marks the days from one to where the choice has got; none without one.
function mark(from) {
  const svg = picture();
  svg?.querySelector(".brush")?.remove();
  if (!from || !at) return;
  const edges = [from, at].flatMap((day) => {
    const left = Number(day.firstElementChild.getAttribute("x"));
    return [left, left + Number(day.firstElementChild.getAttribute("width"))];
  });
  const rect = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  const [left, right] = [Math.min(...edges), Math.max(...edges)];
  for (const [name, value] of Object.entries({ class: "brush", x: left, y: 12, width: Math.max(right - left, 2), height: 222 })) {
    rect.setAttribute(name, value);
  }
  svg.append(rect);
}

function choose() {
  const [from, to] = [start ?? at, at].map((day) => day.dataset.label).sort();
  form.elements.from.value = from;
  form.elements.to.value = new Date(Date.parse(`${to}T00:00:00Z`) + DAY_MS).toISOString().slice(0, 10);
  forget();
  form.requestSubmit();
}

function forget() {
  start = at = null;
  mark(null);
}

document.addEventListener("pointerdown", (event) => {
  if (!event.target.closest("#history svg") || event.button !== 0) return;
  start = at = dayAt(event);
});

document.addEventListener("pointermove", (event) => {
  if (start && event.buttons & 1) { at = dayAt(event); mark(start); }
  showTip(event.target.closest?.("[data-tip]"), event.clientX, event.clientY);
});

document.addEventListener("pointerup", () => {
  if (start && start !== at) choose();
  else if (start) forget();
});

document.addEventListener("pointercancel", forget);

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") { tip.hidden = true; forget(); }
  if (event.target !== picture()) return;
  const all = days();
  const here = all.indexOf(at);
  const to = { ArrowLeft: here < 0 ? all.length - 1 : here - 1, ArrowRight: here + 1, Home: 0, End: all.length - 1 }[event.key];
  if (event.key === "Enter" && at) choose();
  if (to === undefined || !all[to]) return;
  event.preventDefault();
  if (event.shiftKey) start ??= at ?? all[to];
  else start = null;
  at = all[to];
  mark(start ?? at);
  const box = at.firstElementChild.getBoundingClientRect();
  showTip(at, box.left, box.top + 20);
  told.textContent = at.dataset.tip;
});

// ---- what a mark says

function showTip(mark, x, y) {
  tip.hidden = !mark;
  if (!mark) return;
  tip.textContent = mark.dataset.tip;
  tip.style.left = `${Math.max(4, Math.min(x + 14, innerWidth - tip.offsetWidth - 8))}px`;
  tip.style.top = `${y + 18 + tip.offsetHeight > innerHeight ? y - tip.offsetHeight - 8 : y + 18}px`;
}

document.documentElement.addEventListener("pointerleave", () => { tip.hidden = true; });

// ---- what the store holds, and what came since

let refreshing = false;
// The commit that the parts show, or an older one; none while the server does not answer.
let shown = null;

async function look() {
  try {
    const answer = await fetch("/api/status");
    const now = await answer.json();
    if (!answer.ok) throw new Error(now.error);
    const number = (value) => Math.round(value).toLocaleString("en");
    const live = now.rows_per_second > 0;
    const said = [
      `${number(now.rows)} events`,
      live && `${number(now.rows_per_second)} more a second`,
      now.records_behind !== null && `${number(now.records_behind)} records behind the topic`,
      `${number(now.rows_rejected)} rejected`,
      `${number(now.rows_duplicate)} duplicates`,
    ];
    state.replaceChildren();
    if (live) state.append(Object.assign(document.createElement("b"), { textContent: "● live " }));
    state.append(said.filter(Boolean).join(" · "));
    known = now;
    showPresets(new URLSearchParams(location.search));
    if (shown !== now.commit && !refreshing && !start) {
      shown = now.commit;
      // Never busier with what comes in than with whoever looks at it.
      refreshing = true;
      const began = Date.now();
      showAll().finally(() => setTimeout(() => { refreshing = false; }, Date.now() - began));
    }
  } catch (error) {
    shown = null;
    state.textContent = error instanceof TypeError ? "The server doesn't answer." : error.message;
  }
  setTimeout(look, document.hidden ? 10 * POLL_MS : POLL_MS);
}

async function suggest() {
  const values = await (await fetch("/api/values")).json();
  const option = (value) => Object.assign(document.createElement("option"), { value, textContent: value });
  for (const name of ["category", "brand"]) {
    document.getElementById(`known-${name}`).replaceChildren(...values[name].map(quoted).map(option));
  }
  const { event_type: field } = form.elements;
  field.replaceChildren(field.options[0], ...values.event_type.map(option));
  fill();
}

// A picture is drawn for the room that it has.
let resizing = 0;
new ResizeObserver(() => {
  clearTimeout(resizing);
  resizing = setTimeout(() => {
    const changed = parts.filter((part) => part.dataset.width && part.dataset.part !== "figures" && Math.abs(widthOf(part) - Number(part.dataset.width)) > 8);
    if (changed.length) showAll(changed);
  }, 150);
}).observe(document.querySelector("main"));

document.getElementById("choose").open = innerWidth > 720;
fill();
suggest();
look();
