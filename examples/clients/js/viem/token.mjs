// viem: a token, its events by filter and by subscription.
import { generatePrivateKey, privateKeyToAddress } from "viem/accounts";
import { assert, check, done } from "../lib/check.mjs";
import { abi, bytecode } from "../lib/compile.mjs";
import { listener, reader, writer } from "./client.mjs";

const wallet = writer(7);
const from = wallet.account.address;
const SUPPLY = 10n ** 24n;
const someone = () => privateKeyToAddress(generatePrivateKey());
let address;

const transfer = async (to, value) => {
  const hash = await wallet.writeContract({ address, abi, functionName: "transfer", args: [to, value] });
  return reader.waitForTransactionReceipt({ hash });
};

await check("viem deploys a token and reads it", async () => {
  const hash = await wallet.deployContract({ abi, bytecode, args: [SUPPLY] });
  ({ contractAddress: address } = await reader.waitForTransactionReceipt({ hash }));
  assert.equal(await reader.readContract({ address, abi, functionName: "symbol" }), "SMP");
  assert.equal(await reader.readContract({ address, abi, functionName: "balanceOf", args: [from] }), SUPPLY);
});

await check("viem gets the error of a contract", async () => {
  const call = reader.simulateContract({ address, abi, functionName: "transfer", args: [from, SUPPLY + 1n], account: from });
  await assert.rejects(call, /TooLittle/);
});

await check("viem reads a transfer's event from the log and by filter", async () => {
  const to = someone();
  const filter = await reader.createContractEventFilter({ address, abi, eventName: "Transfer", args: { to } });
  const receipt = await transfer(to, 5n);
  assert.equal(receipt.status, "success");
  const changes = await reader.getFilterChanges({ filter });
  assert.equal(changes.length, 1);
  assert.equal(changes[0].args.value, 5n);
  const past = await reader.getContractEvents({
    address,
    abi,
    eventName: "Transfer",
    args: { to },
    fromBlock: receipt.blockNumber,
  });
  assert.equal(past.length, 1);
});

await check("viem receives a transfer's event by subscription", async () => {
  const to = someone();
  const event = new Promise((resolve, reject) => {
    listener().watchContractEvent({
      address,
      abi,
      eventName: "Transfer",
      args: { to },
      onLogs: ([log]) => resolve(log),
      onError: reject,
    });
  });
  await new Promise((resolve) => setTimeout(resolve, 1000));
  await transfer(to, 9n);
  assert.equal((await event).args.value, 9n);
});

done();
