"use strict";

// Everything here also works without it: a reload shows how things stand, and every button is a form.

const lost = document.getElementById("lost");
const connected = (is) => { if (lost) lost.hidden = is; };

// Parts of a page that are asked for again: the same address, and only that part is taken out of the answer.
const due = new Map();
let asking = false;
const soon = () => {
  for (const part of document.querySelectorAll("[data-refresh][id]")) {
    if (!due.has(part.id)) due.set(part.id, performance.now() + part.dataset.refresh * 1000);
  }
};
const busy = (part) => part.contains(document.activeElement) && document.activeElement !== document.body && document.activeElement.matches("input, select, textarea");
const replace = (found, id) => {
  const old = document.getElementById(id), now = found.getElementById(id);
  due.delete(id);
  if (!old || !now || old.innerHTML === now.innerHTML || busy(old)) return;
  const open = [...old.querySelectorAll("details")].map((each) => each.open);
  const focused = [...old.querySelectorAll("a, button, summary")].indexOf(document.activeElement);
  old.replaceWith(now);
  now.querySelectorAll("details").forEach((each, n) => { each.open = open[n] ?? each.open; });
  if (focused >= 0) now.querySelectorAll("a, button, summary")[focused]?.focus();
  document.dispatchEvent(new CustomEvent("refreshed", { detail: now }));
};
const refresh = async () => {
  const ids = [...due].filter(([, at]) => at <= performance.now()).map(([id]) => id);
  if (asking || !ids.length || document.visibilityState !== "visible") return;
  asking = true;
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html", "HX-Request": "true" }, signal: AbortSignal.timeout(10000) });
    const elsewhere = answer.headers.get("HX-Redirect");
    if (elsewhere) { location.assign(elsewhere); return; }
    if (!answer.ok) throw new Error(answer.status);
    const found = new DOMParser().parseFromString(await answer.text(), "text/html");
    ids.forEach((id) => replace(found, id));
    connected(true);
  } catch {
    ids.forEach((id) => due.set(id, performance.now() + 2000));
    connected(false);
  } finally {
    asking = false;
    soon();
  }
};
if (document.querySelector("[data-refresh]")) {
  soon();
  setInterval(refresh, 250);
}

// The live tail.
const tail = document.getElementById("tail");
if (tail && tail.dataset.stream) {
  const rows = document.getElementById("rows"), state = document.getElementById("tail-state");
  const held = document.getElementById("held"), button = document.getElementById("pause");
  const MOST = 200, waiting = [];
  let paused = false, source = null, last = "", drawing = false, silent = 0;
  const say = (text, tone) => { if (state.textContent !== text) { state.textContent = text; state.className = `tag ${tone}`; } };
  const draw = () => {
    drawing = false;
    if (paused) { held.textContent = waiting.length ? `${waiting.length}${waiting.length === MOST ? " or more" : ""} new` : ""; return; }
    held.textContent = "";
    if (!waiting.length) return;
    document.getElementById("nothing").hidden = true;
    const made = document.createElement("template");
    made.innerHTML = waiting.splice(0).reverse().join("");
    for (const row of made.content.querySelectorAll("tr")) {
      if (rows.querySelector(`tr[data-id="${row.dataset.id}"]`)) row.remove();
      else row.classList.add("fresh");
    }
    rows.prepend(made.content);
    while (rows.rows.length > MOST) rows.lastElementChild.remove();
  };
  const later = () => { if (!drawing) { drawing = true; requestAnimationFrame(draw); } };
  const shown = () => { if (paused) say("paused", "wait"); else if (source && source.readyState === EventSource.OPEN) say("live", "good"); };
  const address = () => {
    const to = new URL(tail.dataset.stream, location.href);
    if (last) to.searchParams.set("after", last);
    return to;
  };
  // Whoever is not signed in any more is led away; a worker that stopped is asked again.
  const again = async () => {
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html", "HX-Request": "true" } });
      const elsewhere = answer.headers.get("HX-Redirect");
      if (elsewhere) { location.assign(elsewhere); return; }
    } catch { /* still lost */ }
    follow();
  };
  const follow = () => {
    source = new EventSource(address());
    source.addEventListener("open", () => { silent = 0; connected(true); shown(); });
    source.addEventListener("step", (event) => {
      last = event.lastEventId;
      waiting.push(JSON.parse(event.data));
      if (waiting.length > MOST) waiting.shift();
      later();
    });
    source.addEventListener("dropped", () => { source.close(); follow(); });
    source.addEventListener("error", () => {
      say("connection lost", "bad");
      connected(false);
      silent += 1;
      if (source.readyState === EventSource.CLOSED || silent > 2) {
        source.close();
        setTimeout(again, 2000);
      }
    });
  };
  button.hidden = false;
  button.addEventListener("click", () => {
    paused = !paused;
    button.textContent = paused ? "Go on" : "Pause";
    button.setAttribute("aria-pressed", String(paused));
    shown();
    later();
  });
  window.addEventListener("pagehide", () => source.close());
  window.addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
  say("connecting", "wait");
  follow();
}
