"use strict";
// The page of `fsh inspect`: alone (all rows and pictures are in it), or served (it asks for them).
const known = JSON.parse(document.getElementById("data").textContent);
const el = (id) => document.getElementById(id);
const make = (tag, text, name) => {
  const one = document.createElement(tag);
  if (text !== undefined) one.textContent = text;
  if (name) one.className = name;
  return one;
};
const BARS = 40, PAGE = 60;
const limits = {};
const state = { words: "", view: "kept", sort: "", descending: false, shown: 0 };
known.thresholds.forEach((one) => { limits[one.name] = one.default; });

// --- which clips remain: the same as fsh.pipeline.dataset.browsing ------------------------------
const alone = known.columns ? (() => {
  const rows = known.columns, count = rows.clip_id.length;
  const texts = rows.clip_id.map((id, i) =>
    [id, rows.video_id[i], rows.identity[i]].join("\n").toLowerCase());
  const bars = {};
  for (const { name, range: [low, high] } of known.thresholds) {
    bars[name] = rows.scores[name].map((value) => value === null ? -1
      : Math.max(0, Math.min(BARS - 1, Math.floor((value - low) / (high - low) * BARS))));
  }
  const reasonOf = (i) => {
    if (rows.fixed[i]) return rows.fixed[i];
    for (const { name, least, reason } of known.thresholds) {
      const value = rows.scores[name][i];
      if (value !== null && (least ? value < limits[name] : value > limits[name])) return reason;
    }
    return "";
  };
  return (offset, wanted) => {
    const seconds = {}, drawn = {}, found = [], words = state.words.trim().toLowerCase();
    let kept = 0;
    for (const { name } of known.thresholds) drawn[name] = [new Array(BARS).fill(0), new Array(BARS).fill(0)];
    for (let i = 0; i < count; i++) {
      const reason = reasonOf(i);
      seconds[reason] = (seconds[reason] || 0) + rows.seconds[i];
      kept += reason === "";
      for (const { name } of known.thresholds) {
        const bar = bars[name][i];
        if (bar < 0) continue;
        drawn[name][1][bar]++;
        if (reason === "") drawn[name][0][bar]++;
      }
      const inView = state.view === "all" || (state.view === "kept" ? reason === ""
        : state.view === "rejected" ? reason !== "" : reason === state.view);
      if (inView && (!words || texts[i].includes(words))) found.push([i, reason]);
    }
    const by = rows.scores[state.sort];
    if (by) {
      const sign = state.descending ? -1 : 1;
      const key = (i) => by[i] === null ? Infinity : sign * by[i];
      found.sort((a, b) => key(a[0]) - key(b[0]) || a[0] - b[0]);
    }
    const row = ([i, reason]) => {
      const one = { number: i, reason, scores: {} };
      for (const name of Object.keys(rows)) if (Array.isArray(rows[name])) one[name] = rows[name][i];
      for (const name of Object.keys(rows.scores)) one.scores[name] = rows.scores[name][i];
      return one;
    };
    return { kept, found: found.length, seconds, bars: drawn, rows: found.slice(offset, offset + wanted).map(row) };
  };
})() : null;

const ask = async (offset) => {
  if (alone) return alone(offset, PAGE);
  const answer = await fetch("query", {
    method: "POST", headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ limits, ...state, offset, count: PAGE }),
  });
  if (!answer.ok) throw new Error(await answer.text());
  return answer.json();
};

