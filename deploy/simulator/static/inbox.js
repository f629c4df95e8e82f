"use strict";
const SHOWN = 50;
const COPIED_MS = 1500;
const ARRIVED = {
  error_after_accept: "It arrived, but the sender was told that it failed.",
  cut_after_data: "It arrived, but the sender was cut off before the answer.",
  slow_drip: "It arrived; the sender waits long for the answer.",
  undelivered: "The receipt says: undelivered.",
  no_receipt: "No receipt follows.",
  late_receipt: "The receipt comes late.",
  double_receipt: "The receipt comes twice.",
  forged_receipt: "The receipt is not signed by the provider.",
};
const NOT_TAKEN = {
  refuse: "refused", error: "answered with an error", rate_limit: "too many at once", hang: "not answered",
  reset: "connection cut", smtp_4xx: "put off", smtp_5xx: "refused",
};
const cards = new Map();

function element(name, className, ...parts) {
  const made = document.createElement(name);
  made.className = className;
  made.append(...parts);
  return made;
}

function meta(item) {
  const when = element("time", "", new Date(item.at).toLocaleTimeString());
  when.dateTime = item.at;
  return element("div", "meta", element("span", "to", item.to || "no recipient"), when);
}

function codeOf(message) {
  const copy = element("button", "", "Copy");
  copy.type = "button";
  const says = (text) => { copy.textContent = text; copy.setAttribute("aria-label", `${text} ${message.code}`); };
  says("Copy");
  copy.addEventListener("click", async () => {
    await navigator.clipboard.writeText(message.code).then(() => says("Copied"), () => says("Not allowed here"));
    setTimeout(says, COPIED_MS, "Copy");
  });
  return element("div", "code", element("b", "", message.code), copy);
}

function asMail(message) {
  const link = element("a", "", "As a mail program shows it");
  link.href = `/messages/${message.id}/html`;
  link.target = "_blank";
  link.rel = "noopener";
  return element("p", "meta", link);
}

function card(message) {
  const made = element("li", "", meta(message));
  if (message.subject) made.append(element("p", "subject", message.subject));
  if (message.code) made.append(codeOf(message));
  made.append(element("p", "text", message.body.trim()));
  if (message.html) made.append(asMail(message));
  if (ARRIVED[message.fault]) made.append(element("p", "note", ARRIVED[message.fault]));
  return made;
}

function refusal(attempt) {
  const why = NOT_TAKEN[attempt.mode] ?? "refused";
  return element("li", "refused", meta(attempt), element("p", "note", `Not taken: ${why} (${attempt.answered}).`));
}

function cardOf(item, first) {
  if (!cards.has(item.id)) {
    const made = "body" in item ? card(item) : refusal(item);
    if (!first) made.classList.add("new");
    cards.set(item.id, made);
  }
  return cards.get(item.id);
}

function showItems(section, items, first) {
  const list = section.querySelector("ol");
  const wanted = items.map((item) => cardOf(item, first));
  for (const old of [...list.children]) if (!wanted.includes(old)) old.remove();
  wanted.forEach((made, place) => {
    if (list.children[place] !== made) list.insertBefore(made, list.children[place] ?? null);
  });
}

function showFaults(section, faults) {
  const select = section.querySelector("select");
  const own = Object.entries(faults).filter(([to]) => to !== "*");
  select.value = faults["*"]?.mode ?? "";
  section.classList.toggle("faulty", Object.keys(faults).length > 0);
  section.querySelector(".own").textContent = own.map(([to, fault]) => `${to}: ${fault.mode}`).join(", ");
}

let first = true;
async function show() {
  const inbox = await (await fetch(`/inbox?limit=${SHOWN}`)).json();
  for (const section of document.querySelectorAll("[data-channel]")) {
    const { items, faults } = inbox[section.dataset.channel];
    showItems(section, items, first);
    showFaults(section, faults);
  }
  const ids = new Set(Object.values(inbox).flatMap(({ items }) => items.map((item) => item.id)));
  for (const id of cards.keys()) if (!ids.has(id)) cards.delete(id);
  document.querySelector("main").classList.add("loaded");
  first = false;
}

// One look at a time: whatever happens meanwhile asks for one more, however much of it there is.
let looking = null;
let again = false;
function refresh() {
  if (looking) { again = true; return; }
  looking = show().catch(() => {}).finally(() => {
    looking = null;
    if (again) { again = false; refresh(); }
  });
}

for (const section of document.querySelectorAll("[data-channel]")) {
  section.querySelector("select").addEventListener("change", async ({ target }) => {
    const faults = { [section.dataset.channel]: target.value ? { "*": { mode: target.value } } : {} };
    await change("/faults", { method: "PUT", body: JSON.stringify(faults) }, "The fault was not set.");
  });
}
document.getElementById("clear").addEventListener("click", () => change("/messages", { method: "DELETE" }, "Nothing was cleared."));

// What did not work is said, and the page goes back to what is true.
async function change(path, how, otherwise) {
  const answer = await fetch(path, how).catch(() => null);
  const trouble = document.getElementById("trouble");
  trouble.hidden = answer?.ok === true;
  trouble.textContent = trouble.hidden ? "" : `${otherwise} The simulator ${answer ? `refused it (${answer.status})` : "does not answer"}.`;
  refresh();
}

const live = document.getElementById("live");
function say(text, on) {
  live.textContent = text;
  live.classList.toggle("on", on);
}
refresh();
const stream = new EventSource("/messages/stream");
stream.onopen = () => say("live", true);
stream.onmessage = refresh;
stream.onerror = () => say("no answer; trying again …", false);
