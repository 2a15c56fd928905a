// caver-js: an account's key becomes a public key, a 2-of-3 multisig and role-based, and the old one is refused.
import Caver from "caver-js";
import { Wallet } from "ethers";
import { assert, check, done, refusal } from "../lib/check.mjs";
import { HTTP, KLAY, devAccounts, receipt, rpc } from "../lib/env.mjs";

const caver = new Caver(HTTP);
const { keyring: rings } = caver.wallet;
const funder = rings.createFromPrivateKey(devAccounts[1].privateKey);
const REFUSED = /invalid account key|must be with a legacy account key/;

const send = async (tx) => {
  const done = await receipt(await rpc("klay_sendRawTransaction", tx.getRLPEncoding()));
  assert.equal(done.status, "0x1");
  return done;
};

async function account() {
  const keyring = rings.generate();
  const tx = caver.transaction.valueTransfer.create({
    from: funder.address,
    to: keyring.address,
    value: "0x" + (10n * KLAY).toString(16),
    gas: 50_000,
  });
  await tx.sign(funder);
  await send(tx);
  return keyring;
}

async function update(keyring, next, options) {
  const tx = caver.transaction.accountUpdate.create({
    from: keyring.address,
    account: next.toAccount(options),
    gas: 500_000,
  });
  await tx.sign(keyring);
  await send(tx);
}

async function transfer(keyring, index) {
  const tx = caver.transaction.valueTransfer.create({
    from: keyring.address,
    to: Wallet.createRandom().address,
    value: 1,
    gas: 300_000,
  });
  await (index === undefined ? tx.sign(keyring) : tx.sign(keyring, index));
  return tx;
}

const refused = async (keyring, index) => {
  const tx = await transfer(keyring, index);
  assert.match(await refusal(rpc("klay_sendRawTransaction", tx.getRLPEncoding())), REFUSED);
};

await check("caver-js changes a key to another public key", async () => {
  const old = await account();
  const next = rings.createWithSingleKey(old.address, rings.generateSingleKey());
  await update(old, next);
  await send(await transfer(next));
  await refused(old);
  const { keyType } = await caver.rpc.klay.getAccountKey(old.address);
  assert.equal(keyType, 2);
});

await check("caver-js changes a key to a 2-of-3 multisig", async () => {
  const old = await account();
  const next = rings.createWithMultipleKey(old.address, rings.generateMultipleKeys(3));
  await update(old, next, new caver.account.weightedMultiSigOptions(2, [1, 1, 1]));
  await refused(old);
  await refused(next, 0);
  const two = await transfer(next, 0);
  await two.sign(next, 2);
  await send(two);
  await send(await transfer(next));
});

await check("caver-js changes a key to role-based keys", async () => {
  const old = await account();
  const next = rings.createWithRoleBasedKey(old.address, rings.generateRoleBasedKeys([1, 2, 1]));
  const options = [{}, new caver.account.weightedMultiSigOptions(2, [1, 1]), {}];
  await update(old, next, options);
  await refused(old);
  await send(await transfer(next));

  // the update key cannot send, the transaction key cannot update
  const updateKey = rings.createWithSingleKey(old.address, next.keys[1][0].privateKey);
  await refused(updateKey);
  const single = rings.createWithSingleKey(old.address, next.keys[0][0].privateKey);
  const wrong = caver.transaction.accountUpdate.create({
    from: old.address,
    account: single.toAccount(),
    gas: 500_000,
  });
  await wrong.sign(single);
  assert.match(await refusal(rpc("klay_sendRawTransaction", wrong.getRLPEncoding())), REFUSED);

  // the fee payer key pays for someone else
  const guest = await account();
  const paid = caver.transaction.feeDelegatedValueTransfer.create({
    from: guest.address,
    to: old.address,
    value: 1,
    gas: 300_000,
    feePayer: old.address,
  });
  await paid.sign(guest);
  await paid.signAsFeePayer(next);
  await send(paid);

  // and the two update keys give the account back to its original key
  const back = caver.transaction.accountUpdate.create({
    from: old.address,
    account: caver.account.createWithAccountKeyLegacy(old.address),
    gas: 500_000,
  });
  await back.sign(next);
  await send(back);
  await send(await transfer(old));
});

done();
