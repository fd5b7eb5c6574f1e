// The texts beside the images. Everything from the server is set as text, never as markup.

import { number, valueAt } from "./pane.js";

export function fillTabs(manifest) {
  const tabs = document.getElementById("tabs");
  const texts = document.getElementById("texts");
  const pages = manifest.record.map((section) => [section.title, () => rows(section.rows)]);
  pages.splice(1, 0, ["Sampling", () => sampling(manifest.sampling)]);
  const buttons = pages.map(([title, content]) => {
    const button = document.createElement("button");
    button.textContent = title;
    button.setAttribute("role", "tab");
    button.addEventListener("click", () => {
      buttons.forEach((one) => one.setAttribute("aria-selected", String(one === button)));
      texts.replaceChildren(...content());
      texts.scrollTop = 0;
    });
    return button;
  });
  tabs.replaceChildren(...buttons);
  buttons[0].click();
}

export function fillWarnings(manifest) {
  const lines = [...manifest.warnings, ...manifest.problems].map((text) => {
    const line = document.createElement("li");
    line.textContent = text;
    return line;
  });
  document.getElementById("warnings").replaceChildren(...lines);
}

export function fillValues(view, volumes) {
  const lines = volumes.map((volume) => {
    const value = view.orientationKnown || volume.linked ? valueAt(volume, view.placeIn(volume)) : null;
    return row(volume.title, number(value));
  });
  lines.push(row(view.orientationKnown ? "Patient L P H, mm" : "Array x y z", view.positionText()));
  const caption = document.createElement("caption");
  caption.textContent = "At the crosshair";
  document.getElementById("values").replaceChildren(caption, ...lines);
}

function row(...texts) {
  const line = document.createElement("tr");
  for (const text of texts) {
    const cell = document.createElement("td");
    cell.textContent = text;
    line.append(cell);
  }
  return line;
}

function rows(pairs) {
  const list = document.createElement("dl");
  for (const [label, text] of pairs) {
    if (label) {
      const term = document.createElement("dt");
      term.textContent = label;
      list.append(term);
    }
    const value = document.createElement("dd");
    value.textContent = text;
    if (!label) value.classList.add("whole");
    const verdict = /^(PASS|FAIL)\b/.exec(text);
    if (verdict) value.classList.add(verdict[1].toLowerCase());
    list.append(value);
  }
  return [list];
}

function sampling({ text, shape, bits }) {
  const words = document.createElement("p");
  words.textContent = text;
  if (!shape) return [words];
  const [height, width] = shape;
  const canvas = document.createElement("canvas");
  canvas.id = "mask";
  canvas.width = width;
  canvas.height = height;
  const packed = Uint8Array.from(atob(bits), (c) => c.charCodeAt(0));
  const picture = new ImageData(width, height);
  for (let n = 0; n < width * height; n += 1) {
    const grey = (packed[n >> 3] >> (7 - (n & 7))) & 1 ? 255 : 0;
    picture.data.set([grey, grey, grey, 255], 4 * n);
  }
  canvas.getContext("2d").putImageData(picture, 0, 0);
  const axes = document.createElement("p");
  axes.textContent = `k-space as acquired, ${width} columns (kx) by ${height} rows (ky), centre in the middle.`;
  return [words, canvas, axes];
}
