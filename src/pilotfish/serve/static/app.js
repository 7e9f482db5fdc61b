// The page's figures: asked for every few seconds; new requests come as a stream, or by asking where none can be had.

import { Colours, bar, dollars, frontier, histogram, node, number, percent, seconds, timeline, traceTable } from "./charts.js";
import { events, playground } from "./playground.js";

const $ = (id) => document.getElementById(id);
const EVERY = 5000; // milliseconds between two looks at the figures
const KEPT = 50; // requests in the list
const colours = new Colours();
const shown = { key: sessionStorage.getItem("pilotfish-key") ?? "", after: null, paused: false, curve: [], now: null, stream: null };

class Refused extends Error {}

async function call(path, settings = {}) {
  const headers = { ...(settings.headers ?? {}) };
  if (shown.key) headers.authorization = `Bearer ${shown.key}`;
  const response = await fetch(path, { ...settings, headers, cache: "no-store" });
  if (response.ok) return response;
  const told = await response.json().catch(() => null);
  const message = told?.error?.message ?? `the gateway answered ${response.status}`;
  throw [401, 403].includes(response.status) ? new Refused(message) : new Error(message);
}

const get = async (path) => (await call(path)).json();

function state(kind, text) {
  if ($("state").textContent === text) return;
  $("state").className = `state ${kind}`;
  $("state").textContent = text;
}

// What this key may do.

async function about() {
  const told = await get("live/about");
  $("key-form").hidden = !told.keys;
  const options = told.models.map((name) => node("option", { value: name }, name));
  if ([...$("play-model").options].map((one) => one.value).join() !== told.models.join()) $("play-model").replaceChildren(...options);
  const figures = told.log && told.known && told.admin;
  for (const section of document.querySelectorAll("[data-figures]")) section.hidden = !figures;
  if (!told.known) state("off", shown.key ? "This key is not known here" : "Give a key to see the traffic");
  else if (!told.admin) state("", "This key may use the playground; the traffic is for admins");
  else if (!told.log) state("", "This gateway keeps no log, so there are no figures");
  return figures;
}

// Figures.

function tiles(sum) {
  const rows = [
    ["Requests", number(sum.requests, 6), `${number(sum.answered, 6)} answered`],
    ["Spent", dollars(sum.cost), sum.unpriced ? `${sum.unpriced} calls without a price` : `${number(sum.tokens_in + sum.tokens_out, 6)} tokens`],
    ["Saved", sum.saved === null ? "–" : dollars(sum.saved), sum.against ? `against ${sum.against} alone` : "no model has a price"],
    ["Deferred", percent(sum.deferred), "of what cascades decided"],
    ["Latency, median", seconds(sum.seconds.p50), `p99 ${seconds(sum.seconds.p99)}`],
    ["Gateway's own", seconds(sum.overhead.p50), `p99 ${seconds(sum.overhead.p99)}`],
    ["From cache", number(sum.cached, 6), percent(sum.answered ? sum.cached / sum.answered : null)],
    ["Not answered", number(sum.failed + sum.refused + sum.left, 6), `${sum.failed} failed, ${sum.refused} refused, ${sum.left} left`],
  ];
  $("tiles").replaceChildren(...rows.map(([name, value, detail]) =>
    node("div", {}, node("dt", {}, name), node("dd", {}, value), node("dd", { class: "detail" }, detail))));
  const notes = [];
  if (!sum.whole) notes.push("Only the latest requests of this time are counted.");
  if (sum.dropped) notes.push(`${sum.dropped} requests were not logged: the database was too slow.`);
  $("now-note").textContent = notes.join(" ");
}

function shares(sum) {
  $("shares").tBodies[0].replaceChildren(...sum.models.map((one) => node("tr", {}, node("th", { scope: "row" }, one.model),
    node("td", { class: "bar" }, bar(one.share, colours.of(one.model))), node("td", { class: "right" }, number(one.requests, 6)),
    node("td", { class: "right" }, percent(one.share)))));
  const rows = [["Whole answer", sum.seconds], ["First byte of a stream", sum.first_byte], ["Gateway's own", sum.overhead]];
  $("latency").tBodies[0].replaceChildren(...rows.map(([name, at]) => node("tr", {}, node("th", { scope: "row" }, name),
    ...["p50", "p90", "p99"].map((which) => node("td", { class: "right" }, seconds(at[which]))))));
}

function choices(select, names, chosen) {
  const known = [...select.options].map((one) => one.value);
  if (known.join("\n") !== names.join("\n")) select.replaceChildren(...names.map((name) => node("option", { value: name }, name)));
  if (chosen) select.value = chosen;
}

