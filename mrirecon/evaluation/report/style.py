"""The style sheet of the report: light, dark and printed; nothing is fetched."""

CSS = """
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #57606a; --paper: #ffffff; --tint: #f4f6f8; --line: #d3d9df;
  --mark: #0b5cad; --warn-line: #b35900; --warn-tint: #fff5e6; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e8ec; --soft: #a3adb8; --paper: #14171a; --tint: #1d2126; --line: #3a424b; --mark: #79b8ff;
    --warn-line: #e0953a; --warn-tint: #2b2216; }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; scroll-behavior: smooth; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, -apple-system, "Segoe UI",
  Roboto, "Helvetica Neue", Arial, sans-serif; overflow-wrap: anywhere; }
main { max-width: 1160px; margin: 0 auto; padding: 1.2rem 1rem 4rem; }
h1 { font-size: 1.75rem; line-height: 1.2; margin: .4rem 0 .3rem; }
h2 { font-size: 1.3rem; margin: 2.6rem 0 .6rem; padding-top: .6rem; border-top: 2px solid var(--line); }
h3 { font-size: 1.05rem; margin: 1.7rem 0 .4rem; }
h4 { font-size: .95rem; margin: 1.1rem 0 .3rem; }
p, ul, ol { margin: .5rem 0; max-width: 78ch; }
li { margin: .2rem 0; }
a { color: var(--mark); }
code, pre { font: .86em/1.45 ui-monospace, "Cascadia Mono", Menlo, Consolas, monospace; }
pre { background: var(--tint); border: 1px solid var(--line); border-radius: 4px; padding: .7rem; overflow-x: auto;
  white-space: pre-wrap; }
nav ul { display: flex; flex-wrap: wrap; gap: .1rem 1.1rem; list-style: none; padding: 0; max-width: none; }
.lead { font-size: 1.05rem; }
.note, figcaption, caption { color: var(--soft); font-size: .88rem; line-height: 1.42; }
.note { max-width: 92ch; }
.warn { border-left: 4px solid var(--warn-line); background: var(--warn-tint); padding: .5rem .9rem; margin: .9rem 0;
  border-radius: 0 4px 4px 0; }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .6rem; margin: 1rem 0; }
.facts div { background: var(--tint); border: 1px solid var(--line); border-radius: 6px; padding: .5rem .7rem; }
.facts b { display: block; font-size: 1.3rem; line-height: 1.25; }
.facts span { color: var(--soft); font-size: .85rem; }
.scroll { overflow-x: auto; max-width: 100%; margin: .8rem 0; }
table { border-collapse: collapse; font-size: .88rem; font-variant-numeric: tabular-nums; overflow-wrap: normal; }
caption { text-align: left; caption-side: top; padding-bottom: .35rem; }
th, td { text-align: left; vertical-align: top; padding: .28rem .6rem; border-bottom: 1px solid var(--line); }
thead th { border-bottom: 2px solid var(--line); vertical-align: bottom; background: var(--tint); }
tbody th { font-weight: 600; }
td.n { text-align: right; white-space: nowrap; }
td small { color: var(--soft); }
.hole { color: var(--warn-line); white-space: nowrap; }
.best { font-weight: 700; }
figure { margin: 1rem 0; }
.plot { overflow-x: auto; background: #fff; border: 1px solid var(--line); border-radius: 4px; }
.plot img { display: block; width: 100%; min-width: 34rem; height: auto; }
.tiles { display: grid; gap: .5rem; grid-template-columns: repeat(auto-fit, minmax(var(--tile, 10rem), 1fr));
  background: #101010; color: #dcdcdc; padding: .5rem; border-radius: 4px; }
.tile { margin: 0; min-width: 0; max-width: 22rem; display: flex; flex-direction: column; }
.tile img { display: block; width: 100%; height: auto; background: #000; }
.tile img.pixels { image-rendering: pixelated; }
.tile .view { position: relative; }
.tile .box { position: absolute; border: 1.5px solid #ffd23f; pointer-events: none; }
.tile figcaption { color: #dcdcdc; font-size: .8rem; line-height: 1.3; padding: .25rem 0 .1rem; }
.tile figcaption b { display: block; }
.letter { position: absolute; color: #ffd23f; font-size: .72rem; line-height: 1; text-shadow: 0 0 3px #000; }
.letter.left { left: 3px; top: 50%; } .letter.right { right: 3px; top: 50%; }
.letter.top { top: 3px; left: 50%; } .letter.bottom { bottom: 3px; left: 50%; }
.scale { font-size: .78rem; padding-top: .5rem; }
.card { font-size: .72rem; }
.absent { background: #242424; color: #f0b060; font-size: .8rem; display: flex; align-items: center;
  justify-content: center; text-align: center; padding: .5rem; width: 100%; }
.bar { display: flex; align-items: center; gap: .5rem; font-size: .82rem; color: #dcdcdc; }
.bar img { flex: 1 1 4rem; min-width: 0; width: 4rem !important; height: .7rem !important; }
.masks { display: grid; gap: .7rem; grid-template-columns: repeat(auto-fill, minmax(9rem, 1fr)); }
.masks figure { margin: 0; }
.masks img { width: 100%; height: auto; image-rendering: pixelated; border: 1px solid var(--line); background: #000; }
details { margin: .7rem 0; border: 1px solid var(--line); border-radius: 4px; padding: .4rem .8rem; }
summary { cursor: pointer; font-weight: 600; }
footer { margin-top: 3rem; color: var(--soft); font-size: .85rem; border-top: 1px solid var(--line); }
@media (max-width: 520px) {
  body { font-size: 15px; }
  main { padding: .6rem .7rem 3rem; }
  th, td { padding: .25rem .4rem; }
  .tiles { --tile: 8.5rem !important; }
}
@media print {
  :root { --ink: #000; --soft: #333; --paper: #fff; --tint: #fff; --line: #999; --mark: #000; --warn-tint: #fff; }
  body { font-size: 10pt; }
  main { max-width: none; padding: 0; }
  nav, details.screen { display: none; }
  h2, h3, h4 { break-after: avoid; }
  figure, tr, .warn, .tile { break-inside: avoid; }
  .scroll, .plot { overflow: visible; }
  .plot img { min-width: 0; }
  .tiles, .absent, .tile img, .tile .box { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  details::details-content { content-visibility: visible; display: block; }
}
"""
