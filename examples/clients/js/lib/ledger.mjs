// Who paid what, to the last peb.
import { assert } from "./check.mjs";
import { balance, receipt, rpc } from "./env.mjs";

/**
 * Sends by `send` (which resolves to a hash) and checks the balances of everyone involved.
 * `ratio` is the fee payer's percentage: none without one, 100 where the payer pays everything.
 * The whole gas limit is paid ahead and what is not used paid back, each divided and rounded down for itself.
 */
export async function settle({ send, from, payer, ratio, to, value = 0n }) {
  const parties = [...new Set([from, payer, to].filter(Boolean).map((address) => address.toLowerCase()))];
  const before = await Promise.all(parties.map((address) => balance(address)));
  const done = await receipt(await send());
  assert.equal(done.status, "0x1", `status of ${done.type}`);
  const after = await Promise.all(parties.map((address) => balance(address, done.blockNumber)));

  const [limit, used, price] = [done.gas, done.gasUsed, done.effectiveGasPrice].map(BigInt);
  const part = (amount) => (payer ? (amount * BigInt(ratio ?? 100)) / 100n : 0n);
  const payerPart = part(limit * price) - part((limit - used) * price);
  const fee = used * price + BigInt(done.blobGasUsed ?? 0) * BigInt(done.blobGasPrice ?? 0);
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

/** A price that the next block accepts, odd so that a division of it has to be rounded. */
export const gasPrice = async () => BigInt(await rpc("klay_gasPrice")) + 7n;
