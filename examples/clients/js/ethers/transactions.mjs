// ethers 6: legacy and typed transactions of Ethereum.
import { JsonRpcProvider, Wallet } from "ethers";
import { blob } from "../lib/blob.mjs";
import { assert, check, done, refusal } from "../lib/check.mjs";
import { HTTP, KLAY, devAccounts, rpc } from "../lib/env.mjs";
import { gasPrice, settle } from "../lib/ledger.mjs";

const provider = new JsonRpcProvider(HTTP, undefined, { cacheTimeout: -1, pollingInterval: 250 });
const wallet = new Wallet(devAccounts[5].privateKey, provider);
const from = wallet.address;

const kinds = [
  { name: "TxTypeLegacyTransaction", type: 0 },
  { name: "TxTypeEthereumAccessList", type: 1, accessList: [{ address: from, storageKeys: ["0x" + "01".repeat(32)] }] },
  { name: "TxTypeEthereumDynamicFee", type: 2 },
];

for (const { name, type, accessList } of kinds) {
  await check(`ethers sends ${name}`, async () => {
    const to = Wallet.createRandom().address;
    const price = await gasPrice();
    const fees = type === 2 ? { maxFeePerGas: 2n * price, maxPriorityFeePerGas: 1n } : { gasPrice: price };
    let sent;
    const seen = await settle({
      send: async () => (sent = await wallet.sendTransaction({ to, value: KLAY, type, accessList, ...fees })).hash,
      from,
      to,
      value: KLAY,
    });
    assert.equal(seen.type, name);
    const receipt = await sent.wait();
    assert.equal(receipt.status, 1);
    assert.equal(receipt.type, type);
    assert.equal((await provider.getTransaction(sent.hash)).type, type);
  });
}

await check("ethers sends TxTypeEthereumSetCode", async () => {
  const authority = Wallet.createRandom().connect(provider);
  const target = "0x" + "12".repeat(20);
  const authorization = await authority.authorize({ address: target, nonce: 0, chainId: 1337 });
  const sent = await wallet.sendTransaction({
    type: 4,
    to: authority.address,
    authorizationList: [authorization],
    gasLimit: 200_000,
  });
  assert.equal((await sent.wait()).status, 1);
  assert.equal(await provider.getCode(authority.address), "0xef0100" + "12".repeat(20));
  assert.equal((await rpc("klay_getTransactionByHash", sent.hash)).type, "TxTypeEthereumSetCode");
});

await check("ethers sends TxTypeEthereumBlob", async () => {
  const to = Wallet.createRandom().address;
  const price = await gasPrice();
  let sent;
  const seen = await settle({
    send: async () => {
      sent = await wallet.sendTransaction({
        type: 3,
        to,
        value: 1n,
        maxFeePerGas: 2n * price,
        maxPriorityFeePerGas: 1n,
        maxFeePerBlobGas: 100n * price,
        gasLimit: 100_000,
        blobs: [blob],
        blobWrapperVersion: 1,
      });
      return sent.hash;
    },
    from,
    to,
    value: 1n,
  });
  assert.equal(seen.type, "TxTypeEthereumBlob");
  const receipt = await sent.wait();
  assert.equal(receipt.blobGasUsed, 131_072n);
  assert.equal((await provider.getTransaction(sent.hash)).blobVersionedHashes.length, 1);
});

await check("ethers is told why a transaction is refused", async () => {
  const poor = Wallet.createRandom().connect(provider);
  const transfer = { to: from, value: 1n, gasLimit: 21_000, gasPrice: await gasPrice(), type: 0, nonce: 0, chainId: 1337 };
  const raw = await poor.signTransaction(transfer);
  assert.match(await refusal(provider.broadcastTransaction(raw)), /insufficient funds/);
});

done();
