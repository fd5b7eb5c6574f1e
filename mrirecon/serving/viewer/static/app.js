// The state of the page and what changes it; everything on screen is drawn from the state.

import { drawBar } from "./colours.js";
import { NORMAL, apply, flipLps, indexAxis, inverse } from "./geometry.js";
import { KEYS, listenToKeys, listenToPane } from "./input.js";
import { Pane, number } from "./pane.js";
import { fillTabs, fillValues, fillWarnings } from "./panels.js";

const $ = (id) => document.getElementById(id);
const TOOLS = ["cross", "window", "pan", "zoom"];
const HEADER_BYTES = 352;
const state = {
  study: 0, manifest: null, volumes: [], left: 0, right: null, overlay: null, layout: 2, plane: "axial", tool: "cross",
  opacity: 0.6, invert: false, nearest: false, crosshair: true, blink: false,
  index: [0, 0, 0], zoom: 1, centre: [0, 0, 0], windows: {},
};
const panes = [new Pane($("pane-left"), stale), new Pane($("pane-right"), stale)];
// Asked for at once, so that the server reads while the browser compiles its shaders.
const early = new Map(["study/0/manifest.json", "study/0/volume/0.nii"].map((name) => [name, fetch(name)]));

function get(name) {
  const answer = early.get(name) ?? fetch(name);
  early.delete(name);
  return answer;
}

// --- volumes and windows

async function load(id) {
  const volume = state.volumes[id];
  volume.loading ??= (async () => {
    say(`Loading ${volume.title} …`);
    const answer = await get(`study/${state.study}/volume/${id}.nii`);
    if (!answer.ok) throw new Error(`${volume.title}: ${(await answer.text()).trim()}`);
    volume.buffer = await answer.arrayBuffer();
    const header = new DataView(volume.buffer);
    volume.initial = { high: header.getFloat32(124, true), low: header.getFloat32(128, true) };
    volume.values = new Float32Array(volume.buffer, HEADER_BYTES);
    say("");
  })();
  volume.loading.catch(() => (volume.loading = null));
  await volume.loading;
  return volume;
}

// Volumes in the same units share a window; standard deviations and differences have their own.
function windowKey(volume) {
  const own = volume.role === "uncertainty" || volume.role === "difference";
  return own || !volume.units ? `volume ${volume.id}` : volume.units;
}

function windowOf(volume) {
  const key = windowKey(volume);
  const main = state.volumes[0];
  state.windows[key] ??= { ...(windowKey(main) === key && main.initial ? main.initial : volume.initial) };
  return state.windows[key];
}

// --- geometry of the view

const main = () => state.volumes[0];
const sliceAxis = (plane) => indexAxis(main().index_to_screen_ras, NORMAL[plane]);
const acquired = () => state.manifest.plane;

const view = {
  get plane() { return state.plane; },
  get zoom() { return state.zoom; },
  get centre() { return state.centre; },
  get crosshair() { return state.crosshair; },
  get blink() { return state.blink; },
  get letters() { return state.manifest.letters; },
  get orientationKnown() { return state.manifest.orientation_known; },
  get spacingKnown() { return state.manifest.spacing_known; },
  windowOf,
  scaleOf: () => panes[0].fit(state.plane),
  // Where the crosshair is in the screen space of a volume; by fractions where its place is not known.
  placeIn(volume) {
    if (volume.linked) return apply(main().index_to_screen_ras, state.index);
    const index = state.index.map((v, n) => ((v + 0.5) / main().shape_xyz[n]) * volume.shape_xyz[n] - 0.5);
    return apply(volume.index_to_screen_ras, index);
  },
  sliceText(plane) {
    const axis = sliceAxis(plane);
    return `Slice ${Math.round(state.index[axis]) + 1} / ${main().shape_xyz[axis]}`;
  },
  planeText(plane) {
    const { orientation_known: known, tilt_deg: tilt } = state.manifest;
    const reformat = plane === acquired() ? "" : " reformat";
    if (!known) return plane === acquired() ? "stored plane" : "reformat";
    return `${plane}${tilt >= 1 ? `, tilted ${tilt.toFixed(0)}°` : ""}${reformat}`;
  },
  positionText() {
    if (!state.manifest.orientation_known) return state.index.map((v) => Math.round(v) + 1).join("  ");
    return patientPosition().map((v) => v.toFixed(1)).join("  ");
  },
};

