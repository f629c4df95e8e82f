"use strict";

// A form is sent once, and only where somebody answers: a browser's own page of an error would take away what was typed.
// Without this script the page that a service answers with gives it back.
{
  const ASK = document.currentScript.dataset.answers;
  const PATIENCE = 8000;
  const EVERY = 2000;
  const AWAY = "Nothing was sent: the server does not answer at the moment. What you typed stays here.";
  const BACK = "The server answers again: send it now.";

  const answers = async () => {
    try {
      return (await fetch(ASK, { cache: "no-store", signal: AbortSignal.timeout(PATIENCE) })).ok;
    } catch {
      return false;
    }
  };
  const say = (form, text, tone) => {
    form.querySelector("[data-unsent]")?.remove();
    const told = document.createElement("p");
    told.className = tone;
    told.dataset.unsent = "";
    told.setAttribute("role", "alert");
    told.textContent = text;
    form.append(told);
  };
  const waiting = new WeakSet();
  const whenBack = async (form) => {
    if (waiting.has(form)) return;
    waiting.add(form);
    do await new Promise((done) => { setTimeout(done, EVERY); });
    while (form.isConnected && !(await answers()));
    waiting.delete(form);
    if (form.isConnected && !form.dataset.sent) say(form, BACK, "notice");
  };
  const send = async (form, button) => {
    if (await answers()) {
      form.dataset.sent = "now";
      form.requestSubmit(button?.isConnected ? button : undefined);
      return;
    }
    delete form.dataset.sent;
    say(form, AWAY, "notice bad");
    whenBack(form);
  };

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (event.defaultPrevented || form.method !== "post" || form.hasAttribute("hx-trigger")) return;
    if (form.dataset.sent === "now") {
      form.dataset.sent = "yes";
      return;
    }
    event.preventDefault();
    if (form.dataset.sent) return;
    form.dataset.sent = "asking";
    send(form, event.submitter);
  });
  window.addEventListener("pageshow", () => document.querySelectorAll("form").forEach((form) => delete form.dataset.sent));
}
