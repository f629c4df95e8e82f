"use strict";
// The description stands in the page: nothing is fetched. Redoc has no dark colours of its own, so it is given ours.
const DARK = {
  colors: {
    primary: { main: "#6fcf9d" },
    success: { main: "#6fcf9d" }, warning: { main: "#f0b766", contrastText: "#1b1f1d" }, error: { main: "#ff9c93" },
    gray: { 50: "#1b1f1d", 100: "#232826" },
    text: { primary: "#e7ebe8", secondary: "#a3ada7" },
    border: { dark: "#78847d", light: "#313733" },
    responses: {
      success: { color: "#6fcf9d", backgroundColor: "#1c3026", tabTextColor: "#6fcf9d" },
      error: { color: "#ff9c93", backgroundColor: "#3a1f1d", tabTextColor: "#ff9c93" },
    },
  },
  schema: { nestedBackground: "#171b19", typeNameColor: "#a3ada7", typeTitleColor: "#a3ada7", requireLabelColor: "#ff9c93", linesColor: "#4d5751" },
  typography: { code: { color: "#f0b766", backgroundColor: "#232826" }, links: { color: "#6fcf9d", visited: "#6fcf9d", hover: "#9be3bd" } },
  sidebar: { backgroundColor: "#1b1f1d", textColor: "#e7ebe8", activeTextColor: "#6fcf9d" },
  rightPanel: { backgroundColor: "#1b1f1d", textColor: "#e7ebe8" },
};
const LIGHT = {
  colors: { primary: { main: "#1f6f4a" }, text: { primary: "#1b201d", secondary: "#59625d" } },
  typography: { links: { color: "#1f6f4a" } },
  rightPanel: { backgroundColor: "#232a26" },
};
const place = document.getElementById("calls");

// What Redoc does not do for those who listen: headings of parts stand below their call's, an entry is named as it reads.
function mend() {
  for (const heading of place.querySelectorAll("h5:not([aria-level])")) heading.setAttribute("aria-level", "3");
  for (const entry of place.querySelectorAll("[role=menuitem][aria-label]")) entry.removeAttribute("aria-label");
}
new MutationObserver(mend).observe(place, { childList: true, subtree: true, attributes: true, attributeFilter: ["aria-label"] });

const dark = matchMedia("(prefers-color-scheme: dark)");
function show() {
  Redoc.init(JSON.parse(document.getElementById("description").textContent), {
    theme: dark.matches ? DARK : LIGHT, disableSearch: true, hideDownloadButtons: true, hideLoading: true, nativeScrollbars: true,
  }, place);
}
dark.addEventListener("change", show);
show();