function patientPosition() {
  return apply(state.manifest.screen_to_patient_lps, flipLps(apply(main().index_to_screen_ras, state.index)));
}

// --- drawing: once per frame, however many events there were

let wanted = null;
let drawing = Promise.resolve();

function draw(images = false) {
  const first = !wanted;
  wanted = { images: images || Boolean(wanted?.images) };
  if (first) {
    drawing = drawing.then(() => new Promise((done) => requestAnimationFrame(() => done()))).then(drawNow).catch(fail);
  }
  return drawing;
}

function stale() {
  if (state.manifest && main().values && panes[0].base) draw();
}

async function drawNow() {
  const { images } = wanted;
  wanted = null;
  const shown = state.layout === 2 && state.right !== null ? panes : panes.slice(0, 1);
  if (images) {
    const overlay = state.overlay === null ? null : { volume: await load(state.overlay), opacity: state.opacity };
    const left = await load(state.blink && state.right !== null ? state.right : state.left);
    await panes[0].show(left, overlay, windowOf, state);
    if (shown.length === 2) await panes[1].show(await load(state.right), null, windowOf, state);
  }
  for (const pane of shown) pane.place(view);
  controls();
}

function controls() {
  const axis = sliceAxis(state.plane === "all" ? acquired() : state.plane);
  $("slice").max = main().shape_xyz[axis];
  $("slice").value = Math.round(state.index[axis]) + 1;
  $("slice-text").textContent = `${$("slice").value} / ${$("slice").max}`;
  const { low, high } = windowOf(state.volumes[state.left]);
  for (const [id, value] of [["width", high - low], ["level", (high + low) / 2]]) {
    if (document.activeElement !== $(id)) $(id).value = Number(value.toPrecision(4));
  }
  $("opacity").value = Math.round(100 * state.opacity);
  $("opacity-text").textContent = `${$("opacity").value} %`;
  $("left-volume").value = state.left;
  $("right-volume").value = state.right ?? "";
  $("overlay").value = state.overlay ?? "";
  const heat = [state.overlay, state.layout === 2 ? state.right : null, state.left].map((id) => state.volumes[id])
    .find((v) => v && v.values && (v.role === "uncertainty" || v.role === "difference"));
  $("legend").hidden = !heat;
  if (heat) {
    drawBar($("legend-bar"), heat.id === state.overlay);
    $("legend-name").textContent = heat.title;
    $("legend-high").textContent = `≥ ${number(windowOf(heat).high)}`;
  }
  $("panes").dataset.layout = state.right === null ? 1 : state.layout;
  press({ "layout-": String(state.right === null ? 1 : state.layout), "plane-": state.plane, "tool-": state.tool });
  fillValues(view, state.volumes.filter((v) => v.values));
}

function press(choices) {
  for (const [prefix, chosen] of Object.entries(choices)) {
    for (const button of document.querySelectorAll(`button[data-action^="${prefix}"]`)) {
      button.setAttribute("aria-pressed", String(button.dataset.action === prefix + chosen));
    }
  }
}

// --- what the user does

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

