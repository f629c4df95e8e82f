"use strict";
const SHOWN = 200;

function element(name, text, className) {
  const made = document.createElement(name);
  made.textContent = text ?? "";
  if (className) made.className = className;
  return made;
}

function head(item, note) {
  const made = element("header");
  made.append(element("span", item.to), element("time", new Date(item.at).toLocaleTimeString()), element("span", note));
  return made;
}

function card(message) {
  const made = element("li");
  made.append(head(message, message.accepted ? message.subject : "arrived, but the sender was told that it failed"));
  if (message.code) {
    const copy = element("button", "copy");
    copy.addEventListener("click", () => navigator.clipboard.writeText(message.code));
    made.append(element("span", message.code, "code"), copy);
  }
  made.append(element("p", message.body));
  return made;
}

function refusal(attempt) {
  const made = element("li", "", "refused");
  made.append(head(attempt, `not taken: ${attempt.mode} (${attempt.answered})`));
  return made;
}

async function show() {
  const { messages } = await (await fetch("/messages")).json();
  const { attempts } = await (await fetch("/attempts")).json();
  for (const channel of ["sms", "email"]) {
    const arrived = messages.filter((m) => m.channel === channel).map((m) => [m.at, card(m)]);
    const refused = attempts.filter((a) => a.channel === channel && !/^2/.test(a.answered)).map((a) => [a.at, refusal(a)]);
    const newest = [...arrived, ...refused].sort((a, b) => (a[0] < b[0] ? 1 : -1)).slice(0, SHOWN);
    document.getElementById(channel).replaceChildren(...newest.map(([, made]) => made));
  }
}

for (const button of document.querySelectorAll("[data-faults]")) {
  button.addEventListener("click", async () => {
    await fetch("/faults", { method: "PUT", body: button.dataset.faults });
    for (const other of document.querySelectorAll("[data-faults]")) other.setAttribute("aria-pressed", other === button);
  });
}

const live = document.getElementById("live");
const stream = new EventSource("/messages/stream");
stream.onmessage = () => { live.textContent = "live"; show(); };
stream.onerror = () => { live.textContent = "the simulator does not answer; trying again …"; };
show();
