// A sender or a fee payer who uses caver-js, without a node.
import Caver from "caver-js";
import { serve } from "../lib/party.mjs";

const caver = new Caver();

serve(async ({ address, keys }, { type, fields, raw, chainId }) => {
  const keyring = caver.wallet.keyring.create(address, keys);
  if (raw) {
    const tx = caver.transaction.decode(raw);
    tx.chainId = chainId; // the bytes do not say it
    await tx.signAsFeePayer(keyring);
    return tx.getRLPEncoding();
  }
  if (fields.account) fields.account = caver.account.createFromRLPEncoding(fields.from, fields.account);
  const tx = caver.transaction[type].create(fields);
  await tx.sign(keyring);
  return tx.getRLPEncoding();
});