function whatIf(told) {
  $("what").hidden = !told.model;
  $("what-empty").hidden = Boolean(told.model);
  if (!told.model) return;
  choices($("what-model"), told.models, told.model);
  const slider = $("threshold");
  const before = shown.curve.length && shown.cascade === told.model ? shown.curve[slider.value]?.threshold : null;
  const wanted = shown.moved && before !== null ? before : told.now.threshold;
  Object.assign(shown, { curve: told.curve, now: told.now, cascade: told.model, fixed: told.fixed, looked: told.requests });
  slider.max = told.curve.length - 1;
  const gap = (point) => (wanted === null ? Math.abs(point.deferred - told.now.deferred) : Math.abs(point.threshold - wanted));
  slider.value = told.curve.reduce((best, point, i) => (gap(point) < gap(told.curve[best]) ? i : best), 0);
  outcome();
}

function outcome() {
  const at = Number($("threshold").value);
  const here = shown.curve[at];
  if (!here) return;
  const saved = (point) => (point.saved === null ? "–" : dollars(point.saved));
  const rows = [
    ["Threshold", number(here.threshold), shown.now.threshold === null ? "not one" : number(shown.now.threshold)],
    ["Deferred", percent(here.deferred), percent(shown.now.deferred)],
    ["Cost", dollars(here.cost), dollars(shown.now.cost)],
    ["Saved against the large model alone", saved(here), saved(shown.now)],
    ["Quality, where rated", number(here.quality), number(shown.now.quality)],
    ["Answers rated", percent(here.rated), percent(shown.now.rated)],
  ];
  $("outcome").tBodies[0].replaceChildren(...rows.map(([name, ...values]) => node("tr", {}, node("th", { scope: "row" }, name),
    ...values.map((value) => node("td", { class: "right" }, value)))));
  const notes = [`From ${shown.looked} logged requests; nothing is asked again.`];
  if (here.estimated > 0) notes.push(`For ${percent(here.estimated)} the large model's cost is an estimate.`);
  if (shown.fixed !== null) notes.push(`Calibration set the threshold to ${number(shown.fixed)}; its promise holds there only.`);
  $("what-note").textContent = notes.join(" ");
  $("threshold").setAttribute("aria-valuetext", `${number(here.threshold)}: ${percent(here.deferred)} deferred, ${dollars(here.cost)}`);
  frontier($("frontier"), shown.curve, at, shown.now);
}

function drift(told) {
  const any = Boolean(told.model) && Boolean(told.edges);
  $("drift").hidden = !any;
  $("drift-empty").hidden = any;
  if (!any) return;
  choices($("drift-model"), told.models, told.model);
  const found = told.drift;
  $("drift-said").className = `finding ${found ? (found.alarmed ? "fail" : "pass") : ""}`;
  if (!found) $("drift-said").textContent = told.calibrated ? "No live scores in this time." : "Its file has no calibration.";
  else {
    const rates = `${percent(found.deferred)} below the threshold, ${percent(found.expected)} when it was calibrated`;
    $("drift-said").textContent = `${found.alarmed ? "The scores have drifted" : "The scores look as they did"}: ${rates}; `
      + `distance ${number(found.distance)}, p = ${number(found.p)}, ${found.n} scores.`;
  }
  histogram($("scores"), told);
}

async function figures() {
  const span = $("window").value;
  const named = (id) => ($(id).value ? `&model=${encodeURIComponent($(id).value)}` : "");
  const [sum, what, scores] = await Promise.all([get(`live/summary?seconds=${span}`),
    get(`live/what-if?seconds=${span}${named("what-model")}`), get(`live/drift?seconds=${span}${named("drift-model")}`)]);
  tiles(sum);
  timeline($("timeline"), sum.timeline, colours);
  shares(sum);
  whatIf(what.model || !named("what-model") ? what : await get(`live/what-if?seconds=${span}`));
  drift(scores.model || !named("drift-model") ? scores : await get(`live/drift?seconds=${span}`));
}

// Live requests.

