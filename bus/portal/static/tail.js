/* Follows a topic: puts what comes on top, counts what does not, and goes on where it stopped. */
(() => {
  "use strict";
  const MOST_ROWS = 200;
  const AGAIN = 5000;
  const table = document.getElementById("tail");
  if (!table || !table.dataset.position) return;
  const rows = table.tBodies[0];
  const pattern = document.getElementById("row");
  const tally = document.getElementById("tally");
  const trouble = document.getElementById("trouble");
  const number = new Intl.NumberFormat(document.documentElement.lang);
  let position = table.dataset.position;
  let source = null;
  let again = 0;
  const element = document.getElementById("tail-control");
  const control = window.stadtbus.control(element, table.dataset.stream, (paused) => {
    clearTimeout(again);
    source.close();
    if (!paused) open();
  });

  function count(name, more) {
    const place = document.querySelector(`[data-count="${name}"]`);
    const sum = Number(place.dataset.value) + more;
    place.dataset.value = sum;
    place.textContent = number.format(sum);
  }

  function fill(row, line) {
    const slot = (name) => row.querySelector(`[data-slot="${name}"]`);
    for (const name of ["at", "place", "key", "source", "data"]) slot(name).textContent = line[name];
    slot("at").dateTime = line.iso;
    slot("at").title = line.iso;
    row.classList.toggle("fault", line.fault !== "");
    slot("fault").hidden = line.fault === "";
    slot("word").textContent = line.fault;
  }

  function add(line) {
    const row = pattern.content.cloneNode(true).querySelector("tr");
    fill(row, line);
    rows.prepend(row);
  }

  /* What could not be decoded when it came. */
  function change(lines) {
    if (lines.length === 0) return;
    const found = new Map(lines.map((line) => [line.place, line]));
    for (const row of rows.rows) {
      const line = found.get(row.querySelector('[data-slot="place"]').textContent);
      if (line) fill(row, line);
    }
  }

  function take(event) {
    position = event.lastEventId;
    const told = JSON.parse(event.data);
    change(told.again);
    told.lines.forEach(add);
    while (rows.rows.length > MOST_ROWS) rows.deleteRow(-1);
    count("shown", told.lines.length);
    count("skipped", told.skipped);
    count("filtered", told.filtered);
    tally.dataset.total = Number(tally.dataset.total) + told.lines.length + told.skipped + told.filtered;
    for (const part of ["trouble", "detail"]) trouble.querySelector(`[data-slot="${part}"]`).textContent = told[part];
    trouble.hidden = told.trouble === "";
  }

  function open() {
    source = new EventSource(`${table.dataset.stream}&from=${encodeURIComponent(position)}`);
    source.addEventListener("message", take);
    source.addEventListener("masked", () => location.reload());
    source.addEventListener("open", control.opened);
    let full = false;
    source.addEventListener("full", () => {
      full = true;
      control.full();
    });
    source.addEventListener("error", (event) => {
      // The end of a stream that had to make room is none.
      if (!full) control.failed();
      full = false;
      // After a refusal a browser does not try again by itself.
      if (event.target.readyState !== EventSource.CLOSED) return;
      again = setTimeout(open, AGAIN);
    });
  }

  open();
})();
