"use strict";

// Everything here also works without it: what one looks for or previews is a form.

const lost = document.getElementById("lost");
const RETRY = 2000;
let waiting = null;

// What a part of the page asked for and did not get is asked for again, until it comes.
const again = (source) => {
  waiting = null;
  if (!source.isConnected) return;
  if (source.matches("form[hx-trigger*=submit]")) source.requestSubmit();
  else source.dispatchEvent(new Event("change", { bubbles: true }));
};
const failed = (source) => {
  lost.hidden = false;
  clearTimeout(waiting);
  waiting = setTimeout(again, RETRY, source);
};

document.addEventListener("htmx:before:response", (event) => {
  const { response, sourceElement } = event.detail.ctx;
  lost.hidden = true;
  if (response.status < 400) return;
  event.preventDefault();  // the page of a problem is no part of this one
  if (response.status >= 500) failed(sourceElement);
  else location.reload();
});
document.addEventListener("htmx:error", (event) => {
  if (event.detail.ctx) failed(event.detail.ctx.sourceElement);
});
