// ethers, viem and caver-js under faults: each sends one transfer after the other until standard input ends, to a node of
// its own while that answers and to the next one otherwise. Whatever one of them sees in a block goes to standard output:
// CLIENT HASH BLOCK, and in the end to standard error how long each has waited at most.
//
//   node steady.mjs http://127.0.0.1:8551 http://127.0.0.1:8553
import Caver from "caver-js";
import { JsonRpcProvider, Wallet } from "ethers";
import { createPublicClient, http } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { CHAIN_ID, devAccounts } from "./lib/env.mjs";

const urls = process.argv.slice(2);
// Clients print when a node is gone; standard output is for what they have seen.
console.log = console.error;
/** How long a client waits for a block before it goes on to the next node. */
const PATIENCE = 5_000;
const to = `0x${"57".repeat(20)}`;

/** Of a client: how it signs its transfer with this nonce, and how it delivers that to a node: the receipt's block. */
const clients = {
  ethers(key) {
    const wallet = new Wallet(key);
    const provider = (url) => {
      const made = new JsonRpcProvider(url, CHAIN_ID, { staticNetwork: true });
      made.pollingInterval = 250;
      return made;
    };
    const fees = { type: 2, maxFeePerGas: 10n ** 12n, maxPriorityFeePerGas: 0n };
    return {
      sign: (nonce) => wallet.signTransaction({ ...fees, chainId: CHAIN_ID, nonce, to, value: 1n, gasLimit: 21_000n }),
      connect: provider,
      send: (node, raw) => node.broadcastTransaction(raw),
      seen: async (node, hash) => (await node.waitForTransaction(hash, 1, PATIENCE))?.blockHash,
    };
  },
  viem(key) {
    const account = privateKeyToAccount(key);
    const fees = { type: "eip1559", maxFeePerGas: 10n ** 12n, maxPriorityFeePerGas: 0n };
    return {
      sign: (nonce) => account.signTransaction({ ...fees, chainId: CHAIN_ID, nonce, to, value: 1n, gas: 21_000n }),
      connect: (url) => createPublicClient({ transport: http(url), pollingInterval: 250 }),
      send: (node, serializedTransaction) => node.sendRawTransaction({ serializedTransaction }),
      seen: async (node, hash) => (await node.waitForTransactionReceipt({ hash, timeout: PATIENCE })).blockHash,
    };
  },
  caver(key) {
    const offline = new Caver();
    const keyring = offline.wallet.keyring.createFromPrivateKey(key);
    const fields = { from: keyring.address, to, value: 1, gas: 100_000, gasPrice: "0xe8d4a51000", chainId: CHAIN_ID };
    return {
      async sign(nonce) {
        const tx = offline.transaction.valueTransfer.create({ ...fields, nonce });
        await tx.sign(keyring);
        return tx.getRLPEncoding();
      },
      connect: (url) => new Caver(url),
      // It comes back when there is a receipt.
      send: (node, raw) => node.rpc.klay.sendRawTransaction(raw),
      seen: async (node, hash) => (await node.rpc.klay.getTransactionReceipt(hash))?.blockHash,
    };
  },
};

let over = false;
process.stdin.on("end", () => (over = true)).resume();
// A provider that a client has turned away from may still be asking a node that is gone.
process.on("unhandledRejection", () => {});

const sleep = (time) => new Promise((resolve) => setTimeout(resolve, time));
const patient = (promise) => Promise.race([promise, sleep(PATIENCE).then(() => Promise.reject(new Error("too late")))]);

async function run(name, index) {
  const client = clients[name](devAccounts[index].privateKey);
  const nodes = urls.map(client.connect);
  let turn = index;
  let longest = 0;
  for (let nonce = 0; !over; nonce++) {
    const raw = await client.sign(nonce);
    const hash = new Caver().utils.sha3(raw);
    const start = Date.now();
    let block;
    while (!block && !over) {
      const node = nodes[turn % nodes.length];
      // It may be there already: what counts is whether it is seen.
      await patient(client.send(node, raw)).catch(() => {});
      block = await patient(client.seen(node, hash)).catch(() => {});
      if (!block) {
        turn++;
        await sleep(50);
      }
    }
    if (!block) break;
    longest = Math.max(longest, Date.now() - start);
    process.stdout.write(`${name} ${hash} ${block}\n`);
  }
  console.error(`${name} has waited ${longest / 1000} s at most`);
}

await Promise.all(Object.keys(clients).map((name, n) => run(name, devAccounts.length - 1 - n)));
process.exit();
