// The page: the address holds the question, and every part is asked for by itself.
"use strict";

const parts = [...document.querySelectorAll("[data-part]")];
const form = document.getElementById("filters");
const problem = document.getElementById("problem");
const state = document.getElementById("status");
const POLL_MS = 2000;
const lists = ["category", "brand", "user"];
let asking = new AbortController();

// Only well-formed answers of this server come in here; all text in them was escaped where they were made.
function place(part, markup) {
  const open = part.querySelector("details")?.open ?? false;
  const parsed = new DOMParser().parseFromString(markup, "text/html");
  part.replaceChildren(...parsed.body.childNodes);
  const details = part.querySelector("details");
  if (details) details.open = open;
}

async function show(part, signal) {
  part.setAttribute("aria-busy", "true");
  const answer = await fetch(`/parts/${part.dataset.part}${location.search}`, { signal });
  if (!answer.ok) throw new Error((await answer.json()).error);
  place(part, await answer.text());
  part.setAttribute("aria-busy", "false");
}

async function showAll() {
  asking.abort();
  asking = new AbortController();
  const { signal } = asking;
  const shown = await Promise.allSettled(parts.map((part) => show(part, signal)));
  if (signal.aborted) return;
  const failed = shown.find((each) => each.status === "rejected");
  problem.hidden = !failed;
  problem.textContent = failed ? failed.reason.message : "";
}

function fill() {
  const asked = new URLSearchParams(location.search);
  for (const field of form.elements) {
    if (field.name) field.value = asked.getAll(field.name).join(", ");
  }
}

function go(address) {
  if (address !== location.pathname + location.search) history.pushState(null, "", address);
  fill();
  showAll();
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const asked = new URLSearchParams();
  for (const [name, text] of new FormData(form)) {
    const values = lists.includes(name) ? text.split(",") : [text];
    for (const value of values) if (value.trim()) asked.append(name, value.trim());
  }
  const query = asked.toString();
  go(query ? `/?${query}` : "/");
});

form.addEventListener("change", () => form.requestSubmit());

document.addEventListener("click", (event) => {
  const link = event.target.closest("a");
  const address = link?.getAttribute("href");
  if (!address || link.hasAttribute("download") || event.ctrlKey || event.metaKey || !/^\/(\?|$)/.test(address)) return;
  event.preventDefault();
  go(address);
});

window.addEventListener("popstate", () => { fill(); showAll(); });

// Dragging over the days chooses them; the fields above do the same by keyboard.
let start = null;

function dayAt(svg, event) {
  const at = event.clientX;
  const points = [...svg.querySelectorAll("circle[data-label]")];
  const distance = (point) => { const box = point.getBoundingClientRect(); return Math.abs((box.left + box.right) / 2 - at); };
  return points.reduce((nearest, point) => (!nearest || distance(point) < distance(nearest) ? point : nearest), null);
}

function band(svg, from, to) {
  svg.querySelector(".band")?.remove();
  const [left, right] = [from, to].map((point) => Number(point.getAttribute("cx"))).sort((a, b) => a - b);
  const rect = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  for (const [name, value] of Object.entries({ class: "band", x: left, y: 10, width: Math.max(right - left, 2), height: 206 })) {
    rect.setAttribute(name, value);
  }
  svg.append(rect);
}

document.addEventListener("pointerdown", (event) => {
  const svg = event.target.closest("#sales_history svg");
  start = svg && event.button === 0 ? dayAt(svg, event) : null;
});

document.addEventListener("pointermove", (event) => {
  const svg = start?.closest("svg");
  if (svg) band(svg, start, dayAt(svg, event));
});

document.addEventListener("pointerup", (event) => {
  const svg = start?.closest("svg");
  if (!svg) return;
  const [from, to] = [start, dayAt(svg, event)].map((point) => point.dataset.label).sort();
  start = null;
  svg.querySelector(".band")?.remove();
  if (from === to) return;
  const after = new Date(`${to}T00:00:00Z`);
  after.setUTCDate(after.getUTCDate() + 1);
  form.elements.from.value = from;
  form.elements.to.value = after.toISOString().slice(0, 10);
  form.requestSubmit();
});

// What the store holds, and whether something came since.
let known = null;

async function look() {
  try {
    const now = await (await fetch("/api/status")).json();
    const rate = known && now.rows > known.rows ? (now.rows - known.rows) / ((Date.now() - known.at) / 1000) : 0;
    const number = (value) => value.toLocaleString("en");
    state.textContent = `${number(now.rows)} events` +
      (rate ? `, ${number(Math.round(rate))} more a second` : "") +
      `; ${number(now.rows_rejected)} lines rejected, ${number(now.rows_duplicate)} duplicates`;
    if (known && now.commit !== known.commit) showAll();
    known = { ...now, at: Date.now() };
  } catch {
    state.textContent = "The server doesn't answer.";
  }
  setTimeout(look, POLL_MS);
}

fill();
showAll();
look();
