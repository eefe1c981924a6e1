// Paint packed maps as the player does: node paint.mjs JOB.json OUT
import { readFileSync, writeFileSync } from "node:fs";

import { decodeMap } from "../../trainviz/player/static/decode.js";
import { mix, paintRegions, paintScale, QUANTITIES, shadesOf, wordOf } from "../../trainviz/player/static/paint.js";

const [, , jobPath, out] = process.argv;
const job = JSON.parse(readFileSync(jobPath, "utf8"));
const maps = [];
for (const path of job.maps) maps.push(await decodeMap(new Uint8Array(readFileSync(path))));
const [a, b = a] = maps;
const map = mix(a.map, b.map, job.weight, new Float32Array(a.map.length));
const planes = { ...a, map };
const picture = new Uint32Array(a.height * a.width);
if (job.mode === "region") {
  const { table, levels } = shadesOf(job.colors, job.ground, job.shade);
  paintRegions(planes, table, levels, picture, a.classes);
} else {
  const words = Uint32Array.from(job.scale, (rgb) => wordOf(rgb));
  const values = QUANTITIES[job.mode](map, a.classes, new Float32Array(picture.length), { of: job.of ?? 0 });
  paintScale(values, a.height, a.width, ...job.limits, words, picture);
}
writeFileSync(out, new Uint8Array(picture.buffer));
