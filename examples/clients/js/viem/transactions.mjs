// viem: legacy and typed transactions of Ethereum.
import { generatePrivateKey, privateKeyToAccount } from "viem/accounts";
import { assert, check, done } from "../lib/check.mjs";
import { KLAY } from "../lib/env.mjs";
import { gasPrice, settle } from "../lib/ledger.mjs";
import { reader, writer } from "./client.mjs";

const wallet = writer(7);
const from = wallet.account.address;
const stranger = () => privateKeyToAccount(generatePrivateKey());

for (const [name, type] of [
  ["TxTypeLegacyTransaction", "legacy"],
  ["TxTypeEthereumAccessList", "eip2930"],
  ["TxTypeEthereumDynamicFee", "eip1559"],
]) {
  await check(`viem sends ${name}`, async () => {
    const to = stranger().address;
    const price = await gasPrice();
    const fees = type === "eip1559" ? { maxFeePerGas: 2n * price, maxPriorityFeePerGas: 1n } : { gasPrice: price };
    const accessList = type === "eip2930" ? [{ address: from, storageKeys: [`0x${"01".repeat(32)}`] }] : undefined;
    let hash;
    const seen = await settle({
      send: async () => (hash = await wallet.sendTransaction({ to, value: KLAY, type, accessList, ...fees })),
      from,
      to,
      value: KLAY,
    });
    assert.equal(seen.type, name);
    assert.equal((await reader.waitForTransactionReceipt({ hash })).type, type);
    assert.equal((await reader.getTransaction({ hash })).type, type);
  });
}

await check("viem sends TxTypeEthereumSetCode", async () => {
  const authority = stranger();
  const address = `0x${"34".repeat(20)}`;
  const authorization = await authority.signAuthorization({ address, chainId: 1337, nonce: 0 });
  const hash = await wallet.sendTransaction({ to: authority.address, authorizationList: [authorization], gas: 200_000n });
  const receipt = await reader.waitForTransactionReceipt({ hash });
  assert.equal(receipt.status, "success");
  assert.equal(await reader.getCode({ address: authority.address }), `0xef0100${"34".repeat(20)}`);
});

done();
