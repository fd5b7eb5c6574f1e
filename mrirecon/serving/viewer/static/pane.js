// One image: a niivue canvas, and over it the texts a reader needs, placed from what niivue has drawn.

import { GREY, OPAQUE, OVER, SOLID, TRANSLUCENT, addColours } from "./colours.js";
import { NORMAL, PLANES, apply, roundLength } from "./geometry.js";

const ALL = 3;
const EDGE_PX = 6;
const CROSSHAIR_PX = 1.4;

export class Pane {
  // `stale` is called when the canvas must be drawn again, as after a change of its size.
  constructor(element, stale) {
    this.element = element;
    this.stale = stale;
    this.changing = false;
    this.canvas = document.createElement("canvas");
    element.append(this.canvas);
    this.parts = {};
    for (const name of ["title", "place", "window", "scale", "unknown"]) {
      this.parts[name] = this.#over(name);
    }
    this.letters = [];
    this.shown = null;
    this.key = "";
  }

  #over(kind) {
    const box = document.createElement("div");
    box.className = `over ${kind}`;
    this.element.append(box);
    return box;
  }

  // Once; the canvas must be on the screen by then. Compiling shaders takes a while.
  attach() {
    this.attached ??= this.#attach();
    return this.attached;
  }

  async #attach() {
    this.nv = new niivue.Niivue({
      interactive: false,
      dragAndDropEnabled: false,
      logLevel: "error",
      isRadiologicalConvention: true,
      sagittalNoseLeft: true,
      isSliceMM: true,
      isOrientationTextVisible: false,
      isColorbar: false,
      multiplanarShowRender: 0,
      multiplanarLayout: 2, // a grid: its fourth quarter is free for the texts
      multiplanarPadPixels: 4,
      crosshairColor: [0.37, 0.82, 1, 0.8],
      crosshairWidthUnit: "mm",
      backColor: [0, 0, 0, 1],
      loadingText: "",
      show3Dcrosshair: false,
    });
    await this.nv.attachToCanvas(this.canvas, false);
    addColours(this.nv);
    // niivue draws whenever anything changes; here a frame is drawn once, when all has changed that will.
    this.paint = this.nv.drawScene.bind(this.nv);
    this.nv.drawScene = () => this.changing || this.stale();
  }

  // Show `base` and, over it, `overlay` ({volume, opacity}) with these windows.
  async show(base, overlay, windowOf, options) {
    await this.attach();
    const key = `${base.id}/${overlay ? overlay.volume.id : "-"}`;
    if (key !== this.key) {
      const images = await Promise.all([base, ...(overlay ? [overlay.volume] : [])].map(image));
      this.nv.volumes = images;
      this.nv.back = images[0];
      this.nv.overlays = images.slice(1);
      this.key = key;
    }
    this.base = base;
    this.overlay = overlay;
    const [first, second] = this.nv.volumes;
    const heat = base.role === "uncertainty" || base.role === "difference";
    setLook(first, heat ? SOLID : GREY, windowOf(base), 1, options.invert && !heat);
    if (second) {
      const { high } = windowOf(overlay.volume);
      setLook(second, OVER, { low: OPAQUE * high, high }, overlay.opacity, false);
      second.colormapType = TRANSLUCENT;
    }
    this.changing = true;
    this.nv.opts.isNearestInterpolation = options.nearest;
    this.nv.updateGLVolume(); // windows, colours and opacity reach the picture here
    this.nv.setInterpolation(options.nearest);
    this.changing = false;
  }

  place(view) {
    const { nv, base } = this;
    if (!nv || !base || !nv.volumes.length || !this.canvas.clientWidth) return;
    const mm = view.placeIn(base);
    const pixelsPerMm = view.zoom * (view.plane === "all" ? 0.45 * this.fit("axial") : this.fit(view.plane));
    nv.opts.crosshairWidth = view.crosshair ? CROSSHAIR_PX / pixelsPerMm : 0;
    nv.opts.crosshairGap = 3 * Math.min(...base.voxel_size_mm_xyz);
    nv.opts.sliceType = view.plane === "all" ? ALL : PLANES.indexOf(view.plane);
    nv.scene.crosshairPos = nv.mm2frac(mm);
    const low = nv.volumeObject3D.extentsMin;
    const high = nv.volumeObject3D.extentsMax;
    const zoom = view.plane === "all" || !base.linked ? view.zoom : (view.zoom * view.scaleOf(this)) / this.fit(view.plane);
    const centre = base.linked ? view.centre : [0, 1, 2].map((n) => (low[n] + high[n]) / 2);
    const pan = [0, 1, 2].map((n) => (low[n] + high[n]) / 2 - zoom * centre[n]);
    nv.scene.pan2Dxyzmm = [...pan, zoom];
    this.paint();
    this.#annotate(view, mm);
  }

  // Pixels per millimetre at zoom 1.
  fit(plane) {
    const low = this.nv.volumeObject3D.extentsMin;
    const high = this.nv.volumeObject3D.extentsMax;
    const [across, up] = [0, 1, 2].filter((n) => n !== NORMAL[plane]);
    return Math.min(this.canvas.width / (high[across] - low[across]), this.canvas.height / (high[up] - low[up]));
  }

  tiles() {
    const ratio = this.canvas.width / this.canvas.clientWidth;
    return this.nv.screenSlices
      .filter((slice) => slice.axCorSag <= 2)
      .map((slice) => {
        const [left, top, width, height] = slice.leftTopWidthHeight.map((v) => v / ratio);
        return { plane: PLANES[slice.axCorSag], left, top, width, height, pixelsPerMm: width / Math.abs(slice.fovMM[0]) };
      });
  }

  // The tile and the place on the screen axes under a point of this element in CSS pixels; null outside.
  at(x, y) {
    const tile = this.tiles().find((t) => x >= t.left && x < t.left + t.width && y >= t.top && y < t.top + t.height);
    if (!tile) return null;
    const ratio = this.canvas.width / this.canvas.clientWidth;
    const fraction = this.nv.canvasPos2frac([x * ratio, y * ratio]);
    return { tile, mm: fraction[0] < 0 ? null : Array.from(this.nv.frac2mm(fraction)).slice(0, 3) };
  }

  #annotate(view, mm) {
    const { base, parts } = this;
    const notes = base.notes.map((note) => small(note));
    parts.title.replaceChildren(bold(view.blink ? `${base.title} (blink)` : base.title), ...notes);
    if (this.overlay) parts.title.append(small(`over it: ${this.overlay.volume.title}`));
    const { low, high } = view.windowOf(base);
    parts.window.replaceChildren(`W ${number(high - low)}  L ${number((high + low) / 2)}`);
    const tiles = this.tiles();
    const single = tiles.length === 1;
    this.element.classList.toggle("planes", !single);
    parts.place.replaceChildren(...(single ? [view.sliceText(tiles[0].plane), small(view.planeText(tiles[0].plane))] : []));
    parts.unknown.hidden = view.orientationKnown;
    parts.unknown.textContent = "Orientation unknown: no left or right";
    const length = tiles.length && view.spacingKnown ? roundLength((0.3 * tiles[0].width) / tiles[0].pixelsPerMm) : 0;
    parts.scale.hidden = !length || !single;
    if (length) {
      const bar = document.createElement("i");
      bar.style.width = `${length * tiles[0].pixelsPerMm}px`;
      parts.scale.replaceChildren(length >= 10 ? `${length / 10} cm` : `${length} mm`, bar);
    }
    this.#placeLetters(view, tiles);
  }

  #placeLetters(view, tiles) {
    this.letters.forEach((box) => box.remove());
    this.letters = [];
    if (!view.letters || !this.base.linked) return;
    const { x, y, z } = view.letters;
    const edges = { axial: [x, y, 0], coronal: [x, [z[1], z[0]], 0], sagittal: [y, [z[1], z[0]], 0] };
    for (const tile of tiles) {
      const [across, down] = edges[tile.plane];
      const middle = { x: tile.left + tile.width / 2, y: tile.top + tile.height / 2 };
      this.#letter("start", across[0], tile.left + EDGE_PX, middle.y);
      this.#letter("end", across[1], tile.left + tile.width - EDGE_PX, middle.y);
      this.#letter("middle", down[0], middle.x, tile.top + 2 * EDGE_PX);
      this.#letter("middle", down[1], middle.x, tile.top + tile.height - 2 * EDGE_PX);
    }
  }

  #letter(side, text, left, top) {
    const box = this.#over(`letter ${side}`);
    box.textContent = text;
    box.style.left = `${left}px`;
    box.style.top = `${top}px`;
    this.letters.push(box);
  }
}

async function image(volume) {
  return niivue.NVImage.loadFromUrl({ url: volume.buffer, name: `volume${volume.id}.nii`, colormap: GREY });
}

function setLook(shown, colours, window, opacity, invert) {
  shown._colormap = colours;
  shown.colormapInvert = invert;
  shown.cal_min = window.low;
  shown.cal_max = window.high;
  shown._opacity = opacity;
}

export function valueAt(volume, mm) {
  const index = apply(volume.toIndex, mm).map(Math.round);
  const [nx, ny, nz] = volume.shape_xyz;
  const [i, j, k] = index;
  if (i < 0 || j < 0 || k < 0 || i >= nx || j >= ny || k >= nz) return null;
  return volume.values[i + nx * (j + ny * k)];
}

export function number(value) {
  if (value === null || !Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size !== 0 && (size < 0.01 || size >= 1e6)) return value.toExponential(2);
  return size >= 100 ? value.toFixed(0) : value.toFixed(size >= 10 ? 1 : 2);
}

function bold(text) {
  const part = document.createElement("b");
  part.textContent = text;
  return part;
}

function small(text) {
  const part = document.createElement("small");
  part.textContent = text;
  return part;
}
