// What moves on the page. All numbers come from the data that the page holds; see __init__.py.

const find = (id) => document.getElementById(id);

async function unpack(id) {
  const bytes = Uint8Array.from(atob(find(id).textContent), (letter) => letter.charCodeAt(0));
  const unzipped = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(unzipped).text();
}

const { data, chart } = JSON.parse(await unpack("packed"));
const systems = new Map(data.systems.map((system) => [system.key, system]));
const PAGE = 50; // rows of examples that are shown at first, and more at each request
const inLayers = data.cost === "layers";
let view = null; // of the chart
let shownRows = PAGE;

const currentPlace = () =>
  data.places.find((p) => p.task === find("task").value && p.split === find("split").value);
const currentSpeedup = () => Number(find("speedup").value);

function make(tag, content = "", attributes = {}) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...[content].flat());
  return element;
}

function fillSelect(id, options) {
  const select = find(id), before = select.value;
  select.replaceChildren(...options.map(([value, text]) => make("option", text, { value })));
  if (options.some(([value]) => value === before)) select.value = before;
}

function formatLeaving(point, costs) {
  return point.leaving
    .map((share, exit) => [inLayers ? costs[exit] : exit + 1, share])
    .filter(([, share]) => share >= 0.0005)
    .map(([exit, share]) => `${exit}:\u00a0${(100 * share).toFixed(1)}%`)
    .join(" · ");
}

const formatTime = (point) => (point.milliseconds === undefined ? "" : point.milliseconds.toFixed(2));

// For each system, the point with the speed-up nearest by ratio; at a tie, the one of the tables.
function findNearest(place, speedup) {
  const nearest = new Map();
  for (const point of place.points) {
    const distance = Math.abs(Math.log(point.target / speedup)) - (point.mixed ? 1e-9 : 0);
    const known = nearest.get(point.system);
    if (!known || distance < known.distance) nearest.set(point.system, { point, distance });
  }
  return data.systems.map(({ key }) => nearest.get(key)).filter(Boolean);
}

function forChart(place, point) {
  const costs = place.costs[point.system];
  return {
    ...point,
    told_speedup: point.shown.speedup,
    told_score: point.shown.score,
    told_interval: point.shown.interval,
    exits: formatLeaving(point, costs),
    time: formatTime(point) || "not measured",
  };
}

function drawPlace() {
  const place = currentPlace();
  find("about-systems").textContent =
    `${place.task} (${place.split}), ${place.n.toLocaleString("en")} examples, ${place.metric}. ` +
    `The most frequent class alone: ${place.majority}. ` +
    (inLayers ? "A speed-up counts layers, not time. " : "A speed-up counts measured time. ") +
    "Thresholds are means over seeds, and at the targets over the two thresholds that a coin mixes.";
  const inside = place.points.filter((p) => p.speedup <= data.range[1]);
  // Labels of the new points may need more room beside the axis.
  if (view) view.data("points", inside.map((point) => forChart(place, point))).resize();
  fillSelect("wrong", [["", "any system"], ...data.systems
    .filter(({ key }) => key in place.costs).map(({ key, title }) => [key, title])]);
  shownRows = PAGE;
  drawSpeedup();
}

function drawSpeedup() {
  const place = currentPlace(), speedup = currentSpeedup();
  find("shown").textContent = `${speedup.toFixed(2)}×`;
  find("speedup").setAttribute("aria-valuetext", `${speedup.toFixed(2)} times`);
  const nearest = findNearest(place, speedup);
  const timed = nearest.some(({ point }) => point.milliseconds !== undefined);
  const header = ["System", "Speed-up", "Score (%)", "95% interval", "Threshold",
    inLayers ? "Share that leaves after (layers)" : "Share that leaves at exit",
    ...(timed ? ["ms a text"] : [])];
  find("systems").tHead.rows[0].replaceChildren(
    ...header.map((title) => make("th", title, { scope: "col" })));
  const isFar = ({ distance }) => distance > Math.log(1 + data.tolerance);
  const close = nearest.filter((each) => !isFar(each)).map(({ point }) => point.shown.score);
  const best = close.reduce((one, other) => (Number(other) > Number(one) ? other : one), "-1");
  find("systems").tBodies[0].replaceChildren(...nearest.map((each) =>
    makeSystemRow(place, each.point, { far: isFar(each), best, timed })));
  if (view) {
    view.signal("speedup", speedup)
      .data("chosen", nearest.filter((each) => !isFar(each) && each.point.speedup <= data.range[1])
        .map(({ point }) => forChart(place, point)))
      .run();
  }
  drawExamples();
  remember();
}