const actions = {
  tool: () => state.tool,
  step(by, plane = state.plane) {
    const axis = sliceAxis(plane === "all" ? acquired() : plane);
    state.index[axis] = clamp(Math.round(state.index[axis]) + by, 0, main().shape_xyz[axis] - 1);
    return draw();
  },
  pick(pane, x, y) {
    const found = pane.at(x, y);
    if (!found?.mm || !pane.base.linked) return;
    const index = apply(main().toIndex, found.mm);
    const axis = sliceAxis(found.tile.plane); // picking in a plane never leaves it
    state.index = index.map((v, n) => (n === axis ? state.index[n] : clamp(Math.round(v), 0, main().shape_xyz[n] - 1)));
    draw();
  },
  dragWindow(pane, dx, dy) {
    const range = windowOf(pane.base);
    const unit = (pane.base.initial.high - pane.base.initial.low || 1) / 300;
    const width = Math.max(range.high - range.low + dx * unit, unit / 10);
    const level = (range.high + range.low) / 2 + dy * unit;
    setWindow(pane.base, width, level);
  },
  pan(tile, dx, dy) {
    const across = tile.plane === "sagittal" ? 1 : 0;
    const up = tile.plane === "axial" ? 1 : 2;
    state.centre[across] += dx / tile.pixelsPerMm; // right on the screen is left and back in RAS
    state.centre[up] += dy / tile.pixelsPerMm;
    draw();
  },
  zoom(by) {
    const old = state.zoom;
    state.zoom = clamp(state.zoom * by, 0.5, 16);
    const about = view.placeIn(main());
    state.centre = state.centre.map((c, n) => about[n] + ((c - about[n]) * old) / state.zoom);
    draw();
  },
  plane(name) {
    if (main().shape_xyz.includes(1) && name !== acquired()) return; // a single slice has no other planes
    state.plane = name;
    draw();
  },
  layout(count) {
    if (count === 2 && state.right === null) state.right = companion() ?? state.left;
    state.layout = count;
    controls();
    draw(true);
  },
  overlay(role) {
    const found = state.volumes.find((v) => v.role === role);
    if (role && !found) return flash(role === "uncertainty" ? "No uncertainty in this folder" : "No reference to compare with");
    state.overlay = role ? found.id : null;
    draw(true);
  },
  opacity(by) { state.opacity = clamp(state.opacity + by, 0, 1); draw(true); },
  autoWindow() { state.windows = {}; draw(true); },
  toggle(name) { state[name] = !state[name]; draw(true); },
  nextTool() { state.tool = TOOLS[(TOOLS.indexOf(state.tool) + 1) % TOOLS.length]; controls(); },
  blink(on) { if (state.blink !== on && state.manifest) { state.blink = on; draw(true); } },
  reset() {
    Object.assign(state, { zoom: 1, windows: {}, invert: false, nearest: false, crosshair: true });
    Object.assign(state, { overlay: null, opacity: 0.6, plane: acquired() });
    state.index = main().shape_xyz.map((n) => Math.floor(n / 2));
    state.centre = apply(main().index_to_screen_ras, main().shape_xyz.map((n) => (n - 1) / 2));
    draw(true);
  },
  help() { $("help").open ? $("help").close() : $("help").showModal(); },
};

function setWindow(volume, width, level) {
  Object.assign(windowOf(volume), { low: level - width / 2, high: level + width / 2 });
  draw(true);
}

function companion() {
  const order = ["reference", "classical", "uncertainty"];
  return order.map((role) => state.volumes.find((v) => v.role === role)).find(Boolean)?.id;
}

// --- messages

function say(text, problem = false) {
  $("message").textContent = text;
  $("message").hidden = !text;
  $("message").classList.toggle("problem", problem);
}

function fail(error) {
  say(error.message, true);
  document.body.dataset.state = "failed";
}

function flash(text) {
  say(text, true);
  setTimeout(() => $("message").textContent === text && say(""), 1500);
}

// --- start

function options(select, volumes, none) {
  const found = volumes.map((v) => new Option(v.title, v.id));
  select.replaceChildren(...(none ? [new Option(none, "")] : []), ...found);
}

