"use strict";
/* The page of `fsh live`: sends the camera's newest frame, shows the answers, and measures how late
   they are. See api/telepresence/messages.py for what is said on the socket. */

const FRAME = 1, SOUND = 2, PHOTO = 3;
const HEAD = 13, ANSWER_HEAD = 7;
const LONGER = 640;           // pixels of the longer side of a frame that is sent
const PATIENCE = 3000;        // ms after which an answer is not waited for any longer
const GUIDE = ["Look straight", "Look straight, and smile", "Turn a little to your left",
  "Turn a little to your right", "Look a little up", "Look a little down", "Open your mouth",
  "Close your eyes"];
const LINES = [[0, 17], [17, 22], [22, 27], [27, 31], [31, 36], [36, 42, 1], [42, 48, 1],
  [48, 60, 1], [60, 68, 1]];

const id = (name) => document.getElementById(name);
const video = id("video"), drawing = id("drawing"), overlay = id("overlay");
const paint = drawing.getContext("2d", { alpha: false }), lines = overlay.getContext("2d");
const grab = document.createElement("canvas");
const grabbed = grab.getContext("2d", { alpha: false, willReadFrequently: true });
const state = { people: [], person: 0, mirror: true, landmarks: false, frozen: false,
  compare: false, recording: false, starting: false, wanted: false, socket: null,
  open: false, next: 0, latest: 0, current: 0, shown: -1, frames: 0, source: "", points: null };
const pending = new Map();    // number of a frame that was sent -> when it was captured, ms
let recorder = null, soundStream = null, cameraStream = null, cameraRequest = 0;

/* The socket. */

function connect() {
  const place = new URL("socket", location.href);
  place.protocol = place.protocol === "https:" ? "wss:" : "ws:";
  const socket = new WebSocket(place);
  socket.binaryType = "arraybuffer";
  socket.onopen = () => { state.open = true; pending.clear(); state.next = 0;
    state.wanted = false; state.shown = -1; };
  socket.onmessage = (event) => {
    if (typeof event.data === "string") told(JSON.parse(event.data)); else answered(event.data);
  };
  socket.onclose = (event) => {
    state.open = false;
    stopRecorder();
    marked("record", false);
    if (event.code === 4429) { notice(event.reason); return; }
    if (event.code !== 4500) notice("The server does not answer. Is fsh live still running?");
    setTimeout(connect, 2000);
  };
  state.socket = socket;
}

const ask = (what, about = {}) => {
  if (state.open) state.socket.send(JSON.stringify({ do: what, ...about }));
};

function sendData(kind, number, seconds, content) {
  const message = new Uint8Array(HEAD + content.byteLength), view = new DataView(message.buffer);
  view.setUint8(0, kind);
  view.setUint32(1, number, true);
  view.setFloat64(5, seconds, true);
  message.set(new Uint8Array(content), HEAD);
  if (state.open) state.socket.send(message);
}

function told(message) {
  const does = {
    welcome: () => {
      state.serverClip = message.clip;
      state.person = message.person;
      ask("mirror", { on: state.mirror });
      id("new").disabled = Boolean(message.why_no_maker);
      id("new").title = message.why_no_maker || "Make a person of eight photos (N)";
      if (message.device) news(`Other programs see the drawing as ${message.device}.`);
      if (!state.source) { if (message.clip) playClip("camera", message.clip); else webcam(); }
    },
    want: () => { state.wanted = true; sendFrame(); },
    people: () => { state.people = message.people; showPeople(); },
    person: () => { state.person = message.number; showPeople(); },
    speed: () => speed(message),
    record: () => recordTold(message),
    recorded: () => news(`Recorded ${message.path}: ${message.seconds.toFixed(1)} s, `
      + `${message.frames} frames, ${message.sound ? "with sound" : "silent"}`
      + (message.note ? ` (${message.note})` : "") + ", signed."),
    photo: () => photoTaken(message.number),
    made: () => made(message),
    problem: () => { news(message.what); if (message.fatal) notice(message.what); },
  };
  if (does[message.tell]) does[message.tell]();
}

/* Frames out: the newest one, whenever the server asks for one. */

function watch() {
  if (video.requestVideoFrameCallback) {
    video.requestVideoFrameCallback((now, about) => {
      watch();
      const at = about.captureTime;
      frameThere(at && at <= now && at > now - 1000 ? at : now);
    });
  } else { requestAnimationFrame((now) => { watch(); frameThere(now); }); }
}

