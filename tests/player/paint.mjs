// Paint packed maps as the player does: node paint.mjs JOB.json OUT
import { readFileSync, writeFileSync } from "node:fs";

import { decodeMap } from "../../trainviz/player/static/decode.js";
import { grouped, leads, mix, paintRegions, paintScale, QUANTITIES, shadesOf, wordOf } from "../../trainviz/player/static/paint.js";

const [, , jobPath, out] = process.argv;
const job = JSON.parse(readFileSync(jobPath, "utf8"));
const maps = [];
for (const path of job.maps) maps.push(await decodeMap(new Uint8Array(readFileSync(path))));
const [a, b = a] = maps;
const map = mix(a.map, b.map, job.weight, new Float32Array(a.map.length));
const planes = { ...a, map };
const picture = new Uint32Array(a.height * a.width);
if (job.mode === "leads") {
  const found = leads(planes);
  const all = new Float32Array(found.length * picture.length);
  found.forEach((values, k) => all.set(values, k * picture.length));
  writeFileSync(out, new Uint8Array(all.buffer));
  process.exit(0);
}
if (job.mode === "region") {
  const { table, levels } = shadesOf(job.colors, job.ground, job.shade);
  const shown = job.kept ? grouped(planes, job.kept, new Float32Array((job.kept.length + 1) * picture.length)) : planes;
  paintRegions(shown, table, levels, picture, a.classes);
} else {
  const words = Uint32Array.from(job.scale, (rgb) => wordOf(rgb));
  const paired = job.mode === "difference" || job.mode === "change";
  // Those that compare two maps take the second as it is.
  const values = QUANTITIES[job.mode](paired ? a.map : map, a.classes, new Float32Array(picture.length), { of: job.of ?? 0, other: b.map });
  paintScale(values, a.height, a.width, ...job.limits, words, picture);
}
writeFileSync(out, new Uint8Array(picture.buffer));
