// Colour maps: perceptually ordered, without green and blue that look like anatomy; points at positions 0..255.

const HEAT = { I: [0, 64, 128, 192, 255], R: [0, 110, 205, 250, 255], G: [0, 15, 60, 155, 250], B: [0, 105, 75, 20, 180] };
export const GREY = "mrirecon-grey";
export const SOLID = "mrirecon-heat";
export const OVER = "mrirecon-heat-over";

export function addColours(nv) {
  nv.addColormap(GREY, { I: [0, 255], R: [0, 255], G: [0, 255], B: [0, 255], A: [0, 128] });
  nv.addColormap(SOLID, { ...HEAT, A: [0, 128, 128, 128, 128] });
  nv.addColormap(OVER, { ...HEAT, A: [0, 0, 110, 220, 255] }); // little is clear: anatomy stays visible
}

export function drawBar(canvas) {
  const context = canvas.getContext("2d");
  const gradient = context.createLinearGradient(0, 0, canvas.width, 0);
  HEAT.I.forEach((at, n) => gradient.addColorStop(at / 255, `rgb(${HEAT.R[n]} ${HEAT.G[n]} ${HEAT.B[n]})`));
  context.fillStyle = gradient;
  context.fillRect(0, 0, canvas.width, canvas.height);
}
