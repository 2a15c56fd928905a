// caver-js: a token, its events by filter and by subscription.
import Caver from "caver-js";
import { Wallet } from "ethers";
import { assert, check, done } from "../lib/check.mjs";
import { abi, bytecode } from "../lib/compile.mjs";
import { HTTP, WS, devAccounts } from "../lib/env.mjs";

const caver = new Caver(HTTP);
const keyring = caver.wallet.keyring.createFromPrivateKey(devAccounts[2].privateKey);
caver.wallet.add(keyring);
const from = keyring.address;
const SUPPLY = 10n ** 24n;
let token;

await check("caver-js deploys a token", async () => {
  const contract = caver.contract.create(abi);
  token = await contract.deploy({ from, gas: 3_000_000 }, bytecode, SUPPLY.toString());
  assert.equal(await token.methods.symbol().call(), "SMP");
  assert.equal(await token.methods.balanceOf(from).call(), SUPPLY.toString());
});

await check("caver-js reads a transfer's event from the log and by filter", async () => {
  const to = Wallet.createRandom().address;
  const filter = await caver.rpc.klay.newFilter({ address: token.options.address });
  const sent = await token.methods.transfer(to, 5).send({ from, gas: 300_000 });
  assert.equal(sent.events.Transfer.returnValues.to, to);
  const logs = await caver.rpc.klay.getFilterChanges(filter);
  assert.equal(logs.length, 1);
  assert.equal(BigInt(logs[0].data), 5n);
  assert.equal(await caver.rpc.klay.uninstallFilter(filter), true);
  const past = await token.getPastEvents("Transfer", { filter: { to }, fromBlock: sent.blockNumber });
  assert.equal(past.length, 1);
  assert.equal(past[0].returnValues.value, "5");
});

await check("caver-js receives a transfer's event by subscription", async () => {
  const live = new Caver(WS);
  const subscribed = live.contract.create(abi, token.options.address);
  const to = Wallet.createRandom().address;
  const event = new Promise((resolve, reject) => {
    subscribed.events.Transfer({ filter: { to } }).on("data", resolve).on("error", reject);
  });
  await new Promise((resolve) => setTimeout(resolve, 500));
  await token.methods.transfer(to, 9).send({ from, gas: 300_000 });
  assert.equal((await event).returnValues.value, "9");
  live.currentProvider.connection?.close?.();
});

await check("caver-js receives new heads by subscription", async () => {
  const live = new Caver(WS);
  const head = await new Promise((resolve, reject) => {
    live.rpc.klay.subscribe("newBlockHeaders", (error, header) => (error ? reject(error) : resolve(header)));
  });
  assert.ok(head.hash);
  live.currentProvider.connection?.close?.();
});

done();
