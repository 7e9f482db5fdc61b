// Small charts in SVG, and what turns data into nodes. Text goes in by textContent only, so no one's words become markup.

const SVG = "http://www.w3.org/2000/svg";

export function node(tag, settings = {}, ...children) {
  const made = document.createElement(tag);
  fill(made, settings, children);
  return made;
}

function svg(tag, settings = {}, ...children) {
  const made = document.createElementNS(SVG, tag);
  fill(made, settings, children);
  return made;
}

function fill(made, settings, children) {
  for (const [name, value] of Object.entries(settings)) {
    if (value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
}

export function number(value, digits = 3) {
  if (value === null || value === undefined) return "–";
  return value.toLocaleString("en", { maximumSignificantDigits: digits });
}

export function dollars(value) {
  if (value === null || value === undefined) return "unknown";
  const size = Math.abs(value);
  if (size !== 0 && size < 0.000001) return value < 0 ? ">−$0.000001" : "<$0.000001";
  const digits = size === 0 || size >= 1 ? 2 : size >= 0.01 ? 4 : 6;
  return (value < 0 ? "−$" : "$") + size.toLocaleString("en", { minimumFractionDigits: 2, maximumFractionDigits: digits });
}

export function percent(share, digits = 1) {
  return share === null || share === undefined ? "–" : `${(100 * share).toFixed(digits)}%`;
}

export function seconds(value) {
  if (value === null || value === undefined) return "–";
  return value < 1 ? `${number(1000 * value)} ms` : `${number(value)} s`;
}

/** Gives each model its colour, the same on the whole page, in the order in which they are first seen. */
export class Colours {
  constructor() {
    this.known = new Map();
  }
  of(name) {
    if (name === "none") return 8;
    if (!this.known.has(name)) this.known.set(name, (this.known.size % 7) + 1);
    return this.known.get(name);
  }
}

function canvas(width, height, label) {
  return svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label });
}

