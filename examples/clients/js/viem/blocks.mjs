// viem: reading the chain.
import { assert, check, done } from "../lib/check.mjs";
import { CHAIN_ID, devAccounts } from "../lib/env.mjs";
import { listener, reader } from "./client.mjs";

await check("viem reads the network, blocks and accounts", async () => {
  assert.equal(await reader.getChainId(), CHAIN_ID);
  const block = await reader.getBlock();
  assert.equal((await reader.getBlock({ blockHash: block.hash })).number, block.number);
  assert.equal((await reader.getBlock({ blockNumber: 0n, includeTransactions: true })).number, 0n);
  const { address } = devAccounts[9];
  assert.equal(await reader.getBalance({ address }), 1_000_000n * 10n ** 18n);
  assert.equal(await reader.getTransactionCount({ address }), 0);
  assert.ok((await reader.getGasPrice()) > 0n);
  assert.ok((await reader.estimateFeesPerGas()).maxFeePerGas > 0n);
  assert.equal((await reader.getFeeHistory({ blockCount: 1, rewardPercentiles: [50] })).baseFeePerGas.length, 2);
});

await check("viem sees new blocks by polling", async () => {
  const number = await new Promise((resolve, reject) => {
    const stop = reader.watchBlockNumber({ onBlockNumber: (n) => (stop?.(), resolve(n)), onError: reject });
  });
  assert.equal(typeof number, "bigint");
});

await check("viem sees new blocks by subscription", async () => {
  const block = await new Promise((resolve, reject) => {
    listener().watchBlocks({ onBlock: resolve, onError: reject });
  });
  assert.ok(block.hash);
});

done();
