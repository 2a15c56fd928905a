// @kaiachain/ethers-ext: an account's key becomes a public key, a 2-of-3 multisig and role-based.
import { AccountKeyType, JsonRpcProvider, TxType, Wallet } from "@kaiachain/ethers-ext/v6";
import { SigningKey, Wallet as EthersWallet } from "ethers";
import { assert, check, done, refusal } from "../lib/check.mjs";
import { HTTP, KLAY, devAccounts, receipt, rpc } from "../lib/env.mjs";

const provider = new JsonRpcProvider(HTTP, undefined, { cacheTimeout: -1 });
const funder = new Wallet(devAccounts[4].privateKey, provider);
const REFUSED = /invalid account key|must be with a legacy account key/;

const secret = () => EthersWallet.createRandom().privateKey;
const compressed = (key) => SigningKey.computePublicKey(key, true);
const publicKey = (key) => ({ type: AccountKeyType.Public, key: compressed(key) });

async function account() {
  const key = secret();
  const wallet = new Wallet(key, provider);
  const address = await wallet.getAddress();
  const sent = await funder.sendTransaction({ type: TxType.ValueTransfer, to: address, value: 10n * KLAY, gasLimit: 50_000 });
  await receipt(sent.hash);
  return { address, wallet, key };
}

/** Signs with each key in turn and sends. */
async function sendWith(address, keys, fields) {
  const [first, ...others] = keys.map((key) => new Wallet(address, key, provider));
  let raw = await first.signTransaction(await first.populateTransaction(fields));
  for (const wallet of others) raw = await wallet.signTransaction(raw);
  return rpc("klay_sendRawTransaction", raw);
}

const transfer = (value = 1) => ({ type: TxType.ValueTransfer, to: EthersWallet.createRandom().address, value, gasLimit: 300_000 });
const update = (key) => ({ type: TxType.AccountUpdate, key, gasLimit: 500_000 });
const accepted = async (hash) => assert.equal((await receipt(await hash)).status, "0x1");
const refused = async (promise) => assert.match(await refusal(promise), REFUSED);

await check("ethers-ext changes a key to another public key", async () => {
  const { address, key } = await account();
  const next = secret();
  await accepted(sendWith(address, [key], update(publicKey(next))));
  await accepted(sendWith(address, [next], transfer()));
  await refused(sendWith(address, [key], transfer()));
});

await check("ethers-ext changes a key to a 2-of-3 multisig", async () => {
  const { address, key } = await account();
  const members = [secret(), secret(), secret()];
  const multisig = {
    type: AccountKeyType.WeightedMultiSig,
    threshold: 2,
    keys: members.map((member) => ({ weight: 1, key: compressed(member) })),
  };
  await accepted(sendWith(address, [key], update(multisig)));
  await refused(sendWith(address, [key], transfer()));
  await refused(sendWith(address, members.slice(0, 1), transfer()));
  await accepted(sendWith(address, [members[2], members[0]], transfer()));
});

await check("ethers-ext changes a key to role-based keys", async () => {
  const { address, key } = await account();
  const [sends, updates, pays] = [secret(), secret(), secret()];
  const roles = { type: AccountKeyType.RoleBased, keys: [publicKey(sends), publicKey(updates), publicKey(pays)] };
  await accepted(sendWith(address, [key], update(roles)));
  await refused(sendWith(address, [key], transfer()));
  await accepted(sendWith(address, [sends], transfer()));
  await refused(sendWith(address, [updates], transfer()));
  await refused(sendWith(address, [sends], update(publicKey(sends))));
  const guest = await account();
  const half = await guest.wallet.signTransaction(
    await guest.wallet.populateTransaction({ ...transfer(), type: TxType.FeeDelegatedValueTransfer }),
  );
  const sent = await new Wallet(address, pays, provider).sendTransactionAsFeePayer(half);
  await accepted(sent.hash);
  await accepted(sendWith(address, [updates], update(publicKey(sends))));
  await accepted(sendWith(address, [sends], transfer()));
});

done();
