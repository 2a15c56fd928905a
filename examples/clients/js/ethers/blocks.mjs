// ethers 6: reading the chain.
import { JsonRpcProvider, WebSocketProvider } from "ethers";
import { assert, check, done } from "../lib/check.mjs";
import { CHAIN_ID, HTTP, WS, devAccounts } from "../lib/env.mjs";

const provider = new JsonRpcProvider(HTTP, undefined, { cacheTimeout: -1, pollingInterval: 250 });

await check("ethers reads the network, blocks and accounts", async () => {
  assert.equal((await provider.getNetwork()).chainId, BigInt(CHAIN_ID));
  const block = await provider.getBlock("latest");
  assert.equal((await provider.getBlock(block.hash)).number, block.number);
  assert.equal((await provider.getBlock(0, true)).number, 0);
  const { address } = devAccounts[9];
  assert.equal(await provider.getBalance(address), 1_000_000n * 10n ** 18n);
  assert.equal(await provider.getTransactionCount(address), 0);
  assert.equal(await provider.getCode(address), "0x");
  const fees = await provider.getFeeData();
  assert.ok(fees.gasPrice > 0n && fees.maxFeePerGas > 0n);
});

await check("ethers sees new blocks by polling", async () => {
  const number = await new Promise((resolve) => provider.once("block", resolve));
  assert.ok(number >= 0);
});

await check("ethers sees new blocks by subscription", async () => {
  const socket = new WebSocketProvider(WS);
  const number = await new Promise((resolve) => socket.once("block", resolve));
  assert.equal((await socket.getBlock(number)).number, number);
  await socket.destroy();
});

done();
