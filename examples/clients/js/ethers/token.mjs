// ethers 6: a token, its events by filter and by subscription.
import { Contract, ContractFactory, JsonRpcProvider, Wallet, WebSocketProvider } from "ethers";
import { assert, check, done } from "../lib/check.mjs";
import { abi, bytecode } from "../lib/compile.mjs";
import { HTTP, WS, devAccounts, rpc } from "../lib/env.mjs";

const provider = new JsonRpcProvider(HTTP, undefined, { cacheTimeout: -1, pollingInterval: 250 });
const wallet = new Wallet(devAccounts[6].privateKey, provider);
const SUPPLY = 10n ** 24n;
let token;

await check("ethers deploys a token and reads it", async () => {
  token = await new ContractFactory(abi, bytecode, wallet).deploy(SUPPLY);
  await token.waitForDeployment();
  assert.equal(await token.symbol(), "SMP");
  assert.equal(await token.balanceOf(wallet.address), SUPPLY);
});

await check("ethers gets the error of a contract", async () => {
  await assert.rejects(token.connect(wallet).transfer.staticCall(wallet.address, SUPPLY + 1n), (error) => {
    assert.equal(error.revert?.name, "TooLittle");
    assert.deepEqual([...error.revert.args], [SUPPLY, SUPPLY + 1n]);
    return true;
  });
});

await check("ethers reads a transfer's event from the log and by filter", async () => {
  const to = Wallet.createRandom().address;
  const address = await token.getAddress();
  const filter = await rpc("eth_newFilter", { address });
  const receipt = await (await token.transfer(to, 5n)).wait();
  assert.equal(receipt.logs.length, 1);
  const changes = await rpc("eth_getFilterChanges", filter);
  assert.equal(changes.length, 1);
  assert.equal(changes[0].transactionHash, receipt.hash);
  const past = await token.queryFilter(token.filters.Transfer(null, to), receipt.blockNumber);
  assert.equal(past.length, 1);
  assert.equal(past[0].args.value, 5n);
  assert.equal(await token.balanceOf(to), 5n);
});

await check("ethers receives a transfer's event by subscription", async () => {
  const socket = new WebSocketProvider(WS);
  const live = new Contract(await token.getAddress(), abi, socket);
  const to = Wallet.createRandom().address;
  const event = new Promise((resolve) => live.on(live.filters.Transfer(null, to), ({ args }) => resolve(args.value)));
  await new Promise((resolve) => setTimeout(resolve, 500));
  await (await token.transfer(to, 9n)).wait();
  assert.equal(await event, 9n);
  await live.removeAllListeners();
  await socket.destroy();
});

done();
