'use strict';
// Counts what a script has checked and says so in one line of JSON, which tests/lib/npm.py reads.

const { isDeepStrictEqual, inspect } = require('node:util');

let checks = 0;
const failures = [];

function expect(good, message) {
  checks++;
  if (!good) failures.push(message);
  return good;
}

function equal(actual, expected, message) {
  return expect(isDeepStrictEqual(actual, expected),
    `${message}: ${inspect(actual, { depth: 4 }).slice(0, 300)} instead of ${inspect(expected, { depth: 4 }).slice(0, 300)}`);
}

// A promise that must be rejected, with a message like this.
async function rejects(promise, pattern, message) {
  try {
    const value = await promise;
    expect(false, `${message}: answered ${inspect(value).slice(0, 200)}`);
  } catch (error) {
    expect(pattern.test(error.message), `${message}: ${error.name}: ${error.message}`);
  }
}

// What an emitter says next; fails instead of waiting for ever.
function once(emitter, event, waitMs = 15000) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no '${event}' within ${waitMs} ms`)), waitMs);
    emitter.once(event, (...values) => {
      clearTimeout(timer);
      resolve(values.length > 1 ? values : values[0]);
    });
  });
}

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function until(condition, message, waitMs = 15000) {
  const deadline = Date.now() + waitMs;
  for (;;) {
    if (await condition()) return expect(true, message);
    if (Date.now() > deadline) return expect(false, message);
    await sleep(10);
  }
}

// Runs the parts in order. One that throws is a failure, and the others still run.
async function run(parts) {
  for (const part of parts) {
    try {
      await part();
    } catch (error) {
      const where = /[\w.]+\.js:\d+(?=:\d+\)?$)/.exec(String(error.stack).split('\n').find((line) => line.includes(__dirname)));
      expect(false, `${part.name} threw ${error.name}: ${error.message} (${where ?? 'in the client'})`);
    }
  }
  process.stdout.write(`${JSON.stringify({ checks, failures })}\n`, () => process.exit(0));
}

// How to reach the servers that the test has started.
const settings = {
  client: process.env.MS_CLIENT,
  protocol: Number(process.env.MS_PROTOCOL ?? 0),
  port: Number(process.env.MS_PORT),
  socket: process.env.MS_SOCKET,
  lockedPort: Number(process.env.MS_LOCKED_PORT),
  password: process.env.MS_PASSWORD,
};

module.exports = { equal, expect, once, rejects, run, settings, sleep, until };