function arrived(rows) {
  for (const row of rows) shown.after = Math.max(shown.after ?? 0, row.seq);
  if (shown.paused || !rows.length) return;
  $("requests-empty").hidden = true;
  const body = $("requests").tBodies[0];
  for (const row of rows) {
    const said = row.verdict ? row.verdict + (row.score === null ? "" : ` (${number(row.score)})`) : "";
    const open = node("button", { type: "button" }, row.prompt || "(no text)");
    open.addEventListener("click", () => detail(row));
    const cells = [row.model, row.cached ? "cache" : row.answered_by, said];
    body.prepend(node("tr", { class: "fresh" }, node("td", {}, new Date(1000 * row.time).toLocaleTimeString()),
      node("td", { class: "text" }, open), ...cells.map((text) => node("td", {}, text)),
      node("td", { class: "right" }, number(row.seconds)), node("td", { class: "right" }, dollars(row.cost)),
      node("td", { class: row.status === 200 ? null : "bad" }, row.status === 200 ? "answered" : `${row.status} ${row.error.slice(0, 60)}`)));
  }
  while (body.rows.length > KEPT) body.lastElementChild.remove();
}

async function detail(row) {
  const { request: whole } = await get(`live/request?id=${encodeURIComponent(row.id)}`).catch(() => ({ request: null }));
  const parts = [node("p", { class: "note" }, `${row.id}; ${new Date(1000 * row.time).toLocaleString()}; key ${row.key || "none"}`)];
  if (whole) {
    for (const message of whole.request?.messages ?? []) {
      const text = typeof message.content === "string" ? message.content : JSON.stringify(message.content, null, 1);
      parts.push(node("h3", {}, message.role), node("pre", { tabindex: "0" }, text));
    }
    if (whole.reply) parts.push(node("h3", {}, "answer"), node("pre", { tabindex: "0" }, whole.reply.text || JSON.stringify(whole.reply.tool_calls ?? "", null, 1)));
    if (whole.error) parts.push(node("p", { class: "bad" }, whole.error));
    parts.push(node("h3", {}, "What was done for it"), ...traceTable(whole.calls, whole.decisions));
  } else parts.push(node("p", {}, "This request is no longer among the latest."));
  $("detail-body").replaceChildren(...parts);
  $("detail").showModal();
}

async function follow(signal) {
  let failures = 0;
  while (!signal.aborted) {
    try {
      const since = shown.after === null ? "" : `?after=${shown.after}`;
      const response = await call(`live/events${since}`, { signal });
      state("live", "Live");
      failures = 0;
      for await (const { event, data } of events(response)) if (event === "rows") arrived(JSON.parse(data));
    } catch (error) {
      if (signal.aborted || error instanceof Refused) return;
      failures += 1;
    }
    // No stream, such as behind a proxy that holds it back: ask.
    try {
      const since = shown.after === null ? "" : `&after=${shown.after}`;
      arrived((await get(`live/rows?limit=${KEPT}${since}`)).rows);
      if (failures) state("polling", "Asking every few seconds");
    } catch {
      state("off", "The gateway does not answer");
    }
    await new Promise((done) => setTimeout(done, failures ? Math.min(EVERY, 1000 * failures) : 500));
  }
}

// Putting it together.

async function refresh() {
  try {
    await figures();
    if ($("state").classList.contains("off")) state("live", "Live");
  } catch (error) {
    state("off", error instanceof Refused ? error.message : "The gateway does not answer");
  }
}

async function start() {
  shown.stream?.abort();
  shown.stream = new AbortController();
  clearInterval(shown.timer);
  let may = false;
  try {
    may = await about();
  } catch {
    state("off", "The gateway does not answer");
    shown.timer = setTimeout(start, EVERY);
    return;
  }
  if (!may) return;
  follow(shown.stream.signal);
  await refresh();
  shown.timer = setInterval(() => { if (!document.hidden) refresh(); }, EVERY);
}

function theme(wanted) {
  if (wanted) document.documentElement.dataset.theme = wanted;
  else delete document.documentElement.dataset.theme;
  localStorage.setItem("pilotfish-theme", wanted);
}

$("theme").value = localStorage.getItem("pilotfish-theme") ?? "";
theme($("theme").value);
$("theme").addEventListener("change", () => theme($("theme").value));
$("window").addEventListener("change", refresh);
$("what-model").addEventListener("change", () => { shown.moved = false; refresh(); });
$("drift-model").addEventListener("change", refresh);
$("threshold").addEventListener("input", () => { shown.moved = true; outcome(); });
$("threshold").addEventListener("change", () => { $("what-said").textContent = $("threshold").getAttribute("aria-valuetext"); });
$("pause").addEventListener("click", () => {
  shown.paused = !shown.paused;
  $("pause").setAttribute("aria-pressed", String(shown.paused));
});
$("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  shown.key = $("key").value.trim();
  sessionStorage.setItem("pilotfish-key", shown.key);
  $("key").value = "";
  start();
});
playground(call, get);
start();