// --- pictures ---------------------------------------------------------------------------------
const decode = (blob) => new Promise((done) => {
  const image = new Image();
  image.onload = () => done(image);
  image.onerror = () => done(null);
  image.src = typeof blob === "string" ? blob : URL.createObjectURL(blob);
});
const bytesOf = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
// A clip's film: pictures, landmarks in shares of them (68 x, y each), seconds of each, sound.
const strips = alone ? document.getElementById("strips").textContent : "";
const filmOf = async (id, whole) => {
  if (alone) {
    if (!known.strips[id]) return null;
    const [at, jpeg, dots, ...times] = known.strips[id];
    const image = await decode("data:image/jpeg;base64," + strips.slice(at, at + jpeg));
    if (!image) return null;
    const points = bytesOf(strips.slice(at + jpeg, at + jpeg + dots)), side = image.height;
    return {
      count: times.length, times,
      draw: (to, n) => to.drawImage(image, n * side, 0, side, side, 0, 0, to.canvas.width, to.canvas.height),
      point: (n, k) => [points[(n * 68 + k) * 2] / 255, points[(n * 68 + k) * 2 + 1] / 255],
    };
  }
  const answer = await fetch(`clip/${encodeURIComponent(id)}${whole ? "" : "?first"}`);
  if (answer.status !== 200) return null;
  const content = await answer.arrayBuffer();
  const size = new DataView(content).getUint32(0);
  const info = JSON.parse(new TextDecoder().decode(content.slice(4, 4 + size)));
  const edges = info.offsets.map((at) => 4 + size + at);
  const images = await Promise.all(info.times.map((_, n) =>
    decode(new Blob([content.slice(edges[n], edges[n + 1])], { type: "image/jpeg" }))));
  images.forEach((image) => image && URL.revokeObjectURL(image.src));
  return {
    count: images.length, times: info.times, sound: whole && info.sound,
    draw: (to, n) => images[n] && to.drawImage(images[n], 0, 0, to.canvas.width, to.canvas.height),
    point: (n, k) => [info.points[(n * 68 + k) * 2], info.points[(n * 68 + k) * 2 + 1]],
  };
};
const paint = (canvas, film, n) => {
  const to = canvas.getContext("2d");
  to.clearRect(0, 0, canvas.width, canvas.height);
  film.draw(to, n);
  if (!el("points").checked) return;
  to.fillStyle = "#4cff6a";
  for (let k = 0; k < 68; k++) {
    const [x, y] = film.point(n, k);
    to.fillRect(x * canvas.width - 1, y * canvas.height - 1, 2, 2);
  }
};
let playing = null;
const stop = () => {
  if (!playing) return;
  cancelAnimationFrame(playing.request);
  if (playing.sound) playing.sound.pause();
  playing = null;
};
const play = async (card) => {
  const again = playing && playing.card === card;
  stop();
  if (again) return;
  const film = await filmOf(card.dataset.clip, true);
  if (!film || !film.count) return;
  stop();
  const mine = playing = { card, request: 0, sound: null };
  const canvas = card.querySelector("canvas"), first = film.times[0];
  const length = film.times[film.count - 1] - first + 0.1;
  let began = performance.now();
  if (film.sound) {
    mine.sound = new Audio(`sound/${encodeURIComponent(card.dataset.clip)}`);
    mine.sound.play().catch(() => {}); // stopped before it began
  }
  const step = () => {
    if (playing !== mine) return;
    let now = (performance.now() - began) / 1000;
    if (now > length) {
      began = performance.now();
      now = 0;
      if (mine.sound) { mine.sound.currentTime = 0; mine.sound.play().catch(() => {}); }
    }
    let n = film.times.findIndex((time) => time - first > now) - 1;
    if (n < 0) n = now > 0 && film.times[film.count - 1] - first <= now ? film.count - 1 : 0;
    paint(canvas, film, n);
    card.dataset.frame = n;
    mine.request = requestAnimationFrame(step);
  };
  step();
};

