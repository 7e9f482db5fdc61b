// Asks a model through the gateway's own door and shows the answer as it streams, then what was done for it.

import { dollars, node, number, seconds, traceTable } from "./charts.js";

const $ = (id) => document.getElementById(id);

export function playground(call, get) {
  let running = null;
  $("play-stop").addEventListener("click", () => running?.abort());
  $("play-prompt").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) $("play").requestSubmit();
  });
  $("play").addEventListener("submit", async (event) => {
    event.preventDefault();
    if (running) return;
    running = new AbortController();
    $("play-send").disabled = true;
    $("play-stop").disabled = false;
    $("answer").textContent = "";
    $("answer").setAttribute("aria-busy", "true");
    $("trace").replaceChildren();
    say("Asked; waiting for the first words.");
    try {
      const told = await ask(call, running.signal);
      await showTrace(get, told);
    } catch (error) {
      say(error.name === "AbortError" ? "Stopped." : `Failed: ${error.message}`);
    } finally {
      running = null;
      $("play-send").disabled = false;
      $("play-stop").disabled = true;
      $("answer").removeAttribute("aria-busy");
    }
  });
}

function say(text) {
  $("answer-said").textContent = text;
}

async function ask(call, signal) {
  const body = {
    model: $("play-model").value,
    messages: [{ role: "user", content: $("play-prompt").value }],
    stream: true,
    stream_options: { include_usage: true },
  };
  if ($("play-temperature").value !== "") body.temperature = Number($("play-temperature").value);
  if ($("play-tokens").value !== "") body.max_tokens = Number($("play-tokens").value);
  const start = performance.now();
  const told = { id: null, first: null, usage: null, pilotfish: null, whole: null };
  const response = await call("v1/chat/completions", {
    method: "POST", signal, body: JSON.stringify(body), headers: { "content-type": "application/json" },
  });
  for await (const { data } of events(response)) {
    if (data === "[DONE]") break;
    const chunk = JSON.parse(data);
    if (chunk.error) throw new Error(chunk.error.message);
    told.id ??= chunk.id;
    told.usage = chunk.usage ?? told.usage;
    told.pilotfish = chunk.pilotfish ?? told.pilotfish;
    const delta = chunk.choices?.[0]?.delta ?? {};
    const text = delta.content ?? (delta.tool_calls ? JSON.stringify(delta.tool_calls) : "");
    if (text) {
      if (told.first === null) {
        told.first = (performance.now() - start) / 1000;
        say("Answering.");
      }
      $("answer").append(text);
    }
  }
  told.whole = (performance.now() - start) / 1000;
  return told;
}

async function showTrace(get, told) {
  const about = told.pilotfish ?? {};
  const parts = [`Done in ${seconds(told.whole)}`];
  if (told.first !== null) parts.push(`first words after ${seconds(told.first)}`);
  if (about.model) parts.push(`answered by ${about.model}`);
  if (about.verdict) parts.push(about.verdict + (about.score === null ? "" : ` (score ${number(about.score)})`));
  if (about.cost !== undefined) parts.push(dollars(about.cost));
  if (told.usage) parts.push(`${told.usage.total_tokens} tokens over all calls`);
  say(`${parts.join("; ")}.`);
  if (!told.id) return;
  // The log writes within moments; its row has every call.
  for (let tries = 0; tries < 5; tries += 1) {
    const found = await get(`live/request?id=${encodeURIComponent(told.id)}`).catch(() => null);
    if (!found) return;
    if (found.request) {
      $("trace").replaceChildren(node("h3", {}, "What was done for it"), ...traceTable(found.request.calls, found.request.decisions));
      return;
    }
    await new Promise((done) => setTimeout(done, 200));
  }
}

/** Yields the events of a stream: {event, data, id}. */
export async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let waiting = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      waiting = (waiting + value).replaceAll("\r\n", "\n");
      let end;
      while ((end = waiting.indexOf("\n\n")) >= 0) {
        const found = { event: "message", data: "", id: "" };
        for (const line of waiting.slice(0, end).split("\n")) {
          const colon = line.indexOf(":");
          if (colon <= 0) continue;
          const value = line.slice(colon + 1).replace(/^ /, "");
          const field = line.slice(0, colon);
          if (field === "data") found.data += (found.data ? "\n" : "") + value;
          else if (field in found) found[field] = value;
        }
        waiting = waiting.slice(end + 2);
        if (found.data) yield found;
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}
