/* Draws the chart from the table beside it, in the page's language and colours, by the node's clock. */
(() => {
  "use strict";
  const place = document.querySelector(".chart");
  if (!place || !window.uPlot) return;
  const language = document.documentElement.lang;
  const number = new Intl.NumberFormat(language, { maximumSignificantDigits: 3 });
  const clock = (form) => new Intl.DateTimeFormat(language, { ...form, timeZone: "UTC" });
  const TIME = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
  const DAY = { weekday: "short", day: "numeric", month: "numeric" };
  const hour = clock(TIME);
  const day = clock(DAY);
  const full = clock({ ...DAY, ...TIME });
  const HEIGHT = 260;
  const SERIES = [["--chart-in", false], ["--chart-out", false], ["--chart-in", true], ["--chart-out", true]];
  let chart = null;
  let zones = [];

  const table = () => document.getElementById(place.dataset.table);

  /* The time that the node's clock shows at a time: a Date whose time by UTC that is. */
  function shown(at) {
    const zone = zones.findLast((one) => one.from <= at) ?? zones[0];
    return new Date((at + zone.seconds) * 1000);
  }

  /* The same as uPlot wants it to find days and hours: the browser's own time. */
  function dated(at) {
    const time = shown(at);
    return new Date(time.getUTCFullYear(), time.getUTCMonth(), time.getUTCDate(),
      time.getUTCHours(), time.getUTCMinutes(), time.getUTCSeconds());
  }

  function read() {
    const rows = [...table().tBodies[0].rows];
    zones = rows.map((row) => {
      const from = Number(row.dataset.at);
      const wall = row.querySelector("time").dateTime.slice(0, 19);
      return { from, seconds: Date.parse(`${wall}Z`) / 1000 - from };
    });
    const columns = [rows.map((row) => Number(row.dataset.at))];
    for (let column = 1; column < 5; column++) {
      columns.push(rows.map((row) => {
        const value = row.cells[column].dataset.value;
        return value === undefined ? null : Number(value);
      }));
    }
    return columns;
  }

  function options() {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    const labels = [...table().tHead.rows[0].cells].map((cell) => cell.textContent.trim());
    const axis = { stroke: colour("--muted"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line"), width: 1 } };
    const line = ([name, dash], index) => ({
      label: labels[index + 1],
      stroke: colour(name),
      width: dash ? 1.5 : 2,
      dash: dash ? [6, 5] : undefined,
      points: { show: false },
      value: (_, value) => (value === null ? "–" : number.format(value)),
    });
    const days = table().dataset.span === "7d";
    return {
      width: Math.max(place.clientWidth, 200),
      height: HEIGHT,
      tzDate: dated,
      scales: { x: { time: true }, y: { range: (_, low, high) => [0, Math.max(high || 0, 1) * 1.1] } },
      axes: [
        { ...axis, values: (_, ticks) => ticks.map((at) => (days ? day : hour).format(shown(at))) },
        { ...axis, size: 60, values: (_, ticks) => ticks.map((value) => number.format(value)) },
      ],
      series: [
        { label: labels[0], value: (_, at) => (at === null ? "–" : full.format(shown(at))) },
        ...SERIES.map(line),
      ],
      // The first is the time, which has no line.
      legend: { markers: { dash: (_, index) => (SERIES[index - 1][1] ? "dashed" : "solid") } },
    };
  }

  function draw() {
    if (chart) chart.destroy();
    const columns = read();
    chart = new uPlot(options(), columns, place);
  }

  let due = false;
  function refresh() {
    if (due) return;
    due = true;
    requestAnimationFrame(() => {
      due = false;
      chart.setData(read());
    });
  }

  draw();
  new ResizeObserver(() => {
    chart.setSize({ width: Math.max(place.clientWidth, 200), height: HEIGHT });
  }).observe(place);
  for (const feature of ["prefers-color-scheme: dark", "prefers-contrast: more", "forced-colors: active"]) {
    matchMedia(`(${feature})`).addEventListener("change", draw);
  }
  // The table may be put in its place anew, so what is around it is watched.
  const around = document.getElementById("live");
  new MutationObserver((changes) => {
    if (changes.some((change) => !place.contains(change.target))) refresh();
  }).observe(around, { subtree: true, childList: true, characterData: true });
})();
