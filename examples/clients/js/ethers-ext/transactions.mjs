// @kaiachain/ethers-ext: every type it has in every fee mode, sender and fee payer in two processes.
import { TxType, JsonRpcProvider, Wallet as KaiaWallet } from "@kaiachain/ethers-ext/v6";
import { SigningKey, Wallet } from "ethers";
import { assert, check, done } from "../lib/check.mjs";
import { CHAIN_ID, HTTP, KLAY, devAccounts, receipt, rpc } from "../lib/env.mjs";
import { gasPrice, settle } from "../lib/ledger.mjs";
import { party } from "../lib/party.mjs";
import { modes, payloads, tokenCode, typeName } from "../lib/transactions.mjs";

const provider = new JsonRpcProvider(HTTP, undefined, { cacheTimeout: -1 });
const funder = new KaiaWallet(devAccounts[3].privateKey, provider);
const script = new URL("./party.mjs", import.meta.url);
const NO_RECIPIENT = "0x0000000000000000000000000000000000000000";

async function fund(to, value = 10n * KLAY) {
  const sent = await funder.sendTransaction({ type: TxType.ValueTransfer, to, value, gasLimit: 50_000 });
  await receipt(sent.hash);
}

const payerWallet = Wallet.createRandom();
await fund(payerWallet.address, 100n * KLAY);
const payer = party(script, { address: payerWallet.address, key: payerWallet.privateKey });

const deployed = await funder.sendTransaction({
  type: TxType.SmartContractDeploy,
  to: NO_RECIPIENT,
  value: 0,
  input: tokenCode,
  gasLimit: 3_000_000,
  humanReadable: false,
  codeFormat: 0,
});
const { contractAddress: token } = await receipt(deployed.hash);

for (const mode of modes) {
  // anchoring is not one of this client's types
  for (const payload of payloads({ token }).filter(({ name }) => name !== "ChainDataAnchoring")) {
    const type = typeName(mode, payload.name);
    await check(`ethers-ext sends ${type}`, async () => {
      const wallet = Wallet.createRandom();
      await fund(wallet.address);
      const sender = party(script, { address: wallet.address, key: wallet.privateKey });
      const fields = {
        type: TxType[type.slice("TxType".length)],
        from: wallet.address,
        nonce: 0,
        gasLimit: payload.gas,
        gasPrice: (await gasPrice()).toString(),
        chainId: CHAIN_ID,
      };
      assert.notEqual(fields.type, undefined, `${type} is one of the client's types`);
      if (payload.to) fields.to = payload.to;
      if (payload.name !== "AccountUpdate" && payload.name !== "Cancel") fields.value = (payload.value ?? 0n).toString();
      if (payload.input) fields.input = payload.input;
      if (payload.name === "SmartContractDeploy") Object.assign(fields, { to: NO_RECIPIENT, humanReadable: false, codeFormat: 0 });
      if (payload.name === "AccountUpdate") {
        fields.key = { type: 2, key: SigningKey.computePublicKey(Wallet.createRandom().privateKey, true) };
      }
      if (mode.suffix) fields.feeRatio = mode.ratio;

      let raw = await sender.ask({ fields });
      if (mode.ratio) raw = await payer.ask({ raw, chainId: CHAIN_ID });
      sender.end();
      const seen = await settle({
        send: () => rpc("klay_sendRawTransaction", raw),
        from: wallet.address,
        payer: mode.ratio && payerWallet.address,
        ratio: mode.ratio,
        to: payload.value !== undefined ? payload.to : undefined,
        value: payload.value ?? 0n,
      });
      assert.equal(seen.type, type);
    });
  }
}

await check("ethers-ext sends on behalf of a fee payer in one process", async () => {
  const sender = new KaiaWallet(Wallet.createRandom().privateKey, provider);
  await fund(await sender.getAddress());
  const tx = await sender.populateTransaction({
    type: TxType.FeeDelegatedValueTransfer,
    to: Wallet.createRandom().address,
    value: 3,
    gasLimit: 100_000,
  });
  const half = await sender.signTransaction(tx);
  const sent = await new KaiaWallet(payerWallet.privateKey, provider).sendTransactionAsFeePayer(half);
  assert.equal((await receipt(sent.hash)).status, "0x1");
});

payer.end();
done();