export function bar(share, colour) {
  return svg("svg", { viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("rect", { class: `f${colour}`, x: 0, y: 0, width: 100 * share, height: 10 }));
}

export function legend(names, colours, said = (name) => name) {
  return node("ul", { class: "legend" }, ...names.map((name) => node("li", {},
    svg("svg", { viewBox: "0 0 10 10", "aria-hidden": "true" },
      svg("rect", { class: `f${colours.of(name)}`, width: 10, height: 10, rx: 2 })), said(name))));
}

/** Stacked bars: how many requests in each step of time, by who answered. */
export function timeline(into, steps, colours) {
  const [width, height, left, bottom] = [480, 170, 34, 20];
  const names = [...new Set(steps.flatMap((step) => Object.keys(step.models)))].sort();
  const totals = steps.map((step) => Object.values(step.models).reduce((a, b) => a + b, 0));
  const top = Math.max(1, ...totals);
  const all = totals.reduce((a, b) => a + b, 0);
  const said = names.map((name) => `${name === "none" ? "not answered" : name}: ${steps.reduce((a, step) => a + (step.models[name] ?? 0), 0)}`);
  const drawing = canvas(width, height, `${all} requests. ${said.join(", ")}. Most in one step: ${top}.`);
  const y = (count) => 8 + (height - bottom - 8) * (1 - count / top);
  const step = (width - left) / steps.length;
  for (const count of [0, top]) {
    drawing.append(svg("line", { class: "axis", x1: left, x2: width, y1: y(count), y2: y(count) }),
      svg("text", { x: left - 5, y: y(count) + 4, "text-anchor": "end" }, String(count)));
  }
  steps.forEach((one, i) => {
    let base = 0;
    for (const name of names) {
      const count = one.models[name] ?? 0;
      if (!count) continue;
      drawing.append(svg("rect", { class: `f${colours.of(name)}`, x: left + i * step + 0.8, width: Math.max(1, step - 1.6),
        y: y(base + count), height: y(base) - y(base + count) }));
      base += count;
    }
  });
  const day = steps.at(-1).from - steps[0].from > 86400;
  const clock = (time) => new Date(1000 * time).toLocaleString([], day
    ? { month: "short", day: "numeric" } : { hour: "2-digit", minute: "2-digit" });
  drawing.append(svg("text", { x: left, y: height - 5 }, clock(steps[0].from)),
    svg("text", { x: width, y: height - 5, "text-anchor": "end" }, "now"));
  into.replaceChildren(drawing, legend(names, colours, (name) => (name === "none" ? "not answered" : name)));
}

/** Cost across, quality (where it was rated) or the share deferred up; the thresholds are the points of a line. */
export function frontier(into, curve, at, now) {
  const [width, height, left, bottom] = [480, 260, 44, 34];
  const rated = curve.filter((point) => point.quality !== null).length >= 2;
  const up = (point) => (rated ? point.quality : point.deferred);
  const priced = curve.some((point) => point.cost !== null);
  const across = (point) => (priced ? point.cost : point.deferred);
  const points = curve.filter((point) => up(point) !== null && across(point) !== null);
  if (!points.length) return;
  const range = (values) => {
    const [low, high] = [Math.min(...values), Math.max(...values)];
    return high > low ? [low, high] : [low - 0.5, high + 0.5];
  };
  const [x0, x1] = range([...points, now].map(across).filter((value) => value !== null));
  const [y0, y1] = range([...points, now].map(up).filter((value) => value !== null));
  const x = (point) => left + 8 + (width - left - 20) * ((across(point) - x0) / (x1 - x0));
  const y = (point) => 10 + (height - bottom - 20) * (1 - (up(point) - y0) / (y1 - y0));
  const here = curve[at];
  const named = rated ? "quality" : "share deferred";
  const drawing = canvas(width, height, `Cost from ${dollars(x0)} to ${dollars(x1)}, ${named} from ${number(y0)} to ${number(y1)}. `
    + `At this threshold ${percent(here.deferred)} deferred at ${dollars(here.cost)}; as it was, ${percent(now.deferred)} at ${dollars(now.cost)}.`);
  drawing.append(
    svg("line", { class: "axis", x1: left, x2: left, y1: 6, y2: height - bottom }),
    svg("line", { class: "axis", x1: left, x2: width, y1: height - bottom, y2: height - bottom }),
    svg("text", { x: left - 5, y: height - bottom - 6, "text-anchor": "end" }, rated ? number(y0) : percent(y0, 0)),
    svg("text", { x: left - 5, y: 16, "text-anchor": "end" }, rated ? number(y1) : percent(y1, 0)),
    svg("text", { x: left + 8, y: height - bottom + 15 }, priced ? dollars(x0) : percent(x0, 0)),
    svg("text", { x: width, y: height - bottom + 15, "text-anchor": "end" }, priced ? dollars(x1) : percent(x1, 0)),
    svg("text", { x: (left + width) / 2, y: height - bottom + 28, "text-anchor": "middle" }, priced ? "cost" : "share deferred"),
    svg("text", { x: left + 6, y: 16 }, named),
    svg("polyline", { class: "line", points: points.map((point) => `${x(point)},${y(point)}`).join(" ") }));
  if (up(now) !== null && across(now) !== null) drawing.append(svg("circle", { class: "was", cx: x(now), cy: y(now), r: 6 }));
  if (up(here) !== null && across(here) !== null) drawing.append(svg("circle", { class: "here", cx: x(here), cy: y(here), r: 6 }));
  into.replaceChildren(drawing, node("p", { class: "note" }, "Filled: this threshold. Ring: as it was."
    + (rated ? "" : " No answers were rated, so the share deferred stands in for quality.")));
}

/** Live scores as bars, calibration's as an outline, the threshold as a dashed line. */
export function histogram(into, data) {
  const [width, height, left, bottom] = [900, 190, 38, 22];
  const { edges, live_share: live, calibrated_share: known, threshold } = data;
  const top = Math.max(...live, ...(known ?? []), 1e-9);
  const [low, high] = [edges[0], edges.at(-1)];
  const x = (value) => left + (width - left - 4) * ((value - low) / (high - low || 1));
  const y = (share) => 22 + (height - bottom - 22) * (1 - share / top);
  const drawing = canvas(width, height, `Scores from ${number(low)} to ${number(high)}; ${data.live} live`
    + (known ? ", beside those of calibration." : "."));
  drawing.append(svg("line", { class: "axis", x1: left, x2: width, y1: y(0), y2: y(0) }),
    svg("text", { x: left - 5, y: 26, "text-anchor": "end" }, percent(top, 0)),
    svg("text", { x: left, y: height - 6 }, number(low)),
    svg("text", { x: width - 4, y: height - 6, "text-anchor": "end" }, number(high)));
  live.forEach((share, i) => {
    if (share) drawing.append(svg("rect", { class: "f1", x: x(edges[i]) + 0.6, width: Math.max(1, x(edges[i + 1]) - x(edges[i]) - 1.2),
      y: y(share), height: y(0) - y(share) }));
  });
  if (known) {
    const steps = known.flatMap((share, i) => [`${x(edges[i])},${y(share)}`, `${x(edges[i + 1])},${y(share)}`]);
    drawing.append(svg("polyline", { class: "outline", points: steps.join(" ") }));
  }
  if (threshold !== undefined && threshold >= low && threshold <= high) {
    drawing.append(svg("line", { class: "dash", x1: x(threshold), x2: x(threshold), y1: 4, y2: y(0) }),
      svg("text", { x: x(threshold) + 5, y: 14 }, `threshold ${number(threshold)}`));
  }
  const note = known ? "Bars: live. Line: when it was calibrated." : "Live scores. Without a calibration in the file there is nothing to compare them with.";
  into.replaceChildren(drawing, node("p", { class: "note" }, note));
}

/** A table of the calls and decisions of a reply. */
export function traceTable(calls, decisions) {
  const cell = (text, kind) => node("td", kind ? { class: kind } : {}, text);
  const head = (names) => node("thead", {}, node("tr", {}, ...names.map(([name, kind]) => node("th", { scope: "col", class: kind }, name))));
  const rows = calls.map((call) => node("tr", {}, node("th", { scope: "row" }, call.model), cell(call.role),
    cell(`${call.tokens_in} + ${call.tokens_out}`, "right"), cell(seconds(call.seconds), "right"),
    cell(dollars(call.cost), "right"), cell([call.cached ? "cached" : "", call.why].filter(Boolean).join("; "))));
  const parts = [node("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Calls" }, node("table", {},
    head([["Call"], ["As"], ["Tokens", "right"], ["Time", "right"], ["Dollars", "right"], ["Why"]]), node("tbody", {}, ...rows)))];
  if (decisions.length) {
    parts.push(node("ul", {}, ...decisions.map((one) => node("li", {},
      `${one.model}: ${one.verdict}${one.score === null ? "" : `, score ${number(one.score)}`}`))));
  }
  return parts;
}