function makeSystemRow(place, point, { far, best, timed }) {
  const costs = place.costs[point.system], { score, interval } = point.shown;
  const name = make("th", point.title, { scope: "row" });
  if (point.undertrained) name.append(make("div", "undertrained", { class: "note" }));
  const speedup = make("td", point.shown.speedup, { class: "number" });
  if (far) speedup.append(make("div", "its nearest", { class: "note" }));
  const bar = make("div", point.leaving.map((share) =>
    make("i", "", { style: `width: ${(100 * share).toFixed(2)}%` })), { class: "bar", "aria-hidden": "true" });
  const leaving = make("td", [make("div", formatLeaving(point, costs), { class: "shares" }), bar]);
  const bold = !far && score === best ? " best" : "";
  return make("tr", [
    name, speedup,
    make("td", score, { class: `number${bold}` }),
    make("td", interval, { class: "number" }),
    make("td", point.knob || "—", { class: "number", title: systems.get(point.system).knob }),
    leaving,
    ...(timed ? [make("td", formatTime(point) || "—", { class: "number" })] : []),
  ], { "data-system": point.system, class: far ? "far" : "" });
}

// The target whose thresholds the examples are answered with: the nearest to the slider.
function nearestTarget() {
  const distances = data.targets.map((target) => Math.abs(Math.log(target / currentSpeedup())));
  return distances.indexOf(Math.min(...distances));
}

function findAnswer(place, example, key, target) {
  const [answers, , taken] = example.outputs[key];
  return place.labels[answers[taken[target]]];
}

function drawExamples() {
  const place = currentPlace(), target = nearestTarget();
  const words = find("search").value.trim().toLowerCase(), wrong = find("wrong").value;
  find("about-examples").textContent =
    `At most ${place.examples.length} examples, those with most disagreement first. Answers are those ` +
    `of the first seed at ${data.targets[target]}×, with the thresholds that a deployed system uses. ` +
    "Easy: the smallest model of the proposed system is right with every seed.";
  const found = place.examples.filter((example) =>
    [example.text, example.pair, example.gold, example.id].join("\n").toLowerCase().includes(words) &&
    (!wrong || findAnswer(place, example, wrong, target) !== example.gold));
  find("count").textContent = `${found.length} of ${place.examples.length} examples`;
  find("rows").tBodies[0].replaceChildren(
    ...found.slice(0, shownRows).flatMap((example) => makeExampleRows(place, example, target)));
  find("more").hidden = found.length <= shownRows;
}

// A row for the example, and one for the answers below it.
function makeExampleRows(place, example, target) {
  const keys = data.systems.map(({ key }) => key).filter((key) => key in example.outputs);
  const right = keys.filter((key) => findAnswer(place, example, key, target) === example.gold);
  const details = make("details", make("summary", `${right.length} of ${keys.length} right`));
  details.addEventListener("toggle", () => {
    if (details.open && !details.querySelector("table"))
      details.append(makeOutputs(place, example, keys, target));
  });
  const text = make("td", [example.text, ...(example.pair ? [make("br"), example.pair] : [])],
    { class: "text" });
  const [seeds, all] = example.right ?? [];
  const difficulty = all === undefined ? "—"
    : seeds === all ? "easy" : `difficult (${seeds} of ${all} seeds right)`;
  return [
    make("tr", [text, make("td", example.gold), make("td", difficulty)],
      { class: "example", "data-id": example.id }),
    make("tr", make("td", details, { colspan: 3 })),
  ];
}