function frameThere(at) {
  state.frames += 1;
  state.current = at;
  sendFrame();
}

/* Send the video's picture if one is wanted and this one was not sent yet. */
function sendFrame() {
  const at = state.current;
  if (!state.wanted || state.frozen || !state.open || !video.videoWidth) return;
  if (at <= state.latest) return;
  const scale = Math.min(1, LONGER / Math.max(video.videoWidth, video.videoHeight));
  const width = Math.round(video.videoWidth * scale), height = Math.round(video.videoHeight * scale);
  if (grab.width !== width || grab.height !== height) { grab.width = width; grab.height = height; }
  grabbed.drawImage(video, 0, 0, width, height);
  state.latest = at;
  state.wanted = false;
  const content = grabbedJpeg();
  for (const [number, sent] of pending) {
    if (performance.now() - sent > PATIENCE) pending.delete(number);
  }
  const number = state.next;
  state.next += 1;
  pending.set(number, at);
  sendData(FRAME, number, at / 1000, content);
}

/* The grabbed picture's JPEG, now: toBlob would encode it when the page is idle, which takes twice
   as long, and four times as long one time in ten. */
function grabbedJpeg() {
  const text = atob(grab.toDataURL("image/jpeg", 0.85).split(",")[1] || "");
  const content = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at += 1) content[at] = text.charCodeAt(at);
  return content.buffer;
}

/* A hidden page gets no frames called back: a worker's clock looks for them then, so that a virtual
   camera goes on while another window is used. */
const clock = new Worker("clock.js");
clock.onmessage = () => { if (document.hidden) frameThere(performance.now()); };
const tellClock = () => clock.postMessage(document.hidden);
document.addEventListener("visibilitychange", tellClock);
tellClock();

/* Answers in. */

async function answered(buffer) {
  const view = new DataView(buffer), number = view.getUint32(1, true);
  const length = view.getUint16(5, true);
  const about = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, ANSWER_HEAD, length)));
  const captured = pending.get(number);
  for (const sent of [...pending.keys()]) if (sent <= number) pending.delete(sent);
  state.points = about.landmarks;
  showLandmarks();
  const jpeg = new Uint8Array(buffer, ANSWER_HEAD + length);
  if (!jpeg.length) { notice(about.face ? "" : "No face in the camera's picture"); return; }
  if (state.frozen) return;
  const bitmap = await createImageBitmap(new Blob([jpeg], { type: "image/jpeg" }));
  if (number < state.shown || state.frozen) { bitmap.close(); return; }
  state.shown = number;
  if (drawing.width !== bitmap.width || drawing.height !== bitmap.height) {
    drawing.width = bitmap.width;
    drawing.height = bitmap.height;
  }
  paint.drawImage(bitmap, 0, 0);
  bitmap.close();
  drawing.dataset.person = about.person;
  drawing.dataset.number = number;
  notice(about.face ? "" : "No face in the camera's picture");
  if (captured === undefined) return;
  const report = () => ask("shown",
    { number, seconds: Math.max(0, (performance.now() - captured) / 1000) });
  if (document.hidden) report(); else requestAnimationFrame(report);
}

function showLandmarks() {
  if (overlay.width !== grab.width || overlay.height !== grab.height) {
    overlay.width = grab.width;
    overlay.height = grab.height;
  }
  lines.clearRect(0, 0, overlay.width, overlay.height);
  const points = state.points;
  if (!state.landmarks || !points) return;
  lines.lineWidth = Math.max(1.5, overlay.width / 320);
  lines.strokeStyle = "#ffb454";
  for (const [first, last, closed] of LINES) {
    lines.beginPath();
    points.slice(first, last).forEach(([x, y]) => lines.lineTo(x + 0.5, y + 0.5));
    if (closed) lines.closePath();
    lines.stroke();
  }
}

function speed(message) {
  id("fps").textContent = message.fps.toFixed(1);
  id("p50").textContent = message.p50.toFixed(0);
  id("p95").textContent = message.p95.toFixed(0);
  id("dropped").textContent = Math.max(0, state.frames - message.shown);
  const each = Object.entries(message.stages).filter(([, ms]) => ms >= 0.05)
    .map(([name, ms]) => `${name} ${ms.toFixed(1)}`);
  id("stages").textContent = `ms: ${each.join(" · ")} · smoothing ${message.smoothing.toFixed(0)}`;
  state.speed = message;
}

