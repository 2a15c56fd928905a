// caver-js: reading the chain.
import Caver from "caver-js";
import { assert, check, done } from "../lib/check.mjs";
import { CHAIN_ID, HTTP, devAccounts } from "../lib/env.mjs";

const caver = new Caver(HTTP);
const { klay, net } = caver.rpc;

await check("caver-js reads the chain id, the client and the network", async () => {
  assert.equal(Number(await klay.getChainId()), CHAIN_ID);
  assert.equal(typeof (await klay.getClientVersion()), "string");
  assert.equal(Number(await net.getNetworkId()), CHAIN_ID);
});

await check("caver-js reads blocks by number and by hash", async () => {
  const block = await klay.getBlock("latest");
  const same = await klay.getBlock(block.hash);
  assert.equal(same.hash, block.hash);
  const genesis = await klay.getBlock(0);
  assert.equal(Number(genesis.number), 0);
  const header = await klay.getHeader("latest");
  assert.ok(Number(header.number) >= Number(block.number));
});

await check("caver-js reads accounts", async () => {
  const { address } = devAccounts[9];
  assert.equal(BigInt(await klay.getBalance(address)), 1_000_000n * 10n ** 18n);
  assert.equal(await klay.accountCreated(address), true);
  const account = await klay.getAccount(address);
  assert.equal(account.accType, 1);
  assert.deepEqual(await klay.getAccountKey(address), { keyType: 1, key: {} });
  assert.equal(await klay.isContractAccount(address), false);
});

done();
