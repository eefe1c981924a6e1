import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { test } from "node:test";

import { decodeMap, decodeValues, open } from "../../../trainviz/player/static/decode.js";

const folder = new URL("../../recordings/packed/", import.meta.url);
const names = readdirSync(folder).filter((name) => name.endsWith(".bin"));

/** The CRC-32 that zlib computes. */
function crc32(bytes) {
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let k = 0; k < 8; k++) crc = (crc >>> 1) ^ (0xedb88320 & -(crc & 1));
  }
  return ~crc >>> 0;
}

/** The bits of half precision of a number that half precision can hold. */
function halfBits(value) {
  const [word] = new Uint32Array(new Float32Array([value]).buffer);
  const sign = (word >>> 16) & 0x8000;
  const magnitude = Math.abs(value);
  if (magnitude === Infinity) return sign | 0x7c00;
  if (magnitude < 2 ** -14) return sign | Math.round(magnitude * 2 ** 24);
  const exponent = ((word >>> 23) & 255) - 127;
  return sign | ((exponent + 15) << 10) | ((word >>> 13) & 1023);
}

test("there are twelve golden files", () => assert.equal(names.length, 12));

for (const name of names) {
  test(`${name} holds the values that Python finds, to the bit`, async () => {
    const bytes = new Uint8Array(readFileSync(new URL(name, folder)));
    const told = JSON.parse(readFileSync(new URL(name.replace(".bin", ".json"), folder), "utf8"));
    const { packed, points, values } = await decodeValues(bytes);
    assert.deepEqual([packed.classes, packed.height, packed.width], told.shape);
    assert.deepEqual(Array.from(values.subarray(0, 64)), told.first_values);
    if (told.first_points) assert.deepEqual(Array.from(points.subarray(0, 64)), told.first_points);
    const raw =
      told.dtype === "float16"
        ? new Uint8Array(Uint16Array.from(values, halfBits).buffer)
        : new Uint8Array(values.buffer);
    assert.equal(crc32(raw), told.crc32_of_values);
  });
}

test("a whole map sums to 1 everywhere", async () => {
  const bytes = new Uint8Array(readFileSync(new URL("display.bin", folder)));
  const { classes, height, width, map } = await decodeMap(bytes);
  const cells = height * width;
  for (let i = 0; i < cells; i++) {
    let sum = 0;
    for (let k = 0; k < classes; k++) sum += map[k * cells + i];
    assert.ok(Math.abs(sum - 1) < 1e-5);
  }
});

test("facts between the header and the positions are skipped", async () => {
  const bytes = new Uint8Array(readFileSync(new URL("display.bin", folder)));
  const facts = new TextEncoder().encode('{"epoch": 3}');
  const longer = new Uint8Array(bytes.length + facts.length);
  longer.set(bytes.subarray(0, 36));
  longer.set(facts, 36);
  longer.set(bytes.subarray(36), 36 + facts.length);
  new DataView(longer.buffer).setUint32(32, facts.length, true);
  assert.deepEqual((await decodeValues(longer)).values, (await decodeValues(bytes)).values);
});

test("bytes that are none are refused", async () => {
  const bytes = new Uint8Array(readFileSync(new URL("display.bin", folder)));
  const changed = (at, value) => Object.assign(bytes.slice(), { [at]: value });
  await assert.rejects(open(bytes.subarray(0, 20)), /too short/);
  await assert.rejects(open(changed(0, 1)), /no packed map of version 1/);
  await assert.rejects(open(changed(4, 2)), /no packed map of version 1/);
  await assert.rejects(open(changed(15, 127)), /too large/);
  await assert.rejects(open(bytes.subarray(0, bytes.length - 9)));
});