/* Where frames come from. */

function sourceName(name) { state.source = name; id("camera-name").textContent = name; }

function releaseCamera() {
  cameraRequest += 1;
  if (cameraStream) cameraStream.getTracks().forEach((track) => track.stop());
  cameraStream = null;
  if (video.src.startsWith("blob:")) URL.revokeObjectURL(video.src);
  video.srcObject = null;
  video.removeAttribute("src");
}

async function webcam() {
  releaseCamera();
  const request = cameraRequest;
  sourceName("webcam");
  try {
    if (!navigator.mediaDevices) throw new Error("browsers give it to pages of this machine only");
    const wanted = { width: { ideal: 640 }, height: { ideal: 480 }, frameRate: { ideal: 30 } };
    const stream = await navigator.mediaDevices.getUserMedia({ video: wanted });
    if (request !== cameraRequest) { stream.getTracks().forEach((track) => track.stop()); return; }
    cameraStream = stream;
    video.srcObject = stream;
    stream.getVideoTracks()[0].onended = () => notice("The camera was taken away");
    await video.play();
    notice("");
  } catch (error) {
    if (request === cameraRequest) notice(`No camera: ${error.message}. A video file can stand in.`);
  }
}

async function playClip(address, name) {
  releaseCamera();
  sourceName(name);
  video.loop = true;
  video.src = address;
  try { await video.play(); notice(""); } catch (error) {
    if (error.name !== "AbortError") notice(`${name} cannot be played: ${error.message}`);
  }
}

/* Recording: pictures are kept by the server as they are shown, sound is recorded here. */

async function soundTracks() {
  if (cameraStream) {
    try {
      soundStream = await navigator.mediaDevices.getUserMedia({ audio: true });
      return soundStream.getAudioTracks();
    } catch { return []; }
  }
  const capture = video.captureStream || video.mozCaptureStream;
  return capture ? capture.call(video).getAudioTracks() : [];
}

async function startRecording() {
  if (state.recording || state.starting) return;
  state.starting = true;
  const tracks = await soundTracks();
  if (!tracks.length || !window.MediaRecorder) {
    if (cameraStream) news("No microphone: the recording is silent.");
    ask("record", { on: true });
    return;
  }
  const begun = new MediaRecorder(new MediaStream(tracks));
  recorder = begun;
  let queue = Promise.resolve();
  begun.onstart = () => ask("record", { on: true, sound_from: performance.now() / 1000 });
  begun.ondataavailable = (event) => {
    // One after the other: bytes of a blob come when they come.
    queue = queue.then(async () => sendData(SOUND, 0, 0, await event.data.arrayBuffer()));
  };
  begun.onstop = () => {
    queue.then(() => { if (begun.ended) ask("record", { on: false }); });
    if (recorder === begun) recorder = null;
    if (soundStream) soundStream.getTracks().forEach((track) => track.stop());
    soundStream = null;
  };
  begun.start(500);
}

function stopRecorder() {
  state.starting = false;
  if (recorder && recorder.state !== "inactive") { recorder.stop(); return true; }
  return false;
}

function stopRecording() {
  if (recorder) recorder.ended = true;
  if (!stopRecorder()) ask("record", { on: false });
}

function recordTold(message) {
  state.recording = message.on;
  marked("record", message.on);
  id("recording").hidden = !message.on;
  if (message.on) { news(`Recording to ${message.path}`); return; }
  state.starting = false;
  if (message.next) { stopRecorder(); startRecording(); }
}

/* People. */

function showPeople() {
  const items = state.people.map((person, number) => {
    const item = document.createElement("li"), button = document.createElement("button");
    const key = document.createElement("kbd");
    key.textContent = number + 1;
    button.append(person.name + " ", key);
    button.title = `Consent: ${person.consent}`;
    button.setAttribute("aria-pressed", number === state.person);
    button.onclick = () => ask("person", { number });
    item.append(button);
    return item;
  });
  id("people").replaceChildren(...items);
  const now = state.people[state.person];
  id("who").textContent = now ? `of ${now.name}` : "";
}

const photos = { taken: 0, busy: false };

function openDialog() {
  if (id("new").disabled) return;
  photos.taken = 0;
  const until = new Date();
  until.setFullYear(until.getFullYear() + 1);
  id("consent-until").value = until.toISOString().slice(0, 10);
  id("agreed").checked = false;
  const shown = id("mirror-video");
  if (video.srcObject) shown.srcObject = video.srcObject;
  else { shown.srcObject = null; shown.src = video.src; shown.currentTime = video.currentTime; }
  shown.play().catch(() => {});
  id("making").showModal();
  guide();
}

