/* Says whether a page is kept up to date, and lets its reader hold it still. */
(() => {
  "use strict";
  const control = document.getElementById("live-control");
  const live = document.getElementById("live");
  if (!control || !live) return;
  const word = control.querySelector(".word");
  const button = control.querySelector("button");
  let paused = false;
  let lost = false;

  function show() {
    const state = lost ? "lost" : paused ? "paused" : "on";
    control.hidden = false;
    control.dataset.state = state;
    // Only a change is said aloud.
    if (word.textContent !== control.dataset[state]) word.textContent = control.dataset[state];
    button.textContent = paused ? control.dataset.resume : control.dataset.pause;
  }

  button.addEventListener("click", () => {
    paused = !paused;
    show();
  });
  live.addEventListener("htmx:sse:before:message", (event) => {
    if (paused && !event.detail.message.event) event.preventDefault();
  });
  live.addEventListener("htmx:sse:after:connection", () => {
    lost = false;
    show();
  });
  live.addEventListener("htmx:sse:error", () => {
    lost = true;
    show();
  });
})();
