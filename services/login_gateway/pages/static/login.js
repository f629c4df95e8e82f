"use strict";

// Everything here also works without it: a reload shows the state, and the buttons send the forms.

const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;

// The code sends itself at its full length, typed, pasted (spaces and dashes do not count) or read from the SMS.
const field = document.querySelector("[data-digits]");
if (field) {
  const full = Number(field.dataset.digits);
  const isCode = () => new RegExp(`^\\d{${full}}$`).test(field.value.replace(/[\s\-\u2010-\u2015]/g, ""));
  field.addEventListener("input", () => { if (isCode()) field.form.requestSubmit(); });
  if (field.value) field.select();
  // Who is used to Enter presses it after the field has sent itself: the code that was just refused is no second try.
  const refused = field.hasAttribute("aria-invalid") ? field.value : null;
  field.form.addEventListener("submit", (event) => {
    if (field.value !== refused) return;
    event.preventDefault();
    field.select();
  });
  if ("OTPCredential" in window) {
    const stop = new AbortController();
    field.form.addEventListener("submit", () => stop.abort());
    navigator.credentials.get({ otp: { transport: ["sms"] }, signal: stop.signal })
      .then((found) => { field.value = found.code; field.form.requestSubmit(); })
      .catch(() => {});
  }
}

// Seconds count down by this page's own clock from what the server said, so a wrong clock does no harm.
let ends = [];
const started = () => {
  ends = [...document.querySelectorAll("[data-seconds]")].map((shown) => [shown, performance.now() + shown.dataset.seconds * 1000]);
  tick();
};
const tick = () => {
  for (const [shown, end] of ends) {
    const left = Math.max(0, Math.ceil((end - performance.now()) / 1000));
    shown.textContent = clock(left);
    const wait = shown.closest("[data-wait]");
    if (wait) {
      wait.hidden = left === 0;
      document.querySelectorAll("[data-after]").forEach((button) => { button.disabled = left > 0; });
    }
  }
};

// What becomes of the message, as it happens.
const news = document.querySelector("[data-events]");
if (news) {
  const mine = field.form.elements.form_token.value;
  const ways = document.getElementById("ways");
  const connection = document.getElementById("connection");
  let source = null;
  let left = false;
  const show = (place, html) => { if (place.innerHTML.trim() !== html.trim()) place.innerHTML = html; };
  const seen = () => {
    if (document.visibilityState !== "visible") return;
    document.removeEventListener("visibilitychange", seen);
    follow();
  };
  const follow = () => {
    if (left) return;
    source = new EventSource(news.dataset.events);
    source.addEventListener("open", () => { connection.hidden = true; });
    source.addEventListener("state", (event) => {
      const told = JSON.parse(event.data);
      if (told.about !== mine) {
        older();
        return;
      }
      if (!told.open) {  // the page as it is now says why
        source.close();
        location.reload();
        return;
      }
      show(news, told.news);
      show(ways, told.ways);
      started();
    });
    // Two newer tabs follow this sign-in. Here it goes on when somebody looks.
    source.addEventListener("elsewhere", () => {
      source.close();
      document.addEventListener("visibilitychange", seen);
    });
    source.addEventListener("error", () => {
      connection.hidden = false;
      if (source.readyState === EventSource.CLOSED) setTimeout(follow, 3000);
    });
  };
  // The browser finishes the sign-in that was begun last. This page is of one before: it says so instead of asking on.
  const older = () => {
    left = true;
    source.close();
    for (const part of [news, connection, field.form, ways]) part.hidden = true;
    document.getElementById("newer").hidden = false;
    document.querySelector("h1").textContent = document.getElementById("newer").dataset.title;
  };
  const tabs = new BroadcastChannel("gatepost-login");
  tabs.addEventListener("message", (event) => { if (event.data !== mine) older(); });
  tabs.postMessage(mine);
  started();
  setInterval(tick, 500);
  follow();
  // Once a form is on its way this page is left: what happens then is the next page's to tell.
  // A reload now would take the answer's cookie away.
  for (const leaving of ["submit", "pagehide"]) window.addEventListener(leaving, (event) => {
    if (event.defaultPrevented) return;
    left = true;
    source.close();
  });
  window.addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
}