// The answer of each system, and its confidence at each exit; the exit taken is underlined.
function makeOutputs(place, example, keys, target) {
  const rows = keys.map((key) => {
    const [answers, percent, taken] = example.outputs[key];
    const answer = place.labels[answers[taken[target]]], isRight = answer === example.gold;
    const cells = percent.map((value, exit) => [
      make("span", `${value}%`, {
        class: exit === taken[target] ? "taken" : "",
        title: `exit ${exit + 1}: ${place.labels[answers[exit]]}`,
      }), " "]).flat();
    return make("tr", [
      make("th", systems.get(key).title, { scope: "row" }),
      make("td", `${isRight ? "✓" : "✗"} ${answer}`, { class: isRight ? "" : "wrong" }),
      make("td", cells)]);
  });
  const header = ["System", "Answer", "Confidence at each exit"];
  return make("table", [
    make("thead", make("tr", header.map((title) => make("th", title, { scope: "col" })))),
    make("tbody", rows)]);
}

function fillSplits() {
  const there = data.places.filter((p) => p.task === find("task").value);
  fillSelect("split", there.map((p) => [p.split, p.split]));
}

// The choice is in the address, so that a reader can hand it on.
function remember() {
  const choice = new URLSearchParams({
    task: find("task").value, split: find("split").value, speedup: find("speedup").value });
  try {
    history.replaceState(null, "", `#${choice}`);
  } catch {
    // Inside Snakemake's report the page has no address of its own.
  }
}

function recall() {
  const choice = new URLSearchParams(location.hash.slice(1));
  const task = choice.get("task"), split = choice.get("split"), speedup = choice.get("speedup");
  if (data.places.some((p) => p.task === task)) find("task").value = task;
  fillSplits();
  if (data.places.some((p) => p.task === find("task").value && p.split === split))
    find("split").value = split;
  if (Number(speedup) > 0) find("speedup").value = speedup;
}

async function start() {
  const slider = find("speedup");
  slider.min = Math.ceil(20 * data.range[0] - 1e-9) / 20;
  slider.max = Math.floor(20 * data.range[1] + 1e-9) / 20;
  slider.value = data.targets[Math.floor(data.targets.length / 2)];
  find("targets").append(...data.targets.map((value) => make("option", "", { value })));
  fillSelect("task", [...new Set(data.places.map((p) => p.task))].map((task) => [task, task]));
  recall();
  find("task").addEventListener("change", () => { fillSplits(); drawPlace(); });
  find("split").addEventListener("change", drawPlace);
  slider.addEventListener("input", drawSpeedup);
  for (const id of ["search", "wrong"])
    find(id).addEventListener("input", () => { shownRows = PAGE; drawExamples(); });
  addEventListener("hashchange", () => {
    if (location.hash.includes("task=")) { recall(); drawPlace(); }
  });
  find("down").addEventListener("click", (event) => {
    event.preventDefault(); // the address keeps the choice
    find("examples").scrollIntoView();
  });
  find("more").addEventListener("click", () => { shownRows += PAGE; drawExamples(); });
  for (const form of document.forms)
    form.addEventListener("submit", (event) => event.preventDefault());
  drawPlace();
  document.head.append(make("script", await unpack("library"))); // it sets vegaEmbed
  const columns = { expr: "max(1, floor(width / 200))" };
  chart.config = { ...chart.config, legend: { columns, labelFontSize: 12 } };
  const embedded = await vegaEmbed("#chart", chart, {
    renderer: "svg",
    actions: { export: true, source: false, compiled: false, editor: false },
    downloadFileName: `${data.experiment}-explorer`,
  });
  view = embedded.view;
  drawPlace();
}

await start();
