// Colour maps of standard deviations and differences; points at positions 0..255, opacity 0..255.

const ALONE = { I: [0, 64, 128, 192, 255], R: [0, 110, 205, 250, 255], G: [0, 15, 60, 155, 250], B: [0, 105, 75, 20, 180] };
// Over an image nothing is darker than tissue, and opacity grows with the square of the value up to OPAQUE of the maximum
// (niivue's "translucent below the minimum"), so that anatomy stays visible where there is little; zero is clear.
const ABOVE = {
  I: [0, 1, 64, 96, 128, 160, 192, 255], A: [0, 255, 255, 255, 255, 255, 255, 255],
  R: [235, 235, 235, 237, 240, 248, 255, 255], G: [40, 40, 40, 60, 80, 122, 165, 250], B: [60, 60, 60, 50, 40, 30, 20, 170],
};
export const OPAQUE = 0.7;
export const TRANSLUCENT = 1;
const TISSUE = 128;
export const GREY = "mrirecon-grey";
export const SOLID = "mrirecon-heat";
export const OVER = "mrirecon-heat-over";

export function addColours(nv) {
  nv.addColormap(GREY, { I: [0, 255], R: [0, 255], G: [0, 255], B: [0, 255], A: [0, 128] });
  nv.addColormap(SOLID, { ...ALONE, A: [0, 128, 128, 128, 128] });
  nv.addColormap(OVER, ABOVE);
}

// A bar of one of the maps; that of an overlay as it looks over grey tissue.
export function drawBar(canvas, over) {
  const context = canvas.getContext("2d");
  const gradient = context.createLinearGradient(0, 0, canvas.width, 0);
  const map = over ? ABOVE : ALONE;
  map.I.forEach((at, n) => {
    const share = over ? Math.min(1, (at / 255 / OPAQUE) ** 2) : 1;
    const mixed = ["R", "G", "B"].map((c) => Math.round(share * map[c][n] + (1 - share) * TISSUE));
    gradient.addColorStop(at / 255, `rgb(${mixed.join(" ")})`);
  });
  context.fillStyle = gradient;
  context.fillRect(0, 0, canvas.width, canvas.height);
}
