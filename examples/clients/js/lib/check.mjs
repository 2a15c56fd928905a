// Named checks: one line each on standard output, and an exit code.
import assert from "node:assert/strict";

export { assert };

const LIMIT_SECONDS = 60;

/** Runs one check; a failure is reported and the next check runs. */
export async function check(name, body) {
  let timer;
  const limit = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done after ${LIMIT_SECONDS} s`)), LIMIT_SECONDS * 1000);
  });
  try {
    await Promise.race([body(), limit]);
    console.log(`ok - ${name}`);
  } catch (error) {
    process.exitCode = 1;
    console.log(`not ok - ${name}`);
    console.error(error.stack ?? error);
  } finally {
    clearTimeout(timer);
  }
}

/** The text of what a node or a client refused. */
export async function refusal(promise) {
  try {
    await promise;
  } catch (error) {
    return error.info?.error?.message ?? error.details ?? error.message ?? String(error);
  }
  throw new Error("accepted, but should have been refused");
}

/** Ends the script although a client keeps sockets or timers. */
export function done() {
  process.exit(process.exitCode ?? 0);
}
