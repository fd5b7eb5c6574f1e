// Mouse, pen, touch and keys, turned into calls of the viewer's actions.

const TOOL_OF_BUTTON = { 1: "pan", 2: "window" };
const WHEEL_ZOOM = 1.12;

export const KEYS = [
  ["Wheel, ↑ ↓, Page", "previous or next slice (Home, End: first, last)"],
  ["Left drag", "crosshair, or the chosen tool"],
  ["Right drag", "window (across) and level (up: brighter)"],
  ["Middle or Shift drag", "pan"],
  ["Ctrl drag, Ctrl wheel", "zoom; also + and −"],
  ["a  c  s  m", "axial, coronal, sagittal, all three planes"],
  ["1  2", "one image, side by side"],
  ["b (hold)", "blink: the right image in the left place"],
  ["u  e  o", "overlay: uncertainty, error (difference), none"],
  ["[  ]", "overlay opacity"],
  ["w", "default window (percentiles 1 to 99)"],
  ["i", "invert the grey scale"],
  ["n", "voxels or smooth interpolation"],
  ["x", "crosshair on or off"],
  ["t", "next tool of the left button"],
  ["r", "reset view and window"],
  ["?", "this page (Esc closes it)"],
];

export function listenToKeys(actions) {
  const direct = {
    ArrowUp: () => actions.step(-1), PageUp: () => actions.step(-1),
    ArrowDown: () => actions.step(1), PageDown: () => actions.step(1),
    Home: () => actions.step(-Infinity), End: () => actions.step(Infinity),
    a: () => actions.plane("axial"), c: () => actions.plane("coronal"),
    s: () => actions.plane("sagittal"), m: () => actions.plane("all"),
    1: () => actions.layout(1), 2: () => actions.layout(2),
    u: () => actions.overlay("uncertainty"), e: () => actions.overlay("difference"), o: () => actions.overlay(null),
    "[": () => actions.opacity(-0.1), "]": () => actions.opacity(0.1),
    w: () => actions.autoWindow(), i: () => actions.toggle("invert"), n: () => actions.toggle("nearest"),
    x: () => actions.toggle("crosshair"), t: () => actions.nextTool(), r: () => actions.reset(),
    "+": () => actions.zoom(1.25), "=": () => actions.zoom(1.25), "-": () => actions.zoom(0.8), "?": () => actions.help(),
  };
  window.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || isField(event.target)) return;
    if (event.key === "b") {
      if (!event.repeat) actions.blink(true);
    } else if (direct[event.key]) {
      direct[event.key]();
    } else return;
    event.preventDefault();
  });
  window.addEventListener("keyup", (event) => event.key === "b" && actions.blink(false));
  window.addEventListener("blur", () => actions.blink(false));
}

// In a field that takes letters or arrows the keys belong to the field.
function isField(target) {
  return ["INPUT", "SELECT", "TEXTAREA"].includes(target.tagName);
}

export function listenToPane(pane, actions) {
  const box = pane.element;
  let drag = null;
  const where = (event) => {
    const frame = box.getBoundingClientRect();
    return [event.clientX - frame.left, event.clientY - frame.top];
  };
  box.addEventListener("contextmenu", (event) => event.preventDefault());
  box.addEventListener("pointerdown", (event) => {
    if (document.activeElement instanceof HTMLElement) document.activeElement.blur(); // keys act on the images again
    const tool = event.ctrlKey ? "zoom" : event.shiftKey ? "pan" : (TOOL_OF_BUTTON[event.button] ?? actions.tool());
    drag = { tool, at: where(event), plane: pane.at(...where(event))?.tile };
    if (!drag.plane) return (drag = null);
    box.setPointerCapture(event.pointerId);
    if (tool === "cross") actions.pick(pane, ...drag.at);
    event.preventDefault();
  });
  box.addEventListener("pointermove", (event) => {
    if (!drag) return;
    const at = where(event);
    const [dx, dy] = [at[0] - drag.at[0], at[1] - drag.at[1]];
    drag.at = at;
    if (drag.tool === "cross") actions.pick(pane, ...at);
    if (drag.tool === "window") actions.dragWindow(pane, dx, dy);
    if (drag.tool === "pan") actions.pan(drag.plane, dx, dy);
    if (drag.tool === "zoom") actions.zoom(1.006 ** -dy);
  });
  for (const end of ["pointerup", "pointercancel"]) box.addEventListener(end, () => (drag = null));
  box.addEventListener("wheel", (event) => {
    event.preventDefault();
    if (event.ctrlKey) return actions.zoom(event.deltaY < 0 ? WHEEL_ZOOM : 1 / WHEEL_ZOOM);
    const found = pane.at(...where(event));
    if (found) actions.step(Math.sign(event.deltaY), found.tile.plane);
  }, { passive: false });
}
