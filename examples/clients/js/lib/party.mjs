// One party to a transaction as a process of its own: the two exchange nothing but raw hex.
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** Starts `script` with `keys` in its environment; `ask` sends a request and resolves to the answer. */
export function party(script, account) {
  const child = spawn(process.execPath, [fileURLToPath(script)], {
    env: { ...process.env, PARTY: JSON.stringify(account) },
    stdio: ["pipe", "pipe", "inherit"],
  });
  const waiting = [];
  createInterface({ input: child.stdout }).on("line", (line) => {
    const { raw, error } = JSON.parse(line);
    const { resolve, reject } = waiting.shift();
    if (error) reject(new Error(error));
    else resolve(raw);
  });
  child.on("exit", (code) => waiting.forEach(({ reject }) => reject(new Error(`party ended with code ${code}`))));
  return {
    pid: child.pid,
    ask: (request) =>
      new Promise((resolve, reject) => {
        waiting.push({ resolve, reject });
        child.stdin.write(JSON.stringify(request) + "\n");
      }),
    end: () => child.stdin.end(),
  };
}

/** The other side: answers each line with the raw transaction that `answer` makes of it. */
export async function serve(answer) {
  const account = JSON.parse(process.env.PARTY);
  for await (const line of createInterface({ input: process.stdin })) {
    let reply;
    try {
      reply = { raw: await answer(account, JSON.parse(line)) };
    } catch (error) {
      reply = { error: error.message ?? String(error) };
    }
    process.stdout.write(JSON.stringify(reply) + "\n");
  }
  process.exit(0);
}