// --- what is shown ------------------------------------------------------------------------------
const number = (value) => value === null || value === undefined ? "–" : String(Number(value.toPrecision(3)));
const cardOf = (row) => {
  const card = make("button", undefined, row.reason ? "clip rejected" : "clip");
  card.dataset.clip = row.clip_id || "";
  const canvas = make("canvas");
  canvas.width = canvas.height = 160;
  card.append(canvas, make("small", row.identity || row.video_id));
  card.append(make("small", `${row.clip_id || "no clip"} · ${row.split || "–"}`));
  if (row.reason) card.append(make("small", row.reason + (row.error ? `: ${row.error}` : ""), "reason"));
  if (row.duplicate_of) card.append(make("small", `as ${row.duplicate_of}`, "reason"));
  if (state.sort) card.append(make("small", number(row.scores[state.sort])));
  card.title = known.thresholds.map((one) => `${one.label}: ${number(row.scores[one.name])}`).join("\n");
  card.addEventListener("click", () => play(card));
  if (row.clip_id) filmOf(row.clip_id, false).then((film) => {
    if (film && film.count) { paint(canvas, film, 0); card.dataset.drawn = "1"; }
  });
  return card;
};
const drawBars = (one, [kept, all]) => {
  const canvas = one.canvas, to = canvas.getContext("2d");
  const width = canvas.width / BARS, most = Math.max(1, ...all);
  to.clearRect(0, 0, canvas.width, canvas.height);
  for (let n = 0; n < BARS; n++) {
    for (const [counts, colour] of [[all, "#8886"], [kept, "#4a8fd6"]]) {
      const high = counts[n] ? Math.max(1, canvas.height * Math.sqrt(counts[n] / most)) : 0;
      to.fillStyle = colour;
      to.fillRect(n * width, canvas.height - high, width - 0.5, high);
    }
  }
  const [low, high] = one.range, at = (limits[one.name] - low) / (high - low) * canvas.width;
  to.fillStyle = "#d33";
  to.fillRect(Math.max(0, Math.min(canvas.width - 2, at)), 0, 2, canvas.height);
};
const flow = (seconds) => {
  const all = Object.values(seconds).reduce((a, b) => a + b, 0) || 1;
  const parts = Object.entries(seconds).filter(([name]) => name).sort((a, b) => b[1] - a[1]);
  parts.unshift(["", seconds[""] || 0]);
  el("flow").replaceChildren(...parts.map(([name, share]) => {
    const part = make("i");
    part.style.width = `${100 * share / all}%`;
    part.title = `${name || "kept"}: ${share.toFixed(1)} s`;
    return part;
  }));
  const line = ([name, share]) => make("span", `${name || "kept"} ${share.toFixed(0)} s (${(100 * share / all).toFixed(1)} %)`);
  el("legend").replaceChildren(make("span", `${all.toFixed(0)} s in:`), ...parts.map(line));
};
const command = () => ["fsh shard", ...(known.only ? [known.only] : []), ...known.thresholds
  .filter((one) => limits[one.name] !== one.default)
  .map((one) => `--filter ${one.name}=${Number(limits[one.name].toPrecision(4))}`)].join(" ");
