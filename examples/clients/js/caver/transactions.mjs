// caver-js: every Klaytn type in every fee mode, sender and fee payer in two processes.
import Caver from "caver-js";
import { Wallet } from "ethers";
import { assert, check, done } from "../lib/check.mjs";
import { CHAIN_ID, HTTP, KLAY, devAccounts, receipt, rpc } from "../lib/env.mjs";
import { gasPrice, settle } from "../lib/ledger.mjs";
import { party } from "../lib/party.mjs";
import { modes, payloads, tokenCode, typeName } from "../lib/transactions.mjs";

const caver = new Caver(HTTP);
const funder = caver.wallet.keyring.createFromPrivateKey(devAccounts[0].privateKey);
const script = new URL("./party.mjs", import.meta.url);
const hex = (value) => "0x" + BigInt(value).toString(16);

async function fund(address, amount = 10n * KLAY) {
  const tx = caver.transaction.valueTransfer.create({ from: funder.address, to: address, value: hex(amount), gas: 50_000 });
  await tx.sign(funder);
  await receipt(await rpc("klay_sendRawTransaction", tx.getRLPEncoding()));
}

const lowerFirst = (name) => name[0].toLowerCase() + name.slice(1);

const payerWallet = Wallet.createRandom();
await fund(payerWallet.address, 100n * KLAY);
const payer = party(script, { address: payerWallet.address, keys: payerWallet.privateKey });

// The token that contract execution calls.
const deploy = caver.transaction.smartContractDeploy.create({ from: funder.address, input: tokenCode, gas: 3_000_000 });
await deploy.sign(funder);
const { contractAddress: token } = await receipt(await rpc("klay_sendRawTransaction", deploy.getRLPEncoding()));

for (const mode of modes) {
  for (const payload of payloads({ token })) {
    const type = typeName(mode, payload.name);
    await check(`caver-js sends ${type}`, async () => {
      const wallet = Wallet.createRandom();
      await fund(wallet.address);
      const sender = party(script, { address: wallet.address, keys: wallet.privateKey });
      const fields = {
        from: wallet.address,
        gas: hex(payload.gas),
        gasPrice: hex(await gasPrice()),
        nonce: "0x0",
        chainId: hex(CHAIN_ID),
      };
      if (payload.to) fields.to = payload.to;
      if (payload.value !== undefined) fields.value = hex(payload.value);
      if (payload.name === "SmartContractExecution") fields.value = "0x0";
      if (payload.input) fields.input = payload.input;
      if (payload.name === "AccountUpdate") {
        const key = caver.wallet.keyring.generateSingleKey();
        const keyring = caver.wallet.keyring.createWithSingleKey(wallet.address, key);
        fields.account = keyring.toAccount().getRLPEncodingAccountKey();
      }
      if (mode.suffix) fields.feeRatio = hex(mode.ratio);

      let raw = await sender.ask({ type: lowerFirst(mode.name + payload.name + (mode.suffix ?? "")), fields });
      if (mode.ratio) raw = await payer.ask({ raw, chainId: hex(CHAIN_ID) });
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
      const decoded = caver.transaction.decode(raw);
      assert.equal(seen.transactionHash, decoded.getTransactionHash());
      assert.equal(seen.senderTxHash, decoded.getSenderTxHash());
      const bySender = await caver.rpc.klay.getTransactionBySenderTxHash(decoded.getSenderTxHash()).catch(() => null);
      if (bySender) assert.equal(bySender.hash, seen.transactionHash);
      const found = await caver.rpc.klay.getTransactionByHash(seen.transactionHash);
      assert.equal(found.type, type);
      if (payload.name === "ChainDataAnchoring") assert.equal(found.inputJSON.blockNumber, 5);
    });
  }
}
payer.end();
done();
