// Who paid what, to the last peb.
import { assert } from "./check.mjs";
import { balance, receipt, rpc } from "./env.mjs";

/**
 * Sends by `send` (which resolves to a hash) and checks the balances of everyone involved.
 * `ratio` is the fee payer's percentage: none without one, 100 where the payer pays everything.
 */
export async function settle({ send, from, payer, ratio, to, value = 0n }) {
  const parties = [...new Set([from, payer, to].filter(Boolean).map((address) => address.toLowerCase()))];
  const before = await Promise.all(parties.map((address) => balance(address)));
  const done = await receipt(await send());
  assert.equal(done.status, "0x1", `status of ${done.type}`);
  const after = await Promise.all(parties.map((address) => balance(address, done.blockNumber)));

  const fee = BigInt(done.gasUsed) * BigInt(done.effectiveGasPrice);
  const payerPart = payer ? (fee * BigInt(ratio ?? 100)) / 100n : 0n;
  const expected = new Map(parties.map((address, i) => [address, before[i]]));
  const add = (address, amount) => {
    if (address) expected.set(address.toLowerCase(), expected.get(address.toLowerCase()) + amount);
  };
  add(from, -value - (fee - payerPart));
  add(payer, -payerPart);
  add(to, value);
  parties.forEach((address, i) => assert.equal(after[i], expected.get(address), `balance of ${address} after ${done.type}`));
  return done;
}

/** A price that the next block accepts. */
export const gasPrice = async () => BigInt(await rpc("klay_gasPrice"));