let asked = 0, pictures = 0;
const show = async (more, later) => {
  const mine = ++asked;
  if (!more) state.shown = 0;
  const got = await ask(state.shown);
  if (mine !== asked) return; // another question came since
  // While a slider moves, numbers follow it; pictures do when it rests.
  clearTimeout(pictures);
  const cards = () => {
    if (!more) { stop(); el("clips").replaceChildren(); }
    state.shown += got.rows.length;
    el("clips").append(...got.rows.map(cardOf));
    el("more").hidden = state.shown >= got.found;
  };
  if (later) pictures = setTimeout(cards, 150); else cards();
  el("found").textContent = `${got.found} clips`;
  el("told").textContent = `${got.kept} of ${known.total} rows would remain`;
  el("command").textContent = command();
  for (const one of known.thresholds) drawBars(one, got.bars[one.name]);
  flow(got.seconds);
};
let due = null;
const soon = () => { if (due === null) due = requestAnimationFrame(() => { due = null; show(false, true); }); };
const set = (one, value) => {
  limits[one.name] = value;
  one.input.value = value;
  one.output.textContent = `${one.least ? "≥" : "≤"} ${number(value)}`;
  soon();
};
for (const one of known.thresholds) {
  const [low, high] = one.range, part = make("div", undefined, "filter"), label = make("label");
  one.output = make("output");
  one.canvas = make("canvas");
  one.canvas.width = 280;
  one.canvas.height = 38;
  one.input = make("input");
  Object.assign(one.input, { type: "range", min: low, max: high, step: (high - low) / 400, value: one.default });
  one.input.setAttribute("aria-label", one.label);
  one.input.dataset.filter = one.name;
  label.append(make("span", one.known ? one.label : `${one.label} (not measured)`), one.output);
  part.append(label, one.canvas, one.input);
  one.canvas.addEventListener("click", (event) => {
    const box = one.canvas.getBoundingClientRect();
    set(one, low + (high - low) * (event.clientX - box.left) / box.width);
  });
  one.input.addEventListener("input", () => set(one, Number(one.input.value)));
  el("filters").append(part);
  el("sort").append(new Option(one.label, one.name));
  one.output.textContent = `${one.least ? "≥" : "≤"} ${number(one.default)}`;
}
el("sort").prepend(new Option("order of the table", "", true, true));
for (const name of ["kept", "rejected", "all", ...known.reasons]) el("view").append(new Option(name, name));
el("view").addEventListener("change", () => { state.view = el("view").value; show(false); });
el("sort").addEventListener("change", () => { state.sort = el("sort").value; show(false); });
el("turn").addEventListener("click", () => {
  state.descending = !state.descending;
  el("turn").textContent = state.descending ? "↑" : "↓";
  el("turn").setAttribute("aria-pressed", state.descending);
  show(false);
});
el("words").addEventListener("input", () => { state.words = el("words").value; soon(); });
el("points").addEventListener("change", () => show(false));
el("more").addEventListener("click", () => show(true));
el("reset").addEventListener("click", () => known.thresholds.forEach((one) => set(one, one.default)));
el("copy").addEventListener("click", async () => {
  const text = command();
  try { await navigator.clipboard.writeText(text); } catch {
    getSelection().selectAllChildren(el("command"));
    document.execCommand("copy");
  }
  el("copy").textContent = "copied";
  setTimeout(() => { el("copy").textContent = "copy the command"; }, 1200);
});
el("people").addEventListener("toggle", () => {
  if (!el("people").open || el("pairs").childElementCount) return;
  el("pairs").append(...known.neighbours.map((pair) => {
    const one = make("div", undefined, "pair");
    const side = (s) => cardOf({ clip_id: s.clip, identity: s.identity, split: s.split, reason: "", scores: {} });
    one.append(side(pair.sides[0]), make("small", `${pair.distance}${pair.across ? " across splits" : ""}`), side(pair.sides[1]));
    return one;
  }));
  if (!known.neighbours.length) el("pairs").append(make("p", "nobody to compare"));
});
// Where the time of `fsh shard` went: core-seconds per minute of video, a bar per stage.
const table = (...rows) => {
  const all = make("table");
  rows.forEach((cells, n) => {
    const row = make("tr");
    for (const cell of cells) {
      const one = make(n ? "td" : "th");
      one.append(cell);
      row.append(one);
    }
    all.append(row);
  });
  return all;
};
const stagesOf = (work, what) => {
  const spent = Object.entries(work.per_minute), sum = spent.reduce((a, [, b]) => a + b, 0);
  if (!spent.length) return [];
  const most = Math.max(...spent.map(([, share]) => share), 1e-9);
  const rows = spent.map(([name, share]) => {
    const bar = make("i"), row = [name, bar, number(share), `${(100 * share / (sum || 1)).toFixed(1)} %`];
    bar.style.width = `${100 * share / most}%`;
    bar.title = known.throughput.stages[name] || name;
    return row;
  });
  const told = `${what}: ${work.seconds.toFixed(0)} s of video, ${work.clips} clips, ${number(sum)} core-seconds a minute`;
  return [make("p", told), table(["stage", "", "core-s / min", "share"], ...rows)];
};
const drawTime = () => {
  const { analysed, remade, runs } = known.throughput;
  const parts = [...stagesOf(analysed, "Videos analysed"), ...stagesOf(remade, "Made anew of what is stored")];
  if (runs.length) {
    parts.push(table(["run", "workers", "s of video", "clips/s", "core-s / min", "spans, s", "settling, s", "shards, s", "table, s"],
      ...runs.map((run) => [run.ended.slice(0, 16).replace("T", " "), run.workers || "–", (run.analysed.seconds + run.remade.seconds).toFixed(0),
        number(run.clips_per_second), number(Object.values(run.per_minute).reduce((a, b) => a + b, 0)),
        ...["spans", "settle", "shards", "table"].map((name) => number(run.phases[name]))])));
  }
  el("spent").replaceChildren(...(parts.length ? parts : [make("p", "not measured: made by an older version")]));
};
drawTime();
document.addEventListener("keydown", (event) => {
  if (event.target.matches("input, select") || event.ctrlKey || event.metaKey || event.altKey) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const cards = [...el("clips").children], at = cards.indexOf(document.activeElement);
  const wide = cards.findIndex((card) => card.offsetTop > cards[0].offsetTop);
  const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: wide > 0 ? wide : 1, ArrowUp: wide > 0 ? -wide : -1 };
  if (event.key in steps && cards.length) {
    event.preventDefault();
    cards[at < 0 ? 0 : Math.max(0, Math.min(cards.length - 1, at + steps[event.key]))].focus();
  } else if (event.key === "/") { event.preventDefault(); el("words").focus(); }
  else if (event.key === "Escape") stop();
  else if (event.key.toLowerCase() === "l") { el("points").checked = !el("points").checked; show(false); }
  else if (event.key.toLowerCase() === "v") {
    el("view").value = state.view = state.view === "kept" ? "rejected" : "kept";
    show(false);
  }
});
show(false);
