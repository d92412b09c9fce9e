/* The control at a page's head: says whether the page follows the bus, and holds it still. */
window.stadtbus = {
  /* Returns what the reader of the stream at an address calls; "held" is called when the page is held
     still or goes on. */
  control(element, address, held) {
    "use strict";
    const STAYS = 2000;
    const word = element.querySelector(".word");
    const button = element.querySelector("button");
    let paused = false;
    let lost = false;
    let out = false;
    let crowded = false;
    let staying = 0;

    function show() {
      const state = paused ? "paused" : out ? "out" : lost ? "lost" : crowded ? "crowded" : "on";
      element.hidden = false;
      element.dataset.state = state;
      // Only a change is said aloud.
      if (word.textContent !== element.dataset[state]) word.textContent = element.dataset[state];
      button.textContent = paused ? element.dataset.resume : element.dataset.pause;
    }

    button.addEventListener("click", () => {
      paused = !paused;
      held(paused);
      show();
    });
    return {
      isPaused: () => paused,
      opened() {
        lost = out = false;
        // Who comes back may be sent away again at once.
        clearTimeout(staying);
        staying = setTimeout(() => {
          crowded = false;
          show();
        }, STAYS);
        show();
      },
      full() {
        clearTimeout(staying);
        crowded = true;
        show();
      },
      failed() {
        clearTimeout(staying);
        lost = true;
        show();
        // A stream does not say why it ends. Who is away does not answer this, either.
        fetch(address, { method: "HEAD" }).then((answer) => {
          out = lost && answer.status === 401;
          show();
        }, () => {});
      },
    };
  },
};