async function openStudy(number) {
  state.study = number;
  const answer = await get(`study/${number}/manifest.json`);
  if (!answer.ok) throw new Error((await answer.text()).trim());
  state.manifest = await answer.json();
  state.volumes = state.manifest.volumes;
  state.volumes.forEach((v) => (v.toIndex = inverse(v.index_to_screen_ras)));
  $("study-name").textContent = state.manifest.name;
  options($("left-volume"), state.volumes);
  options($("right-volume"), state.volumes, "none");
  options($("overlay"), state.volumes.filter((v) => v.id && v.linked && ["uncertainty", "difference"].includes(v.role)), "none");
  const single = main().shape_xyz.includes(1);
  for (const plane of ["axial", "coronal", "sagittal", "all"]) {
    const button = document.querySelector(`[data-action="plane-${plane}"]`);
    button.disabled = single && plane !== acquired(); // a single slice has no other planes
  }
  panes.forEach((pane) => (pane.key = ""));
  Object.assign(state, { left: 0, right: companion() ?? null, layout: 2, blink: false });
  fillTabs(state.manifest);
  fillWarnings(state.manifest);
  $("panes").dataset.layout = state.right === null ? 1 : 2;
  await load(0);
  actions.reset();
  await drawing;
  document.body.dataset.state ||= "ready";
}

function wire() {
  const click = {
    reset: actions.reset, help: actions.help, "window-auto": actions.autoWindow,
    "layout-1": () => actions.layout(1), "layout-2": () => actions.layout(2),
  };
  document.addEventListener("click", (event) => {
    const action = event.target.closest("[data-action]")?.dataset.action;
    if (!action) return;
    if (click[action]) click[action]();
    else if (action.startsWith("plane-")) actions.plane(action.slice(6));
    else if (action.startsWith("tool-")) { state.tool = action.slice(5); controls(); }
    event.target.closest("button").blur();
  });
  const number_ = (id) => ($(id).value === "" ? null : Number($(id).value));
  const change = (id, does) => $(id).addEventListener("input", does);
  change("left-volume", () => { state.left = number_("left-volume"); draw(true); });
  change("right-volume", () => { state.right = number_("right-volume"); state.layout = state.right === null ? 1 : 2; controls(); draw(true); });
  change("overlay", () => { state.overlay = number_("overlay"); draw(true); });
  change("opacity", () => { state.opacity = number_("opacity") / 100; draw(true); });
  change("slice", () => actions.step(number_("slice") - 1 - state.index[sliceAxis(state.plane === "all" ? acquired() : state.plane)]));
  for (const id of ["width", "level"]) change(id, () => number_("width") > 0 && number_("level") !== null && setWindow(state.volumes[state.left], number_("width"), number_("level")));
  change("studies", () => { document.body.dataset.state = ""; openStudy(number_("studies")).catch(fail); });
  for (const id of ["left-volume", "right-volume", "overlay", "studies", "slice", "opacity"]) $(id).addEventListener("change", () => $(id).blur());
  for (const [key, what] of KEYS) {
    const line = document.createElement("div");
    const name = document.createElement("kbd");
    name.textContent = key;
    line.append(name, what);
    $("help-keys").append(line);
  }
  listenToKeys(actions);
  panes.forEach((pane) => listenToPane(pane, actions));
}

async function start() {
  if (!document.createElement("canvas").getContext("webgl2")) {
    throw new Error("This browser has no WebGL 2. Use a current Chrome, Edge, Firefox or Safari, and allow hardware acceleration.");
  }
  wire();
  const [{ studies }] = await Promise.all([fetch("studies.json").then((r) => r.json()), panes[0].attach()]);
  studies.forEach((name, n) => $("studies").append(new Option(name, n)));
  $("studies").hidden = studies.length < 2;
  await openStudy(0);
}

// For scripts and tests: the state, and the crosshair at a place in the patient (LPS, mm).
window.viewer = {
  state, actions, panes, patientPosition,
  settled: () => drawing,
  goTo(lps) {
    const screen = flipLps(apply(inverse(state.manifest.screen_to_patient_lps), lps));
    state.index = apply(main().toIndex, screen).map((v, n) => clamp(Math.round(v), 0, main().shape_xyz[n] - 1));
    return draw();
  },
};
start().catch(fail);
