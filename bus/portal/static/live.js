/* Lets a page that is kept up to date by htmx be held still. */
(() => {
  "use strict";
  const element = document.getElementById("live-control");
  const live = document.getElementById("live");
  if (!element || !live) return;
  const control = window.stadtbus.control(element, live.getAttribute("hx-sse:connect"), () => {});

  live.addEventListener("htmx:sse:before:message", (event) => {
    if (control.isPaused() && !event.detail.message.event) event.preventDefault();
  });
  live.addEventListener("htmx:sse:after:connection", control.opened);
  live.addEventListener("htmx:sse:error", control.failed);
  live.addEventListener("full", control.full);
})();