function guide() {
  const next = GUIDE[photos.taken];
  id("guide").textContent = next ? `${photos.taken + 1} of ${GUIDE.length}: ${next}` : "All taken";
  id("taken").textContent = photos.taken ? `${photos.taken} taken` : "";
  id("take").disabled = !next || photos.busy;
  const filled = ["name", "consent-who", "consent-by", "consent-until"]
    .every((name) => id(name).value.trim());
  id("begin").disabled = !(photos.taken === GUIDE.length && filled && id("agreed").checked);
}

function takePhoto() {
  const shown = id("mirror-video"), canvas = document.createElement("canvas");
  if (photos.busy || photos.taken >= GUIDE.length || !shown.videoWidth) return;
  photos.busy = true;
  const scale = Math.min(1, 1280 / Math.max(shown.videoWidth, shown.videoHeight));
  canvas.width = Math.round(shown.videoWidth * scale);
  canvas.height = Math.round(shown.videoHeight * scale);
  canvas.getContext("2d").drawImage(shown, 0, 0, canvas.width, canvas.height);
  canvas.toBlob(async (blob) => sendData(PHOTO, photos.taken, 0, await blob.arrayBuffer()),
    "image/jpeg", 0.95);
  guide();
}

function photoTaken(number) {
  photos.taken = number + 1;
  photos.busy = false;
  guide();
}

function makePerson() {
  ask("make", { name: id("name").value, who: id("consent-who").value,
    by: id("consent-by").value, until: id("consent-until").value });
  id("making").close();
  news(`Making ${id("name").value}: it takes up to a minute …`);
}

function made(message) {
  if (message.problem) { news(message.problem); return; }
  news(`${message.name} is here.`);
  ask("person", { number: message.number });
}

/* Buttons and keys. */

const marked = (name, on) => id(name).setAttribute("aria-pressed", on);
function notice(text) { if (id("notice").textContent !== text) id("notice").textContent = text; }
function news(text) { id("news").textContent = text; }

const actions = {
  calibrate: () => { ask("calibrate"); news("Calibrated: this face is the neutral one."); },
  search: () => { ask("search"); news("The neutral face is found by itself."); },
  mirror: () => {
    state.mirror = !state.mirror;
    marked("mirror", state.mirror);
    id("camera").classList.toggle("mirrored", state.mirror);
    ask("mirror", { on: state.mirror });
  },
  landmarks: () => { state.landmarks = !state.landmarks; marked("landmarks", state.landmarks);
    showLandmarks(); },
  freeze: () => { state.frozen = !state.frozen; marked("freeze", state.frozen); sendFrame(); },
  compare: () => { state.compare = !state.compare; marked("compare", state.compare);
    document.querySelector("main").classList.toggle("compare", state.compare); },
  record: () => (state.recording ? stopRecording() : startRecording()),
  new: openDialog,
  webcam,
};
const KEYS = { c: "calibrate", a: "search", m: "mirror", l: "landmarks", f: "freeze", v: "compare",
  r: "record", n: "new" };

for (const [name, act] of Object.entries(actions)) {
  id(name).onclick = (event) => { event.currentTarget.blur(); act(); };
}
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  if (id("making").open) {
    if (event.key === " " && !["INPUT", "BUTTON"].includes(event.target.tagName)) {
      event.preventDefault();
      takePhoto();
    }
    return;
  }
  const number = "123456789".indexOf(event.key);
  if (number >= 0 && number < state.people.length) ask("person", { number });
  const action = KEYS[event.key.toLowerCase()];
  if (action) { event.preventDefault(); actions[action](); }
});
id("file").onchange = (event) => {
  const [file] = event.target.files;
  if (file) playClip(URL.createObjectURL(file), file.name);
  event.target.value = "";
};
id("take").onclick = takePhoto;
id("cancel").onclick = () => id("making").close();
id("make").onsubmit = makePerson;
id("make").oninput = guide;
id("making").onclose = () => { const shown = id("mirror-video"); shown.pause();
  shown.srcObject = null; shown.removeAttribute("src"); };
id("camera").classList.add("mirrored");
window.addEventListener("pagehide", releaseCamera);
watch();
connect();
